"""Replayed transitions compared with the environments' records, and targets with the analytic values."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from sb3_contrib import QRDQN, TQC
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnvWrapper, VecNormalize

from heron.agents import Hierarchy
from heron.errors import ConfigurationError
from heron.wrappers import make_vec
from heron.wrappers.sb3 import LiveDictReplayBuffer, LiveReplayBuffer, Sb3VecEnv, buffer_options

from .chain import AGENTS, GAMMA, REWARDS, STARTS, STATES, A, B, Chain
from .slot_records import rows_with_step

MIXED = [{}, {"horizon": 4}, {"horizon": 6, "cuts": {B: 2}}]
BY_HAND = {5: [0], 9: [1, 2], 13: [1], 14: [1]}


class ByHand(BaseCallback):
    def _on_step(self):
        if self.n_calls in BY_HAND:
            self.training_env.unwrapped.reset_envs(BY_HAND[self.n_calls])
        return True


def chain_view(as_dict=False, **kwargs):
    envs = [Chain(STARTS, as_dict=as_dict, **spec) for spec in MIXED]
    return envs, Sb3VecEnv(make_vec([lambda env=env: env for env in envs]), **kwargs)


def collected(steps=30, *, as_dict=False, wrap=lambda view: view, n_steps=1, size=1_000):
    """Return environments, and the replay buffer of a DQN that only acted."""
    envs, view = chain_view(as_dict)
    env = wrap(view)
    options = buffer_options(env, DQN, gamma=GAMMA, n_steps=n_steps)
    policy = "MultiInputPolicy" if as_dict else "MlpPolicy"
    model = DQN(policy, env, buffer_size=size, learning_starts=10_000, device="cpu", seed=0, **options)
    model.learn(steps * view.num_envs, ByHand())
    return envs, model.replay_buffer


def moves(env, agent):
    """Return the agent's moves in its own episodes, each with a flag for a following move."""
    found = []
    for row, step in enumerate(env.log):
        if agent in step and row not in env.cut_by_hand:
            move = step[agent]
            goes_on = not (move.terminated or move.truncated) and row + 1 not in env.cut_by_hand
            found.append((move, goes_on and row + 1 < len(env.log)))
    return found


class TestTransitions:
    @pytest.mark.parametrize("as_dict", [False, True])
    def test_are_those_of_the_environments_and_no_other(self, as_dict):
        envs, buffer = collected(as_dict=as_dict)
        size = buffer.size()
        array = (lambda tree: tree["state"]) if as_dict else (lambda tree: tree)
        found = sorted(
            zip(
                array(buffer.observations)[:size, 0].argmax(axis=1).tolist(),
                buffer.actions[:size, 0, 0].tolist(),
                buffer.rewards[:size, 0].tolist(),
                array(buffer.next_observations)[:size, 0].argmax(axis=1).tolist(),
                (buffer.dones[:size, 0] > buffer.timeouts[:size, 0]).tolist(),
                (buffer.timeouts[:size, 0] > 0).tolist(),
                strict=True,
            )
        )
        expected = sorted(tuple(move) for env in envs for agent in AGENTS for move, _ in moves(env, agent))
        assert found == expected
        assert size < 30 * 9

    def test_samples_carry_discounts_and_end_where_the_task_does(self):
        _, buffer = collected()
        samples = buffer.sample(500)
        np.testing.assert_allclose(samples.discounts, np.full((500, 1), GAMMA), rtol=1e-6)
        states = samples.next_observations.argmax(dim=1)
        np.testing.assert_array_equal(samples.dones[:, 0] > 0, states == STATES)

    def test_oldest_are_overwritten(self):
        envs, buffer = collected(size=50)
        assert (buffer.size(), buffer.full) == (50, True)
        last = [move for step in range(20, 30) for env in envs for move in env.log[step].values()]
        stored = set(zip(buffer.observations[:, 0].argmax(axis=1), buffer.rewards[:, 0], strict=True))
        assert stored <= {(move.state, np.float32(move.reward)) for move in last}

    def test_a_buffer_smaller_than_a_step_keeps_the_last_slots(self):
        _, buffer = collected(size=2)
        assert buffer.size() == 2
        assert buffer.sample(4).observations.shape == (4, STATES + 1)

    def test_an_empty_buffer_gives_an_empty_batch(self):
        space = Box(0, 1, (2,), np.float32)
        buffer = LiveReplayBuffer(10, space, Discrete(2), "cpu", n_envs=2, gamma=GAMMA)
        buffer.rows = rows_with_step([False, False], lengths=0)
        buffer.add(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 1)), np.zeros(2), np.zeros(2, bool), [{}] * 2)
        assert buffer.sample(4).rewards.shape == (0, 1)

    def test_rewards_are_normalised_when_they_are_sampled(self):
        _, view = chain_view()
        env = VecNormalize(view, gamma=GAMMA)
        model = DQN("MlpPolicy", env, learning_starts=10_000, device="cpu", **buffer_options(env, DQN, gamma=GAMMA))
        model.learn(270)
        raw = model.replay_buffer.sample(300).rewards.unique()
        scaled = model.replay_buffer.sample(300, env).rewards.unique()
        np.testing.assert_allclose(scaled, env.normalize_reward(raw.numpy()), rtol=1e-6)
        assert {round(float(reward), 5) for reward in raw} <= {round(float(reward), 5) for reward in REWARDS}


