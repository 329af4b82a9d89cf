"""SB3's learners and wrappers on the view."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from heron.errors import ConfigurationError
from heron.play.policies import ModelPolicy
from heron.wrappers import make_vec
from heron.wrappers.sb3 import Sb3VecEnv

from ..small_envs import Life, Scripted
from .sb3_views import BOTH, FIELD, SPREAD, TOP, A, B, copies, plays, star


def spread(num_envs=2, **kwargs):
    return make_vec(SPREAD, num_envs, star(5), env_kwargs={"max_cycles": 12}, **kwargs)


def tiny(kind, view, **kwargs):
    arguments = {"n_steps": 16, "batch_size": 16, "n_epochs": 2} if kind is PPO else {"learning_starts": 8}
    return kind("MlpPolicy", view, device="cpu", policy_kwargs={"net_arch": [8]}, **{**arguments, **kwargs})


def weights(model):
    return {name: value.numpy().tobytes() for name, value in model.policy.state_dict().items()}


class TestSb3Itself:
    @pytest.mark.parametrize("learn", [FIELD, TOP])
    def test_ppo_with_a_seed_gives_the_same_weights_twice(self, learn):
        def train(seed):
            given = {TOP: np.zeros(6)} if learn == FIELD else {FIELD: 1}
            model = tiny(PPO, Sb3VecEnv(spread(), learn, given), seed=seed)
            before = weights(model)
            model.learn(32 * model.env.num_envs)
            assert weights(model) != before
            return weights(model)

        assert train(3) == train(3)
        assert train(3) != train(4)

    def test_models_as_policies_for_each_other(self):
        venv = spread(2)
        top = tiny(PPO, Sb3VecEnv(venv, TOP, {FIELD: 0}), seed=1)
        field = tiny(PPO, Sb3VecEnv(venv, FIELD, {TOP: top}), seed=1)
        field.learn(96)
        top.set_env(Sb3VecEnv(venv, TOP, {FIELD: ModelPolicy(field, deterministic=True)}), force_reset=True)
        top.learn(32)
        assert top.num_timesteps == 32
        with pytest.raises(ConfigurationError, match=r"'coordinator'.*observation_space"):
            Sb3VecEnv(venv, FIELD, {TOP: field})

    def test_choices_that_do_not_start_at_zero(self):
        venv = make_vec(lambda: Scripted(BOTH, 4, action_space=Discrete(1, start=7)), 1, star())
        field = tiny(PPO, Sb3VecEnv(venv, FIELD, {TOP: np.zeros(4)}))
        view = Sb3VecEnv(venv, TOP, {FIELD: field})
        view.reset()
        plays(view, 1)
        assert venv.batch_env.envs[0].received[-1] == {A: 7, B: 7}

    def test_sac_at_the_bounds(self):
        space = Box(np.float32([-0.1, -1.7]), np.float32([0.3, 0.6]), dtype=np.float32)
        view = Sb3VecEnv(make_vec(lambda: Scripted(BOTH, 4, action_space=space)))
        model = tiny(SAC, view)
        for scaled in (-1.0, 1.0):
            view.reset()
            view.step(model.policy.unscale_action(np.full((2, 2), scaled, np.float32)))
        model.learn(24)

    def test_monitor_sees_whole_episodes(self):
        view = VecMonitor(Sb3VecEnv(copies((BOTH, 3), (BOTH, 2))))
        view.reset()
        episodes = [(slot, info["episode"]["r"], info["episode"]["l"]) for *_, infos in plays(view, 3)
                    for slot, info in enumerate(infos) if "episode" in info]  # fmt: skip
        assert episodes == [(2, 3, 2), (3, 30, 2), (0, 6, 3), (1, 60, 3)]

    def test_normalize_keeps_the_true_terminal_observation(self):
        view = VecNormalize(Sb3VecEnv(copies((BOTH, 2))), norm_reward=False)
        view.reset()
        infos = plays(view, 2)[-1][3]
        last = view.unnormalize_obs(infos[0]["terminal_observation"])
        assert last[0] == pytest.approx(2, abs=1e-3)
        model = tiny(PPO, view, seed=3)
        model.learn(32)

    def test_trains_where_agents_die_early(self):
        lives = {A: Life(), B: Life(leaves=2)}
        model = tiny(PPO, VecMonitor(Sb3VecEnv(copies((lives, 5), (lives, 7)))), seed=0)
        model.learn(64)
        assert {episode["l"] for episode in model.ep_info_buffer} >= {2, 5, 7}
