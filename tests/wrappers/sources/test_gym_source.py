import copy
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from heron.errors import EnvCreationError
from heron.wrappers import LoopEnv, ProcessEnv
from heron.wrappers.sources.gym_source import SingleAgentEnv

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
