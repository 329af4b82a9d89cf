"""Invalid use of both PettingZoo views, and the errors they raise."""

import numpy as np
import pytest

from heron.errors import EnvClosedError, InvalidActionError, ResetRequiredError, UnknownAgentError
from heron.wrappers import HierarchyAECEnv, HierarchyParallelEnv, make_vec

from ..hierarchies import star
from ..small_envs import Scripted

COMMAND = np.zeros(4, np.float32)
VIEWS = pytest.mark.parametrize("view", [HierarchyAECEnv, HierarchyParallelEnv])


def act(env):
    """Play one environment step."""
    if isinstance(env, HierarchyParallelEnv):
        env.step({"coordinator_0": COMMAND, "agent_0": 0, "agent_1": 0})
        return
    for action in (COMMAND, 0, 0):
        env.step(action)


@VIEWS
def test_agents_that_do_not_exist(view):
    env = view(make_vec(Scripted, 1, star))
    env.reset()
    asked = [env.observation_space, env.action_space, *([env.observe] if view is HierarchyAECEnv else [])]
    for ask in asked:
        with pytest.raises(UnknownAgentError, match=r"env_0: .*'agnet_1'.*'agent_1'\?"):
            ask("agnet_1")
    act(env)
    assert env.venv.steps.tolist() == [1]


def test_actions_of_agents_that_do_not_exist():
    env = HierarchyParallelEnv(make_vec(Scripted, 1, star))
    env.reset()
    with pytest.raises(InvalidActionError, match=r"env_0: .*\['agent0'\].*'agent_0'\?"):
        env.step({"coordinator_0": COMMAND, "agent0": 0, "agent_1": 0})
    assert env.venv.steps.tolist() == [0]


@VIEWS
def test_use_before_the_reset_and_after_the_end(view):
    env = view(make_vec(Scripted, 1, star))
    with pytest.raises(ResetRequiredError, match="env_0"):
        act(env)
    env.reset()
    env.close()
    env.close()
    for use in (lambda: act(env), env.reset, env.render, env.state):
        with pytest.raises(EnvClosedError, match="closed"):
            use()


def test_last_needs_a_running_episode():
    env = HierarchyAECEnv(make_vec(Scripted, 1, star))
    with pytest.raises(ResetRequiredError, match="env_0"):
        env.last()
    env.reset()
    assert env.last()[1:4] == (0.0, False, False)
    while env.agents:
        done = env.terminations[env.agent_selection] or env.truncations[env.agent_selection]
        env.step(None if done else COMMAND if env.agent_selection == "coordinator_0" else 0)
    with pytest.raises(ResetRequiredError, match="env_0"):
        env.last()