class TestNSteps:
    @pytest.mark.parametrize("as_dict", [False, True])
    @pytest.mark.parametrize("size", [1_000, 40, 10])
    def test_returns_follow_one_agent_to_its_end(self, as_dict, size):
        envs, buffer = collected(as_dict=as_dict, n_steps=3, size=size)
        expected = {}
        for env in envs:
            for agent in AGENTS:
                own = moves(env, agent)
                for first in range(len(own)):
                    total, discount, place = own[first][0].reward, GAMMA, first
                    while own[place][1] and place < first + 2:
                        place += 1
                        total, discount = total + discount * own[place][0].reward, discount * GAMMA
                    last = own[place][0]
                    path = (own[first][0].state, round(discount, 4), last.next_state, last.terminated)
                    expected[path] = pytest.approx(total, abs=1e-5)
        samples = buffer.sample(2_000)
        array = (lambda tree: tree["state"]) if as_dict else (lambda tree: tree)
        paths = list(
            zip(
                array(samples.observations).argmax(dim=1).tolist(),
                [round(value, 4) for value in samples.discounts[:, 0].tolist()],
                array(samples.next_observations).argmax(dim=1).tolist(),
                (samples.dones[:, 0] > 0).tolist(),
                strict=True,
            )
        )
        assert samples.rewards[:, 0].tolist() == [expected[path] for path in paths]
        if size == 1_000:
            assert set(paths) == set(expected)

    def test_an_episode_that_begins_as_the_last_one_ended_is_another(self):
        space = Box(0, 1, (1,), np.float32)
        buffer = LiveReplayBuffer(10, space, Discrete(2), "cpu", gamma=GAMMA, n_steps=2)
        same = np.zeros((1, 1), np.float32)
        for done in (False, True, False):
            buffer.rows = rows_with_step([done])
            buffer.add(same, same, np.zeros((1, 1)), np.ones(1), np.array([done]), [{}])
        assert buffer._next[:3].tolist() == [1, -1, -1]

    def test_a_reset_of_the_vector_env_cuts_them(self):
        _, view = chain_view()
        options = buffer_options(view, DQN, gamma=GAMMA, n_steps=10)
        model = DQN("MlpPolicy", view, learning_starts=10_000, train_freq=1, device="cpu", **options)
        model.learn(18)
        model.learn(9)
        buffer = model.replay_buffer
        assert (buffer._next[:9] >= 9).all()
        assert (buffer._next[9:18] == -1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimize_memory_usage": True}, "optimize_memory_usage"),
        ({"n_steps": 0}, "n_steps .* 0"),
    ],
)
def test_buffers_refuse_unsupported_options(options, message):
    with pytest.raises(ConfigurationError, match=message):
        LiveReplayBuffer(10, Box(0, 1, (2,)), Discrete(2), gamma=GAMMA, **options)
    with pytest.raises(ConfigurationError, match=message):
        LiveDictReplayBuffer(10, Chain({A: 0}, as_dict=True).observation_space(A), Discrete(2), gamma=GAMMA, **options)


