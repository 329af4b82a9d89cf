"""The Gymnasium view: compared with SyncVectorEnv call by call, and for copies of several agents."""

from copy import deepcopy
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from heron.agents import Hierarchy
from heron.errors import (
    ConfigurationError,
    EnvClosedError,
    EnvCreationError,
    EnvStepError,
    InvalidActionError,
    InvalidMaskError,
    ResetRequiredError,
)
from heron.play.policies import RandomPolicy
from heron.wrappers import GymVectorEnv, make_vec

from ..single_envs import ACTIONS, OBSERVATIONS, RECORDS, Sampled
from ..small_envs import Life, Scripted

MODES = list(AutoresetMode)
NEXT, SAME, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED
A, B = "agent_0", "agent_1"
BOTH = {A: Life(), B: Life()}
FIELD, TOP = "agent", "coordinator"
GOAL = Box(-1, 1, (2,), np.float32)


REFUSALS = (AssertionError, RuntimeError, TypeError, ValueError)
"""Gymnasium's errors for bad input: it asserts until version 1.3; from 1.4 it raises a base class of our errors."""


def both(factories, **kwargs):
    """Return the two vector envs that must behave the same."""
    return SyncVectorEnv(list(factories), **kwargs), GymVectorEnv(list(factories), **kwargs)


def assert_same(theirs, ours):
    assert data_equivalence(whole(theirs), whole(ours), exact=True), f"{theirs} != {ours}"


def whole(data):
    """Return the data with all integers of one type, since some environments' final observation is an int."""
    if isinstance(data, dict):
        return {key: whole(value) for key, value in data.items()}
    if isinstance(data, (tuple, list)) or (isinstance(data, np.ndarray) and data.dtype == object):
        return [whole(value) for value in data]
    return np.int64(data) if isinstance(data, int | np.integer) else data


def play_both(theirs, ours, steps, seed):
    """Make the same calls to both, with some resets, and compare every result."""
    rng = np.random.default_rng(seed)
    ours.action_space.seed(seed)
    for _ in range(steps):
        actions = ours.action_space.sample()
        results = theirs.step(actions), ours.step(actions)
        assert_same(*results)
        done = results[0][2] | results[0][3]
        if ours.autoreset_mode is DISABLED and done.any():
            mask = done | (rng.random(done.size) < 0.2)
        elif rng.random() < 0.1:
            mask = rng.random(done.size) < 0.5
        else:
            continue
        if mask.any():
            options, seeds = {"reset_mask": mask, "wind": 1}, [int(seed) for seed in rng.integers(99, size=done.size)]
            assert_same(theirs.reset(seed=seeds, options=deepcopy(options)), ours.reset(seed=seeds, options=options))
            assert list(options) == ["reset_mask", "wind"]


