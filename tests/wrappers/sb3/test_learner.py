"""Comparison of ``make_learner`` with wrappers and options set by hand."""

import pytest
import torch
from gymnasium.spaces import Box, Discrete
from sb3_contrib import ARS, MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

from heron.agents import Hierarchy
from heron.errors import ConfigurationError
from heron.wrappers import make_vec
from heron.wrappers.sb3 import (
    LiveDictRolloutBuffer,
    LiveMaskableRolloutBuffer,
    LiveRecurrentPPO,
    LiveReplayBuffer,
    Sb3VecEnv,
    SlotMonitor,
    SlotNormalize,
    SlotRecorder,
    buffer_options,
    make_learner,
)

from .chain import A, B, Chain

SMALL = {"n_steps": 8, "batch_size": 8, "device": "cpu", "seed": 0, "policy_kwargs": {"net_arch": [8]}}


def view(**options):
    return Sb3VecEnv(make_vec([lambda: Chain({A: 0, B: 6}, **options)] * 2))


def coordinators(discount=None, command_space=Discrete(2)):  # noqa: B008 -- a space is not changed
    tree = lambda ids: Hierarchy.star(ids, period=3, command_space=command_space)  # noqa: E731 -- short
    venv = make_vec([lambda: Chain({A: 0})] * 2, hierarchy=tree)
    return Sb3VecEnv(venv, "coordinator", {"field": 0}, discount=discount)


def weights(model):
    return torch.cat([parameter.detach().ravel() for parameter in model.policy.parameters()])


@pytest.mark.parametrize("normalize", [False, True])
def test_it_learns_the_same_as_a_model_set_up_by_hand(normalize):
    made = make_learner(PPO, view(), gamma=0.9, normalize_rewards=normalize, **SMALL).learn(64)
    env = SlotMonitor(view())
    env = SlotRecorder(SlotNormalize(env, norm_obs=False, gamma=0.9) if normalize else env)
    packed = PPO("MlpPolicy", env, **SMALL, **buffer_options(env, PPO, gamma=0.9)).learn(64)
    assert made.gamma == 0.9
    assert torch.equal(weights(made), weights(packed))
    untrained = make_learner(PPO, view(), gamma=0.9, normalize_rewards=normalize, **SMALL)
    assert not torch.equal(weights(made), weights(untrained))


def test_gamma_reaches_view_buffer_and_model():
    env = coordinators(command_space=Box(-1, 1, (1,)))
    model = make_learner(SAC, env, gamma=0.8, n_steps=3, learning_starts=4, device="cpu")
    model.learn(12)
    buffer = model.replay_buffer
    assert (env.learner.discount, buffer.gamma, model.gamma, buffer.n_steps) == (0.8, 0.8, 0.8, 3)
    assert isinstance(buffer, LiveReplayBuffer)
    assert buffer.discounts[0, 0] == pytest.approx(0.8**3)


@pytest.mark.parametrize(
    ("env", "told"),
    [
        (lambda: coordinators(0.9), "'coordinator'.*gamma=0.8.*0.9"),
        (lambda: SlotNormalize(SlotMonitor(view()), norm_obs=False, gamma=0.9), "gamma is 0.8.*SlotNormalize.*0.9"),
        (lambda: VecNormalize(view(), gamma=0.95), "gamma is 0.8.*VecNormalize.*0.95"),
        (lambda: SlotNormalize(SlotRecorder(view()), gamma=0.9), "gamma is 0.8.*0.9"),
    ],
)
def test_another_gamma_is_an_error(env, told):
    with pytest.raises(ConfigurationError, match=told):
        make_learner(PPO, env(), gamma=0.8, **SMALL)


def test_two_learners_of_one_view_have_one_gamma():
    env = coordinators()
    make_learner(PPO, env, gamma=0.8, **SMALL)
    with pytest.raises(ConfigurationError, match=r"'coordinator'.*gamma=0\.9.*0\.8"):
        make_learner(PPO, env, gamma=0.9, **SMALL)


def test_the_same_gamma_may_be_repeated():
    env = SlotNormalize(SlotMonitor(coordinators(0.8)), norm_obs=False, gamma=0.8)
    assert make_learner(PPO, env, gamma=0.8, **SMALL).gamma == 0.8


def test_wrappers_of_the_caller_stay():
    env = VecFrameStack(SlotMonitor(view()), 2)
    model = make_learner(PPO, env, **SMALL)
    model.learn(32)
    stack = model.get_env()
    assert isinstance(stack, SlotRecorder)
    assert stack.venv is env
    assert model.ep_info_buffer


@pytest.mark.parametrize(
    ("algorithm", "kind", "options"),
    [(RecurrentPPO, LiveRecurrentPPO, {"as_dict": True}), (RecurrentPPO, LiveRecurrentPPO, {})],
)
def test_recurrent_learners_get_their_buffer(algorithm, kind, options):
    model = make_learner(algorithm, view(**options), gamma=0.9, n_steps=8, batch_size=8, device="cpu")
    assert type(model) is kind
    model.learn(16)
    assert model.gamma == 0.9


def test_buffers_suit_observations_and_masks():
    assert isinstance(make_learner(PPO, view(as_dict=True), **SMALL).rollout_buffer, LiveDictRolloutBuffer)
    assert isinstance(make_learner(MaskablePPO, view(), **SMALL).rollout_buffer, LiveMaskableRolloutBuffer)


def test_an_algorithm_without_a_buffer_stays_unchanged():
    assert type(make_learner(ARS, view(), "LinearPolicy", device="cpu")) is ARS


def test_a_recorder_is_the_outermost_wrapper():
    with pytest.raises(ConfigurationError, match="normalize_rewards"):
        make_learner(PPO, SlotRecorder(view()), normalize_rewards=True)


def test_a_model_loaded_onto_a_view_with_another_discount_does_not_learn(tmp_path):
    command = Box(-1, 1, (1,))
    options = {"learning_starts": 4, "device": "cpu"}
    make_learner(SAC, coordinators(command_space=command), gamma=0.8, **options).save(tmp_path / "model")
    fresh = coordinators(command_space=command)
    with pytest.raises(ConfigurationError, match=r"gamma=0\.8.* by 1\.0"):
        SAC.load(tmp_path / "model", env=fresh).learn(8)
    loaded = SAC.load(tmp_path / "model", env=fresh, **buffer_options(fresh, SAC, gamma=0.8))
    loaded.learn(8)
    assert (fresh.learner.discount, loaded.replay_buffer.gamma) == (0.8, 0.8)
