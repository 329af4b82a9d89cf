import re
from typing import ClassVar

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete
from sb3_contrib import MaskablePPO
from stable_baselines3.common.vec_env import DummyVecEnv

from heron import make_vec
from heron.errors import ConfigurationError
from heron.play.group_policies import as_policy, policies_by_group
from heron.play.policies import ConstantPolicy, ModelPolicy, RandomPolicy, batch_size
from heron.play.sb3_actions import actions_from_sb3, counted_from_zero
from heron.vector.vec_group import VecGroup

from ..wrappers.single_envs import Sampled

SEEN = Box(-1, 1, (3,), np.float32)


def group(action_space, name="agent", level="field"):
    return VecGroup(name, level, ("a", "b"), SEEN, action_space, 1, SEEN, None)


class Predicts:
    """A stand-in for SB3's models. It predicts the same action for every row, and records ``deterministic``."""

    def __init__(self, action, action_space, observation_space=SEEN):
        self.action, self.action_space, self.observation_space = action, action_space, observation_space
        self.asked = []

    def predict(self, observation, *, deterministic):
        self.asked.append(deterministic)
        return np.array([self.action] * len(observation)), None


def test_batch_size():
    assert batch_size({"x": (np.zeros((5, 2)), np.zeros(5))}) == 5


class TestModels:
    def test_sample_unless_told_otherwise(self):
        model = Predicts(1, Discrete(4))
        assert as_policy(model, group(Discrete(4)))(np.zeros((2, 3))).tolist() == [1, 1]
        as_policy(ModelPolicy(model, deterministic=True), group(Discrete(4)))(np.zeros((2, 3)))
        assert model.asked == [False, True]

    @pytest.mark.parametrize(
        ("space", "model_space", "predicted", "expected"),
        [
            (Discrete(3, start=1), Discrete(3), 0, 1),
            (Discrete(3, start=-2), Discrete(3), 2, 0),
            (MultiDiscrete([2, 3], start=[5, -1]), MultiDiscrete([2, 3]), [1, 0], [6, -1]),
            (Discrete(3), Discrete(3), 2, 2),
            (MultiBinary(2), MultiBinary(2), [1, 0], [1, 0]),
        ],
    )
    def test_choices_count_from_the_spaces_own_start(self, space, model_space, predicted, expected):
        policy = as_policy(Predicts(predicted, model_space), group(space))
        assert policy(np.zeros((2, 3))).tolist() == [expected] * 2

    @pytest.mark.parametrize(
        ("what", "spaces", "how"),
        [
            ("action_space", (SEEN, Discrete(5)), "n 5.* 4"),
            ("action_space", (SEEN, Box(0, 1, (1,))), "Box.*Discrete"),
            ("observation_space", (Box(-1, 1, (4,), np.float32), Discrete(4)), r"\(4,\).*\(3,\)"),
            ("observation_space", (Box(-1, 1, (3,), np.float64), Discrete(4)), "float64.*float32"),
            ("observation_space", (Box(-1, 2, (3,), np.float32), Discrete(4)), r"2\.0.*1\.0.* 0"),
            ("observation_space", (Dict(x=SEEN), Discrete(4)), "Dict.*Box"),
        ],
    )
    def test_of_other_spaces_are_refused(self, what, spaces, how):
        model = Predicts(0, spaces[1], spaces[0])
        for value in (model, ModelPolicy(model)):
            with pytest.raises(ConfigurationError, match=rf"'agent'.* {what} .*: .*{how}"):
                as_policy(value, group(Discrete(4)))


class TestRoundingAtABound:
    SPACE = Box(np.float32([-0.1, -1.7]), np.float32([0.3, 0.6]), dtype=np.float32)

    def test_scaled_back_actions_are_put_on_the_bound(self):
        low, high = self.SPACE.low, self.SPACE.high
        missed = np.stack([np.nextafter(high, np.float32(9)), np.nextafter(low, np.float32(-9))])
        assert actions_from_sb3(missed, self.SPACE).tolist() == [high.tolist(), low.tolist()]

    def test_actions_inside_or_far_outside_are_left_alone(self):
        actions = np.float32([[0.1, 0.2], [0.31, 0.2], [np.nan, 0.2]])
        np.testing.assert_array_equal(actions_from_sb3(actions, self.SPACE), actions)

    def test_wrong_shapes_are_left_alone(self):
        for actions in (np.zeros((2, 3)), np.zeros(2), np.array([["a", "b"]])):
            assert actions_from_sb3(actions, self.SPACE) is actions