class TestBesideSyncVectorEnv:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("kind", OBSERVATIONS)
    def test_every_kind_of_observation(self, mode, kind):
        theirs, ours = both([lambda: Sampled(deepcopy(OBSERVATIONS[kind]))] * 3, autoreset_mode=mode)
        assert_same(theirs.reset(seed=4), ours.reset(seed=4))
        play_both(theirs, ours, 40, seed=1)
        assert [env.resets for env in theirs.envs] == [env.resets for env in ours.envs]

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("space", [*ACTIONS.values(), *RECORDS.values()], ids=[*ACTIONS, *RECORDS])
    def test_every_kind_of_action(self, mode, space):
        theirs, ours = both([lambda: Sampled(action_space=space)] * 2, autoreset_mode=mode)
        assert theirs.action_space == ours.action_space
        assert_same(theirs.reset(seed=[7, 3]), ours.reset(seed=[7, 3]))
        play_both(theirs, ours, 30, seed=2)
        for one, other in zip(theirs.envs, ours.envs, strict=True):
            assert data_equivalence(one.received, other.received, exact=True)

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "FrozenLake-v1", "Blackjack-v1"])
    def test_environments_of_gymnasium(self, mode, name):
        theirs, ours = both([lambda: gymnasium.make(name)] * 3, autoreset_mode=mode)
        assert_same(theirs.reset(seed=11), ours.reset(seed=11))
        play_both(theirs, ours, 60, seed=3)
        assert_same(theirs.reset(), ours.reset())
        play_both(theirs, ours, 10, seed=4)
        assert_same(theirs.reset(seed=1, options={}), ours.reset(seed=1, options={}))

    def test_attributes(self):
        theirs, ours = both([lambda: Sampled(render_mode="rgb_array")] * 2, autoreset_mode="SameStep")
        spaces = ("observation_space", "action_space", "single_observation_space", "single_action_space")
        options = ("render_mode", "autoreset_mode", "observation_mode", "copy")
        for name in (*spaces, *options, "num_envs", "metadata", "spec", "closed"):
            assert getattr(theirs, name) == getattr(ours, name), name
        assert len(ours.env_fns) == len(ours.envs) == 2
        assert ours.unwrapped is ours
        assert repr(ours) == "GymVectorEnv(num_envs=2)"
        for view in (theirs, ours):
            view.reset(seed=5)
        assert theirs.np_random_seed == ours.np_random_seed == (5, 6)
        assert [stream.bit_generator.state for stream in theirs.np_random] == [
            stream.bit_generator.state for stream in ours.np_random]  # fmt: skip
        assert_same(theirs.render(), ours.render())

    def test_metadata_of_the_environments_stay_unchanged(self):
        class Own(Sampled):
            metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 7}

        assert GymVectorEnv([Own] * 2).metadata == {**Own.metadata, "autoreset_mode": NEXT}
        assert Own.metadata == {"render_modes": ["rgb_array"], "render_fps": 7}

    def test_call_get_and_set(self):
        theirs, ours = both([lambda: gymnasium.wrappers.TimeLimit(Sampled(), 5)] * 2)
        for view in (theirs, ours):
            view.set_attr("colour", "blue")
            view.set_attr("horizon", [3, 4])
            with pytest.raises(ValueError):
                view.set_attr("horizon", [1])
            with pytest.raises(AttributeError):
                view.get_attr("weight")
        assert theirs.get_attr("colour") == ours.get_attr("colour") == ("blue", "blue")
        assert [env.unwrapped.horizon for env in ours.envs] == [3, 4]
        assert theirs.call("twice", 4, plus=1) == ours.call("twice", 4, plus=1) == (9, 9)
        assert theirs.call("horizon") == ours.call("horizon") == (3, 4)
        assert_same(theirs.reset(seed=0), ours.reset(seed=0))
        assert_same(theirs.call("render"), ours.call("render"))

    def test_close(self):
        for view in both([Sampled] * 2):
            envs = list(view.envs)
            view.close()
            view.close()
            assert [env.closed for env in envs] == [1, 1]
            assert view.closed
        with pytest.raises(EnvClosedError):
            view.reset()

    @pytest.mark.parametrize("kind", ["vector", "dict", "tuple"])
    def test_observations_are_copies_unless_told_otherwise(self, kind):
        def first(observations):
            while not isinstance(observations, np.ndarray):
                observations = next(iter(observations.values() if isinstance(observations, dict) else observations))
            return observations

        for copy in (True, False):
            for view in both([lambda: Sampled(deepcopy(OBSERVATIONS[kind]))] * 2, copy=copy):
                seen = [view.reset(seed=0)[0], *(view.step(view.action_space.sample())[0] for _ in range(2))]
                assert np.shares_memory(first(seen[0]), first(seen[2])) is not copy
                rewards, terminated = (view.step(view.action_space.sample())[place] for place in (1, 2))
                assert rewards.dtype == np.float64
                assert not np.shares_memory(terminated, view.step(view.action_space.sample())[2])

    def test_observation_modes(self):
        spaces = [Box(-1, high, (2,), np.float32) for high in (1, 3)]
        factories = [lambda space=space: Sampled(space) for space in spaces]
        custom = Box(-9, 9, (2, 2), np.float32), Box(-9, 9, (2,), np.float32)
        for mode in ("different", custom):
            theirs, ours = both(factories, observation_mode=mode)
            assert theirs.observation_space == ours.observation_space
            assert theirs.single_observation_space == ours.single_observation_space
            assert_same(theirs.reset(seed=0), ours.reset(seed=0))
            play_both(theirs, ours, 20, seed=0)

    @pytest.mark.parametrize(
        ("factories", "kwargs", "message"),
        [
            (
                [Sampled, lambda: Sampled(Box(-1, 2, (3,), np.float64))],
                {},
                "env_1.*float64.*observation_mode='different'",
            ),
            (
                [Sampled, lambda: Sampled(Box(-1, 1, (4,), np.float64))],
                {"observation_mode": "different"},
                r"env_1.*\(4,\)",
            ),
            ([Sampled, lambda: Sampled(action_space=Discrete(2))], {}, r"env_1.*action_space.*Discrete\(2\)"),
        ],
    )
    def test_environments_that_differ(self, factories, kwargs, message):
        with pytest.raises(REFUSALS):
            SyncVectorEnv(factories, **kwargs)
        with pytest.raises(EnvCreationError, match=message) as caught:
            GymVectorEnv(factories, **kwargs)
        assert isinstance(caught.value, RuntimeError)

    @pytest.mark.parametrize(
        ("mask", "message"),
        [
            ([True, False], r"reset_mask.*\[True, False\]"),
            (np.array([1, 0]), r"reset_mask.*bool.*int64"),
            (np.ones(3, bool), r"reset_mask.*\(3,\)"),
            (np.zeros(2, bool), "reset_mask"),
        ],
    )
    def test_invalid_masks(self, mask, message):
        theirs, ours = both([Sampled] * 2)
        for view in (theirs, ours):
            view.reset(seed=0)
        with pytest.raises(REFUSALS) as caught:
            theirs.reset(options={"reset_mask": mask})
        with pytest.raises(InvalidMaskError, match=message) as ours_caught:
            ours.reset(options={"reset_mask": mask})
        assert isinstance(ours_caught.value, (TypeError, ValueError) if caught.type is AssertionError else caught.type)

    def test_options_stay_unchanged(self):
        theirs, ours = both([Sampled] * 2)
        options = {"take_notes": True, "reset_mask": np.ones(2, bool)}
        kept = dict(options)
        ours.reset(options=options)
        assert options == kept
        assert [env.resets for env in ours.envs] == [[(None, {"take_notes": True})]] * 2
        theirs.reset(options=options)
        assert options.keys() == {"take_notes", "notes"}

    def test_a_wrong_number_of_seeds(self):
        theirs, ours = both([Sampled] * 2)
        with pytest.raises(REFUSALS):
            theirs.reset(seed=[1, 2, 3])
        with pytest.raises(ValueError):
            ours.reset(seed=[1, 2, 3])

    def test_steps_without_a_running_episode(self):
        theirs, ours = both([lambda: Sampled(horizon=1)] * 2, autoreset_mode=DISABLED)
        with pytest.raises(ResetRequiredError, match="env_0, env_1"):
            ours.step(ours.action_space.sample())
        for view in (theirs, ours):
            view.reset(seed=0)
            view.step(view.action_space.sample())
        with pytest.raises(AssertionError):
            theirs.step(theirs.action_space.sample())
        with pytest.raises(ResetRequiredError, match="env_0, env_1"):
            ours.step(ours.action_space.sample())