# -- a coordinator that commands strides, every 3 steps ---------------------------------------------------------------

PERIOD = 3


def obey(observations):
    """Return the commanded stride from the one-hot command after an agent's own observation."""
    return observations[:, STATES + 1 :].argmax(axis=1)


def decision(state, command):
    """Return the analytic reward, length and next state of a decision of the semi-Markov decision process."""
    total, length = 0.0, 0
    while length < PERIOD and state < STATES:
        total += GAMMA**length * (REWARDS[state] - 0.5 * command)
        state = min(state + 1 + command, STATES)
        length += 1
    return total, length, state


def optimal_values():
    """Return the value of each command, ``(STATES + 1, 2)``, by policy iteration with exact evaluation."""
    policy = np.zeros(STATES, dtype=int)
    while True:
        system, rewards = np.eye(STATES), np.zeros(STATES)
        for state in range(STATES):
            rewards[state], length, following = decision(state, policy[state])
            if following < STATES:
                system[state, following] -= GAMMA**length
        values = np.append(np.linalg.solve(system, rewards), 0.0)
        q = np.zeros((STATES + 1, 2))
        for state in range(STATES):
            for command in (0, 1):
                total, length, following = decision(state, command)
                q[state, command] = total + GAMMA**length * values[following]
        better = q[:STATES].argmax(axis=1)
        if (better == policy).all():
            return q
        policy = better


def strides_view(horizons=(100, 4, 5, 8)):
    """Return copies whose agent starts in different states, and is truncated in the middle of decisions."""
    envs = [Chain({A: start}, horizon, strides=True) for start in (0, 1, 2) for horizon in horizons]
    tree = lambda ids: Hierarchy.star(ids, period=PERIOD, command_space=Discrete(2))  # noqa: E731 -- short
    venv = make_vec([lambda env=env: env for env in envs], hierarchy=tree)
    return OneChoice(Sb3VecEnv(venv, "coordinator", {"field": obey}, discount=GAMMA))


class OneChoice(VecEnvWrapper):
    """A wrapper with a coordinator's single command as a ``Discrete`` action, as DQN requires."""

    def __init__(self, venv):
        super().__init__(venv, action_space=Discrete(2))

    def reset(self):
        return self.venv.reset()

    def step_async(self, actions):
        self.venv.step_async(actions[:, None])

    def step_wait(self):
        return self.venv.step_wait()


