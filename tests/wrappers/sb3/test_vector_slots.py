"""The SB3 view of a Gymnasium VectorEnv, in each autoreset mode."""

import re
from copy import deepcopy

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.spaces import Box, Discrete, Text
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as wrappers
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from heron.errors import ConfigurationError, EnvClosedError, HeronError, InvalidActionError, ResetRequiredError
from heron.wrappers import GymVectorEnv, make_vec
from heron.wrappers.sb3 import Sb3VecEnv

from ..foreign_vector_env import SPOILT, Foreign
from ..gym.test_gym_vector_env import assert_same
from ..single_envs import OBSERVATIONS, Sampled
from .test_plain_factories import actions_for

NEXT, SAME, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED


def said_at_all_times(infos):
    """Return the infos of DummyVecEnv without the entries that it adds in steps without an end."""
    return [
        {key: value for key, value in info.items() if key != "TimeLimit.truncated" or "terminal_observation" in info}
        for info in infos
    ]


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("kind", [SyncVectorEnv, GymVectorEnv, wrappers.RecordEpisodeStatistics])
@pytest.mark.parametrize("observed", ["vector", "tuple", "dict"])
def test_does_as_dummy_vec_env_does(kind, mode, observed):
    space = OBSERVATIONS[observed] if observed != "dict" else gymnasium.spaces.Dict(x=Box(-1, 1, (2,)), y=Discrete(3))
    factories = [lambda: Sampled(deepcopy(space))] * 3
    if kind is wrappers.RecordEpisodeStatistics:  # a wrapper that must see every step and reset
        env = kind(SyncVectorEnv(factories, autoreset_mode=mode))
    else:
        env = kind(factories, autoreset_mode=mode)
    theirs, ours = DummyVecEnv(factories), Sb3VecEnv(env)
    for view in (theirs, ours):
        view.seed(6)
        view.set_options({"wind": 1})
    assert_same(theirs.reset(), ours.reset())
    rng = np.random.default_rng(0)
    for _ in range(30):
        actions = actions_for(ours, rng)
        *rest, infos = theirs.step(actions)
        *our_rest, our_infos = ours.step(actions)
        assert_same(rest, our_rest)
        found = said_at_all_times(
            [{key: value for key, value in info.items() if key != "episode"} for info in our_infos]
        )
        assert [info.keys() for info in said_at_all_times(infos)] == [info.keys() for info in found]
        for one, other in zip(said_at_all_times(infos), found, strict=True):
            for key, value in one.items():
                np.testing.assert_equal(other[key], value)
        for one, other in zip(theirs.reset_infos, ours.reset_infos, strict=True):
            np.testing.assert_equal({key: other[key] for key in one}, one)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_async_vector_env(mode):
    factories = [lambda: gymnasium.make("CartPole-v1", max_episode_steps=9)] * 2
    theirs, ours = DummyVecEnv(factories), Sb3VecEnv(AsyncVectorEnv(factories, autoreset_mode=mode))
    for view in (theirs, ours):
        view.seed(6)
    assert_same(theirs.reset(), ours.reset())
    rng = np.random.default_rng(0)
    for _ in range(25):
        actions = actions_for(ours, rng)
        assert_same(theirs.step(actions)[:3], ours.step(actions)[:3])
    assert ours.get_attr("spec")[0].id == "CartPole-v1"
    ours.set_attr("gravity", 3.0, 1)
    assert ours.get_attr("gravity") == [9.8, 3.0]
    assert ours.env_method("get_wrapper_attr", "gravity") == [9.8, 3.0]
    assert ours.env_method("get_wrapper_attr", "gravity", indices=1) == [3.0]
    assert ours.env_is_wrapped(gymnasium.wrappers.TimeLimit) == [False, False]
    ours.close()


