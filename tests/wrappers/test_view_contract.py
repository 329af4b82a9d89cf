"""The contracts of ``heron.testing``, for sources of every kind and for the Gymnasium and SB3 views of them."""

from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from mpe2 import simple_spread_v3, simple_tag_v3

from heron.errors import ConfigurationError
from heron.testing import check_batch_env, check_view
from heron.wrappers import AgentPart, GymVectorEnv, HierarchicalVectorEnv, LoopEnv, VectorEnvSource, make_vec, split_env
from heron.wrappers.sb3 import Sb3VecEnv

from .hierarchies import spread as under_coordinators
from .single_envs import RECORDS, Sampled
from .small_envs import PAIR, Handy, Life, Scripted

STEPS = 24
BOTH_DIE = {"agent_0": Life(), "agent_1": Life(leaves=2)}


class Uncounted(Sampled):
    """An environment without the number of its resets in the infos, which does not depend on seeds."""

    def reset(self, *, seed=None, options=None):
        observation, _ = super().reset(seed=seed, options=options)
        return observation, {}


PARTS = {"left": AgentPart(actions=[0], observations=[0, 1]), "right": AgentPart(actions=[1], observations=[1, 2])}

plain = partial(Sampled, horizon=6)
nested = partial(Uncounted, action_space=RECORDS["nested"], horizon=6)
flat = partial(simple_spread_v3.parallel_env, max_cycles=7)
tag = partial(simple_tag_v3.parallel_env, max_cycles=7)
deaths = partial(Scripted, BOTH_DIE, 5)
halves = split_env(Uncounted, PARTS)
cart_pole = partial(gymnasium.make, "CartPole-v1", disable_env_checker=True)


def vector_source(mode, make=cart_pole, **kwargs):
    return HierarchicalVectorEnv(VectorEnvSource(SyncVectorEnv([make] * 3, autoreset_mode=mode), **kwargs))


SOURCES = {
    "plain": (lambda: ([plain] * 3,), plain, 1),
    "flat": (lambda: (make_vec(flat, 2),), flat, 3),
    "deaths": (lambda: (make_vec(deaths, 3),), deaths, 2),
    "split": (lambda: (make_vec(halves, 2),), halves, 2),
    "two groups": (lambda: (make_vec(tag, 2), "adversary", {"agent": 1}), None, 3),
    "coordinators": (lambda: (under_coordinators(2), "coordinator", {"field": 1}), None, 1),
    "async": (lambda: (make_vec(AsyncVectorEnv([cart_pole] * 2, autoreset_mode="SameStep")),), cart_pole, 1),
    **{f"vector env {mode.name}": (lambda mode=mode: (vector_source(mode),), cart_pole, 1) for mode in AutoresetMode},
}
"""Name -> the arguments of a view, the factory of an environment to compare with, and the slots per copy."""

CANNOT_WAIT = ("vector env SAME_STEP", "vector env DISABLED")
"""Sources whose copies cannot wait for a step after their end."""

MODES = [
    (source, mode)
    for source in SOURCES
    for mode in AutoresetMode
    if source not in CANNOT_WAIT or mode is not AutoresetMode.NEXT_STEP
]


@pytest.mark.parametrize(("source", "mode"), MODES)
def test_gymnasium_view(source, mode):
    arguments, make_env, slots = SOURCES[source]

    check_view(
        lambda: GymVectorEnv(*arguments(), autoreset_mode=mode), make_env, slots_per_env=slots, steps=STEPS, seed=3
    )


def test_gymnasium_view_of_actions_that_are_no_arrays():
    policies = {"pair": PAIR, "wheel": 2}
    check_view(lambda: GymVectorEnv(make_vec(Handy, 2), "arm", policies), slots_per_env=2, steps=STEPS)
    mode = AutoresetMode.SAME_STEP
    check_view(lambda: GymVectorEnv(vector_source(mode, nested), autoreset_mode=mode), nested, steps=STEPS)


@pytest.mark.parametrize("source", CANNOT_WAIT)
def test_gymnasium_view_that_would_skip_episodes_is_refused(source):
    arguments, _, _ = SOURCES[source]

    with pytest.raises(ConfigurationError, match=r"NEXT_STEP .*SyncVectorEnv.*SAME_STEP"):
        GymVectorEnv(*arguments(), autoreset_mode=AutoresetMode.NEXT_STEP)


