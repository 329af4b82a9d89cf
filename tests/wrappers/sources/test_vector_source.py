"""Natively batched environments against the loop, copy by copy."""

import warnings
from copy import deepcopy

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

import heron
from heron.batch.array_tree import map_arrays
from heron.errors import (
    ConfigurationError,
    EnvClosedError,
    EnvStepError,
    HeronError,
    InvalidObservationError,
    ResetRequiredError,
)
from heron.testing import VIEW_CHECKS, ViewPlan
from heron.wrappers import GymVectorEnv, LoopEnv, VectorEnvSource
from heron.wrappers.sb3 import Sb3VecEnv
from heron.wrappers.sources.vector_drivers import split_infos

from ..foreign_vector_env import SPOILT, Foreign, no_power
from ..single_envs import ACTIONS, OBSERVATIONS, Sampled


def cart_pole():
    return gymnasium.make("CartPole-v1")


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("make", [AsyncVectorEnv, SyncVectorEnv])
def test_same_as_the_loop(make, mode):
    """Episodes that end at different times, each reset at once, to the bit."""
    ours, loop = VectorEnvSource(make([cart_pole] * 3, autoreset_mode=mode)), LoopEnv([cart_pole] * 3)
    rng, episodes = np.random.default_rng(0), 0
    for env in (ours, loop):
        env.reset(seeds=[3, 4, 5])
    while episodes < 9:
        actions = {"agent": rng.integers(0, 2, (3, 1))}
        for env in (ours, loop):
            env.step(actions)
            over = ~env.running
            ended = env.states["agent"].observations.copy()
            if over.any():
                env.reset(over)
            if env is ours:
                shown = ended
        np.testing.assert_array_equal(shown, ended)
        episodes += over.sum()
        for what in ("observations", "rewards", "terminated", "truncated", "active"):
            one, other = (getattr(env.states["agent"], what) for env in (ours, loop))
            np.testing.assert_array_equal(one, other)
    ours.close()
    loop.close()


def cart_poles_own(**options):
    return gymnasium.make_vec("CartPole-v1", 3, vectorization_mode="vector_entry_point", **options)