class TestOneExtraStep:
    """CartPole's own vector env resets ended environments one step after their end, and has no partial resets."""

    def test_is_not_taken_unless_asked_for(self):
        ours, plain = (
            Sb3VecEnv(make(CartPoleVectorEnv(3, max_episode_steps=4))) for make in (lambda env: env, make_vec)
        )
        for view in (ours, plain):
            view.seed(0)
        assert_same(ours.reset(), plain.reset())
        for step in range(10):
            if step == 6:
                ours.reset_envs([1])
                plain.reset_envs([1])
            assert_same(ours.step(np.array([0, 1, 0])), plain.step(np.array([0, 1, 0])))

    def test_is_refused_for_an_unknown_vector_env(self):
        class Unknown(gymnasium.vector.VectorEnv):
            metadata = {"autoreset_mode": NEXT}  # noqa: RUF012
            num_envs = 2
            single_observation_space, single_action_space = Box(-1, 1, (2,)), Discrete(2)

        for env, advice in (
            (wrappers.ClipReward(CartPoleVectorEnv(2), max_reward=1.0), "ClipReward.*wrappers on the view"),
            (Unknown(), "SAME_STEP"),
        ):
            with pytest.raises(ConfigurationError, match=f"{advice}.*reset_mask=False"):
                Sb3VecEnv(env)

    def view(self):
        view = Sb3VecEnv(CartPoleVectorEnv(2, max_episode_steps=4), reset_mask=False)
        view.seed(0)
        view.reset()
        return view

    def test_is_marked(self):
        view = self.view()
        history = [view.step(np.array([0, 1])) for _ in range(6)]
        assert [dones.tolist() for _, _, dones, _ in history] == [[False] * 2] * 3 + [[True] * 2] + [[False] * 2] * 2
        assert [["inert" in info for info in infos] for *_, infos in history] == [[False] * 2] * 4 + [
            [True] * 2, [False] * 2]  # fmt: skip
        assert history[3][3][0]["TimeLimit.truncated"] is True
        np.testing.assert_array_equal(history[3][3][0]["terminal_observation"], history[3][0][0])
        assert history[4][1].tolist() == [0, 0]
        assert np.abs(history[4][0]).max() <= 0.05

    def test_does_not_follow_a_reset_of_everything(self):
        view = self.view()
        while not view.step(np.array([0, 1]))[2].any():
            pass
        view.reset()
        *_, infos = view.step(np.array([0, 1]))
        assert not any("inert" in info for info in infos)

    def test_is_not_counted(self):
        view = VecMonitor(self.view())
        view.reset()
        infos = [view.step(np.array([0, 1]))[3][0] for _ in range(14)]
        assert [info["episode"]["l"] for info in infos if "episode" in info] == [4, 4, 4]
        assert [info["episode"]["r"] for info in infos if "episode" in info] == [4, 4, 4]

    def test_learns(self):
        view = VecMonitor(Sb3VecEnv(CartPoleVectorEnv(4), reset_mask=False))
        PPO("MlpPolicy", view, n_steps=32, batch_size=32, n_epochs=1, device="cpu", seed=0).learn(256)


class TestResetOfSome:
    def test_is_forgotten_at_a_reset_of_everything(self):
        view = Sb3VecEnv(SyncVectorEnv([lambda: Sampled(horizon=9, ends=0)] * 2))
        view.reset()
        view.reset_envs("env_1")
        view.reset()
        assert not view.step(np.zeros((2, 2), np.float32))[2].any()

    @pytest.mark.parametrize("mode", AutoresetMode)
    def test_follows_the_next_step_with_its_seed_and_options(self, mode):
        view = VecMonitor(Sb3VecEnv(wrappers.ClipReward(SyncVectorEnv([lambda: Sampled(horizon=9, ends=0)] * 2,
                          autoreset_mode=mode), max_reward=99.0)))  # fmt: skip
        view.seed(0)
        view.reset()
        actions = np.zeros((2, 2), np.float32)
        view.step(actions)
        view.env_method("twice", 1)
        view.reset_envs("env_1", seed=[5], options={"wind": 2})
        observations, rewards, dones, infos = view.step(actions)
        assert dones.tolist() == [False, True]
        assert rewards.tolist() == [2, 2]
        assert infos[1]["TimeLimit.truncated"] is True
        assert (infos[1]["episode"]["l"], infos[1]["episode"]["r"]) == (2, 3)
        plain = Sampled()
        np.testing.assert_array_equal(observations[1], plain.reset(seed=5)[0])
        assert view.venv.reset_infos[1]["why"] == "asked"
        envs = view.venv.envs
        assert envs[1].resets[-1] == (5, {"wind": 2})
        assert len(envs[0].resets) == 1
        assert not view.step(actions)[2].any()

    @pytest.mark.parametrize("mode", AutoresetMode)
    def test_a_reset_of_all_replaces_it(self, mode):
        factories = [lambda: Sampled(horizon=9, ends=0)] * 2
        view = Sb3VecEnv(wrappers.ClipReward(SyncVectorEnv(factories, autoreset_mode=mode), max_reward=99.0))
        view.seed(0)
        view.reset()
        actions = np.zeros((2, 2), np.float32)
        last = view.step(actions)[0]
        view.reset_envs(0, seed=5)
        first = view.reset_envs([0, 1], seed=7)
        observations, _, dones, infos = view.step(actions)
        assert dones.all()
        np.testing.assert_array_equal([info["terminal_observation"] for info in infos], last)
        np.testing.assert_array_equal(observations, first)
        assert not view.step(actions)[2].any()

    def test_needs_a_vector_env_that_can(self):
        view = Sb3VecEnv(CartPoleVectorEnv(2), reset_mask=False)
        with pytest.raises(ResetRequiredError):
            view.reset_envs(0)
        view.reset()
        with pytest.raises(ConfigurationError, match=r"env_0: the others cannot run on.*reset_mask=True"):
            view.reset_envs(0)


