"""Options of buffers, also of models that are saved, copied or moved to other environments."""

from copy import deepcopy

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.spaces import Box, Discrete
from sb3_contrib import ARS, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper, VecFrameStack, VecNormalize

from heron.agents import Hierarchy
from heron.errors import ConfigurationError
from heron.wrappers import make_vec
from heron.wrappers.sb3 import (
    LiveDictReplayBuffer,
    LiveDictRolloutBuffer,
    LiveMaskableDictRolloutBuffer,
    LiveMaskableRolloutBuffer,
    LiveReplayBuffer,
    LiveRolloutBuffer,
    Sb3VecEnv,
    SlotMonitor,
    SlotNormalize,
    SlotRecorder,
    buffer_options,
)

from .chain import STATES, A, B, Chain


def chain_env(as_dict=False, copies=2):
    venv = make_vec([lambda: Chain({A: 0, B: 6}, as_dict=as_dict) for _ in range(copies)])
    return SlotRecorder(Sb3VecEnv(venv))


def small(algorithm, env, **kwargs):
    fast = {"n_steps": 8} if algorithm is not DQN else {"learning_starts": 4}
    fast |= {"batch_size": 8} if algorithm in (PPO, MaskablePPO) else {}
    return algorithm("MlpPolicy", env, device="cpu", policy_kwargs={"net_arch": [8]}, **fast, **kwargs)


@pytest.mark.parametrize(
    ("algorithm", "plain", "of_dicts"),
    [
        (PPO, LiveRolloutBuffer, LiveDictRolloutBuffer),
        (A2C, LiveRolloutBuffer, LiveDictRolloutBuffer),
        (MaskablePPO, LiveMaskableRolloutBuffer, LiveMaskableDictRolloutBuffer),
        (DQN, LiveReplayBuffer, LiveDictReplayBuffer),
        (SAC, LiveReplayBuffer, LiveDictReplayBuffer),
    ],
)
def test_the_buffer_suits_algorithm_and_observations(algorithm, plain, of_dicts):
    kind = "replay_buffer_class" if algorithm in (DQN, SAC) else "rollout_buffer_class"
    assert buffer_options(chain_env(), algorithm)[kind] is plain
    assert buffer_options(chain_env(as_dict=True), algorithm, gamma=0.5)[kind] is of_dicts


def coordinator(discount):
    tree = lambda ids: Hierarchy.star(ids, period=3, command_space=Discrete(2))  # noqa: E731 -- short
    return Sb3VecEnv(make_vec([lambda: Chain({A: 0})], hierarchy=tree), "coordinator", {"field": 0}, discount=discount)


class CopiesDones(VecEnvWrapper):
    def reset(self):
        return self.venv.reset()

    def step_wait(self):
        observations, rewards, dones, infos = self.venv.step_wait()
        return observations, rewards, dones.copy(), infos


class TestMistakes:
    @pytest.mark.parametrize(
        ("env", "algorithm", "options", "message"),
        [
            (lambda: DummyVecEnv([lambda: gymnasium.make("CartPole-v1")]), PPO, {}, "Sb3VecEnv.*DummyVecEnv"),
            (lambda: chain_env().venv, PPO, {}, "SlotRecorder.*Sb3VecEnv"),
            (lambda: VecNormalize(chain_env()), A2C, {}, "SlotRecorder.*VecNormalize"),
            (chain_env, RecurrentPPO, {}, "RecurrentPPO.*LiveRecurrentPPO"),
            (chain_env, ARS, {}, "ARS"),
            (chain_env, PPO, {"n_steps": 3}, "n_steps .*3.*PPO"),
            (lambda: coordinator(1.0), SAC, {}, "'coordinator'.*gamma=0.99.*1.0"),
            (lambda: SlotRecorder(coordinator(0.9)), PPO, {"gamma": 0.8}, "'coordinator'.*gamma=0.8.*0.9"),
        ],
    )
    def test_are_refused(self, env, algorithm, options, message):
        with pytest.raises(ConfigurationError, match=message):
            buffer_options(env(), algorithm, **options)

    def test_a_model_that_steps_another_view_is_noticed(self):
        env = chain_env()
        model = small(PPO, env, **buffer_options(env, PPO))
        model.set_env(chain_env())
        with pytest.raises(ConfigurationError, match="another vector env"):
            model.learn(32)


