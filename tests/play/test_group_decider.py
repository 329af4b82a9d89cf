"""Policies that raise or return invalid actions: the error, and the state after it."""

import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode

from heron.agents import Hierarchy
from heron.errors import PolicyError
from heron.wrappers import GymEnv, GymVectorEnv, make_vec
from heron.wrappers.sb3 import Sb3VecEnv

from ..wrappers.small_envs import Scripted

FIELD, TOP = "agent", "coordinator"
GOAL = Box(-1, 1, (2,), np.float32)


def vec(num_envs=2, horizon=4):
    """Two field agents under a coordinator that decides every other step."""
    return make_vec(
        lambda: Scripted(horizon=horizon),
        num_envs,
        lambda ids: Hierarchy.star(ids, "boss", period=2, command_space=GOAL),
    )


class Fails:
    """A policy that returns ``good(batch)``, except for ``bad(batch)`` in call number ``at``."""

    def __init__(self, good, bad, at=None):
        self.good, self.bad, self.at = good, bad, at
        self.asked = 0

    def __call__(self, observations):
        self.asked += 1
        return (self.bad if self.asked == self.at else self.good)(len(observations))


def commands(count):
    return np.zeros((count, 4), np.float32)


def choices(count):
    return np.zeros(count, int)


def raising(count):
    raise OSError("no disk")


WRONG_CHOICES = {
    "raises": (raising, r"OSError: no disk.*'agent_0' of env_0 at step 1 and 3 more"),
    "shape": (lambda count: np.zeros((count, 1), int), r"\(4,\).*\(4, 1\)"),
    "dtype": (np.zeros, "int64.*float64"),
    "nothing": (lambda count: None, r"\(4,\).*\(\)"),
    "outside": (lambda count: np.arange(count) * 2, r"'agent_1' of env_1 at step 1 .*Discrete\(5\).* 6"),
}
WRONG_COMMANDS = {
    "raises": (raising, r"OSError: no disk.*'boss' of env_0 at step 2 and 1 more"),
    "NaN": (lambda count: commands(count) + np.nan, r"'boss' of env_0 at step 2 .*\[nan nan nan nan\]"),
    "outside": (lambda count: commands(count) + 3, r"'boss' of env_0 at step 2 .*\[3\. 3\. 3\. 3\.\]"),
}


@pytest.mark.parametrize("kind", WRONG_CHOICES)
@pytest.mark.parametrize("make_view", [GymVectorEnv, Sb3VecEnv])
def test_field_agents_that_do_not_act_stop_the_step_before_the_environment(make_view, kind):
    """The next step first completes the coordinator's interrupted decision, and then plays the new one."""
    bad, message = WRONG_CHOICES[kind]
    policy = Fails(choices, bad, at=2)
    view = make_view(vec(), TOP, {FIELD: policy})
    view.reset()
    with pytest.raises(PolicyError, match=f"'agent' .*{message}"):
        view.step(commands(2))
    assert view.venv.steps.tolist() == [1, 1]
    view.step(commands(2))
    assert view.venv.steps.tolist() == (
        [4, 4] if make_view is GymVectorEnv else [0, 0]
    )  # the SB3 view resets in the same step


@pytest.mark.parametrize("kind", WRONG_COMMANDS)
def test_coordinators_that_do_not_decide_can_be_asked_again(kind):
    bad, message = WRONG_COMMANDS[kind]
    view = GymVectorEnv(vec(), FIELD, {TOP: Fails(commands, bad, at=2)})
    view.reset(seed=3)
    view.step(choices(4))
    with pytest.raises(PolicyError, match=f"'boss' .*{message}"):
        view.step(choices(4))
    assert view.venv.steps.tolist() == [2, 2]
    *_, rewards, _, truncated, _ = view.step(choices(4))
    assert rewards.tolist() == [3.0, 30.0] * 2
    assert not truncated.any()


@pytest.mark.parametrize("make_view", [GymVectorEnv, Sb3VecEnv])
def test_an_end_is_reported_even_if_the_next_episode_could_not_begin(make_view):
    options = {"autoreset_mode": AutoresetMode.SAME_STEP} if make_view is GymVectorEnv else {}
    view = make_view(vec(), FIELD, {TOP: Fails(commands, raising, at=3)}, **options)
    view.reset()
    for _ in range(3):
        view.step(choices(4))
    with pytest.raises(PolicyError, match="'boss' of env_0 at step 0 and 1 more"):
        view.step(choices(4))
    if make_view is Sb3VecEnv:
        _, rewards, dones, infos = view.step(choices(4))
        finals = [info["terminal_observation"][0] for info in infos]
    else:
        _, rewards, _, dones, infos = view.step(choices(4))
        finals = [seen[0] for seen in infos["final_obs"]]
    assert dones.all()
    assert finals == [4.0] * 4
    assert rewards.tolist() == [0.0] * 4  # rewards of the step that raised are lost; the new episode stands still
    assert view.venv.steps.tolist() == [0, 0]
    view.step(choices(4))
    assert view.venv.steps.tolist() == [1, 1]


def test_a_single_agents_episode_goes_on_after_a_refused_reset():
    env = GymEnv(vec(1), TOP, {FIELD: 0})
    env.reset(seed=1)
    for wrong in ({"seed": -1}, {"seed": "x"}, {"options": 5}):
        with pytest.raises(ValueError, match="|".join(wrong)):
            env.reset(**wrong)
    _, reward, *_ = env.step(commands(1)[0])
    assert reward == 11.0 + 22.0


def test_a_single_agent_whose_reset_failed_in_a_policy_has_no_episode():
    env = GymEnv(vec(1), TOP, {FIELD: 0})
    env.learner.venv.close()
    with pytest.raises(RuntimeError, match="closed"):
        env.reset()
    with pytest.raises(RuntimeError, match="'boss' in env_0"):
        env.step(commands(1)[0])