class TestBadInput:
    @pytest.mark.parametrize("mode", ["Never", None, 3])
    def test_unknown_modes(self, mode):
        with pytest.raises(ConfigurationError, match=rf"autoreset_mode .*NEXT_STEP.*{mode!r}"):
            GymVectorEnv([Sampled], autoreset_mode=mode)

    @pytest.mark.parametrize("mode", ["other", (Box(0, 1), "x"), None])
    def test_unknown_observation_modes(self, mode):
        with pytest.raises(ConfigurationError, match="observation_mode"):
            GymVectorEnv([Sampled], observation_mode=mode)

    def test_observation_mode_of_a_vector_env(self):
        with pytest.raises(ConfigurationError, match="observation_mode 'different'"):
            GymVectorEnv(make_vec(Scripted), observation_mode="different")

    @pytest.mark.parametrize("venv", [Sampled(), "CartPole-v1", 3])
    def test_anything_but_a_vector_env_or_factories(self, venv):
        with pytest.raises(ConfigurationError, match=r"HierarchicalVectorEnv.*got "):
            GymVectorEnv(venv)

    def test_factories(self):
        with pytest.raises(ConfigurationError):
            GymVectorEnv([])
        env = Sampled()
        for factories, message in (
            ([Sampled, Scripted], "env_1.*Scripted"),
            ([Sampled, lambda: 1 / 0], "env_1.*ZeroDivisionError"),
            ([lambda: env] * 2, "env_1"),
        ):
            with pytest.raises((ConfigurationError, EnvCreationError), match=message):
                GymVectorEnv(factories)

    def test_learner_and_policies(self):
        venv = make_vec([lambda: Scripted(BOTH)], hierarchy=lambda ids: Hierarchy.star(ids, command_space=GOAL))
        for learn, policies, message in (
            ("nobody", {}, "learn: .*'nobody'"),
            (FIELD, {}, r"policies: .*\['coordinator'\]"),
            (FIELD, {TOP: RandomPolicy(Discrete(3))}, r"'coordinator'.*Discrete\(3\)"),
        ):
            with pytest.raises(ConfigurationError, match=message):
                GymVectorEnv(venv, learn, policies)

    def test_environments_are_closed_again_if_their_view_cannot_be_made(self):
        made = []

        def factory():
            made.append(Sampled())
            return made[-1]

        with pytest.raises(ConfigurationError, match="learn"):
            GymVectorEnv([factory] * 2, learn="nobody")
        assert [env.closed for env in made] == [1, 1]

    def test_actions(self):
        view = GymVectorEnv([Sampled] * 2)
        view.reset(seed=0)
        for actions in (np.full((2, 2), 3.0), np.zeros((3, 2)), np.full((2, 2), np.nan)):
            with pytest.raises(InvalidActionError):
                view.step(actions)
        assert [env.received for env in view.envs] == [[], []]