class TestBadInput:
    def test_modes(self):
        class Silent(CartPoleVectorEnv):
            metadata = {}  # noqa: RUF012

        class Odd(CartPoleVectorEnv):
            metadata = {"autoreset_mode": "sometimes"}  # noqa: RUF012

        class Never(CartPoleVectorEnv):
            metadata = {"autoreset_mode": DISABLED}  # noqa: RUF012

        for env, message in (
            (Silent(2), "has autoreset_mode None in its metadata"),
            (Odd(2), "has autoreset_mode 'sometimes' in its metadata"),
        ):
            with pytest.raises(ConfigurationError, match=message):
                Sb3VecEnv(env)
        with pytest.raises(ConfigurationError, match=r"DISABLED.*\['reset_mask'\]"):
            Sb3VecEnv(Never(2), reset_mask=False)

    def test_same_step_without_a_final_observation(self):
        class Forgets(CartPoleVectorEnv):
            metadata = {"autoreset_mode": SAME}  # noqa: RUF012

        view = Sb3VecEnv(Forgets(2, max_episode_steps=1))
        view.reset()
        with pytest.raises(ConfigurationError, match=r"env_0: .*no infos\['final_obs'\]"):
            view.step(np.zeros(2, int))

    def test_steps_before_the_reset(self):
        with pytest.raises(ResetRequiredError, match="env_0"):
            Sb3VecEnv(SyncVectorEnv([Sampled], autoreset_mode=SAME)).step(np.zeros((1, 2), np.float32))

    def test_spaces(self):
        with pytest.raises(ConfigurationError, match=r"observation_space of 'agent' is Text"):
            Sb3VecEnv(SyncVectorEnv([lambda: Sampled(Text(3))], autoreset_mode=SAME))

    def test_options_that_differ(self):
        view = Sb3VecEnv(CartPoleVectorEnv(2))
        view.set_options([{"low": 0.125, "high": 0.125}, {}])
        with pytest.raises(ConfigurationError, match="options are for resets of all copies only"):
            view.reset()

    def test_what_is_for_a_hierarchy(self):
        for kwargs in ({"learn": "agent"}, {"policies": {}}, {"discount": 0.5}):
            with pytest.raises(ConfigurationError, match="GymVectorEnv"):
                Sb3VecEnv(SyncVectorEnv([Sampled]), **kwargs)

    def test_attributes(self):
        view = Sb3VecEnv(CartPoleVectorEnv(2), reset_mask=False)
        assert view.get_attr("gravity") == [9.8, 9.8]
        view.set_attr("gravity", 1)
        assert view.get_attr("gravity", 1) == [1]
        with pytest.raises(ConfigurationError, match=r"setting 'gravity' is for all copies .* at once, got \[1\]"):
            view.set_attr("gravity", 2, indices=1)
        with pytest.raises(AttributeError, match="fly"):
            view.env_method("fly")
        with pytest.raises(AttributeError, match="envs"):
            view.envs  # noqa: B018 - reading it raises
        assert "all at once by CartPoleVectorEnv" in view.describe()
        assert "2 slots (2 copies x 1 agents)" in view.describe()