class TestConstants:
    @pytest.mark.parametrize(
        ("space", "value"),
        [
            (Discrete(4), 3),
            (Discrete(4, start=2), 5),
            (Discrete(4), np.int32(1)),
            (Box(-1, 1, (2,), np.float32), [0.5, -1]),
            (Box(-1, 1, (2,), np.float32), np.zeros(2)),
            (MultiDiscrete([2, 3]), (1, 2)),
            (MultiBinary(3), [1, 0, 1]),
        ],
    )
    def test_are_taken_always(self, space, value):
        policy = as_policy(value, group(space))
        assert isinstance(policy, ConstantPolicy)
        actions = policy(np.zeros((5, 3)))
        assert actions.dtype == space.dtype
        assert actions.tolist() == [np.asarray(value).tolist()] * 5

    @pytest.mark.parametrize(
        ("space", "value", "how"),
        [
            (Discrete(4), 4, ["4", "[0, 3]"]),
            (Discrete(4), -1, ["-1", "[0, 3]"]),
            (Discrete(4), 1.0, ["float64", "int64"]),
            (Discrete(4), [1], ["(1,)", "()"]),
            (Discrete(4), None, ["array(None, dtype=object)", "int64 ()"]),
            (Discrete(4), "1", ["array('1', dtype='<U1')", "int64 ()"]),
            (Discrete(4), [[1], [1, 2]], ["[[1], [1, 2]]"]),
            (Discrete(4), Predicts, ["Predicts"]),
            (Box(-1, 1, (2,), np.float32), [0.5, 2], ["[1]", "2.0", "[-1.0, 1.0]"]),
            (Box(-1, 1, (2,), np.float32), [0.5, np.nan], ["[1]", "nan", "[-1.0, 1.0]"]),
            (Box(-1, 1, (2,), np.float32), 0.5, ["()", "(2,)"]),
        ],
    )
    def test_outside_the_space_are_refused(self, space, value, how):
        values = ".*".join(map(re.escape, ["'agent'", str(space), *how]))
        with pytest.raises(ConfigurationError, match=values):
            as_policy(value, group(space))


class TestRandom:
    @pytest.mark.parametrize(
        "space",
        [
            Discrete(3),
            Discrete(3, start=-5),
            MultiDiscrete([2, 4], start=[3, -1]),
            MultiBinary(3),
            Box(np.float32([-1, 2]), np.float32([0, 5])),
        ],
    )
    def test_covers_the_space_and_nothing_else(self, space):
        actions = RandomPolicy(space, 0)(np.zeros((300, 3)))
        assert all(space.contains(action) for action in actions.astype(space.dtype))
        low = {Box: lambda: space.low}.get(type(space), lambda: actions.min(axis=0))()
        assert np.all(actions.min(axis=0) <= low + 0.1)
        if isinstance(space, Discrete):
            assert sorted(set(actions.tolist())) == list(range(space.start, space.start + 3))
        if isinstance(space, MultiDiscrete):
            assert actions.min(axis=0).tolist() == [3, -1]
            assert actions.max(axis=0).tolist() == [4, 2]

    def test_same_seed_same_actions(self):
        first, second, other = (RandomPolicy(Discrete(99), seed)(np.zeros((20, 1))).tolist() for seed in (1, 1, 2))
        assert first == second != other

    def test_needs_bounds(self):
        with pytest.raises(ConfigurationError, match=r"Box\(0\.0, inf"):
            RandomPolicy(Box(0, np.inf, (1,)))


class TestByGroup:
    GROUPS: ClassVar[dict[str, VecGroup]] = {
        "top": group(Discrete(2), "top", "coordinator_1"),
        "red": group(Discrete(3), "red"),
        "blue": group(Discrete(4), "blue"),
    }

    def find(self, learner="top", **given):
        return policies_by_group(given, self.GROUPS, learner)

    def test_a_level_covers_all_its_groups(self):
        found = self.find(field=2)
        assert sorted(found) == ["blue", "red"]

    def test_errors(self):
        for given, message in (
            ({"red": 0}, r"\['blue'\].*policies={'blue': ...}"),
            ({"field": 0, "red": 0}, "policies: group 'red'"),
            ({"field": 0, "top": 0}, "policies: 'top' .* 'top'"),
            ({"field": 0, "coordinator_1": 0}, "policies: 'coordinator_1' .* 'top'"),
            ({"nobody": 0}, "policies: .*'nobody'"),
            ({"blues": 3}, "'blues'.*'blue'"),
            ({"field": 3}, "'red'"),
        ):
            with pytest.raises(ConfigurationError, match=message):
                self.find(**given)
        with pytest.raises(ConfigurationError, match=r"policies .*\[1\]"):
            policies_by_group([1], self.GROUPS, "top")