def copies(*specs, **kwargs):
    """Return a view of one Scripted copy for each (lives, horizon)."""
    factories = [lambda lives=lives, horizon=horizon: Scripted(lives, horizon) for lives, horizon in specs]
    return GymVectorEnv(make_vec(factories), **kwargs)


def plays(view, steps):
    return [view.step(np.zeros(view.num_envs, int)) for _ in range(steps)]


DIES = {A: Life(), B: Life(leaves=1)}


class TestAgentsThatEndEarly:
    """Agent B ends in step 1, A and with it the copy in step 3."""

    def view(self, mode):
        view = copies((DIES, 3), (BOTH, 9), autoreset_mode=mode)
        view.reset(seed=0)
        return view

    @pytest.mark.parametrize("mode", MODES)
    def test_is_flagged_once_and_then_inert(self, mode):
        first, second = plays(self.view(mode), 2)
        assert first[2].tolist() == [False, True, False, False]
        assert "inert" not in first[4]
        assert first[0][1, :2].tolist() == [1, 1]
        assert not second[2].any()
        assert not second[3].any()
        assert second[1].tolist() == [2, 0, 2, 20]
        assert second[4]["inert"].tolist() == second[4]["_inert"].tolist() == [False, True, False, False]
        np.testing.assert_array_equal(first[0][1], second[0][1])
        if mode is SAME:
            assert first[4]["_final_obs"].tolist() == first[4]["_final_info"].tolist() == [False, True, False, False]
            np.testing.assert_array_equal(first[4]["final_obs"][1], first[0][1])
            assert first[4]["final_info"]["step"].tolist() == [0, 1, 0, 0]

    def test_next_step_resets_all_slots_in_the_step_after_the_last_end(self):
        *_, third, fourth, fifth = plays(self.view(NEXT), 5)
        assert third[3].tolist() == [True, False, False, False]
        assert third[0][:, 0].tolist() == [3, 1, 3, 3]
        assert fourth[1].tolist() == [0, 0, 4, 40]
        assert fourth[0][:, 0].tolist() == [0, 0, 4, 4]
        assert not fourth[3].any()
        assert "inert" not in fourth[4]
        assert fourth[4]["start"].tolist() == [A, B, None, None]
        assert fifth[1].tolist() == [1, 10, 5, 50]

    def test_same_step_resets_all_slots_in_the_step_of_the_last_end(self):
        *_, third, fourth = plays(self.view(SAME), 4)
        assert third[3].tolist() == [True, False, False, False]
        assert third[0][:, 0].tolist() == [0, 0, 3, 3]
        assert third[4]["final_obs"][0][0] == 3
        assert third[4]["_final_obs"].tolist() == [True, False, False, False]
        assert third[4]["inert"].tolist() == [False, True, False, False]
        assert fourth[1].tolist() == [1, 10, 4, 40]

    def test_disabled_lets_the_usual_mask_reset_whole_copies_when_they_are_over(self):
        view = self.view(DISABLED)
        for _ in range(7):
            _, _, terminated, truncated, _ = plays(view, 1)[0]
            if (terminated | truncated).any():
                view.reset(options={"reset_mask": terminated | truncated})
        first, second = view.venv.batch_env.envs
        assert [len(env.reset_calls) for env in (first, second)] == [3, 1]
        assert [steps.keys() for steps in first.received] == [{A: 0, B: 0}.keys(), {A: 0}.keys(), {A: 0}.keys()] * 2 + [
            {A: 0, B: 0}.keys()
        ]

    @pytest.mark.parametrize("mode", MODES)
    def test_masks_reset_whole_copies_only(self, mode):
        view = self.view(mode)
        with pytest.raises(InvalidMaskError, match=r"reset_mask .*\['env_1'\]"):
            view.reset(options={"reset_mask": np.array([True, True, True, False])})
        assert view.venv.batch_env.envs[0].reset_calls == [(0, None)]
        plays(view, 1)
        observations, infos = view.reset(seed=5, options={"reset_mask": np.array([True, False, True, True])})
        assert observations[:, 0].tolist() == [0, 0, 0, 0]
        assert infos["start"].tolist() == [A, B, A, B]
        assert [env.reset_calls[-1] for env in view.venv.batch_env.envs] == [(5, {}), (6, {})]

    def test_a_mask_of_slots_that_wait_resets_nothing(self):
        view = self.view(NEXT)
        plays(view, 1)
        observations, infos = view.reset(options={"reset_mask": np.array([False, True, False, False])})
        assert (observations[:, 0].tolist(), infos) == ([1, 1, 1, 1], {})
        assert view.venv.steps.tolist() == [1, 1]