class TestOverAVectorEnv:
    def test_its_extra_steps_are_left_out(self):
        """CartPole's own vector env takes an extra step after each end, here after every third step."""
        view = Sb3VecEnv(CartPoleVectorEnv(2, max_episode_steps=3), reset_mask=False)
        env = SlotRecorder(SlotMonitor(view))
        model = small(PPO, env, **buffer_options(env, PPO))
        model.learn(16)
        assert model.rollout_buffer.lengths.tolist() == [[1, 1]] * 3 + [[0, 0]] + [[1, 1]] * 3 + [[0, 0]]
        assert model.rollout_buffer.returns.shape == (12, 1)
        assert [episode["l"] for episode in model.ep_info_buffer] == [3] * 4

    def test_replays_too(self):
        env = Sb3VecEnv(CartPoleVectorEnv(2, max_episode_steps=3), reset_mask=False)
        model = small(DQN, env, **buffer_options(env, DQN))
        model.learn(16)
        assert model.replay_buffer.size() == 12


class TestCopies:
    def test_a_loaded_model_predicts_but_needs_options_to_learn(self, tmp_path):
        env = chain_env()
        model = small(PPO, env, **buffer_options(env, PPO))
        model.learn(32)
        model.save(tmp_path / "model.zip")
        seen = np.eye(STATES + 1, dtype=np.float32)

        loaded = PPO.load(tmp_path / "model.zip")
        np.testing.assert_array_equal(
            loaded.predict(seen, deterministic=True)[0], model.predict(seen, deterministic=True)[0]
        )
        other = chain_env(copies=3)
        with pytest.raises(ConfigurationError, match=r"load\(path, env=env\).*buffer_options"):
            PPO.load(tmp_path / "model.zip", env=other).learn(48)
        again = PPO.load(tmp_path / "model.zip", env=other, **buffer_options(other, PPO))
        again.learn(48)
        assert again.rollout_buffer.lengths.shape == (8, 6)

    def test_a_deep_copy_of_a_buffer_has_no_rows(self):
        env = chain_env()
        model = small(PPO, env, **buffer_options(env, PPO))
        copied = deepcopy(model.rollout_buffer)
        model.learn(32)
        assert not copied.lengths.any()
        with pytest.raises(ConfigurationError, match="another vector env"):
            copied.add(None, None, np.zeros(4), None, None, None)

    def test_a_replay_buffer_is_saved_whole(self, tmp_path):
        env = chain_env()
        model = small(DQN, env, **buffer_options(env, DQN, n_steps=3))
        model.learn(60)
        model.save(tmp_path / "model.zip")
        model.save_replay_buffer(tmp_path / "buffer.pkl")
        loaded = DQN.load(tmp_path / "model.zip", env=chain_env())
        assert isinstance(loaded.replay_buffer, LiveReplayBuffer)
        loaded.load_replay_buffer(tmp_path / "buffer.pkl")
        stored = loaded.replay_buffer.size()
        assert stored == model.replay_buffer.size()
        loaded.learn(40)
        assert loaded.replay_buffer.size() > stored

    def test_a_saved_replay_buffer_is_used_below_a_wrapper_that_copies_dones(self, tmp_path):
        env = chain_env()
        model = small(DQN, env, **buffer_options(env, DQN))
        model.learn(60)
        model.save_replay_buffer(tmp_path / "buffer.pkl")
        env = CopiesDones(chain_env())
        loaded = small(DQN, env, **buffer_options(env, DQN))
        loaded.load_replay_buffer(tmp_path / "buffer.pkl")
        loaded.learn(40)
        assert loaded.replay_buffer.size() > model.replay_buffer.size()


class TestWrappers:
    def test_frames_are_stacked_and_observations_normalised_below(self):
        env = SlotRecorder(SlotNormalize(VecFrameStack(SlotMonitor(chain_env().venv), 2)))
        model = small(PPO, env, **buffer_options(env, PPO))
        model.learn(64)
        assert model.rollout_buffer.obs_shape == (2 * (STATES + 1),)
        assert (model.rollout_buffer.lengths == 0).any()

    def test_images_are_transposed_above(self):
        class Screen(Chain):
            def observation_space(self, agent):
                return Box(0, 255, (36, 36, 3), np.uint8)

            def _observe(self, agent):
                return np.full((36, 36, 3), self.states[agent], np.uint8)

        env = SlotRecorder(Sb3VecEnv(make_vec([lambda: Screen({A: 0, B: 6})])))
        model = A2C("CnnPolicy", env, n_steps=12, device="cpu", **buffer_options(env, A2C))
        model.learn(24)
        assert buffer_options(model.env, A2C)["rollout_buffer_kwargs"]["rows"] is env.rows
        assert (model.rollout_buffer.lengths == 0).sum() > 0
