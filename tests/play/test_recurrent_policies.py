"""Recurrent policies of groups that do not learn: one memory per agent and copy, cleared when it begins."""

from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.vec_env import DummyVecEnv

from heron import Hierarchy, make_vec
from heron.errors import ConfigurationError, EnvStepError, InvalidActionError
from heron.play.learner_env import LearnerEnv
from heron.training import evaluate
from heron.wrappers import GymEnv, GymVectorEnv, ModelPolicy
from heron.wrappers.sb3 import Sb3VecEnv

from ..wrappers.single_envs import Sampled
from ..wrappers.small_envs import Life, Scripted

NUMBERS = Box(0, 99, (1,), np.float32)
ACTIONS = Box(-1, 1, (1,), np.float32)
LIVES = {"learner": Life(), "agent_0": Life(), "agent_1": Life(joins=2), "agent_2": Life(leaves=3)}
LAYERS, HIDDEN = 2, 4


class Counting:
    """A policy whose action is the number of its decisions since the agent's episode began."""

    def decide(self, observations, memory, begins):
        counts = np.zeros(len(observations), np.float32) if memory is None else memory["counts"][0]
        assert not counts[begins].any()
        actions = np.repeat(counts[:, None], self.width, axis=1)
        return actions, {"counts": (counts + 1,)}

    def __init__(self, width=1):
        self.width = width


class Returning(Scripted):
    """An environment whose second agent is absent in every third step."""

    def step(self, actions):
        leaves = self.steps + 1 if self.steps % 3 == 1 else None
        self.lives["agent_1"] = Life(self.steps + 1 if self.steps % 3 == 2 else 0, leaves)
        return super().step(actions)

    def reset(self, seed=None, options=None):
        self.lives["agent_1"] = Life()
        return super().reset(seed, options)


def scripted(num_envs, action_space=NUMBERS, horizon=5, **kwargs):
    """Return environments with an agent called learner and three others, and a vector env of them."""
    envs = [Scripted(LIVES, horizon, action_space=action_space, **kwargs) for _ in range(num_envs)]
    groups = {"learner": ["learner"], "others": list(LIVES)[1:]}
    return envs, make_vec([lambda env=env: env for env in envs], groups=groups)


def received(env, agent):
    """Return the actions that an environment received from an agent, None in steps without one."""
    return [actions[agent].item() if agent in actions else None for actions in env.received]


def commanded(num_envs, command, horizon=8):
    """Two agents under a coordinator that commands numbers every 3 steps."""
    return make_vec(
        partial(Scripted, None, horizon),
        num_envs,
        lambda ids: Hierarchy.star(ids, "top", period=3, command_space=command),
    )


