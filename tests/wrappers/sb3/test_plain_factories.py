"""The SB3 view of plain Gymnasium environments, compared with DummyVecEnv call by call."""

from copy import deepcopy

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from heron.errors import EnvCreationError
from heron.wrappers.sb3 import Sb3VecEnv

from ..gym.test_gym_vector_env import assert_same
from ..single_envs import ACTIONS, OBSERVATIONS, Sampled

KINDS = {kind: OBSERVATIONS[kind] for kind in ("vector", "image", "choices", "bits", "tuple")}
KINDS["dict"] = gymnasium.spaces.Dict(x=OBSERVATIONS["vector"], y=gymnasium.spaces.MultiBinary(2))
KINDS["choice"] = gymnasium.spaces.Discrete(5)


def both(factories):
    return DummyVecEnv(list(factories)), Sb3VecEnv(list(factories))


def actions_for(view, rng):
    space = deepcopy(view.action_space)
    space.seed(int(rng.integers(2**31)))
    return np.stack([space.sample() for _ in range(view.num_envs)])


def play_both(theirs, ours, steps, seed):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        actions = actions_for(ours, rng)
        assert_same(theirs.step(actions), ours.step(actions))
        assert_same(theirs.reset_infos, ours.reset_infos)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_observation(kind):
    theirs, ours = both([lambda: Sampled(deepcopy(KINDS[kind]))] * 3)
    assert theirs.seed(4) == ours.seed(4)
    assert_same(theirs.reset(), ours.reset())
    play_both(theirs, ours, 30, seed=1)


@pytest.mark.parametrize("kind", ACTIONS)
def test_every_kind_of_action(kind):
    theirs, ours = both([lambda: Sampled(action_space=ACTIONS[kind])] * 2)
    for view in (theirs, ours):
        view.seed(9)
    assert_same(theirs.reset(), ours.reset())
    play_both(theirs, ours, 20, seed=2)
    for one, other in zip(theirs.envs, ours.envs, strict=True):
        assert_same(one.received, other.received)


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "MountainCarContinuous-v0"])
def test_environments_of_gymnasium(name):
    theirs, ours = both([lambda: gymnasium.make(name, max_episode_steps=15)] * 2)
    for view in (theirs, ours):
        view.seed(5)
    assert_same(theirs.reset(), ours.reset())
    play_both(theirs, ours, 40, seed=3)


def test_seeds_and_options_wait_for_the_next_reset_by_hand():
    theirs, ours = both([lambda: Sampled(horizon=2)] * 2)
    for view in (theirs, ours):
        view.seed(3)
        view.reset()
        view.seed(8)
        view.set_options([{"wind": 1}, {"wind": 2}])
    play_both(theirs, ours, 5, seed=0)
    assert_same(theirs.reset(), ours.reset())
    assert_same(theirs.reset(), ours.reset())
    assert [env.resets for env in theirs.envs] == [env.resets for env in ours.envs]
    assert ours.envs[1].resets[-2:] == [(9, {"wind": 2}), (None, None)]
    assert_same(theirs.reset_infos, ours.reset_infos)


def test_attributes_and_methods():
    theirs, ours = both([lambda: Monitor(Sampled(render_mode="rgb_array"))] * 3)
    for view in (theirs, ours):
        view.set_attr("label", "new", indices=[2])
        view.set_attr("label", "old", indices=range(2))
        assert view.get_attr("label") == ["old", "old", "new"]
        assert view.get_attr("colour", 1) == ["red"]
        assert view.env_method("twice", 4, plus=1, indices=[0, 2]) == [9, 9]
        assert view.env_is_wrapped(Monitor) == [True] * 3
        assert view.env_is_wrapped(gymnasium.wrappers.TimeLimit, 0) == [False]
        assert view.has_attr("colour")
        assert not view.has_attr("weight")
        with pytest.raises(AttributeError):
            view.env_method("fly")
        view.seed(0)
        view.reset()
    assert theirs.metadata == ours.metadata
    assert theirs.render_mode == ours.render_mode == "rgb_array"
    assert_same(list(theirs.get_images()), list(ours.get_images()))
    assert_same(theirs.render(), ours.render())
    assert len(ours.envs) == 3
    assert isinstance(ours, VecEnv)
    for view in (theirs, ours):
        envs = [env.unwrapped for env in view.envs]
        view.close()
        assert [env.closed for env in envs] == [1, 1, 1]


def test_images_need_a_render_mode():
    for view in both([Sampled] * 2):
        with pytest.warns(UserWarning, match="rgb_array"):
            assert list(view.get_images()) == [None, None]


def test_infos_are_not_changed_later():
    class Reuses(Sampled):
        def __init__(self):
            super().__init__(ends=0)
            self.info = {"deep": {"steps": 0}}

        def step(self, action):
            *results, _ = super().step(action)
            self.info["deep"]["steps"] += 1
            return *results, self.info

    view = Sb3VecEnv([Reuses])
    view.reset()
    infos = [view.step(np.zeros((1, 2), np.float32))[3][0] for _ in range(2)]
    assert [info["deep"]["steps"] for info in infos] == [1, 2]


def test_one_environment_cannot_be_two():
    env = Sampled()
    with pytest.raises(ValueError, match="same instance"):
        DummyVecEnv([lambda: env] * 2)
    with pytest.raises(EnvCreationError, match="env_1"):
        Sb3VecEnv([lambda: env] * 2)


def test_as_the_vec_env_class_of_sb3():
    view = make_vec_env("CartPole-v1", n_envs=2, seed=3, vec_env_cls=Sb3VecEnv)
    theirs = make_vec_env("CartPole-v1", n_envs=2, seed=3)
    assert view.env_is_wrapped(Monitor) == [True, True]
    assert_same(theirs.reset(), view.reset())