class TestSeveralAgents:
    def test_seeds_are_by_copy(self):
        view = copies((BOTH, 4), (BOTH, 4))
        view.reset(seed=5)
        view.reset(seed=[7, 7, None, None])
        assert [[seed for seed, _ in env.reset_calls] for env in view.venv.batch_env.envs] == [[5, 7], [6, None]]
        with pytest.raises(ConfigurationError, match=r"seed.*\[1, 2, 3, 4\]"):
            view.reset(seed=[1, 2, 3, 4])
        with pytest.raises(ConfigurationError, match=r"seeds .*4.*\[1, 2\]"):
            view.reset(seed=[1, 2])

    def test_attributes_are_by_slot(self):
        view = copies((BOTH, 4), (BOTH, 6))
        assert view.num_envs == 4
        assert view.get_attr("horizon") == (4, 4, 6, 6)
        assert view.call("double", 3) == (6, 6, 6, 6)
        view.set_attr("horizon", [1, 1, 2, 2])
        assert view.get_attr("horizon") == (1, 1, 2, 2)
        assert view.metadata == {"name": "scripted_v0", "render_modes": [], "autoreset_mode": NEXT}
        with pytest.raises(AttributeError, match="envs"):
            _ = view.envs
        assert "4 slots" in view.describe()

    def test_decisions_of_coordinators(self):
        venv = make_vec(
            [lambda: Scripted(BOTH, 4)], hierarchy=lambda ids: Hierarchy.star(ids, period=3, command_space=GOAL)
        )
        view = GymVectorEnv(venv, TOP, {FIELD: 0}, autoreset_mode=SAME)
        view.reset(seed=0)
        steps = [view.step(np.zeros((1, 4), np.float32)) for _ in range(2)]
        assert [infos["decision_length"].tolist() for *_, infos in steps] == [[3], [1]]
        assert [rewards.tolist() for _, rewards, *_ in steps] == [[66], [44]]
        assert steps[1][3].tolist() == [True]

    @pytest.mark.parametrize("mode", [NEXT, SAME])
    def test_the_end_of_a_copy_that_raised_is_reported(self, mode):
        factories = [lambda: Scripted(BOTH, 9), lambda: Scripted(BOTH, 9, fail_at=1)]
        view = GymVectorEnv(make_vec(factories), autoreset_mode=mode)
        view.reset(seed=0)
        plays(view, 1)
        with pytest.raises(EnvStepError, match="env_1"):
            plays(view, 1)
        observations, _, _, truncated, infos = plays(view, 1)[0]
        assert truncated.tolist() == [False, False, True, True]
        last = infos["final_obs"] if mode is SAME else observations
        assert [row[0] for row in last[2:]] == [1, 1]
        assert plays(view, 1)[0][0][2:, 0].tolist() == [1, 1] if mode is SAME else [0, 0]

    def test_copies_in_worker_processes(self):
        with make_vec(lambda: Scripted(BOTH, 3), 3, backend="process", num_workers=1) as venv:
            view = GymVectorEnv(venv, autoreset_mode=SAME)
            view.reset(seed=0)
            assert plays(view, 3)[-1][3].all()
            assert view.get_attr("horizon") == (3,) * 6
            assert view.call("double", 2) == (4,) * 6


