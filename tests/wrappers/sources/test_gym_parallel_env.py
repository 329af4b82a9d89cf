import copy
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from heron.errors import EnvCreationError, EnvStepError, InvalidObservationError
from heron.wrappers import LoopEnv, ProcessEnv
from heron.wrappers.sources.gym_parallel_env import SingleAgentEnv

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # PettingZoo's tests import its environments the old way
    from pettingzoo.test import parallel_api_test


def cart_pole():
    return gymnasium.make("CartPole-v1")


def test_single_agent_passes_pettingzoos_test():
    parallel_api_test(SingleAgentEnv(gymnasium.make("Pendulum-v1")), num_cycles=300)


def test_attributes_are_those_of_the_environment():
    env = SingleAgentEnv(gymnasium.make("CartPole-v1", render_mode="rgb_array"))
    env.reset(seed=0)
    assert env.unwrapped is env.env.unwrapped
    assert (env.spec.id, env.gravity, str(env)) == ("CartPole-v1", 9.8, str(env.env))
    assert env.render().shape == (400, 600, 3)
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = env.no_such_thing
    env.close()


def test_it_can_be_copied_and_pickled():
    env = SingleAgentEnv(gymnasium.make("Pendulum-v1"))
    env.reset(seed=3)
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert twin.possible_agents == ["agent"]
        assert twin.env is not env.env
        twin.reset(seed=3)


@pytest.mark.parametrize("make_batch", [LoopEnv, ProcessEnv])
def test_copies_equal_gymnasiums_own_over_whole_episodes(make_batch):
    theirs = SyncVectorEnv([cart_pole] * 3, autoreset_mode=AutoresetMode.DISABLED)
    ours = make_batch([cart_pole] * 3)
    state = ours.reset(seeds=[7, 8, 9])["agent"]
    expected, _ = theirs.reset(seed=7)
    episodes = 0
    rng = np.random.default_rng(0)
    while episodes < 12:
        np.testing.assert_array_equal(state.observations[:, 0], expected)
        actions = rng.integers(0, 2, 3)
        ours.step({"agent": actions[:, None]})
        expected, rewards, terminated, truncated, _ = theirs.step(actions)
        np.testing.assert_array_equal(state.observations[:, 0], expected)
        np.testing.assert_array_equal(state.rewards[:, 0], rewards)
        np.testing.assert_array_equal(state.terminated[:, 0], terminated)
        np.testing.assert_array_equal(state.truncated[:, 0], truncated)
        over = terminated | truncated
        if over.any():
            episodes += over.sum()
            ours.reset(over)
            expected, _ = theirs.reset(options={"reset_mask": over})
    ours.close()
    theirs.close()


def test_attributes_and_methods_through_a_batch():
    batch = LoopEnv([cart_pole, lambda: gymnasium.make("CartPole-v1", max_episode_steps=9)])
    assert batch.get_attr("observation_space", [0]) == [cart_pole().observation_space]
    batch.set_attr("gravity", [1.0], [1])
    assert batch.get_attr("gravity", [0, 1]) == [9.8, 1.0]
    assert batch.call("get_wrapper_attr", [1], "_max_episode_steps") == [9]
    with pytest.raises(AttributeError, match="no_such_thing"):
        batch.get_attr("no_such_thing", [0])
    batch.close()


def test_one_environment_for_two_copies_is_refused():
    env = cart_pole()
    with pytest.raises(EnvCreationError, match=r"env_1.*another copy"):
        LoopEnv([lambda: env, lambda: env])


class Old(gymnasium.Wrapper):
    """Returns what a function makes of the right thing in the second step, or in the second reset."""

    def __init__(self, spoil, when):
        super().__init__(cart_pole())
        self.spoil, self.when, self.calls = spoil, when, 0

    def spoilt(self, method, results):
        self.calls += method == self.when
        return self.spoil(*results) if self.when == method and self.calls == 2 else results

    def reset(self, **kwargs):
        return self.spoilt("reset", super().reset(**kwargs))

    def step(self, action):
        return self.spoilt("step", super().step(action))


@pytest.mark.parametrize(
    ("when", "spoil", "error", "message"),
    [
        (
            "reset",
            lambda seen, info: seen,
            EnvStepError,
            r"reset returned array\(.*it must return observation and info",
        ),
        ("reset", lambda seen, info: (seen, [1]), EnvStepError, r"the info of 'agent' must be a dict, got \[1\]"),
        (
            "step",
            lambda seen, *rest: (seen, 1.0, False, {}),
            EnvStepError,
            "step returned 4 values; it must return obs",
        ),
        ("step", lambda *results: None, EnvStepError, "step returned None; it must return observation, reward, "),
        (
            "step",
            lambda seen, reward, *rest: (seen, None, *rest),
            InvalidObservationError,
            "'agent' got reward None; expected one number",
        ),
        (
            "step",
            lambda seen, *rest: (seen[:3], *rest),
            InvalidObservationError,
            r"'agent' observed .*it is of shape \(3,\), expected \(4,\)",
        ),
    ],
)
def test_what_is_not_as_gymnasium_has_it_is_told(when, spoil, error, message):
    batch = LoopEnv([cart_pole, lambda: Old(spoil, when)])

    def play():
        for method in (lambda: batch.reset(seeds=[3, 4]), lambda: batch.step({"agent": np.zeros((2, 1), int)})):
            method()
            method()

    with pytest.raises(error, match=rf"(?s)^env_1: .*{message}.*\(in step \d of the episode .*reset\(seed=4\)\)"):
        play()
    assert batch.running.tolist() == [True, False]
    batch.reset(np.array([False, True]))
    batch.step({"agent": np.zeros((2, 1), int)})