@pytest.mark.parametrize("source", SOURCES)
def test_sb3_view(source):
    arguments, make_env, slots = SOURCES[source]

    check_view(lambda: Sb3VecEnv(*arguments()), make_env, slots_per_env=slots, steps=STEPS, seed=3)


@pytest.mark.parametrize("mode", AutoresetMode, ids=lambda mode: mode.name)
def test_sb3_view_of_another_vector_env(mode):
    check_view(lambda: Sb3VecEnv(SyncVectorEnv([cart_pole] * 3, autoreset_mode=mode)), cart_pole, steps=STEPS)


def test_sb3_view_of_a_batched_engine_that_takes_an_extra_step():
    check_view(lambda: Sb3VecEnv(CartPoleVectorEnv(3, max_episode_steps=9), reset_mask=False), steps=STEPS)


@pytest.mark.parametrize(
    ("make", "can"),
    [
        (lambda: [plain] * 3, True),
        (lambda: vector_source(AutoresetMode.DISABLED), True),
        (lambda: vector_source(AutoresetMode.SAME_STEP, reset_mask=False), False),
        (lambda: make_vec(CartPoleVectorEnv(3)), True),
        (lambda: SyncVectorEnv([cart_pole] * 3), True),
    ],
    ids=[
        "plain",
        "stepped at once",
        "stepped and reset at once",
        "stepped at once, with a state to write",
        "another vector env",
    ],
)
def test_sb3_view_says_whether_it_can_reset_some(make, can):
    view = Sb3VecEnv(make())
    view.reset()

    assert view.can_reset_some == can
    if can:
        view.reset_envs([0])
    else:
        with pytest.raises(ConfigurationError, match=r"env_0, env_1: .*reset all copies"):
            view.reset_envs([0, 1])
    view.close()


def test_sb3_view_that_cannot_reset_some_goes_on_after_refusing():
    mode = AutoresetMode.SAME_STEP
    refusing, quiet = (Sb3VecEnv(vector_source(mode, plain, reset_mask=False)) for _ in range(2))
    for view in (refusing, quiet):
        view.seed(5)
        view.reset()
    with pytest.raises(ConfigurationError, match="env_1: the others cannot run on"):
        refusing.reset_envs("env_1")
    actions = np.zeros((3, 2), np.float32)
    for _ in range(9):
        for one, other in zip(refusing.step(actions)[:3], quiet.step(actions)[:3], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("mode", AutoresetMode, ids=lambda mode: mode.name)
def test_sb3_view_of_a_source_stepped_at_once_can_reset_all_in_a_rollout(mode):
    views = Sb3VecEnv(vector_source(mode, plain)), Sb3VecEnv([plain] * 3)
    for view in views:
        view.seed(5)
        view.reset()
    actions = np.zeros((3, 2), np.float32)
    for step in range(20):
        one, other = (view.step(actions) for view in views)
        for mine, theirs in zip(one[:3], other[:3], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert [info.get("stale", False) for info in one[3]] == [step in {4, 8}] * 3
        if step in {3, 7}:
            for view in views:
                view.reset_envs(range(3), seed=step)


@pytest.mark.parametrize("mode", AutoresetMode, ids=lambda mode: mode.name)
def test_source_that_steps_all_copies_at_once(mode):
    check_batch_env(lambda: VectorEnvSource(SyncVectorEnv([cart_pole] * 3, autoreset_mode=mode)), STEPS)


def test_source_whose_copies_are_in_processes_of_their_own():
    check_batch_env(
        lambda: VectorEnvSource(AsyncVectorEnv([cart_pole] * 3, autoreset_mode=AutoresetMode.SAME_STEP)), STEPS
    )


@pytest.mark.parametrize(
    "make",
    [lambda: LoopEnv([Handy] * 3), lambda: VectorEnvSource(SyncVectorEnv([nested] * 3, autoreset_mode="SameStep"))],
    ids=["loop", "stepped at once"],
)
def test_sources_of_actions_that_are_no_arrays(make):
    check_batch_env(make, STEPS)


def test_source_of_split_environments():
    check_batch_env(lambda: LoopEnv([halves] * 3), STEPS)
