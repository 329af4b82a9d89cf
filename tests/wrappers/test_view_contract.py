"""The Gymnasium and the SB3 view keep the contract of ``heron.testing`` over every kind of source."""

from functools import partial

import gymnasium
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from mpe2 import simple_spread_v3, simple_tag_v3

from heron.errors import ContractError
from heron.testing import check_view
from heron.wrappers import GymVectorEnv, HierarchicalVectorEnv, VectorEnvSource, make_vec
from heron.wrappers.sb3 import Sb3VecEnv

from .hierarchies import spread as under_coordinators
from .single_envs import Sampled
from .small_envs import Life, Scripted

STEPS = 24
BOTH_DIE = {"agent_0": Life(), "agent_1": Life(leaves=2)}

plain = partial(Sampled, horizon=6)
flat = partial(simple_spread_v3.parallel_env, max_cycles=7)
tag = partial(simple_tag_v3.parallel_env, max_cycles=7)
deaths = partial(Scripted, BOTH_DIE, 5)
cart_pole = partial(gymnasium.make, "CartPole-v1", disable_env_checker=True)


def vector_source():
    return VectorEnvSource(SyncVectorEnv([cart_pole] * 3, autoreset_mode=AutoresetMode.DISABLED))


SOURCES = {
    "plain": (lambda: ([plain] * 3,), plain, 1),
    "flat": (lambda: (make_vec(flat, 2),), flat, 3),
    "deaths": (lambda: (make_vec(deaths, 3),), deaths, 2),
    "two groups": (lambda: (make_vec(tag, 2), "adversary", {"agent": 1}), None, 3),
    "coordinators": (lambda: (under_coordinators(2), "coordinator", {"field": 1}), None, 1),
    "vector env": (lambda: (HierarchicalVectorEnv(vector_source()),), cart_pole, 1),
}
"""Name -> the arguments of a view, what makes one of the environments to compare with, and slots per copy."""


def broken(*values, why):
    """A parameter under which a promise is known to be broken."""
    return pytest.param(*values, marks=pytest.mark.xfail(raises=ContractError, strict=True, reason=why))


MODES = [
    broken(source, mode, why="from some step on a copy shows another observation than its environment does")
    if (source, mode) == ("vector env", AutoresetMode.NEXT_STEP)
    else (source, mode)
    for source in SOURCES
    for mode in AutoresetMode
]


@pytest.mark.parametrize(("source", "mode"), MODES)
def test_gymnasium_view(source, mode):
    arguments, make_env, slots = SOURCES[source]

    check_view(
        lambda: GymVectorEnv(*arguments(), autoreset_mode=mode), make_env, slots_per_env=slots, steps=STEPS, seed=3
    )


@pytest.mark.parametrize(
    "source",
    [
        broken(source, why="a copy cannot stand still after reset_envs") if source == "vector env" else source
        for source in SOURCES
    ],
)
def test_sb3_view(source):
    arguments, make_env, slots = SOURCES[source]

    check_view(lambda: Sb3VecEnv(*arguments()), make_env, slots_per_env=slots, steps=STEPS, seed=3)


@pytest.mark.parametrize("mode", AutoresetMode, ids=lambda mode: mode.name)
def test_sb3_view_of_another_vector_env(mode):
    check_view(lambda: Sb3VecEnv(SyncVectorEnv([cart_pole] * 3, autoreset_mode=mode)), cart_pole, steps=STEPS)


@pytest.mark.xfail(raises=ContractError, strict=True, reason="the check asks it for a reset of some, which it refuses")
def test_sb3_view_of_a_batched_engine_that_takes_an_extra_step():
    check_view(lambda: Sb3VecEnv(CartPoleVectorEnv(3, max_episode_steps=9), reset_mask=False), steps=STEPS)
