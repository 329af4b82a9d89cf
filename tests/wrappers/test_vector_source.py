"""Natively batched environments against the loop, copy by copy."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import heron
from heron.errors import ConfigurationError, EnvStepError, ResetRequiredError
from heron.wrappers import LoopEnv, VectorEnvSource


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
        with pytest.raises(EnvStepError, match="share one random stream"):
            venv.reset_envs([0], seed=3)


def test_running_copies_cannot_be_left_out():
    env = VectorEnvSource(AsyncVectorEnv([cart_pole] * 2))
    with pytest.raises(ResetRequiredError):
        env.step({"agent": np.zeros((2, 1), int)})
    env.reset(seeds=[0, 1])
    with pytest.raises(ConfigurationError, match="env_1 are running and were left out"):
        env.step({"agent": np.zeros((2, 1), int)}, np.array([True, False]))
    env.close()


def test_environment_that_does_not_heed_the_mask():
    class Deaf(SyncVectorEnv):
        def reset(self, *, seed=None, options=None):
            return super().reset(seed=seed)

    env = VectorEnvSource(Deaf([cart_pole] * 2))
    env.reset(seeds=[0, 1])
    env.step({"agent": np.zeros((2, 1), int)})
    with pytest.raises(EnvStepError, match=r"did not heed options\['reset_mask'\], and reset env_1"):
        env.reset(np.array([True, False]), [5, None])
    assert not env.running.any()