class TestMemory:
    """The decisions that a policy remembers."""

    def assert_played_in_full(self, env, episodes):
        assert received(env, "agent_0") == [0, 1, 2, 3, 4] * episodes
        assert received(env, "agent_1") == [None, None, 0, 1, 2] * episodes
        assert received(env, "agent_2") == [0, 1, 2, None, None] * episodes

    def test_begins_with_each_episode_and_each_agent(self):
        envs, venv = scripted(2)
        view = Sb3VecEnv(venv, "learner", {"others": Counting()})
        view.reset()
        for _ in range(10):
            view.step(np.zeros((2, 1), np.float32))
        for env in envs:
            self.assert_played_in_full(env, 2)

    @pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
    def test_goes_on_beside_a_copy_that_is_reset(self, mode):
        envs, venv = scripted(2)
        view = GymVectorEnv(venv, "learner", {"others": Counting()}, autoreset_mode=mode)
        view.reset()
        for _ in range(2):
            view.step(np.zeros((2, 1), np.float32))
        view.reset(options={"reset_mask": np.array([False, True])})
        for _ in range(3):
            view.step(np.zeros((2, 1), np.float32))
        assert received(envs[0], "agent_0") == [0, 1, 2, 3, 4]
        assert received(envs[1], "agent_0") == [0, 1, 0, 1, 2]

    def test_is_cleared_for_an_agent_that_returns(self):
        envs = [Returning(horizon=9, action_space=NUMBERS) for _ in range(2)]
        with make_vec([lambda env=env: env for env in envs], groups={"one": ["agent_0"], "two": ["agent_1"]}) as venv:
            for acting in ({"one": Counting(), "two": Counting()}, {"one": [0.0], "two": Counting()}):
                evaluate(venv, acting, 2)
        for env in envs:
            assert received(env, "agent_0") == [*range(9), *[0] * 9]
            assert received(env, "agent_1") == [0, 1, None] * 6

    def test_of_a_coordinator_goes_on_only_when_it_decides(self):
        seen = []
        with commanded(2, NUMBERS) as venv:
            view = LearnerEnv(venv, "field", {"top": Counting(width=2)})
            view.reset()
            for step in range(8):
                seen.append(venv.commands("agent")[:, :, 0].tolist())
                if step == 4:
                    view.reset("env_1")
                view.step(np.zeros(4, int))
        assert [copies[0] for copies in seen] == [[n, n] for n in (0, 0, 0, 1, 1, 1, 2, 2)]
        assert [copies[1] for copies in seen] == [[n, n] for n in (0, 0, 0, 1, 1, 0, 0, 1)]

    def test_of_each_view_is_its_own(self):
        envs, venv = scripted(1)
        policy = Counting()
        views = [LearnerEnv(venv, "learner", {"others": policy}) for _ in range(2)]
        for view in (*views, *views):
            view.reset()
            for _ in range(2):
                view.step(np.zeros((1, 1), np.float32))
        assert received(envs[0], "agent_0") == [0, 1] * 4

    def test_does_not_count_a_decision_that_did_not_take_effect(self):
        envs, venv = scripted(2, fail_at=None)
        view = LearnerEnv(venv, "learner", {"others": Counting()})
        view.reset()
        view.step(np.zeros((2, 1), np.float32))
        with pytest.raises(InvalidActionError, match="learner"):
            view.step(np.full((2, 1), 100, np.float32))
        envs[1].fail_at = 1
        with pytest.raises(EnvStepError, match="env_1"):
            view.step(np.zeros((2, 1), np.float32))
        view.step(np.zeros((2, 1), np.float32))
        assert received(envs[0], "agent_0") == [0, 1, 2]
        assert received(envs[1], "agent_0") == [0, 1]

    @pytest.mark.parametrize(
        ("memories", "message"),
        [
            ([np.zeros((1, 3))], r" 2 agents.*\(1, 3\)"),
            ([np.zeros((2, 3)), np.zeros((2, 4))], r"\(2, 4\)"),
            ([{"a": np.zeros((2, 3))}, {"b": np.zeros((2, 3))}], "'a'"),
        ],
    )
    def test_that_does_not_fit_is_refused(self, memories, message):
        class Odd:
            def decide(self, observations, memory, begins):
                return np.zeros((len(observations), 1), np.float32), memories.pop(0)

        _, venv = scripted(1)
        view = LearnerEnv(venv, "learner", {"others": Odd()})
        view.reset()
        for _ in range(len(memories) - 1):
            view.step(np.zeros((1, 1), np.float32))
        with pytest.raises(ConfigurationError, match=f"'others' .*{message}"):
            view.step(np.zeros((1, 1), np.float32))


def recurrent_model(observation_space, action_space):
    """Return an untrained model whose actions depend on all earlier observations."""
    venv = DummyVecEnv([lambda: Sampled(observation_space, action_space)])
    network = {"lstm_hidden_size": HIDDEN, "n_lstm_layers": LAYERS, "net_arch": []}
    model = RecurrentPPO("MlpLstmPolicy", venv, n_steps=8, batch_size=8, policy_kwargs=network, device="cpu", seed=0)
    for weights in model.policy.parameters():
        weights.data *= 2
    return model


class ByHand:
    """A model that acts for one copy's agents, with its state kept as SB3 documents it."""

    def __init__(self, model, num_agents):
        self.model = model
        self.state = [np.zeros((LAYERS, num_agents, HIDDEN), np.float32) for _ in range(2)]
        self.begins = np.ones(num_agents, dtype=bool)
        self.actions = np.zeros((1, num_agents, *model.action_space.shape), np.float32)

    def ask(self, observations, where):
        rows = np.flatnonzero(where[0])
        self.begins[~where[0]] = True  # agents that have left, or have not appeared yet
        actions, state = self.model.predict(
            observations[0, rows],
            state=tuple(part[:, rows] for part in self.state),
            episode_start=self.begins[rows],
            deterministic=True,
        )
        for part, new in zip(self.state, state, strict=True):
            part[:, rows] = new
        self.begins[rows] = False
        self.actions[0, rows] = actions
        return self.actions


@pytest.fixture(scope="module")
def model():
    return recurrent_model(Box(-np.inf, np.inf, (4,), np.float32), ACTIONS)


@pytest.fixture(scope="module")
def policy(model):
    return ModelPolicy(model, deterministic=True)