class TestCoordinators:
    def test_targets_of_the_analytic_values_are_the_analytic_values(self):
        view = strides_view()
        options = buffer_options(view, DQN, gamma=GAMMA)
        model = DQN("MlpPolicy", view, learning_starts=10_000, device="cpu", seed=0, **options)
        model.learn(40 * view.num_envs)
        q = optimal_values()
        samples = model.replay_buffer.sample(1_000)
        states, following = (
            observations[:, : STATES + 1].argmax(dim=1).numpy()
            for observations in (samples.observations, samples.next_observations)
        )
        future = q.max(axis=1)[following] * (1 - samples.dones[:, 0].numpy())
        targets = samples.rewards[:, 0].numpy() + samples.discounts[:, 0].numpy() * future
        lengths = np.round(np.log(samples.discounts[:, 0].numpy()) / np.log(GAMMA)).astype(int)
        assert set(lengths.tolist()) == {1, 2, 3}
        whole = (lengths == PERIOD) | (samples.dones[:, 0].numpy() > 0)
        commands = samples.actions[:, 0].numpy()
        np.testing.assert_allclose(targets[whole], q[states, commands][whole], atol=1e-5)
        assert (~whole).any()
        for state, command, length, target in zip(
            states[~whole], commands[~whole], lengths[~whole], targets[~whole], strict=True
        ):
            at, total = state, 0.0
            for step in range(length):
                total += GAMMA**step * (REWARDS[at] - 0.5 * command)
                at = min(at + 1 + command, STATES)
            assert target == pytest.approx(total + GAMMA**length * q[at].max(), abs=1e-5)

    def test_dqn_learns_the_analytic_values(self):
        view = strides_view(horizons=(100,))
        options = buffer_options(view, DQN, gamma=GAMMA)
        model = DQN("MlpPolicy", view, learning_rate=0.02, batch_size=64, learning_starts=300, train_freq=1,
                    gradient_steps=4, target_update_interval=60, exploration_initial_eps=1.0, exploration_final_eps=1.0,
                    policy_kwargs={"net_arch": []}, device="cpu", seed=1, **options)  # fmt: skip
        model.learn(1_500)
        q = optimal_values()
        samples = model.replay_buffer.sample(500)
        states = samples.observations[:, : STATES + 1].argmax(dim=1).numpy()
        with torch.no_grad():
            found = model.q_net(samples.observations).numpy()
        assert len(set(states.tolist())) >= 8
        np.testing.assert_allclose(found, q[states], atol=0.15)


def continuous(period=1):
    """Return copies whose coordinator has ``Box`` actions, and the policy of its agents."""
    tree = lambda ids: Hierarchy.star(ids, period=period, command_space=Box(-1, 1, (1,), np.float32))  # noqa: E731
    venv = make_vec([lambda spec=spec: Chain(STARTS, **spec) for spec in MIXED], hierarchy=tree)
    return Sb3VecEnv(venv, "coordinator", {"field": 0}, discount=GAMMA)


@pytest.mark.parametrize("algorithm", [SAC, TD3, TQC])
def test_learners_of_continuous_commands_train(algorithm):
    view = continuous(PERIOD)
    options = buffer_options(view, algorithm, gamma=GAMMA)
    model = algorithm("MlpPolicy", view, learning_starts=20, policy_kwargs={"net_arch": [8]}, device="cpu", **options)
    model.learn(150)
    assert all(torch.isfinite(weights).all() for weights in model.policy.parameters())
    discounts = model.replay_buffer.discounts[: model.replay_buffer.size()]
    np.testing.assert_allclose(np.unique(discounts), [GAMMA**3, GAMMA], rtol=1e-6)


@pytest.mark.parametrize("algorithm", [DQN, QRDQN])
@pytest.mark.parametrize("n_steps", [1, 3])
def test_learners_of_choices_train_on_dicts(algorithm, n_steps):
    _, view = chain_view(as_dict=True)
    options = buffer_options(view, algorithm, gamma=GAMMA, n_steps=n_steps)
    model = algorithm("MultiInputPolicy", view, learning_starts=20, policy_kwargs={"net_arch": [8]}, device="cpu",
                      **options)  # fmt: skip
    model.learn(300)
    assert all(torch.isfinite(weights).all() for weights in model.policy.parameters())


def test_learning_before_any_agent_is_live_changes_nothing():
    class Unborn(LiveReplayBuffer):
        def add(self, obs, next_obs, action, reward, done, infos):
            self.rows.step.lengths[:] = 0
            super().add(obs, next_obs, action, reward, done, infos)

    _, view = chain_view()
    options = buffer_options(view, DQN, gamma=GAMMA) | {"replay_buffer_class": Unborn}
    model = DQN("MlpPolicy", view, learning_starts=0, train_freq=1, device="cpu", seed=0, **options)
    before = [weights.clone() for weights in model.q_net.parameters()]
    model.learn(45)
    assert model._n_updates > 0
    assert all(torch.equal(one, other) for one, other in zip(before, model.q_net.parameters(), strict=True))
