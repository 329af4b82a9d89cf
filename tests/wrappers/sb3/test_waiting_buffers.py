"""Buffers of turn-based environments, compared with decisions computed by looking ahead from each move."""

from collections import Counter
from copy import deepcopy

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from pettingzoo.utils import BaseWrapper
from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback

from heron.wrappers import make_vec
from heron.wrappers.sb3 import (
    LiveRecurrentPPO,
    LiveReplayBuffer,
    Sb3VecEnv,
    SlotMonitor,
    SlotNormalize,
    SlotRecorder,
    buffer_options,
)
from heron.wrappers.sources.env_names import env_factory

from ..scripted_game import ME, SCRIPTS, STATES, YOU, Script, decisions, scripted_view
from .slot_records import rows_with_step

GAMMA = 0.9
N_STEPS = 13
BY_HAND = {5: [0], 9: [1, 2], 13: [3], 14: [3], 15: [0, 4], 16: [1], 30: [0, 1, 2, 3]}
"""Step -> the copies that are reset after it; 13 is the end of a rollout."""


class ByHand(BaseCallback):
    """A callback that resets copies by hand."""

    def __init__(self, by_hand=BY_HAND):
        super().__init__()
        self.by_hand = by_hand

    def _on_step(self):
        if self.n_calls in self.by_hand:
            self.training_env.unwrapped.reset_envs(self.by_hand[self.n_calls])
        return True


class Watch(ByHand):
    """A callback that keeps each rollout with the value of each state."""

    def _on_training_start(self):
        self.rollouts = []

    def _on_rollout_end(self):
        values = None
        if not isinstance(self.model, LiveRecurrentPPO):
            with torch.no_grad():
                values = self.model.policy.predict_values(torch.eye(STATES))[:, 0].numpy().astype(float)
        self.rollouts.append((deepcopy(self.model.rollout_buffer), values))


def learned(algorithm, rollouts=3, scripts=SCRIPTS, wrap=SlotRecorder, by_hand=BY_HAND, **kwargs):
    """Return the games, and the learner's buffer at the end of each rollout."""
    games, view = scripted_view(scripts)
    env = wrap(view)
    options = {"n_steps": N_STEPS, "device": "cpu", "seed": 0, **kwargs}
    if algorithm is LiveRecurrentPPO:
        model = algorithm("MlpLstmPolicy", env, gamma=GAMMA, policy_kwargs={"lstm_hidden_size": 4}, **options)
    else:
        model = algorithm("MlpPolicy", env, **options, **buffer_options(env, algorithm, gamma=GAMMA))
    watch = Watch(by_hand)
    model.learn(rollouts * options["n_steps"] * len(games), watch)
    assert all(torch.isfinite(weights).all() for weights in model.policy.parameters())
    return games, watch.rollouts


def advantages(log, values, gae_lambda):
    """Return row -> advantage of its move."""
    found = {}
    for one in reversed(decisions(log, GAMMA)):
        discount = GAMMA**one.length
        future = 0.0 if one.last.terminated else values[one.last.next_state]
        later = gae_lambda * found[one.following] if one.following is not None else 0.0
        found[one.row] = one.total + discount * future - values[log[one.row].state] + discount * later
    return found


