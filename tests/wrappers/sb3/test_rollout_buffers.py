"""Returns and advantages compared with a reference from the environments' records."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from sb3_contrib import TRPO, MaskablePPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from heron.agents import Hierarchy
from heron.wrappers import make_vec
from heron.wrappers.sb3 import LiveRecurrentPPO, Sb3VecEnv, SlotMonitor, SlotNormalize, SlotRecorder, buffer_options

from .chain import AGENTS, GAMMA, STARTS, STATES, A, B, Chain, value

MIXED = [{"horizon": 100}, {"horizon": 4}, {"horizon": 6, "cuts": {B: 2}}, {"cuts": {A: 1}, "horizon": 9}]
BY_HAND = {5: [0], 9: [1, 2], 13: [3], 14: [3], 15: [0], 16: [1], 30: [0, 1, 2, 3]}
"""Decision of the learner -> the copies that are reset after it; 13 is the end of a rollout."""
N_STEPS = 13


def chains(specs=MIXED, starts=STARTS, **kwargs):
    envs = [Chain(starts, **{**kwargs, **spec}) for spec in specs]
    return envs, make_vec([lambda env=env: env for env in envs], hierarchy=kwargs.pop("hierarchy", None))


class Watch(BaseCallback):
    """A callback that resets copies by hand, and keeps each rollout with the critic's values of all states."""

    def __init__(self, by_hand=()):
        super().__init__()
        self.by_hand = dict(by_hand)
        self.rollouts = []

    def _on_step(self):
        if self.n_calls in self.by_hand:
            self.training_env.unwrapped.reset_envs(self.by_hand[self.n_calls])
        return True

    def _on_rollout_end(self):
        buffer = deepcopy(self.model.rollout_buffer)
        self.rollouts.append((buffer, self.values()))

    def values(self):
        if self.model.observation_space.shape != (STATES + 1,) or isinstance(self.model, LiveRecurrentPPO):
            return None
        states = torch.eye(STATES + 1)
        with torch.no_grad():
            return self.model.policy.predict_values(states)[:, 0].numpy().astype(float)


def reference(env, agent, first, values, gae_lambda):
    """Return row -> advantage, from the moves of one agent in one rollout, one agent episode after the other."""
    advantages, later = {}, 0.0
    for row in reversed(range(first, first + N_STEPS)):
        move = env.log[row].get(agent)
        if move is None or row in env.cut_by_hand:
            later = 0.0
            continue
        future = 0.0 if move.terminated else values[move.next_state]
        later = move.reward + GAMMA * future - values[move.state] + GAMMA * gae_lambda * later
        advantages[row] = later
        if row - 1 >= first and (before := env.log[row - 1].get(agent)) and (before.terminated or before.truncated):
            later = 0.0
    return advantages


def rows_of(buffer, array, slot):
    return {row: float(array[row, slot]) for row in np.flatnonzero(buffer.lengths[:, slot])}


def tiny(algorithm, env, **kwargs):
    options = {"n_steps": N_STEPS, "policy_kwargs": {"net_arch": []}, "device": "cpu", "seed": 0, **kwargs}
    if algorithm is not A2C:
        options = {"batch_size": len(MIXED) * 3 * N_STEPS, **options}
    gamma = options.pop("gamma", GAMMA)
    return algorithm("MlpPolicy", env, **options, **buffer_options(env, algorithm, gamma=gamma))


def set_critic(model, weights):
    """Make the critic linear with these weights, to the bit."""
    with torch.no_grad():
        model.policy.value_net.weight[:] = torch.as_tensor(weights, dtype=torch.float32)
        model.policy.value_net.bias[:] = 0