def test_random_policy_is_uniform_on_integers():
    space = Box(-2, 2, (3,), np.int64)
    drawn = RandomPolicy(space, seed=0)(np.zeros((2_000, 1)))
    assert drawn.dtype == np.int64
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [-2, -1, 0, 1, 2]
    assert counts.min() > 0.8 * drawn.size / 5


class TestWholeNumbers:
    """SB3 predicts fractions for integer boxes and bits."""

    def test_are_rounded_within_the_bounds(self):
        space = Box(np.int32([0, -2]), np.int32([1, 5]), dtype=np.int32)
        actions = actions_from_sb3(np.float32([[0.6, -1.2], [0.2, 5.4]]), space)
        assert actions.tolist() == [[1, -1], [0, 5]]
        assert actions.dtype == np.int32
        bits = actions_from_sb3(np.float32([[0, 1, 1]]), MultiBinary(3))
        assert (bits.tolist(), bits.dtype) == ([[0, 1, 1]], np.int8)

    def test_values_that_rounding_cannot_fix_are_left_to_the_check(self):
        for actions in (np.float32([[np.nan, 0]]), np.int64([[7, 0]])):
            assert actions_from_sb3(actions, Box(0, 1, (2,), np.int32)) is actions


class TestTrainedInAWrapper:
    def test_normalized_observations_are_normalized_for_the_policy(self):
        class Normalizer:
            def normalize_obs(self, observations):
                return observations / 10

        class Normalized(Predicts):
            def get_vec_normalize_env(self):
                return Normalizer()

            def predict(self, observation, *, deterministic):
                self.asked.append(observation.tolist())
                return super().predict(observation, deterministic=deterministic)

        model = Normalized(1, Discrete(4))
        as_policy(model, group(Discrete(4)))(np.full((1, 3), 20.0))
        assert model.asked[0] == [[2, 2, 2]]

    def test_images_may_have_their_channels_first(self):
        image, moved = Box(0, 255, (36, 40, 3), np.uint8), Box(0, 255, (3, 36, 40), np.uint8)
        for own, seen in (
            (image, moved),
            (Dict(observation=image, command=SEEN), Dict(observation=moved, command=SEEN)),
        ):
            spec = VecGroup("agent", "field", ("a",), own, Discrete(4), 1, own, None)
            as_policy(Predicts(0, Discrete(4), seen), spec)
            with pytest.raises(ConfigurationError, match="observation_space"):
                as_policy(Predicts(0, Discrete(4), Dict(observation=SEEN, command=SEEN)), spec)

    def test_models_that_need_masks_are_refused_without_them(self):
        kind = type("Mine", (type("MaskablePPO", (Predicts,), {}),), {})
        for value in (kind(0, Discrete(4)), ModelPolicy(kind(0, Discrete(4)))):
            with pytest.raises(ConfigurationError, match=r"'agent': MaskablePPO .*'action_mask'"):
                as_policy(value, group(Discrete(4)))


class TestMasks:
    """Models of ``MaskablePPO`` as policies."""

    SPACE = Dict(observation=Box(0, 1, (2,), np.float32), action_mask=Box(0, 1, (5,), np.int8))

    @pytest.fixture(params=[Discrete(5, start=3), MultiDiscrete([2, 3])], ids=["choice", "choices"])
    def spec(self, request):
        return VecGroup("agent", "field", ("a",), self.SPACE, request.param, 1, self.SPACE, None)

    @pytest.mark.parametrize("deterministic", [True, False])
    def test_only_what_is_allowed_is_chosen(self, spec, deterministic):
        venv = DummyVecEnv(
            [lambda: Sampled(observation_space=self.SPACE, action_space=counted_from_zero(spec.action_space))]
        )
        model = MaskablePPO("MultiInputPolicy", venv, n_steps=8, batch_size=8, device="cpu", seed=0)
        policy = as_policy(ModelPolicy(model, deterministic=deterministic), spec)
        masks = np.tile(np.array([[0, 1, 0, 0, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]], np.int8), (40, 1))
        actions = policy({"observation": np.zeros((120, 2), np.float32), "action_mask": masks})
        # An agent still gets a valid action while it is another agent's turn.
        assert all(spec.action_space.contains(action) for action in actions[2::3])
        if isinstance(spec.action_space, Discrete):
            assert {*actions[::3].tolist()} <= {4, 7}
            assert {*actions[1::3].tolist()} <= {3, 5}
        else:
            assert {*map(tuple, actions[::3].tolist())} == {(1, 2)}
            assert {*map(tuple, actions[1::3].tolist())} == {(0, 0)}


def test_a_random_policy_of_another_space_is_refused():
    with make_vec("mpe2.simple_spread_v3", 1) as venv, pytest.raises(ConfigurationError, match="'agent'"):
        policies_by_group({"agent": RandomPolicy(Discrete(4))}, venv.groups, None)
