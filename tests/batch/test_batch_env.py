"""The guards and defaults of ``BatchEnv``, on a subclass that implements nothing but its three abstract methods."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from heron.batch import AgentGroup, BatchEnv, GroupState
from heron.errors import ConfigurationError, EnvClosedError, InvalidActionError, InvalidMaskError, ResetRequiredError
from heron.testing import check_batch_env

GROUP = AgentGroup("walker", ("left", "right"), Box(-100, 100, (1,), np.float64), Discrete(3))


class Walks(BatchEnv):
    """Two walkers a copy; an episode ends after five steps."""

    def __init__(self, num_envs=3):
        self.env_ids = tuple(f"env_{index}" for index in range(num_envs))
        self.groups = {"walker": GROUP}
        self.states = {"walker": GroupState.empty(GROUP, num_envs)}
        self.infos = [{} for _ in self.env_ids]
        self.steps = np.zeros(num_envs, dtype=int)
        self.calls = []
        self.gravity = 9.81

    def shout(self, word):
        return word.upper()

    def _reset(self, mask, seeds, options):
        self.calls.append("reset")
        state = self.states["walker"]
        for index in np.flatnonzero(mask):
            seed = None if seeds is None else seeds[index]
            state.observations[index] = 0 if seed is None else seed % 7
        self.steps[mask] = 0
        state.rewards[mask] = 0
        state.terminated[mask] = state.truncated[mask] = False
        state.active[mask] = True

    def _step(self, actions, mask):
        self.calls.append("step")
        state = self.states["walker"]
        state.observations[mask, :, 0] += actions["walker"][mask] - 1
        state.rewards[mask] = 1
        self.steps[mask] += 1
        state.terminated[mask] = (self.steps[mask] == 5)[:, None]
        state.active[mask] &= ~state.terminated[mask]

    def _close(self):
        self.calls.append("close")


@pytest.fixture
def env():
    return Walks()


ACTIONS = {"walker": np.ones((3, 2), dtype=int)}
FIRST = np.array([True, False, False])


def test_a_minimal_subclass_keeps_the_contract():
    check_batch_env(Walks, 20)


def test_refused_calls_reach_no_copy(env):
    env.reset(FIRST)
    refused = [
        (ResetRequiredError, "env_1, env_2", lambda: env.step(ACTIONS)),
        (InvalidActionError, "walker", lambda: env.step({}, FIRST)),
        (InvalidActionError, "flyer", lambda: env.step(ACTIONS | {"flyer": 0}, FIRST)),
        (InvalidMaskError, "float64", lambda: env.step(ACTIONS, np.ones(3))),
        (InvalidMaskError, "list", lambda: env.reset([True, False, False])),
        (ConfigurationError, "expected 3", lambda: env.reset(seeds=[1])),
        (ValueError, "2 values", lambda: env.set_attr("mark", [1], [0, 1])),
    ]
    env.calls.clear()
    for error, named, call in refused:
        with pytest.raises(error, match=named):
            call()
    assert env.calls == []


def test_a_copy_left_out_is_named_where_all_are_stepped_at_once(env):
    env.reset()
    env.steps_some = False
    with pytest.raises(ConfigurationError, match="env_1, env_2"):
        env.step(ACTIONS, FIRST)
    env.step(ACTIONS)


def test_no_copy_is_no_call(env):
    nobody = np.zeros(3, dtype=bool)
    env.reset(nobody)
    env.step({}, nobody)
    assert env.calls == []


def test_after_closing_everything_is_refused(env):
    env.reset()
    env.close()
    env.close()
    assert env.calls == ["reset", "close"]
    for call in (env.reset, lambda: env.step(ACTIONS), lambda: env.get_attr("gravity", [0]),
                 lambda: env.set_attr("mark", [1], [0]), lambda: env.call("shout", [0], "a")):  # fmt: skip
        with pytest.raises(EnvClosedError, match="env_0"):
            call()


def test_running_is_computed_once_a_step_and_stays_as_it_was(env):
    env.reset()
    before = env.running
    assert env.running is before
    for _ in range(5):
        env.step(ACTIONS)
    assert not env.running.any()
    assert before.all()
    with pytest.raises(ValueError, match="read-only"):
        before[0] = False


def test_running_is_right_after_an_error(env):
    class Stumbles(Walks):
        def _step(self, actions, mask):
            super()._step(actions, mask)
            self.states["walker"].active[0] = False
            raise RuntimeError("a stone")

    env = Stumbles()
    env.reset()
    assert env.running.all()
    with pytest.raises(RuntimeError, match="a stone"):
        env.step(ACTIONS)
    assert env.running.tolist() == [False, True, True]


def test_attributes_are_those_of_the_batch_or_of_a_copy(env):
    assert env.get_attr("gravity", [0, 2]) == [9.81, 9.81]
    assert env.call("shout", [1], "go") == ["GO"]
    env.set_attr("mark", ["x"], [1])
    assert env.get_attr("mark", [1]) == ["x"]
    with pytest.raises(AttributeError, match="mark"):
        env.get_attr("mark", [0])
    with pytest.raises(AttributeError, match="gravity"):
        env.set_attr("gravity", [1.6], [0])