@pytest.mark.parametrize("when", ["step", "reset"])
@pytest.mark.parametrize("kind", SPOILT)
def test_errors_of_a_vector_env_name_the_seed(kind, when):
    spoil, message = SPOILT[kind]
    view = Sb3VecEnv(Foreign(spoil, when))
    view.seed(5)
    view.reset()
    view.step(np.zeros(3, int))
    seed, step = (6, 2) if kind == "NaN" else (5, 2)
    if when == "reset":
        seed, step = seed + 3, 0
    view.seed(8)
    with pytest.raises(HeronError, match=rf"(?s){message}.*step {step} .*reset\(seed={seed}\)"):
        view.step(np.zeros(3, int)) if when == "step" else view.reset()
    *_, dones, infos = view.step(np.zeros(3, int))  # begins new episodes
    assert dones.tolist() == ([when == "step"] * 3 if kind != "NaN" else [False, when == "step", False])
    assert [info.get("stale", info.get("inert")) for info in infos][1] is True
    view.seed(5)
    np.testing.assert_array_equal(view.reset(), Foreign().reset(seed=5)[0])
    view.step(np.zeros(3, int))
    view.close()


def test_nan_in_a_reward_or_a_last_observation_of_a_later_episode():
    class Blank(Foreign):
        def step(self, actions):
            seen, rewards, terminated, truncated, infos = super().step(actions)
            self.ends = getattr(self, "ends", 0) + np.count_nonzero(terminated)
            if terminated[0] and self.ends > 3:
                infos["final_obs"][0] = infos["final_obs"][0] * np.nan
                rewards[0] = np.nan
            return seen, rewards, terminated, truncated, infos

    view = Sb3VecEnv(Blank())
    view.seed(5)
    view.reset()

    def play():
        for _ in range(60):
            view.step(np.ones(3, int))

    with pytest.raises(HeronError, match=r"env_0: the reward .* is NaN.*; the observation of .* is NaN") as caught:
        play()
    assert "reset(seed=5) and 1 " in str(caught.value)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (None, r" 3 .*\(\)"),
        ([[0], [0, 1], 0], r"\[\[0\], \[0, 1\], 0\]"),
        (np.zeros(2, int), r"got shape \(2,\)"),
        (np.zeros((3, 1), int), r"got \(3, 1, 1\)"),
        (np.array([0, 1, 2]), r"env_2: action of 'agent' must lie in Discrete\(2\), got 2"),
        (np.full(3, np.nan), "must have dtype int64, got float64"),
        (["a"] * 3, "must have dtype int64, got"),
    ],
)
def test_invalid_actions(actions, message):
    view = Sb3VecEnv(Foreign())
    view.reset()
    with pytest.raises(InvalidActionError, match=message):
        view.step(actions)
    assert view.venv.batch_env.env.calls["step"] == 0
    view.step(np.zeros(3, int))


def test_use_after_the_end():
    view = Sb3VecEnv(Foreign())
    view.reset()
    view.close()
    view.close()
    for call in (view.reset, lambda: view.step(np.zeros(3, int)), lambda: view.get_attr("spec")):
        with pytest.raises(EnvClosedError, match="env_0"):
            call()


def test_options_for_all_reach_an_engine_that_takes_one_set_for_all():
    view = Sb3VecEnv(CartPoleVectorEnv(2))
    view.set_options({"low": 0.125, "high": 0.125})
    assert view.reset().tolist() == [[0.125] * 4] * 2
    view.close()


@pytest.mark.parametrize("make", [SyncVectorEnv, lambda fns: wrappers.ClipReward(SyncVectorEnv(fns), max_reward=9.0)])
def test_options_with_arrays_that_differ_reach_each_environment(make):
    view = Sb3VecEnv(make([Sampled] * 3))
    view.seed(5)
    view.set_options([{"wind": np.array([slot, 1])} for slot in range(3)])
    view.reset()
    for slot, env in enumerate(view.envs):
        seed, options = env.resets[-1]
        assert seed == 5 + slot
        np.testing.assert_array_equal(options["wind"], [slot, 1])


@pytest.mark.parametrize("make", [Foreign, lambda: [Sampled] * 3])
def test_invalid_options_and_seeds_are_refused_at_once(make):
    view = Sb3VecEnv(make())
    mask = np.array([True, False, False])
    for options, message in (
        ([{"a": 1}], r" 3 .*\[{'a': 1}\]"),
        ([{}] * 4, r" 3 .*\[{}, {}, {}, {}\]"),
        (5, "options .* 5"),
        ([{}, None, {}], "options .*None"),
        ({"reset_mask": mask}, r"reset_envs\(\)"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            view.set_options(options)
    for seed in (-1, "x", 1.5):
        with pytest.raises(ConfigurationError, match=rf"seed .*{re.escape(repr(seed))}"):
            view.seed(seed)
    view.set_options({"a": 1})
    view.set_options(None)
    view.reset()