class TestFieldAgents:
    @pytest.mark.parametrize("algorithm", [PPO, A2C, MaskablePPO, TRPO])
    @pytest.mark.parametrize("gae_lambda", [0.8, 1.0])
    def test_advantages_are_those_of_the_agents_episodes(self, algorithm, gae_lambda):
        envs, venv = chains()
        model = tiny(algorithm, SlotRecorder(VecMonitor(Sb3VecEnv(venv))), gae_lambda=gae_lambda)
        watch = Watch(BY_HAND)
        model.learn(3 * N_STEPS * 12, watch)

        assert len(watch.rollouts) == 3
        for number, (buffer, values) in enumerate(watch.rollouts):
            for slot in range(12):
                env, first = envs[slot // 3], number * N_STEPS
                expected = reference(env, AGENTS[slot % 3], first, values, gae_lambda)
                found = {first + row: value for row, value in rows_of(buffer, buffer.advantages, slot).items()}
                assert found == pytest.approx(expected, abs=1e-5)
                returns = {row: found[row] + values[env.log[row][AGENTS[slot % 3]].state] for row in found}
                shifted = {first + row: value for row, value in rows_of(buffer, buffer.returns, slot).items()}
                assert shifted == pytest.approx(returns, abs=1e-5)
        assert sum(len(env.cut_by_hand) for env in envs) > 8

    @pytest.mark.parametrize("gae_lambda", [0.0, 0.7, 1.0])
    def test_the_true_critic_has_no_advantages_left(self, gae_lambda):
        _, venv = chains()
        model = tiny(PPO, SlotRecorder(Sb3VecEnv(venv)), gae_lambda=gae_lambda, learning_rate=0.0)
        set_critic(model, value(GAMMA))
        watch = Watch(BY_HAND)
        model.learn(3 * N_STEPS * 12, watch)

        for buffer, _ in watch.rollouts:
            live = buffer.lengths > 0
            assert 0 < live.sum() < live.size
            np.testing.assert_allclose(buffer.advantages, 0, atol=1e-5)
            states = buffer.observations[live].argmax(axis=-1)
            np.testing.assert_allclose(buffer.returns[live], value(GAMMA)[states], atol=1e-5)

    def test_returns_of_whole_episodes_are_the_analytic_values(self):
        _, venv = chains([{}, {}])
        model = tiny(PPO, SlotRecorder(Sb3VecEnv(venv)), gae_lambda=1.0, n_steps=20, batch_size=120, learning_rate=0.0)
        set_critic(model, np.zeros(STATES + 1))
        watch = Watch()
        model.learn(120, watch)

        buffer, _ = watch.rollouts[0]
        live = buffer.lengths > 0
        assert live.sum() == 2 * 2 * (10 + 7 + 3)
        states = buffer.observations[live].argmax(axis=-1)
        np.testing.assert_allclose(buffer.returns[live], value(GAMMA)[states], atol=1e-5)


class TestMinibatches:
    @pytest.fixture(params=[PPO, MaskablePPO])
    def model(self, request):
        _, venv = chains()
        return tiny(request.param, SlotRecorder(Sb3VecEnv(venv)))

    def test_hold_each_live_row_once_and_no_other(self, model):
        watch = Watch(BY_HAND)
        model.learn(N_STEPS * 12, watch)
        buffer, _ = watch.rollouts[0]
        live = buffer.lengths > 0
        expected = sorted(buffer.returns[live].tolist())
        batches = list(buffer.get(20))
        assert sorted(torch.cat([batch.returns for batch in batches]).tolist()) == expected
        assert len(batches) == -(-len(expected) // 20)
        assert max(map(_rows, batches)) - min(map(_rows, batches)) <= 1
        assert sorted(next(buffer.get()).returns.tolist()) == expected
        assert len(buffer.returns) == len(buffer.values) == live.sum()  # SB3 computes the explained variance of these

    @pytest.mark.parametrize(
        ("live", "batch_size", "sizes"), [(3, 2, [3]), (1, 2, [2]), (5, 2, [3, 2]), (0, 64, [52] * 3)]
    )
    def test_are_never_of_one_row(self, model, live, batch_size, sizes):
        watch = Watch()
        model.learn(N_STEPS * 12, watch)
        buffer, _ = watch.rollouts[0]
        buffer.lengths[:] = 0
        buffer.lengths.flat[:live] = 1
        found = [_rows(batch) for batch in buffer.get(batch_size)]
        assert found == sizes

    @pytest.mark.parametrize("algorithm", [PPO, A2C, MaskablePPO, TRPO])
    @pytest.mark.parametrize("live", [0, 1])
    def test_learning_survives_a_rollout_with_hardly_a_live_row(self, algorithm, live):
        """One agent is present in all of a long episode; the learning one ended in its first step."""

        class Waiting(Chain):
            def observation_space(self, agent):
                space = super().observation_space(agent)
                return space if agent == A else type(space)(-1, 1, space.shape, space.dtype)

        env = Waiting({A: STATES - 1, B: 0})
        venv = make_vec([lambda: env])
        names = list(venv.groups)
        view = Sb3VecEnv(venv, names[0], {names[1]: 0})
        model = tiny(algorithm, SlotRecorder(view), n_steps=3, **({"batch_size": 3} if algorithm is not A2C else {}))
        watch = Watch()
        model.learn(6 if live == 0 else 3, watch)
        buffer, _ = watch.rollouts[-1]
        assert (buffer.lengths > 0).sum() == live
        if live == 0:
            assert not buffer.advantages.any()
            np.testing.assert_array_equal(buffer.returns, buffer.values)
        assert all(torch.isfinite(weights).all() for weights in model.policy.parameters())


def _rows(batch):
    return len(batch.returns)


def star(period):
    return lambda ids: Hierarchy.star(ids, period=period, command_space=Discrete(2))


def coordinator_view(specs, discount=GAMMA, period=3, starts=STARTS):
    envs = [Chain(starts, **spec) for spec in specs]
    venv = make_vec([lambda env=env: env for env in envs], hierarchy=star(period))
    return envs, Sb3VecEnv(venv, "coordinator", {"field": 0}, discount=discount)


def critic_of_coordinator(view):
    """Return the sum of the agents' true values, from the state, reward and age in the infos of each."""
    weights = [*value(GAMMA), 0.0, 0.0] * 3
    assert view.observation_space.shape == (len(weights),)
    return weights


class TestCoordinators:
    SPECS = ({}, {"horizon": 4}, {"horizon": 8}, {"horizon": 6})

    @pytest.mark.parametrize("gae_lambda", [0.0, 0.7, 1.0])
    def test_the_true_critic_has_no_advantages_left(self, gae_lambda):
        _, view = coordinator_view(self.SPECS)
        model = tiny(PPO, SlotRecorder(view), gae_lambda=gae_lambda, learning_rate=0.0, batch_size=52)
        set_critic(model, critic_of_coordinator(view))
        watch = Watch({4: [0], 9: [1, 2], 13: [3]})
        model.learn(3 * N_STEPS * 4, watch)

        lengths = np.concatenate([buffer.lengths for buffer, _ in watch.rollouts])
        assert set(lengths.ravel().tolist()) == {0, 1, 2, 3}
        for buffer, _ in watch.rollouts:
            np.testing.assert_allclose(buffer.advantages, 0, atol=2e-5)

    def test_returns_of_whole_episodes_are_the_analytic_values(self):
        _, view = coordinator_view([{}])
        model = tiny(PPO, SlotRecorder(view), gae_lambda=1.0, n_steps=8, batch_size=8, learning_rate=0.0)
        set_critic(model, np.zeros(39))
        watch = Watch()
        model.learn(8, watch)

        buffer, _ = watch.rollouts[0]
        assert buffer.lengths[:, 0].tolist() == [3, 3, 3, 1] * 2
        expected = [sum(value(GAMMA)[min(start + step, STATES)] for start in STARTS.values()) for step in (0, 3, 6, 9)]
        np.testing.assert_allclose(buffer.returns[:, 0], expected * 2, atol=1e-5)

    def test_cut_episodes_are_bootstrapped_through_normalised_rewards(self):
        _, view = coordinator_view(self.SPECS)
        env = SlotRecorder(SlotNormalize(SlotMonitor(view), norm_obs=True, gamma=GAMMA))
        model = tiny(PPO, env, batch_size=52)
        expected = []

        class Expect(Watch):
            def _on_step(self):
                rewards = self.locals["rewards"].astype(float)
                for slot, info in enumerate(self.locals["infos"]):
                    if info.get("TimeLimit.truncated"):
                        seen = torch.as_tensor(info["terminal_observation"])[None]
                        with torch.no_grad():
                            terminal = float(self.model.policy.predict_values(seen))
                        rewards[slot] += GAMMA ** info["decision_length"] * terminal
                expected.append(rewards)
                return True

        watch = Expect()
        model.learn(N_STEPS * 4, watch)
        np.testing.assert_allclose(watch.rollouts[0][0].rewards, expected, rtol=1e-5, atol=1e-6)


class TestDictObservations:
    def test_advantages_are_those_of_plain_ones(self):
        rollouts = []
        for as_dict in (False, True):
            envs = [Chain(STARTS, as_dict=as_dict, **spec) for spec in MIXED]
            env = SlotRecorder(Sb3VecEnv(make_vec([lambda env=env: env for env in envs])))
            policy = "MultiInputPolicy" if as_dict else "MlpPolicy"
            options = buffer_options(env, PPO, gamma=GAMMA)
            model = PPO(policy, env, n_steps=N_STEPS, batch_size=156, n_epochs=1, policy_kwargs={"net_arch": []},
                        device="cpu", learning_rate=0.0, **options)  # fmt: skip
            weights = value(0.5)
            set_critic(model, np.concatenate([np.zeros(STATES + 1), weights]) if as_dict else weights)
            watch = Watch(BY_HAND)
            model.learn(2 * N_STEPS * 12, watch)
            rollouts.append([buffer for buffer, _ in watch.rollouts])
        for plain, of_dicts in zip(*rollouts, strict=True):
            np.testing.assert_array_equal(plain.lengths, of_dicts.lengths)
            np.testing.assert_allclose(plain.advantages, of_dicts.advantages, atol=1e-6)
        batch = next(of_dicts.get(40))
        assert batch.observations["state"].shape == (len(batch.returns), STATES + 1)


class TestRecurrent:
    def test_rows_are_those_of_the_agents_episodes(self):
        envs, venv = chains()
        env = SlotRecorder(Sb3VecEnv(venv))
        network = {"net_arch": [], "lstm_hidden_size": 4}
        model = LiveRecurrentPPO("MlpLstmPolicy", env, n_steps=N_STEPS, batch_size=40, n_epochs=2, gamma=GAMMA,
                                 policy_kwargs=network, device="cpu", seed=1)  # fmt: skip
        watch = Watch(BY_HAND)
        model.learn(2 * N_STEPS * 12, watch)
        buffer = watch.rollouts[0][0]
        live = buffer.lengths > 0
        for slot in range(12):
            env, agent = envs[slot // 3], AGENTS[slot % 3]
            rows = np.flatnonzero(live[:, slot]).tolist()
            assert rows == sorted(reference(env, agent, 0, np.zeros(STATES + 1), 1.0))
            for row in (row for row in rows if env.log[row][agent].terminated):
                expected = env.log[row][agent].reward - buffer.values[row, slot]
                assert buffer.advantages[row, slot] == pytest.approx(expected, abs=1e-5)
        returns = buffer.returns[live]
        batches = list(buffer.get(30))
        found = torch.cat([batch.returns[batch.mask > 0] for batch in batches])
        assert sorted(found.tolist()) == sorted(returns.tolist())

    def test_sequences_begin_after_inert_rows(self):
        _, venv = chains([{}])
        env = SlotRecorder(Sb3VecEnv(venv))
        model = LiveRecurrentPPO("MlpLstmPolicy", env, n_steps=N_STEPS, device="cpu", seed=1)
        watch = Watch()
        model.learn(N_STEPS * 3, watch)
        buffer, _ = watch.rollouts[0]
        batch = next(buffer.get())
        # Two episodes each of agents that end in steps 10, 7 and 3. The shuffle may split one of them.
        assert batch.lstm_states.pi[0].shape[1] in (6, 7)
        assert int(batch.mask.sum()) == (10 + 3) + (7 + 3) + (3 + 3)

    def test_memory_is_cleared_after_inert_rows(self):
        _, venv = chains([{}])
        env = SlotRecorder(Sb3VecEnv(venv))
        model = LiveRecurrentPPO("MlpLstmPolicy", env, n_steps=N_STEPS, device="cpu", seed=1)
        watch = Watch()
        model.learn(N_STEPS * 3, watch)
        buffer, _ = watch.rollouts[0]
        # Two episodes of 10 steps, with as many rows of each agent as it has steps. Observations are constant.
        for slot, lives in enumerate((10, 7, 3)):
            first, second = buffer.values[:3, slot], buffer.values[10:13, slot]
            np.testing.assert_allclose(second, first, rtol=1e-6)
            assert len(set(first.tolist())) == 3
            assert (buffer.lengths[:10, slot] > 0).sum() == lives

    def test_a_loaded_model_predicts_without_an_environment(self, tmp_path):
        _, venv = chains([{}])
        env = SlotRecorder(Sb3VecEnv(venv))
        model = LiveRecurrentPPO("MlpLstmPolicy", env, n_steps=4, device="cpu")
        model.save(tmp_path / "model.zip")
        loaded = LiveRecurrentPPO.load(tmp_path / "model.zip")
        assert loaded.predict(np.zeros((3, STATES + 1), np.float32))[0].shape == (3,)
        LiveRecurrentPPO.load(tmp_path / "model.zip", env=env).learn(12)
