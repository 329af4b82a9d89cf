"""The vector env by itself: phases, messages, results."""

import numpy as np
import pytest

from heron.agents import Hierarchy
from heron.errors import ConfigurationError, DecisionRequiredError, EnvStepError, ResetRequiredError
from heron.messaging import ChannelManager, InMemoryBroker, MessageType
from heron.wrappers import HierarchicalVectorEnv, LoopEnv, make_vec

from ..wrappers.small_envs import Life, Scripted
from .vec_envs import GOAL, A, B, commands, scripted, star, step, still


class TestWithoutHierarchy:
    def test_a_step_is_advance_alone(self):
        venv = scripted(2)
        first = venv.reset(seed=[1, 2])
        results = venv.advance({"agent": np.array([[1, 2], [3, 4]])})["agent"]

        assert set(first) == set(venv.groups) == {"agent"}
        assert venv.coordinator_groups == []
        assert venv.observe("agent")[..., [0, 1, 3]].tolist() == [[[1, 0, 1], [1, 1, 2]], [[1, 0, 3], [1, 1, 4]]]
        assert results.rewards.tolist() == [[1, 10], [1, 10]]
        assert venv.commands("agent") is None
        assert not venv.due("agent").any()
        venv.decide()
        assert dict(venv.broker.channels) == {}

    def test_counts_and_returns(self):
        venv = scripted(2, lives={A: Life(), B: Life(leaves=2)}, horizon=3)
        venv.reset()
        for mask in (None, None, np.array([True, False])):
            venv.advance(still(venv), mask)

        assert venv.steps.tolist() == [3, 2]
        assert venv.total_steps == 5
        assert venv.returns["agent"].tolist() == [[1 + 2 + 3, 10 + 20], [1 + 2, 10 + 20]]
        assert venv.running.tolist() == [False, True]
        venv.reset_envs([0])
        assert venv.steps.tolist() == [0, 2]
        assert venv.total_steps == 5
        assert venv.returns["agent"].tolist() == [[0, 0], [3, 30]]

    def test_ends_are_reported_once(self):
        venv = scripted(lives={A: Life(), B: Life(leaves=1)}, horizon=2)
        venv.reset()
        result = venv.advance(still(venv))["agent"]
        assert (result.terminated.tolist(), result.truncated.tolist()) == ([[False, True]], [[False, False]])
        result = venv.advance(still(venv))["agent"]
        assert (result.terminated.tolist(), result.truncated.tolist()) == ([[False, False]], [[True, False]])

    def test_infos_are_the_environments(self):
        venv = scripted()
        venv.reset()
        assert venv.infos[0] == {A: {"start": A}, B: {"start": B}}