class TestRollouts:
    @pytest.mark.parametrize("algorithm", [PPO, A2C, MaskablePPO])
    @pytest.mark.parametrize("gae_lambda", [0.8, 1.0])
    def test_advantages_are_those_of_decisions(self, algorithm, gae_lambda):
        batch = {} if algorithm is A2C else {"batch_size": 65}
        games, rollouts = learned(algorithm, gae_lambda=gae_lambda, **batch)
        for number, (buffer, values) in enumerate(rollouts):
            for slot, game in enumerate(games):
                log = game.log[number * N_STEPS : (number + 1) * N_STEPS]
                expected = advantages(log, values, gae_lambda)
                rows = list(expected)
                acted = (buffer.lengths > 0) & ~buffer.waited
                assert np.flatnonzero(acted[:, slot]).tolist() == sorted(rows)
                np.testing.assert_allclose(buffer.advantages[rows, slot], list(expected.values()), atol=1e-5)
                returns = [expected[row] + values[log[row].state] for row in rows]
                np.testing.assert_allclose(buffer.returns[rows, slot], returns, atol=1e-5)
        assert sum(row is None for game in games for row in game.log) > 8

    @pytest.mark.parametrize("algorithm", [PPO, MaskablePPO, LiveRecurrentPPO])
    @pytest.mark.filterwarnings("ignore:You have specified a mini-batch size:UserWarning")
    def test_minibatches_hold_each_move_once_and_no_waiting(self, algorithm):
        games, rollouts = learned(algorithm, 1, batch_size=7, n_epochs=2)
        buffer, _ = rollouts[0]
        moves = [one for game in games for one in decisions(game.log, GAMMA)]
        expected = buffer.returns[(buffer.lengths > 0) & ~buffer.waited]
        assert len(moves) == len(expected)
        for size, batches in ((7, -(-len(moves) // 7)), (2, len(moves) // 2), (None, 1)):
            found = list(deepcopy(buffer).get(size))
            learned_from = [_returns(batch) for batch in found]
            assert len(found) == batches
            assert min(map(len, learned_from)) > 1
            assert sorted(np.concatenate(learned_from).tolist()) == sorted(expected.tolist())

    @pytest.mark.parametrize("algorithm", [PPO, MaskablePPO, A2C, LiveRecurrentPPO])
    @pytest.mark.parametrize("moves", [0, 1])
    def test_learning_survives_a_rollout_with_hardly_a_move(self, algorithm, moves):
        script = Script((YOU,) * (3 - moves) + (ME,), (1.0,) * (4 - moves))
        batch = {} if algorithm is A2C else {"batch_size": 3, "n_epochs": 1}
        (game,), rollouts = learned(algorithm, 1, [script], by_hand={}, n_steps=3, **batch)
        buffer, _ = rollouts[0]
        assert len(decisions(game.log, GAMMA)) == (~buffer.waited).sum() == moves
        assert not buffer.advantages[buffer.waited].any()
        np.testing.assert_array_equal(buffer.returns[buffer.waited], buffer.values[buffer.waited])


def _returns(batch):
    return (batch.returns[batch.mask > 0] if hasattr(batch, "mask") else batch.returns).numpy()


class TestRecurrent:
    def test_memory_goes_through_rows_of_waiting(self):
        games, rollouts = learned(LiveRecurrentPPO, 1, SCRIPTS[:2], by_hand={}, batch_size=26)
        buffer, _ = rollouts[0]
        batch = next(buffer.get())
        episodes = [-(-N_STEPS // len(game.script.movers)) for game in games]
        assert batch.lstm_states.pi[0].shape[1] - sum(episodes) in (0, 1)  # the shuffle may split one
        assert batch.mask.sum() == sum(len(decisions(game.log, GAMMA)) for game in games)


def near(number):
    """Return a number as a key that is the same for its float32."""
    return round(number + 1e-4, 3)


class TestReplay:
    @staticmethod
    def collected(steps=30, n_steps=1, size=1_000):
        games, view = scripted_view()
        options = buffer_options(view, DQN, gamma=GAMMA, n_steps=n_steps)
        model = DQN(
            "MlpPolicy", view, buffer_size=size, learning_starts=10_000, train_freq=1, device="cpu", seed=0, **options
        )
        model.learn(steps * len(games), ByHand())
        return games, model.replay_buffer

    @staticmethod
    def over(game, steps=30):
        """Return the complete decisions."""
        return [one for one in decisions(game.log, GAMMA) if one.last.done or one.row + one.length < steps]

    def test_transitions_are_decisions(self):
        games, buffer = self.collected()
        size = buffer.size()
        found = Counter(
            zip(
                buffer.observations[:size, 0].argmax(axis=1).tolist(),
                buffer.actions[:size, 0, 0].tolist(),
                buffer.rewards[:size, 0].round(4).tolist(),
                buffer.discounts[:size, 0].round(4).tolist(),
                buffer.next_observations[:size, 0].argmax(axis=1).tolist(),
                (buffer.dones[:size, 0] > 0).tolist(),
                (buffer.timeouts[:size, 0] > 0).tolist(),
                strict=True,
            )
        )
        expected = Counter(
            (
                game.log[one.row].state,
                game.log[one.row].action,
                float(np.float32(one.total).round(4)),
                float(np.float32(GAMMA**one.length).round(4)),
                one.last.next_state,
                one.last.done,
                one.last.truncated,
            )
            for game in games
            for one in decisions(game.log, GAMMA)
        )
        assert found == expected
        assert {one.length for game in games for one in decisions(game.log, GAMMA)} == {1, 2, 4}

    @pytest.mark.parametrize("steps", [1, 7, 28, 30])
    def test_samples_are_of_decisions_that_are_over(self, steps):
        games, buffer = self.collected(steps)
        expected = {
            (game.log[one.row].state, near(one.total), near(GAMMA**one.length), one.last.terminated)
            for game in games
            for one in self.over(game, steps)
        }
        samples = buffer.sample(1_000 if expected else 5)
        columns = (
            samples.observations.argmax(dim=1),
            samples.rewards[:, 0],
            samples.discounts[:, 0],
            samples.dones[:, 0],
        )
        found = {
            (state, near(reward), near(discount), done > 0)
            for state, reward, discount, done in zip(*(column.tolist() for column in columns), strict=True)
        }
        assert found == expected
        unfinished = sum(len(decisions(game.log, GAMMA)) - len(self.over(game, steps)) for game in games)
        assert len(buffer._unfinished()) == unfinished

    @pytest.mark.parametrize("size", [1_000, 9, 2])
    def test_n_step_returns_follow_decisions(self, size):
        games, buffer = self.collected(n_steps=2, size=size)
        expected = {}
        for game in games:
            of_game = {one.row: one for one in self.over(game)}
            for one in of_game.values():
                total, length, last = one.total, one.length, one.last
                if following := of_game.get(one.following):
                    total, length = total + GAMMA**length * following.total, length + following.length
                    last = following.last
                path = (game.log[one.row].state, near(GAMMA**length), last.next_state, last.terminated)
                expected.setdefault(path, set()).add(near(total))
        samples = buffer.sample(1_000)
        columns = (samples.observations.argmax(dim=1), samples.discounts[:, 0], samples.next_observations.argmax(dim=1),
                   samples.dones[:, 0], samples.rewards[:, 0])  # fmt: skip
        found = {}
        for state, discount, following, done, total in zip(*(column.tolist() for column in columns), strict=True):
            found.setdefault((state, near(discount), following, done > 0), set()).add(near(total))
        assert all(totals <= expected[path] for path, totals in found.items())
        assert size < 1_000 or found == expected

    def test_what_is_overwritten_does_not_go_on(self):
        buffer = LiveReplayBuffer(1, Box(0, 9, (1,)), Discrete(2), "cpu", n_envs=2, gamma=GAMMA)
        seen = np.zeros((2, 1))  # the same for both, so that only the buffer distinguishes their rows
        for active, total in ((1, 2.0), (0, 1.0), (None, 1.0 + GAMMA * 1.0), (1, 2.0)):
            buffer.rows = rows_with_step([False, False], waited=[slot != active for slot in range(2)])
            buffer.add(seen, seen, np.zeros((2, 1)), np.array([1.0, 2.0]), np.zeros(2, bool), [{}] * 2)
            assert buffer.rewards[0, 0] == pytest.approx(total)

    def test_a_reset_of_the_vector_env_ends_a_decision(self):
        _, view = scripted_view([Script((YOU, ME, YOU, YOU), (1.0, 2.0, 4.0, 8.0))])
        model = DQN("MlpPolicy", view, learning_starts=10_000, train_freq=1, device="cpu",
                    **buffer_options(view, DQN, gamma=GAMMA))  # fmt: skip
        model.learn(3)
        model.learn(1)
        buffer: LiveReplayBuffer = model.replay_buffer
        assert buffer.rewards[:1, 0] == pytest.approx([2.0 + GAMMA * 4.0])
        assert (buffer.size(), len(buffer._unfinished())) == (1, 0)


class TestStatistics:
    def test_lengths_are_in_moves_and_returns_are_of_all_rows(self):
        games, view = scripted_view()
        monitor = SlotMonitor(view)
        monitor.reset()
        found = [Counter() for _ in games]
        for _ in range(30):
            for counter, info in zip(found, monitor.step(np.zeros(5, dtype=int))[3], strict=True):
                counter.update((info["episode"]["r"], info["episode"]["l"]) for _ in range("episode" in info))
        for counter, game in zip(found, games, strict=True):
            movers, rewards = game.script.movers, game.script.rewards
            assert counter == {(sum(rewards), movers.count(ME)): 30 // len(movers)}

    def test_the_scale_of_rewards_is_that_of_returns_over_all_rows(self):
        _, view = scripted_view(SCRIPTS[:1])
        env = SlotNormalize(view, norm_obs=False, gamma=GAMMA)
        env.reset()
        for _ in range(3):
            env.step(np.zeros(1, dtype=int))
        assert env.returns.tolist() == pytest.approx([GAMMA**2 * 1.0 - GAMMA * 2.0 + 0.5])
        assert env.ret_rms.count == pytest.approx(3, abs=1e-3)


class CountsMoves(BaseWrapper):
    """An environment that counts the moves of each player."""

    def __init__(self, env):
        super().__init__(env)
        self.moves = Counter()

    def step(self, action):
        self.moves[self.agent_selection] += action is not None
        super().step(action)


def first_legal(observations):
    return observations["action_mask"].argmax(axis=-1)


def test_connect_four_is_learned_from_the_learners_own_moves():
    games = [CountsMoves(env_factory("classic/connect_four-v3")()) for _ in range(2)]
    groups = {"first": ["player_0"], "second": ["player_1"]}
    venv = make_vec([lambda game=game: game for game in games], groups=groups)
    env = SlotRecorder(Sb3VecEnv(venv, "second", {"first": first_legal}))
    model = MaskablePPO("MultiInputPolicy", env, n_steps=41, n_epochs=1, batch_size=82, device="cpu", seed=0,
                        **buffer_options(env, MaskablePPO, gamma=GAMMA))  # fmt: skip
    model.learn(82)
    moves = [game.moves["player_1"] for game in games]
    assert sum(game.moves["player_0"] for game in games) + sum(moves) == 82
    assert len(next(model.rollout_buffer.get()).actions) == sum(moves)