class TestModelsOfRecurrentPPO:
    """Bit-exact comparison with ``model.predict`` called by hand on a single copy."""

    def play_by_hand(self, model, episodes):
        """Play episodes of given seeds and lengths, and return the actions of the others."""
        (env,), venv = scripted(1, ACTIONS)
        for seed, length in episodes:
            venv.reset(seed=seed)
            hand = ByHand(model, 3)
            for _ in range(length):
                others = hand.ask(venv.observe("others"), venv.results["others"].active)
                venv.advance({"learner": np.zeros((1, 1, 1), np.float32), "others": others})
        return env.received

    def test_alone(self, model, policy):
        (env,), venv = scripted(1, ACTIONS)
        view = GymEnv(venv, "learner", {"others": policy})
        for seed in (3, 4):
            view.reset(seed=seed)
            for _ in range(5):
                view.step(np.zeros(1, np.float32))
        expected = self.play_by_hand(model, [(3, 5), (4, 5)])
        assert env.received == expected
        assert len({actions["agent_0"].item() for actions in expected}) == 10
        assert env.received[0]["agent_0"] != env.received[5]["agent_0"]

    def test_among_others_that_are_reset_at_other_times(self, model, policy):
        envs, venv = scripted(3, ACTIONS)
        view = LearnerEnv(venv, "learner", {"others": policy})
        nothing = np.zeros((3, 1), np.float32)
        view.reset(seed=[1, 2, 3])
        for _ in range(3):
            view.step(nothing)
        view.reset(["env_1"], seed=7)
        view.step(nothing, np.array([True, True, False]))
        for _ in range(2):
            view.step(nothing)
        view.reset([0, 2], seed=[8, 9])
        for _ in range(2):
            view.step(nothing)
        for env, episodes in zip(envs, ([(1, 5), (8, 2)], [(2, 3), (7, 5)], [(3, 5), (9, 2)]), strict=True):
            assert env.received == self.play_by_hand(model, episodes)

    def test_as_a_coordinator(self):
        with commanded(1, ACTIONS) as alone:
            group = alone.groups["top"]
            model = recurrent_model(group.observation_space, group.action_space)
            expected = []
            for seed in (5, 6):
                alone.reset(seed=seed)
                hand = ByHand(model, 1)
                for step in range(8):
                    if step % 3 == 0:
                        alone.decide({"top": hand.ask(alone.observe("top"), alone.due("top"))})
                    expected.append(alone.commands("agent")[0].tolist())
                    alone.advance({"agent": np.zeros((1, 2), int)})
        found = []
        with commanded(1, ACTIONS) as venv:
            view = LearnerEnv(venv, "field", {"top": ModelPolicy(model, deterministic=True)})
            for seed in (5, 6):
                view.reset(seed=seed)
                for _ in range(8):
                    found.append(venv.commands("agent")[0].tolist())
                    view.step(np.zeros(2, int))
        assert found == expected
        assert expected[0] != expected[3] != expected[6]

    def test_in_evaluations(self, model, policy):
        envs, venv = scripted(2, ACTIONS)
        played = evaluate(venv, {"learner": [0.0], "others": policy}, episodes=3, seed=20)
        swapped = evaluate(scripted(1, ACTIONS)[1], {"others": policy, "learner": [0.0]}, episodes=3, seed=20)
        np.testing.assert_array_equal(played.returns, swapped.returns)
        assert envs[0].received[:5] == self.play_by_hand(model, [(20, 5)])
        assert envs[1].received[:5] == self.play_by_hand(model, [(21, 5)])

    def test_in_evaluations_of_their_own_group(self, model, policy):
        envs = [Scripted(horizon=5, action_space=ACTIONS) for _ in range(2)]
        with make_vec([lambda env=env: env for env in envs]) as venv:
            evaluate(venv, {"agent": policy}, episodes=4, seed=20)
        for place, env in enumerate(envs):
            with make_vec(lambda: Scripted(horizon=5, action_space=ACTIONS)) as alone:
                for seed in (20 + place, 22 + place):
                    alone.reset(seed=seed)
                    hand = ByHand(model, 2)
                    for step in range(5):
                        actions = hand.ask(alone.observe("agent"), alone.results["agent"].active)
                        done = env.received[step + (0 if seed < 22 else 5)]
                        assert actions[0, :, 0].tolist() == [action.item() for action in done.values()]
                        alone.advance({"agent": actions})

    def test_in_worker_processes(self, policy):
        def play(**backend):
            make = partial(Scripted, LIVES, 5, action_space=ACTIONS)
            groups = {"learner": ["learner"], "others": list(LIVES)[1:]}
            seen = []
            with make_vec(make, 3, groups=groups, **backend) as venv:
                view = Sb3VecEnv(venv, "learner", {"others": policy})
                view.seed(3)
                view.reset()
                for _ in range(7):
                    view.step(np.zeros((3, 1), np.float32))
                    seen.append(venv.observe("others").copy())
            return np.array(seen)

        np.testing.assert_array_equal(play(), play(backend="process", num_workers=1))

    def test_are_not_asked_without_a_memory(self, policy):
        with pytest.raises(ConfigurationError, match="decide"):
            policy(np.zeros((2, 4), np.float32))