class TestTwoPhases:
    def test_a_field_agent_sees_the_command_of_this_very_step(self):
        venv = scripted(2, star())
        venv.reset()
        for number in (0.25, 0.5, -1.0):
            assert venv.due("coordinator").all()
            actions = np.array([[[number, 0, 0, number]], [[0, number, 0, 0]]], np.float32)
            venv.decide({"coordinator": actions})
            seen = venv.observe("agent")[..., 4:]
            assert seen.tolist() == [[[number, 0], [0, number]], [[0, number], [0, 0]]]
            assert venv.commands("agent").tolist() == seen.tolist()
            venv.advance(still(venv))

    def test_every_command_and_info_travels_as_a_message(self):
        broker = InMemoryBroker()
        heard = []
        venv = scripted(2, star(), broker, step_length=0.5)
        for env_id in venv.env_ids:
            for name in venv.hierarchy.channels(env_id):
                broker.subscribe(name, lambda message: heard.append(message))  # noqa: PLW0108
        venv.reset(seed=0)
        assert [(m.env_id, m.sender_id, m.recipient_id, m.timestamp) for m in heard] == [
            (env_id, agent, "coordinator", 0.0) for env_id in ("env_0", "env_1") for agent in (A, B)
        ]
        assert all(m.message_type is MessageType.INFO and m.payload["reward"] == 0 for m in heard)
        heard.clear()
        step(venv, 0.5)

        down = [m for m in heard if m.message_type is MessageType.ACTION]
        up = [m for m in heard if m.message_type is MessageType.INFO]
        assert [m.payload["action"].tolist() for m in down] == [[0.5, 0.5]] * 4
        assert {m.timestamp for m in down} == {0.0}
        assert [m.payload["reward"] for m in up] == [1, 10, 1, 10]
        assert {m.timestamp for m in up} == {0.5}
        assert [m.payload["observation"].tolist()[:2] for m in up] == [[1, 0], [1, 1]] * 2
        assert len(heard) == 8

    def test_period(self):
        venv = scripted(1, star(period=3), horizon=9)
        venv.reset()
        due = []
        for number in range(7):
            due.append(bool(venv.due("coordinator").item()))
            # What is not due is not sent.
            venv.decide({"coordinator": np.full((1, 1, 4), number / 10, np.float32)})
            assert venv.commands("agent").max() == np.float32(number // 3 * 3 / 10)
            venv.advance(still(venv))
        assert due == [True, False, False, True, False, False, True]

    def test_period_counts_from_each_copys_own_reset(self):
        venv = scripted(2, star(period=2), horizon=9)
        venv.reset()
        step(venv)
        venv.reset_envs("env_1")
        assert venv.due("coordinator").tolist() == [[False], [True]]
        step(venv)
        assert venv.due("coordinator").tolist() == [[True], [False]]

    def test_a_decision_is_due_until_it_is_made_and_once(self):
        venv = scripted(2, star())
        venv.reset()
        with pytest.raises(DecisionRequiredError, match=r"env_0: .*'coordinator'.* step 0"):
            venv.advance(still(venv))
        venv.decide(commands(venv, 0.5), np.array([True, False]))
        assert venv.due("coordinator").tolist() == [[False], [True]]
        with pytest.raises(DecisionRequiredError, match="env_1"):
            venv.advance(still(venv))
        assert venv.steps.tolist() == [0, 0]
        venv.advance(still(venv), np.array([True, False]))
        venv.decide(commands(venv, 0.25), np.array([False, True]))
        assert venv.commands("agent")[:, 0, 0].tolist() == [0.5, 0.25]
        venv.decide(commands(venv, 1.0), np.array([False, True]))
        assert venv.commands("agent")[:, 0, 0].tolist() == [0.5, 0.25]

    def test_dead_subordinates_get_no_commands_and_send_no_infos(self):
        broker = InMemoryBroker()
        venv = scripted(1, star(), broker, lives={A: Life(), B: Life(leaves=1)})
        venv.reset()
        step(venv, 0.5)
        before = broker.statistics().published
        step(venv, 0.25)

        assert broker.statistics().published == before + 2
        assert venv.commands("agent")[0].tolist() == [[0.25, 0.25], [0.5, 0.5]]

    def test_what_comes_late_is_commanded_and_heard_from_its_first_step(self):
        venv = scripted(1, star(), lives={A: Life(), B: Life(joins=1)})
        venv.reset()
        step(venv, 0.5)
        assert venv.observe("coordinator")[0, 0].reshape(2, 6)[1, [0, 1, 4, 5]].tolist() == [1, 1, 0, 0]
        assert venv.commands("agent")[0].tolist() == [[0.5, 0.5], [0, 0]]
        step(venv, 0.25)
        assert venv.commands("agent")[0].tolist() == [[0.25, 0.25], [0.25, 0.25]]


class TestIntrinsicReward:
    def test_subordinates_learn_from_it_and_the_coordinator_from_the_environment(self):
        calls = []

        def reward(observations, given, next_observations, rewards):
            calls.append([np.array(x) for x in (observations, given, next_observations, rewards)])
            return given[..., 0] * next_observations[..., 0] + rewards

        venv = scripted(2, star(), intrinsic_reward=reward)
        venv.reset(seed=0)
        step(venv, 0.5)
        results = step(venv, 0.25)

        assert results["agent"].rewards.tolist() == [[0.25 * 2 + 2, 0.25 * 2 + 20]] * 2
        assert results["agent"].env_rewards.tolist() == [[2, 20]] * 2
        assert results["coordinator"].rewards.tolist() == [[22], [22]]
        assert venv.returns["agent"].tolist() == [[3, 30]] * 2
        before, given, after, rewards = calls[1]
        assert before[..., 0].tolist() == [[1, 1]] * 2
        assert after[..., 0].tolist() == [[2, 2]] * 2
        assert before.shape == after.shape == (2, 2, 4)
        assert given.tolist() == [[[0.25] * 2] * 2] * 2
        assert rewards.tolist() == [[2, 20]] * 2

    def test_is_for_those_who_took_part_in_the_copies_stepped(self):
        one = lambda *args: np.ones((2, 2))  # noqa: E731
        venv = scripted(2, star(), lives={A: Life(), B: Life(leaves=1)}, intrinsic_reward={"field": one})
        venv.reset()
        step(venv)
        venv.decide(commands(venv))
        result = venv.advance(still(venv), np.array([True, False]))["agent"]
        assert result.rewards.tolist() == [[1, 0], [1, 1]]
        venv.reset_envs(0)
        assert result.rewards.tolist() == [[0, 0], [1, 1]]

    def test_of_coordinators(self):
        tree = Hierarchy({"top": ["mid"], "mid": [A, B]}, command_space=GOAL)
        reward = lambda before, given, after, rewards: given[..., 0] + after[..., 0] - before[..., 0]  # noqa: E731
        venv = scripted(1, tree, intrinsic_reward={"mid": reward})
        venv.reset()
        results = step(venv, 0.5)
        assert results["mid"].rewards.tolist() == [[1.5]]
        assert results["mid"].env_rewards.tolist() == [[11]]
        assert results["top"].rewards.tolist() == [[11]]
        assert results["agent"].rewards.tolist() == [[1, 10]]

    def test_errors(self):
        one = lambda *args: np.ones(3)  # noqa: E731
        with pytest.raises(ConfigurationError, match="intrinsic_reward"):
            scripted(intrinsic_reward=one)
        with pytest.raises(ConfigurationError, match="'nobody'"):
            scripted(1, star(), intrinsic_reward={"nobody": one})
        with pytest.raises(ConfigurationError, match="'coordinator'"):
            scripted(1, star(), intrinsic_reward={"coordinator": one})
        venv = scripted(1, star(), intrinsic_reward=one)
        venv.reset()
        with pytest.raises(ConfigurationError, match=r"\(1, 2\).*\(3,\)"):
            step(venv)
        with pytest.raises(ConfigurationError, match="intrinsic_reward"):
            scripted(1, star(), intrinsic_reward=3)

    @pytest.mark.parametrize(
        ("reward", "message"),
        [
            (lambda *_: 1 / 0, "intrinsic_reward of group 'agent' raised ZeroDivisionError: division by zero"),
            (lambda *_: [["much", 1]] * 2, "intrinsic_reward of group 'agent' raised ValueError: could not convert"),
            (lambda *_: [[0, 0], [0, np.nan]], "intrinsic_reward of group 'agent' is NaN for 'agent_1' of env_1"),
        ],
    )
    def test_an_error_in_it_names_the_group_and_the_step_is_done(self, reward, message):
        venv = scripted(2, star(), intrinsic_reward=reward)
        venv.reset()
        with pytest.raises(ConfigurationError, match=message):
            step(venv)
        assert venv.steps.tolist() == [1, 1]
        assert venv.running.all()


class TestFailingCopies:
    @pytest.fixture
    def venv(self):
        factories = [Scripted, lambda: Scripted(fail_at=1), Scripted]
        venv = make_vec(factories, hierarchy=star())
        venv.reset(seed=0)
        return venv

    def test_others_go_on_as_if_nothing_had_happened(self, venv):
        alone = scripted(3, star())
        alone.reset(seed=0)
        step(venv, 0.5)
        step(alone, 0.5)
        with pytest.raises(EnvStepError, match="env_1: step"):
            step(venv, 0.25)
        step(alone, 0.25)

        assert venv.running.tolist() == [True, False, True]
        for name in venv.groups:
            assert venv.observe(name)[[0, 2]].tolist() == alone.observe(name)[[0, 2]].tolist()
            assert venv.returns[name][[0, 2]].tolist() == alone.returns[name][[0, 2]].tolist()
        assert venv.due("coordinator").tolist() == [[True], [False], [True]]
        with pytest.raises(ResetRequiredError, match="env_1"):
            step(venv)
        venv.batch_env.envs[1].fail_at = None
        venv.reset_envs("env_1")
        step(venv)
        assert venv.steps.tolist() == [3, 1, 3]

    def test_reset(self, venv):
        venv.batch_env.envs[1].fail_on_reset = True
        with pytest.raises(EnvStepError, match="env_1: reset"):
            venv.reset()
        assert venv.due("coordinator").tolist() == [[True], [False], [True]]
        venv.batch_env.envs[1].fail_on_reset = False
        venv.reset_envs(1)
        assert venv.due("coordinator").all()


def test_describe_says_who_is_who():
    venv = make_vec("mpe2.simple_spread_v3", 16, lambda ids: Hierarchy.star(ids, period=5, command_space=GOAL))
    text = venv.describe()
    for line in (
        "16 copies: env_0, env_1 ... env_15 (16)",
        "  coordinator  (every 5 steps)",
        "  └── agent_2",
        "Group 'coordinator' (coordinator, every 5 steps): coordinator",
        "Group 'agent' (field, every step): agent_0, agent_1, agent_2",
        "  acts      Box of shape (6,), float32, from -1 to 1",
        "  acts      Discrete(5)",
        "  receives  Box of shape (2,), float32, from -1 to 1",
        "Channels: 6 for each copy, such as",
        "  " + ChannelManager.action_channel("coordinator", "agent_0", "env_0"),
    ):
        assert line in text.splitlines()
    assert "1 copy: env_0" in scripted().describe()


def test_construction_takes_a_batch_env_directly():
    venv = HierarchicalVectorEnv(LoopEnv([Scripted]), star())
    assert venv.reset()["agent"].shape == (1, 2, 6)