class TestByName:
    NAME = "heron/ParallelEnv-v0"

    def test_make_vec(self):
        view = gymnasium.make_vec(self.NAME, num_envs=3, env="mpe2.simple_tag_v3", learn="adversary",
                                  policies={"agent": 0}, autoreset_mode="SameStep")  # fmt: skip
        assert view.num_envs == 9
        assert view.metadata["autoreset_mode"] is SAME
        assert view.spec.id == self.NAME
        assert repr(view) == "GymVectorEnv(heron/ParallelEnv-v0, num_envs=9)"
        same = gymnasium.make_vec(view.spec)
        assert_same(view.reset(seed=3), same.reset(seed=3))
        for one in (view, same):
            one.close()

    def test_a_hierarchy_is_passed_on(self):
        view = gymnasium.make_vec(self.NAME, env="mpe2.simple_spread_v3", learn=TOP, policies={FIELD: 1},
                                  hierarchy=lambda ids: Hierarchy.star(ids, period=5, command_space=GOAL))  # fmt: skip
        assert view.num_envs == 1
        assert view.single_action_space.shape == (6,)
        view.close()

    def test_a_vector_env_is_closed_if_its_view_cannot_be_made(self):
        made = []

        def factory():
            made.append(Scripted())
            return made[-1]

        with pytest.raises(ConfigurationError, match="learn"):
            gymnasium.make_vec(self.NAME, env=factory, learn="nobody")
        assert [env.closed for env in made] == [1]