def test_same_as_cart_poles_own():
    """Ended copies are reset in the same step as by its own autoreset, and so draw the same numbers."""
    theirs, ours = cart_poles_own(), GymVectorEnv(heron.make_vec(cart_poles_own()))
    rng, ends = np.random.default_rng(0), 0
    np.testing.assert_array_equal(theirs.reset(seed=3)[0], ours.reset(seed=3)[0])
    for _ in range(150):
        actions = rng.integers(0, 2, 3)
        for one, other in zip(theirs.step(actions)[:4], ours.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(one, other)
        ends += (~ours.venv.running).sum()
    assert ends > 10
    np.testing.assert_array_equal(theirs.reset()[0], ours.reset()[0])
    ours.close()


def test_cart_poles_own_counts_steps_from_the_reset_of_each_copy():
    env = VectorEnvSource(CartPoleVectorEnv(2, max_episode_steps=6))
    env.reset(seeds=[0, 1])
    truncated = []
    for step in range(9):
        env.step({"agent": np.full((2, 1), step % 2)}, env.running)
        truncated.append(env.states["agent"].truncated[:, 0].tolist())
        if step == 2:
            env.reset(np.array([True, False]))
    assert truncated == [*[[False, False]] * 5, *[[False, True]] * 3, [True, True]]


ONE_STREAM = {"check_partial_reset"}
"""All copies draw from one stream: what one draws at its reset, the others no longer draw at theirs."""


@pytest.mark.parametrize("mode", [*AutoresetMode, "sb3"])
def test_contract_of_views_of_cart_poles_own(mode):
    def make():
        venv = heron.make_vec(CartPoleVectorEnv(3, max_episode_steps=20))
        return Sb3VecEnv(venv) if mode == "sb3" else GymVectorEnv(venv, autoreset_mode=mode)

    for check in VIEW_CHECKS:
        if check.__name__ not in ONE_STREAM:
            check(make, ViewPlan(steps=40))


def test_cart_poles_own_can_leave_out_and_reset_any_copy():
    with heron.make_vec(gymnasium.make_vec("CartPole-v1", 3, vectorization_mode="vector_entry_point")) as venv:
        venv.reset(seed=0)
        state = venv.batch_env.states["agent"]
        left_out = np.array([False, True, False])
        before = state.observations[1].copy()
        for _ in range(40):
            venv.advance({"agent": np.ones((3, 1), int)}, ~left_out)
            venv.reset_envs(~venv.running)
        np.testing.assert_array_equal(state.observations[1], before)
        assert venv.steps[1] == 0
        venv.reset_envs([0])
        with pytest.raises(ConfigurationError, match="share one random stream"):
            venv.reset_envs([0], seed=3)


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("shared_memory", [True, False])
def test_copies_of_an_async_vector_env_are_stepped_and_reset_as_in_the_loop(mode, shared_memory):
    """Any copies left out, also those that have ended, and any reset, with seeds and options or without."""
    makers = [lambda horizon=horizon: Sampled(horizon=horizon) for horizon in (3, 4, 7)]
    ours = VectorEnvSource(AsyncVectorEnv(makers, autoreset_mode=mode, shared_memory=shared_memory))
    loop = LoopEnv(makers)
    rng = np.random.default_rng(4)
    for env in (ours, loop):
        env.reset(seeds=[1, 2, 3])
    for number in range(60):
        if number % 7 == 5:  # amid an episode, or after its end
            mask, seeds = rng.random(3) < 0.5, [None, number, None]
            for env in (ours, loop):
                env.reset(mask, seeds, {"wind": 3} if seeds[1] and mask[1] and mask.sum() == 1 else None)
        elif number % 5 == 4:
            for env in (ours, loop):
                env.reset(~loop.running if env is loop else ~ours.running)
        else:
            mask = loop.running & (rng.random(3) < 0.7)
            actions = {"agent": rng.uniform(-1, 1, (3, 1, 2)).astype(np.float32)}
            for env in (ours, loop):
                env.step(actions, mask)
        assert_equal(ours, loop)
    assert loop.infos[0]["agent"].get("start", 2) > 1
    ours.close()


@pytest.mark.filterwarnings("ignore:.*ERROR")  # as which Gymnasium logs what a worker has raised
@pytest.mark.parametrize("kill", [True, False])
def test_other_copies_of_an_async_vector_env_go_on_when_a_worker_is_lost(kill):
    env = VectorEnvSource(AsyncVectorEnv([lambda: Counter(9)] * 3))
    env.reset()
    if kill:
        env.env.processes[1].kill()
        env.env.processes[1].join()
    else:
        env.set_attr("horizon", [9, -1, 9], range(3))
    step = {"agent": np.ones((3, 1), int)}
    with pytest.raises(EnvStepError, match=r"workers of copies \[1\] have ended|AssertionError: stepped after its end"):
        env.step(step)
    assert not env.running.any()
    with pytest.raises(EnvStepError, match=r"workers of copies \[1\] have ended.*workers can be restarted"):
        env.reset()
    others = np.array([True, False, True])
    for _ in range(2):
        env.reset(others)
        env.step(step, others)
    assert env.states["agent"].observations[others, 0].tolist() == [[1, 3], [1, 3]]
    env.close()


def test_running_copies_cannot_be_left_out():
    env = VectorEnvSource(SyncVectorEnv([cart_pole] * 2))
    with pytest.raises(ResetRequiredError):
        env.step({"agent": np.zeros((2, 1), int)})
    env.reset(seeds=[0, 1])
    with pytest.raises(ConfigurationError, match="env_1 are running"):
        env.step({"agent": np.zeros((2, 1), int)}, np.array([True, False]))
    env.close()


def test_environment_that_does_not_heed_the_mask():
    class Deaf(SyncVectorEnv):
        def reset(self, *, seed=None, options=None):
            return super().reset(seed=seed)

    env = VectorEnvSource(Deaf([cart_pole] * 2))
    env.reset(seeds=[0, 1])
    env.step({"agent": np.zeros((2, 1), int)})
    with pytest.raises(EnvStepError, match=r"options\['reset_mask'\], and reset env_1"):
        env.reset(np.array([True, False]), [5, None])
    assert not env.running.any()


class Counter(gymnasium.Env):
    """Counts its steps, ends after ``horizon``, and goes wrong in step ``nan_at``. It draws nothing."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(3, start=1)

    def __init__(self, horizon, nan_at=None):
        self.horizon, self.nan_at = horizon, nan_at
        self.episodes = self.steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episodes, self.steps = self.episodes + 1, 0
        return self.observed(), {"episode": self.episodes}

    def step(self, action):
        assert self.steps < self.horizon, "stepped after its end"
        self.steps += 1
        reward = float("nan") if self.steps == self.nan_at else float(action)
        return self.observed(), reward, self.steps == self.horizon, False, {"step": self.steps}

    def observed(self):
        return np.array([self.steps, self.episodes], np.float32)


def async_in_pipes(*args, **kwargs):
    return AsyncVectorEnv(*args, shared_memory=False, **kwargs)


MAKERS = pytest.mark.parametrize("make", [SyncVectorEnv, AsyncVectorEnv, async_in_pipes])


def counters(*horizons, make=SyncVectorEnv, mode=AutoresetMode.NEXT_STEP, **options):
    factories = [lambda horizon=horizon: Counter(horizon, **options) for horizon in horizons]
    return VectorEnvSource(make(factories, autoreset_mode=mode))


@pytest.mark.parametrize("make", [AsyncVectorEnv, async_in_pipes])
def test_late_answers_of_workers_are_not_taken_for_those_to_the_next_question(make, monkeypatch):
    """An interrupt before the first answer leaves those of both workers in their pipes, one of which is an end."""

    def interrupt(pipe):
        raise KeyboardInterrupt

    env = counters(2, 9, make=make)
    step = {"agent": np.ones((2, 1), int)}
    env.reset()
    env.step(step)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(type(env.env.parent_pipes[0]), "recv", interrupt)
        with pytest.raises(KeyboardInterrupt):
            env.step(step)
    env.reset()
    shown = [env.states["agent"].observations.tolist()]
    env.step(step)
    shown.append(env.states["agent"].observations.tolist())
    assert shown == [[[[0, 2]], [[0, 2]]], [[[1, 2]], [[1, 2]]]]
    env.close()


@MAKERS
@pytest.mark.parametrize("mode", AutoresetMode)
def test_ended_copies_left_out_of_steps_keep_what_they_showed(mode, make):
    env = counters(2, 9, mode=mode, make=make)
    state = env.states["agent"]
    env.reset(seeds=[0, 1])
    actions = {"agent": np.array([[2], [3]])}
    for step in range(1, 8):
        env.step(actions, env.running)
        assert state.observations[:, 0].tolist() == [[min(step, 2), 1], [step, 1]]
        assert env.running.tolist() == [step < 2, True]
        assert env.infos[0] == {"agent": {"step": min(step, 2)}}
        assert state.rewards[:, 0].tolist() == [2, 3]
        assert state.terminated[:, 0].tolist() == [step >= 2, False]
    with pytest.raises(ResetRequiredError, match="env_0"):
        env.step(actions)
    env.reset(np.array([True, False]))
    assert env.running.all()
    assert state.observations[0, 0, 0] == 0
    assert state.observations[1, 0].tolist() == [7, 1]
    assert env.infos[0]["agent"]["episode"] > 1
    env.step(actions)
    assert state.observations[:, 0, 0].tolist() == [1, 8]
    env.close()


@MAKERS
@pytest.mark.parametrize("mode", AutoresetMode)
def test_next_episode_is_the_one_that_the_environment_has_begun(mode, make):
    """None is skipped, so that no random number is drawn twice."""
    env = counters(2, 3, mode=mode, make=make)
    env.reset(seeds=[0, 1])
    for _ in range(24):
        env.step({"agent": np.ones((2, 1), int)})
        env.reset(~env.running)
    assert env.states["agent"].observations[:, 0].tolist() == [[0, 13], [0, 9]]
    env.close()


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("observed", OBSERVATIONS)
@pytest.mark.parametrize("acting", ["box", "multi_discrete"])
def test_every_kind_of_space_with_infos_is_as_in_the_loop(observed, acting, mode):
    def make():
        return Sampled(deepcopy(OBSERVATIONS[observed]), ACTIONS[acting])

    ours, loop = VectorEnvSource(SyncVectorEnv([make] * 3, autoreset_mode=mode)), LoopEnv([make] * 3)
    space = deepcopy(ACTIONS[acting])
    space.seed(0)
    episodes = 0
    for env in (ours, loop):
        env.reset(seeds=[1, 2, 3], options={"wind": 2})
    while episodes < 6:
        actions = {"agent": np.array([[space.sample()] for _ in range(3)])}
        for env in (ours, loop):
            env.step(actions)
        assert_equal(ours, loop)
        episodes += (~loop.running).sum()
        for env in (ours, loop):
            env.reset(~env.running)
        assert_equal(ours, loop)
    ours.close()


def assert_equal(one, other):
    for what in ("observations", "rewards", "terminated", "truncated", "active"):
        np.testing.assert_equal(*(map_arrays(np.copy, getattr(env.states["agent"], what)) for env in (one, other)))
    np.testing.assert_equal(*([without_start(infos) for infos in env.infos] for env in (one, other)))


def without_start(infos):
    """Without the number of the resets, of which an environment that resets by itself may have more."""
    return {key: value for key, value in infos.get("agent", {}).items() if key not in ("start", "why")}


def test_nan_names_the_copy_and_the_step():
    env = counters(5, 5, nan_at=2)
    env.reset(seeds=[6, 7])
    env.step({"agent": np.ones((2, 1), int)})
    with pytest.raises(InvalidObservationError, match=r"env_0: the reward of 'agent' is NaN.*step 2.*seed=6") as caught:
        env.step({"agent": np.ones((2, 1), int)})
    assert "env_1: the reward of 'agent' is NaN" in caught.value.__notes__[0]
    assert not env.running.any()
    assert env.states["agent"].truncated.all()
    env.reset()
    assert env.running.all()
    env.close()


def test_attributes_and_methods_of_some_copies():
    env = VectorEnvSource(SyncVectorEnv([Sampled] * 3))
    assert env.get_attr("colour", [2, 0]) == ["red", "red"]
    env.set_attr("colour", ["blue"], [1])
    assert env.get_attr("colour", [0, 1, 2]) == ["red", "blue", "red"]
    env.set_attr("horizon", [5, 6, 7], [2, 1, 0])
    assert env.get_attr("horizon", range(3)) == [7, 6, 5]
    assert env.call("twice", [2, 0], 4, plus=1) == [9, 9]
    env.close()


def test_attributes_and_methods_of_copies_in_other_processes():
    env = VectorEnvSource(AsyncVectorEnv([Sampled] * 3))
    assert env.call("twice", [2, 0], 4, plus=1) == [9, 9]
    env.set_attr("colour", ["blue", "green"], [2, 1])
    assert env.get_attr("colour", [1, 0, 2]) == ["green", "red", "blue"]
    for ask in (env.get_attr, env.call):
        with pytest.raises(AttributeError, match=r"AsyncVectorEnv.* have no attribute 'size'"):
            ask("size", [1])
    assert env.get_attr("colour", [1]) == ["green"]
    env.close()


def test_methods_that_can_only_be_called_in_all_copies():
    env = VectorEnvSource(gymnasium.wrappers.vector.RecordEpisodeStatistics(AsyncVectorEnv([Sampled] * 2)))
    with pytest.raises(ConfigurationError, match=r"calling 'reset_envs' is for all copies .* got \[1\]"):
        env.call("reset_envs", [1])
    env.close()


def test_attributes_of_an_environment_that_is_one_for_all():
    env = VectorEnvSource(gymnasium.make_vec("CartPole-v1", 3, vectorization_mode="vector_entry_point"))
    assert env.get_attr("gravity", [0, 2]) == [9.8, 9.8]
    env.set_attr("gravity", [3.0] * 3, range(3))
    assert env.get_attr("gravity", [1]) == [3.0]
    with pytest.raises(ConfigurationError, match="one 'gravity' for all copies"):
        env.set_attr("gravity", [1.0, 2.0, 3.0], range(3))
    with pytest.raises(ConfigurationError, match="setting 'gravity' is for all copies"):
        env.set_attr("gravity", [1.0], [2])
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        env.get_attr("colour", [0])
    env.close()


def test_cart_poles_own_shows_each_copy():
    env = VectorEnvSource(
        gymnasium.make_vec("CartPole-v1", 3, vectorization_mode="vector_entry_point", render_mode="rgb_array")
    )
    env.reset(seeds=[0, 1, 2])
    first, last = env.call("render", [0, 2])
    assert first.shape == last.shape == (400, 600, 3)
    np.testing.assert_array_equal(last, env.env.render()[2])
    assert (first != last).any()
    env.close()


@pytest.mark.parametrize("wrap", [gymnasium.wrappers.vector.RecordEpisodeStatistics, lambda env: env])
def test_engines_in_wrappers_say_at_once_what_they_cannot_do(wrap):
    venv = heron.make_vec(wrap(gymnasium.make_vec("CartPole-v1", 3, vectorization_mode="vector_entry_point")))
    wrapped = venv.batch_env.env is not venv.batch_env.env.unwrapped
    for mode in AutoresetMode:
        if mode is AutoresetMode.NEXT_STEP or not wrapped:
            GymVectorEnv(venv, autoreset_mode=mode)
            continue
        with pytest.raises(ConfigurationError, match=rf"{mode.name} .*RecordEpisodeStatistics.*NEXT_STEP"):
            GymVectorEnv(venv, autoreset_mode=mode)
    venv.close()


def test_engines_in_wrappers_reset_all_copies_or_none_while_any_runs():
    """Wrapped, CartPoleVectorEnv takes any reset for one of all copies."""
    venv = heron.make_vec(gymnasium.wrappers.vector.RecordEpisodeStatistics(CartPoleVectorEnv(3)))
    actions = {"agent": np.ones((3, 1), int)}
    view = GymVectorEnv(venv)
    view.reset(seed=0)
    view.step(np.ones(3, int))
    with pytest.raises(ConfigurationError, match=r"env_1: .* all copies at once, and env_0, env_2 would lose"):
        view.reset(options={"reset_mask": np.array([False, True, False])})
    assert venv.steps.tolist() == [1, 1, 1]
    while venv.running.all():
        venv.advance(actions)
    venv.advance(actions, venv.running)  # in which the environment has begun an episode of one that had ended
    venv.reset()
    assert venv.running.all()
    assert venv.steps.tolist() == [0, 0, 0]
    np.testing.assert_array_equal(venv.observe("agent")[:, 0], venv.batch_env.env.unwrapped.state.T.astype(np.float32))
    venv.close()


def test_ppo_trains_on_a_natively_batched_environment():
    lengths = []
    with heron.make_vec(gymnasium.make_vec("CartPole-v1", 4, vectorization_mode="vector_entry_point")) as venv:
        view = Sb3VecEnv(venv, on_episode=lambda episode: lengths.append(episode.length))
        model = PPO("MlpPolicy", VecMonitor(view), n_steps=32, batch_size=64, n_epochs=2, seed=1)
        before = [parameter.detach().clone() for parameter in model.policy.parameters()]
        model.learn(512)
        assert model.num_timesteps == 512
        after = list(model.policy.parameters())
        assert all(not one.equal(other) for one, other in zip(before, after, strict=True))
        assert len(model.ep_info_buffer) == len(lengths) > 4
        assert [info["l"] for info in model.ep_info_buffer] == lengths == [info["r"] for info in model.ep_info_buffer]


@pytest.mark.parametrize("when", ["step", "reset"])
@pytest.mark.parametrize("kind", SPOILT)
def test_what_a_vector_env_does_wrong_is_told_with_the_seed(kind, when):
    spoil, message = SPOILT[kind]
    env = VectorEnvSource(Foreign(spoil, when))
    actions = {"agent": np.zeros((3, 1), int)}
    env.reset(seeds=[5, 6, 7])
    env.step(actions)
    seed, step = (6, 2) if kind == "NaN" else (5, 2)
    if when == "reset":
        seed, step = seed + 3, 0
    with pytest.raises(HeronError, match=rf"(?s){message}.*\(in step {step} of the episode .*reset\(seed={seed}\)\)"):
        env.step(actions) if when == "step" else env.reset(seeds=[8, 9, 10])
    assert env.running.tolist() == ([True, False, True] if kind == "NaN" else [False] * 3)
    env.reset(seeds=[5, 6, 7])
    np.testing.assert_array_equal(env.states["agent"].observations[:, 0], Foreign().reset(seed=5)[0])
    env.step(actions)
    env.close()


def test_one_that_does_not_survive_its_error_is_told():
    def broken():
        env = cart_pole()
        env.step = no_power
        return env

    env = VectorEnvSource(AsyncVectorEnv([cart_pole, broken]))
    env.reset(seeds=[5, 6])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium's account of the same
        with pytest.raises(EnvStepError, match=r"^env_1: .* raised RuntimeError: no power, so every copy.*seed=6"):
            env.step({"agent": np.zeros((2, 1), int)})
    with pytest.raises(EnvStepError, match=r"^env_1: .*has raised RuntimeError: no power before: make a new one"):
        env.reset(seeds=[5, 6])
    env.close()


@pytest.mark.parametrize("asked", [AutoresetMode.DISABLED, "NextStep"])
def test_a_mode_that_is_not_that_of_the_environment(asked):
    with pytest.raises(ConfigurationError, match=r"AutoresetMode.SAME_STEP, but autoreset_mode is Autoreset"):
        VectorEnvSource(Foreign(), autoreset_mode=asked)
    assert VectorEnvSource(Foreign(), autoreset_mode="SameStep").autoreset_mode is AutoresetMode.SAME_STEP


def test_use_after_the_end():
    env = VectorEnvSource(Foreign())
    env.close()
    env.close()
    for call in (
        env.reset,
        lambda: env.step({"agent": np.zeros((3, 1), int)}),
        lambda: env.get_attr("spec", [0]),
        lambda: env.set_attr("gravity", [1.0], [0]),
        lambda: env.call("close", [0]),
    ):
        with pytest.raises(EnvClosedError, match="env_0, env_1, env_2 are closed"):
            call()


def test_infos_of_every_form_are_taken_apart():
    nested = {"x": np.array([0.5, 0.0]), "_x": np.array([True, False])}
    infos = {"nested": nested, "_private": np.array([1, 2]), "one for all": "v2", "named": np.array(["a", "b"], object)}
    assert split_infos(infos, 2) == [
        {"nested": {"x": 0.5}, "_private": 1, "one for all": "v2", "named": "a"},
        {"nested": {}, "_private": 2, "one for all": "v2", "named": "b"},
    ]
    by_copy = [{"lives": 3}, {}]  # as DictInfoToList makes them
    split = split_infos(by_copy, 2)
    assert split == by_copy
    assert split[0] is not by_copy[0]
