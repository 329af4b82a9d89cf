"""The vector env by itself: phases, messages, observations, results, bad input."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from gymnasium.spaces import Dict as DictSpace

from heron.agents import CoordinatorAgent, Hierarchy
from heron.errors import (
    BrokerClosedError,
    ConfigurationError,
    DecisionRequiredError,
    EnvClosedError,
    EnvCreationError,
    EnvStepError,
    HierarchyError,
    InvalidActionError,
    InvalidMessageError,
    ResetRequiredError,
    UnknownEnvError,
)
from heron.messaging import ChannelManager, InMemoryBroker, Message, MessageBroker, MessageType
from heron.wrappers import HierarchicalVectorEnv, LoopEnv, make_vec

from ..small_envs import Life, Menagerie, Scripted

GOAL = Box(-1, 1, (2,), np.float32)
A, B = "agent_0", "agent_1"


def star(**kwargs):
    return Hierarchy.star([A, B], **{"command_space": GOAL, **kwargs})


def scripted(num_envs=1, hierarchy=None, broker=None, *, lives=None, horizon=4, **kwargs):
    return make_vec(lambda: Scripted(lives, horizon), num_envs, hierarchy, broker, **kwargs)


def commands(venv, value=0.0):
    """The same command for every subordinate, of every coordinator group."""
    return {
        group.name: np.full(
            (venv.num_envs, group.num_agents, *group.action_space.shape), value, group.action_space.dtype
        )
        for group in venv.coordinator_groups
    }


def still(venv):
    """Action 0 of every field agent."""
    return {
        group.name: np.zeros((venv.num_envs, group.num_agents, *group.action_space.shape), group.action_space.dtype)
        for group in venv.field_groups
    }


def step(venv, value=0.0):
    """One whole step in which every coordinator that is due sends ``value``."""
    venv.decide({name: array for name, array in commands(venv, value).items() if venv.due(name).any()})
    return venv.advance(still(venv))


class SevenMethods(MessageBroker):
    """A broker with nothing but what the specification asks for, which may lose or delay messages.

    Args:
        delay: How often a message is asked for in vain before it is delivered, for a message.
        loses: Whether a message is lost.
    """

    def __init__(self, delay=lambda message: 0, loses=lambda message: False):
        self.inner = InMemoryBroker()
        self.delay = delay
        self.loses = loses
        self.under_way = []

    def create_channel(self, channel_name):
        self.inner.create_channel(channel_name)

    def publish(self, channel, message):
        if self.loses(message):
            return
        if self.delay(message):
            self.under_way.append([self.delay(message), channel, message])
        else:
            self.inner.publish(channel, message)

    def consume(self, channel, recipient_id, env_id, clear=True):
        for waiting in [item for item in self.under_way if item[1] == channel]:
            if waiting[0] == 0:
                self.under_way.remove(waiting)
                self.inner.publish(channel, waiting[2])
            waiting[0] -= 1
        return self.inner.consume(channel, recipient_id, env_id, clear)

    def subscribe(self, channel, callback):
        self.inner.subscribe(channel, callback)

    def clear_environment(self, env_id):
        self.under_way = [item for item in self.under_way if item[2].env_id != env_id]
        self.inner.clear_environment(env_id)

    def get_environment_channels(self, env_id):
        return self.inner.get_environment_channels(env_id)

    def close(self):
        self.inner.close()


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
        with pytest.raises(DecisionRequiredError, match="env_0: coordinator 'coordinator' is due at step 0: call dec"):
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


class TestObservations:
    def test_coordinator_sees_flat_observation_reward_and_age_of_each_subordinate(self):
        venv = scripted(1, star(period=5))
        venv.reset(seed=0)
        noise = venv.observe("agent")[0, 0, 2]
        assert venv.observe("coordinator").tolist() == [[[0, 0, noise, 0, 0, 0, 0, 1, noise, 0, 0, 0]]]
        step(venv)
        noise = venv.observe("agent")[0, 0, 2]
        assert venv.observe("coordinator").tolist() == [[[1, 0, noise, 0, 1, 0, 1, 1, noise, 0, 10, 0]]]
        assert venv.groups["coordinator"].observation_space.shape == (12,)
        assert venv.groups["coordinator"].observation_space.contains(venv.observe("coordinator")[0, 0])

    def test_heterogeneous_subordinates_stand_side_by_side_in_the_order_of_the_hierarchy(self):
        order = ["choice", "dict", "vector", "image", "bits", "tuple", "choices"]
        sizes = {"choice": 5, "dict": 7, "vector": 3, "image": 60, "bits": 6, "tuple": 6, "choices": 9}
        venv = make_vec(Menagerie, 2, Hierarchy({"top": order}, command_space=Discrete(3)))
        venv.reset(seed=0)
        assert venv.groups["top"].action_space == MultiDiscrete([3] * 7)
        action = np.array([[[0, 1, 2, 0, 1, 2, 0]], [[2, 1, 0, 2, 1, 0, 2]]])
        venv.decide({"top": action})
        venv.advance({name: np.ones_like(array) for name, array in still(venv).items()})

        seen = venv.observe("top")[1, 0]
        for k, agent in enumerate(order):
            size = sizes[agent]
            part, seen = seen[: size + 2], seen[size + 2 :]
            own = venv.batch_env.states[agent].observations
            np.testing.assert_array_equal(part[:size], flat_by_hand(agent, own, 1))
            actions = venv.batch_env.envs[1].action_space(agent)
            assert part[size] == int(np.prod(actions.shape, dtype=int))  # reward: sum of ones
            assert part[size + 1] == 0
            assert venv.commands(agent).tolist() == action[:, 0, k].reshape(2, 1).tolist()
        assert seen.size == 0

    def test_field_agents_see_their_command_as_their_space_says(self):
        venv = make_vec(Menagerie, 1, Hierarchy.star(Menagerie.kinds, command_space=Discrete(3, start=5)))
        before = venv.reset(seed=0)
        assert venv.groups["coordinator"].action_space == MultiDiscrete([3] * 7, start=[5] * 7)
        assert before["vector"][0, 0, 3:].tolist() == [0, 0, 0]
        venv.decide({"coordinator": np.full((1, 1, 7), 6)})

        assert venv.observe("vector")[0, 0, 3:].tolist() == [0, 1, 0]
        assert venv.observe("vector").dtype == np.float64
        assert venv.observe("dict")["command"].tolist() == [[[0, 1, 0]]]
        assert venv.observe("image")["command"].tolist() == [[[0, 1, 0]]]
        assert venv.observe("image")["observation"].dtype == np.uint8
        for name, group in venv.groups.items():
            seen = venv.observe(name)
            assert group.observation_space.contains(first(seen)), name

    def test_box_commands_are_seen_in_a_space_that_holds_zero(self):
        space = Box(np.array([1, -3], np.float32), np.array([2, -2], np.float32))
        venv = scripted(1, star(command_space=space))
        seen = venv.reset()["agent"][0, 0]
        assert venv.groups["agent"].observation_space.contains(seen)
        assert venv.groups["agent"].observation_space.low[4:].tolist() == [0, -3]
        assert venv.groups["agent"].observation_space.high[4:].tolist() == [2, 0]

    def test_a_key_called_command_is_refused(self):
        factory = lambda: Scripted(observation_space=DictSpace(command=Discrete(2)))  # noqa: E731
        with pytest.raises(ConfigurationError, match="group 'agent' observes a 'command' of its own"):
            make_vec(factory, 1, star())

    def test_observations_given_are_valid_until_the_next_step(self):
        venv = scripted(1, star())
        venv.reset()
        venv.decide(commands(venv))
        seen, copy = venv.observe("agent"), venv.observe("agent").copy()
        venv.decide()
        np.testing.assert_array_equal(seen, copy)


def flat_by_hand(agent, tree, copy):
    one_hot = np.eye(9)
    match agent:
        case "choice":
            return one_hot[tree[copy, 0] + 2][:5]
        case "dict":
            parts = {
                "x": tree["x"][copy, 0],
                "deep": np.append(one_hot[tree["deep"]["y"][copy, 0]][:3], tree["deep"]["z"][copy, 0]),
            }
            return np.concatenate([parts[key] for key in Menagerie.kinds["dict"][0]]).astype(np.float32)
        case "tuple":
            return np.concatenate([one_hot[tree[0][copy, 0]][:2], tree[1][copy, 0].ravel()]).astype(np.float32)
        case "choices":
            return np.concatenate([one_hot[value][:n] for value, n in zip(tree[copy, 0], [2, 3, 4], strict=True)])
    return tree[copy, 0].ravel().astype(np.float32)


def first(tree):
    if isinstance(tree, dict):
        return {key: first(part) for key, part in tree.items()}
    if isinstance(tree, tuple):
        return tuple(first(part) for part in tree)
    return tree[0, 0]


class TestThreeLevels:
    @pytest.fixture
    def venv(self):
        tree = Hierarchy(
            {"system": ["north", "south"], "north": ["a", "b"], "south": ["c", "d"]},
            period={"system": 4, "north": 2, "south": 2},
            command_space={
                "system": Discrete(3),
                **dict.fromkeys(["north", "south"], Discrete(3)),
                **dict.fromkeys("abcd", GOAL),
            },
        )
        venv = make_vec(lambda: Scripted({name: Life() for name in "abcd"}, 9), 2, tree)
        venv.reset(seed=0)
        return venv

    def test_groups_levels_and_spaces(self, venv):
        assert [(g.name, g.level, g.agent_ids, g.period) for g in venv.groups.values()] == [
            ("system", "coordinator_1", ("system",), 4),
            ("north+south", "coordinator_2", ("north", "south"), 2),
            ("a+b+c+d", "field", ("a", "b", "c", "d"), 1),
        ]
        assert venv.groups["system"].action_space == MultiDiscrete([3, 3])
        assert venv.groups["north+south"].action_space.shape == (4,)
        assert venv.groups["north+south"].observation_space.shape == (2 * 6 + 3,)
        assert venv.groups["system"].observation_space.shape == (2 * (12 + 2),)

    def test_each_level_sees_its_command_before_it_decides(self, venv):
        venv.decide({"system": np.array([[[1, 2]], [[0, 1]]])})
        assert venv.observe("north+south")[..., 12:].tolist() == [
            [[0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 0]],
        ]  # fmt: skip
        with pytest.raises(DecisionRequiredError, match="'north'"):
            venv.advance(still(venv))
        venv.decide({"north+south": np.arange(16, dtype=np.float32).reshape(2, 2, 4) / 16})
        assert (venv.commands("a+b+c+d") * 16).tolist() == np.arange(16).reshape(2, 4, 2).tolist()

    def test_infos_climb_to_the_top_within_the_step(self, venv):
        venv.decide({"system": np.zeros((2, 1, 2), int)})
        venv.decide({"north+south": np.zeros((2, 2, 4), np.float32)})
        venv.advance(still(venv))
        middle, top = venv.observe("north+south"), venv.observe("system")

        assert middle[0, 0, [0, 1, 4, 5, 6, 7, 10, 11]].tolist() == [1, 0, 1, 0, 1, 1, 10, 0]
        assert middle[0, 1, [0, 1, 4, 5, 6, 7, 10, 11]].tolist() == [1, 2, 100, 0, 1, 3, 1000, 0]
        np.testing.assert_array_equal(top[:, 0, :12], middle[:, 0, :12])
        np.testing.assert_array_equal(top[:, 0, 14:26], middle[:, 1, :12])
        assert top[0, 0, [12, 13, 26, 27]].tolist() == [11, 0, 1100, 0]

    def test_rewards_add_up_level_by_level(self, venv):
        for _ in range(9):
            for name in ("system", "north+south"):
                venv.decide({name: commands(venv)[name]})
            results = venv.advance(still(venv))
        assert results["north+south"].rewards.tolist() == [[9 * 11, 9 * 1100]] * 2
        assert results["system"].rewards.tolist() == [[9 * 1111]] * 2
        assert venv.returns["system"].tolist() == [[45 * 1111]] * 2
        assert results["system"].truncated.all()
        assert not results["system"].active.any()

    def test_periods_of_the_levels(self, venv):
        due = []
        for _ in range(9):
            due.append((venv.due("system")[0, 0], venv.due("north+south")[0, 0]))
            venv.decide(commands(venv))
            venv.advance(still(venv))
        assert [top for top, _ in due] == [step % 4 == 0 for step in range(9)]
        assert [middle for _, middle in due] == [step % 2 == 0 for step in range(9)]


class TestCoordinatorResults:
    def teams(self, lives, horizon=6):
        tree = Hierarchy({"red": [A], "blue": [B, "agent_2"]}, command_space=GOAL)
        venv = make_vec(lambda: Scripted(lives, horizon), 1, tree)
        venv.reset()
        return venv

    def play(self, venv, name):
        found = []
        while venv.running.any():
            step(venv)
            result = venv.results[name]
            found.append((result.rewards.item(), result.terminated.item(), result.truncated.item(),
                          result.active.item()))  # fmt: skip
        return found

    def test_coordinator_ends_with_its_last_subordinate(self):
        venv = self.teams({A: Life(leaves=2), B: Life(leaves=1), "agent_2": Life(leaves=3)}, 6)
        assert self.play(venv, "blue") == [
            (110, False, False, True), (200, False, False, True), (300, True, False, False),
        ]  # fmt: skip

    def test_coordinator_that_ends_before_the_copy_is_not_due_again(self):
        venv = self.teams({A: Life(leaves=1), B: Life(), "agent_2": Life()}, 3)
        assert self.play(venv, "red") == [
            (1, True, False, False), (0, False, False, False), (0, False, False, False),
        ]  # fmt: skip

    def test_truncated_if_any_subordinate_ever_was(self):
        venv = self.teams({A: Life(), B: Life(leaves=1, how="truncated"), "agent_2": Life(leaves=2)})
        assert self.play(venv, "blue")[:2] == [(110, False, False, True), (200, False, True, False)]

    def test_truncation_of_the_last_episode_is_forgotten(self):
        venv = self.teams({A: Life(), B: Life(leaves=1, how="truncated"), "agent_2": Life(leaves=2)}, 3)
        self.play(venv, "blue")
        venv.batch_env.envs[0].lives[B] = Life(leaves=1)
        venv.reset()
        assert not venv.results["blue"].truncated.any()
        assert self.play(venv, "blue")[1] == (200, True, False, False)

    def test_observation_of_one_that_has_ended_stays(self):
        venv = self.teams({A: Life(leaves=1), B: Life(), "agent_2": Life()}, 4)
        step(venv)
        seen = venv.observe("red").copy()
        assert seen[0, 0, [0, 4, 5]].tolist() == [1, 1, 0]
        step(venv)
        step(venv)
        np.testing.assert_array_equal(venv.observe("red"), seen)
        venv.reset()
        assert venv.observe("red")[0, 0, [0, 4, 5]].tolist() == [0, 0, 0]

    def test_observation_of_one_that_has_ended_stays_though_nobody_looked(self):
        venv = self.teams({A: Life(leaves=1), B: Life(), "agent_2": Life()}, 4)
        step(venv)
        step(venv)
        assert venv.observe("red")[0, 0, [0, 4, 5]].tolist() == [1, 1, 0]


class TestWhatWasReceived:
    """A broker that loses and delays: the vector env knows only what has come."""

    def test_lost_infos_age(self):
        lost = set()
        broker = SevenMethods(loses=lambda m: m.message_type is MessageType.INFO and m.sender_id in lost)
        venv = scripted(1, star(period=9), broker, horizon=9, step_length=0.1)
        venv.reset()
        step(venv)
        lost.add(A)
        ages, steps_seen = [], []
        for number in range(4):
            venv.advance(still(venv))
            if number == 2:
                lost.clear()
            seen = venv.observe("coordinator")[0, 0].reshape(2, 6)
            ages.append(seen[:, 5].tolist())
            steps_seen.append(seen[:, 0].tolist())
        assert ages == [[1, 0], [2, 0], [3, 0], [0, 0]]
        assert steps_seen == [[1, 2], [1, 3], [1, 4], [5, 5]]

    def test_age_is_minus_one_before_the_first(self):
        broker = SevenMethods(loses=lambda m: m.sender_id == A)
        venv = scripted(1, star(), broker)
        venv.reset()
        step(venv)
        assert venv.observe("coordinator")[0, 0, :6].tolist() == [0, 0, 0, 0, 0, -1]

    def test_delayed_infos_are_seen_when_they_come_with_their_age(self):
        broker = SevenMethods(delay=lambda m: 2 * (m.message_type is MessageType.INFO))
        venv = scripted(1, star(period=9), broker, horizon=9)
        venv.reset()
        step(venv)
        seen = []
        for _ in range(4):
            seen.append(venv.observe("coordinator")[0, 0, [0, 4, 5]].tolist())
            venv.advance(still(venv))
        assert seen == [[0, 0, -1], [0, 0, 2], [1, 1, 2], [2, 2, 2]]

    def test_delayed_commands_are_seen_when_they_come(self):
        broker = SevenMethods(delay=lambda m: 1 * (m.message_type is MessageType.ACTION))
        venv = scripted(1, star(period=2), broker, horizon=9)
        venv.reset()
        seen = []
        for number in range(4):
            venv.decide({"coordinator": np.full((1, 1, 4), number / 4, np.float32)})
            seen.append(venv.commands("agent")[0, 0, 0].item())
            venv.advance(still(venv))
        assert seen == [0, 0, 0, 0.5]

    def test_an_older_command_that_comes_after_a_newer_one_does_not_count(self):
        slow = [3, 0]
        broker = SevenMethods(delay=lambda m: slow[int(m.timestamp > 0)] * (m.message_type is MessageType.ACTION))
        venv = scripted(1, star(), broker, horizon=9)
        venv.reset()
        for number in (0.25, 0.5):
            step(venv, number)
        for _ in range(4):
            venv.decide()
        assert broker.under_way == []
        assert venv.commands("agent")[0, 0].tolist() == [0.5, 0.5]

    def test_an_older_info_that_comes_after_a_newer_one_does_not_count(self):
        is_info = lambda message: message.message_type is MessageType.INFO  # noqa: E731
        broker = SevenMethods(
            delay=lambda m: 2 * (is_info(m) and m.timestamp == 1), loses=lambda m: is_info(m) and m.timestamp == 3
        )
        venv = scripted(1, star(period=9), broker, horizon=9)
        venv.reset()
        step(venv)
        seen = []
        for _ in range(2):
            venv.advance(still(venv))
            seen.append(venv.observe("coordinator")[0, 0, [0, 4, 5]].tolist())
        assert broker.under_way == []
        assert seen == [[2, 2, 0], [2, 2, 1]]

    def test_nothing_of_the_last_episode_is_known_after_a_reset(self):
        broker = SevenMethods(delay=lambda m: 1)
        venv = scripted(2, star(), broker)
        venv.reset()
        step(venv, 0.5)
        venv.decide(commands(venv, 0.25))
        venv.reset_envs(0)
        venv.decide(commands(venv))
        assert venv.commands("agent")[0].tolist() == [[0, 0], [0, 0]]
        assert venv.observe("coordinator")[0, 0, [4, 5]].tolist() == [0, -1]
        assert venv.commands("agent")[1].tolist() == [[0.25, 0.25]] * 2

    def test_seven_methods_are_enough(self):
        runs = []
        for broker in (InMemoryBroker(), SevenMethods()):
            venv = scripted(3, star(period=2), broker)
            venv.reset(seed=4)
            run = []
            while venv.running.all():
                step(venv, 0.5)
                run += [venv.observe("coordinator").tolist(), venv.observe("agent").tolist()]
            runs.append(run)
            venv.close()
        assert runs[0] == runs[1]


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
        with pytest.raises(ConfigurationError, match="no field agent receives commands"):
            scripted(intrinsic_reward=one)
        with pytest.raises(ConfigurationError, match="intrinsic_reward: no group or level 'nobody'"):
            scripted(1, star(), intrinsic_reward={"nobody": one})
        with pytest.raises(ConfigurationError, match="group 'coordinator' receives no commands"):
            scripted(1, star(), intrinsic_reward={"coordinator": one})
        venv = scripted(1, star(), intrinsic_reward=one)
        venv.reset()
        with pytest.raises(ConfigurationError, match=r"must return rewards of shape \(1, 2\).*got \(3,\)"):
            step(venv)


class TestAgentObjects:
    def test_kinds_and_ties(self):
        venv = scripted(2, star(), step_length=0.5)
        venv.reset()
        step(venv)
        agents = venv.agents("env_1")
        assert list(agents) == ["coordinator", A, B]
        assert isinstance(agents["coordinator"], CoordinatorAgent)
        assert agents["coordinator"].subordinate_ids == (A, B)
        assert agents[A].upstream_id == "coordinator"
        assert agents[A].env_id == "env_1"
        assert agents[A].broker is venv.broker
        assert agents[A].clock() == 0.5

    def test_a_scalar_coordinators_command_reaches_the_vector_env(self):
        venv = scripted(2, star())
        venv.reset()
        top = venv.agents("env_1")["coordinator"]
        top.send_action_to_subordinate(A, np.array([0.5, 0.25], np.float32))
        top.send_action_to_subordinate(B, [0.0, 0.75])
        venv.decide()

        assert venv.due("coordinator").tolist() == [[True], [False]]
        assert venv.commands("agent").tolist() == [[[0, 0], [0, 0]], [[0.5, 0.25], [0, 0.75]]]
        venv.decide(commands(venv, 1.0))
        assert venv.commands("agent")[1].tolist() == [[0.5, 0.25], [0, 0.75]]

    def test_a_scalar_field_agent_hears_the_vector_env_and_is_heard(self):
        broker = InMemoryBroker()
        venv = scripted(2, star(), broker)
        venv.reset()
        heard = []
        name = ChannelManager.action_channel("coordinator", A, "env_0")
        broker.subscribe(name, lambda message: heard.append(message.payload["action"].tolist()))
        step(venv, 0.5)
        assert heard == [[0.5, 0.5]]

    def test_what_a_scalar_field_agent_says_is_heard_when_its_own_copy_steps(self):
        venv = scripted(2, star(), lives={A: Life(), B: Life(joins=9)}, horizon=20)
        venv.reset()
        venv.agents("env_0")[B].send_info_to_upstream({"observation": np.full(4, 7, np.float32), "reward": 5.0})
        venv.decide(commands(venv))
        unknown = [0, 0, 0, 0, 0, -1]
        venv.advance(still(venv), np.array([False, True]))
        assert venv.observe("coordinator")[:, 0, 6:].tolist() == [unknown, unknown]
        venv.advance(still(venv), np.array([True, False]))
        assert venv.observe("coordinator")[:, 0, 6:].tolist() == [[7, 7, 7, 7, 5, 1], unknown]

    def test_a_field_agent_can_take_its_commands_itself(self):
        venv = scripted(1, star())
        venv.reset()
        agents = venv.agents("env_0")
        agents["coordinator"].send_action_to_subordinate(A, 3)
        assert agents[A].receive_action_messages() == [3]

    def test_unknown_copy(self):
        with pytest.raises(UnknownEnvError, match="'env_9'"):
            scripted().agents("env_9")


class TestSharedBroker:
    def test_two_vector_envs_with_different_ids(self):
        broker = InMemoryBroker()
        one = scripted(2, star(), broker, env_ids=["a", "b"])
        two = scripted(2, star(), broker, env_ids=["c", "d"])
        one.reset()
        two.reset()
        one.decide(commands(one, 0.5))
        two.decide(commands(two, 0.25))
        assert one.commands("agent").max() == 0.5
        assert two.commands("agent").max() == 0.25
        two.agents("c")["coordinator"].broadcast({"x": 1})
        one.agents("a")["coordinator"].broadcast({"x": 1})
        one.close()

        assert broker.statistics().messages == 1
        two.advance(still(two))
        assert two.steps.tolist() == [1, 1]
        two.close()
        assert broker.statistics().messages == 0
        broker.create_channel("still_open")

    def test_same_ids_are_refused_while_both_are_open(self):
        broker = InMemoryBroker()
        one = scripted(2, star(), broker)
        with pytest.raises(ConfigurationError, match=r"another open vector env on this broker has env_ids \['env_1'\]"):
            scripted(2, star(), broker, env_ids=["x", "env_1"])
        scripted(1, star(), broker, env_ids=["x"])
        one.close()
        scripted(2, star(), broker)

    def test_ids_are_free_again_when_a_vector_env_is_forgotten(self):
        broker = InMemoryBroker()
        scripted(2, star(), broker)
        scripted(2, star(), broker)

    def test_close(self):
        venv = scripted(2, star())
        copies = list(venv.batch_env.envs)
        venv.close()
        venv.close()
        assert [copy.closed for copy in copies] == [1, 1]
        for use in (venv.reset, venv.decide, lambda: venv.advance(still(venv))):
            with pytest.raises(EnvClosedError, match="env_0, env_1"):
                use()
        with pytest.raises(BrokerClosedError):
            venv.broker.clear_environment("env_0")

    def test_close_after_the_broker(self):
        broker = InMemoryBroker()
        venv = scripted(1, star(), broker)
        broker.close()
        venv.close()
        assert venv.batch_env.envs == []


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


class TestBadInput:
    @pytest.fixture
    def venv(self):
        venv = make_vec(lambda: Scripted(action_space=GOAL), 2, star())
        venv.reset(seed=0)
        return venv

    BAD = (
        (np.zeros((2, 1, 3), np.float32), "must have shape"),
        (np.zeros((2, 4), np.float32), "must have shape"),
        (np.zeros((1, 1, 4), np.float32), "must have shape"),
        (None, "must have shape"),
        (np.zeros((2, 1, 4), complex), "must have dtype float32, got complex128"),
        (np.full((2, 1, 4), "a"), "must have dtype"),
        (np.array([[[0, 0, 0, 0]], [[0, 0, np.nan, 0]]], np.float32), "env_1: action of 'coordinator' must lie in Box"),
        (np.array([[[0, 0, 0, 0]], [[0, 0, 1.01, 0]]], np.float32), "env_1: action of 'coordinator' must lie in Box"),
        (np.array([[[0, 0, -np.inf, 0]], [[0, 0, 0, 0]]]), "env_0: action of 'coordinator' must lie in Box"),
        (np.full((2, 1, 4), 1e300), "env_0: action of 'coordinator' must lie in Box"),
    )

    def everything(self, venv):
        return (
            [copy.steps for copy in venv.batch_env.envs],
            [copy.np_random.bit_generator.state for copy in venv.batch_env.envs],
            {name: list(messages) for name, messages in venv.broker.channels.items()},
            venv.broker.statistics(),
            venv.steps.tolist(),
            {name: venv.observe(name).tolist() for name in venv.groups},
            {name: venv.due(name).tolist() for name in venv.groups},
        )

    @pytest.mark.parametrize(("action", "message"), BAD)
    def test_commands(self, venv, action, message):
        before = self.everything(venv)
        with pytest.raises(InvalidActionError, match=message):
            venv.decide({"coordinator": action})
        assert self.everything(venv) == before

    @pytest.mark.parametrize(
        ("action", "message"),
        [
            (np.zeros((2, 2, 3), np.float32), r"\['agent_0', 'agent_1'\] must have shape \(2, 2, 2\)"),
            (np.zeros((2, 2, 2), object), "must have dtype float32, got object"),
            (np.array([[[0, 0]] * 2, [[0, 0], [0, np.nan]]]), "env_1: action of 'agent_1' must lie in Box"),
            (np.array([[[0, 0], [0, 2]], [[0, 0]] * 2]), "env_0: action of 'agent_1' must lie in Box"),
        ],
    )
    def test_field_actions(self, venv, action, message):
        venv.decide(commands(venv))
        before = self.everything(venv)
        with pytest.raises(InvalidActionError, match=message):
            venv.advance({"agent": action})
        assert self.everything(venv) == before

    @pytest.mark.parametrize(
        ("agent", "bad"),
        [
            ("image", [4]), ("image", [-1]), ("image", [1.0]), ("choice", [0]), ("choice", [4]),
            ("choices", [[0, 3]]), ("choices", [[-1, 0]]), ("bits", [[0, 2]]), ("bits", [[0, 256]]),
            ("bits", [[-256, 0]]), ("vector", [[0, 2.5]]), ("image", [2**40]),
        ],
    )  # fmt: skip
    def test_of_every_kind_of_space(self, agent, bad):
        venv = make_vec(Menagerie, 1)
        venv.reset(seed=0)
        actions = {name: np.zeros_like(array) for name, array in still(venv).items()}
        actions["choice"] += 1
        with pytest.raises(InvalidActionError, match=r"env_0: action of|must have dtype") as caught:
            venv.advance({**actions, agent: np.array([bad])})
        assert agent in str(caught.value)
        assert venv.batch_env.envs[0].steps == 0
        venv.advance(actions)

    def test_rows_that_do_not_count_may_hold_anything(self):
        venv = make_vec(lambda: Scripted({A: Life(), B: Life(leaves=1)}, action_space=Box(-1, 1, (1,), np.float32)), 2)
        venv.reset()
        venv.advance({"agent": np.zeros((2, 2, 1))})
        venv.advance({"agent": np.array([[[0], [np.nan]], [[9], [9]]])}, np.array([True, False]))
        assert venv.steps.tolist() == [2, 1]
        assert [sorted(given) for given in venv.batch_env.envs[0].received] == [[A, B], [A]]

    def test_groups_missing_or_unknown(self, venv):
        with pytest.raises(ConfigurationError, match=r"no coordinator group \['agent'\], only \['coordinator'\]"):
            venv.decide({"agent": still(venv)["agent"]})
        venv.decide(commands(venv))
        for actions in ({}, {"nobody": 1}, {**still(venv), "coordinator": 1}, np.zeros((2, 2), np.int64)):
            with pytest.raises(InvalidActionError, match=r"expected a dict of actions of groups \['agent'\], got"):
                venv.advance(actions)
        for ask in (venv.observe, venv.due, venv.commands):
            with pytest.raises(ConfigurationError, match="no group 'nobody'"):
                ask("nobody")

    def test_before_the_reset(self):
        venv = scripted(2, star())
        with pytest.raises(ResetRequiredError, match="call reset"):
            venv.decide(commands(venv))
        with pytest.raises(ResetRequiredError, match=r"no running episode in env_0, env_1: call reset"):
            venv.advance(still(venv))
        for group in ("agent", "coordinator"):
            with pytest.raises(ResetRequiredError, match=f"group '{group}' has seen nothing yet: call reset"):
                venv.observe(group)
        assert venv.broker.statistics().published == 0

    def test_after_the_end(self):
        venv = scripted(2, star(), horizon=1)
        venv.reset()
        step(venv)
        with pytest.raises(ResetRequiredError):
            venv.advance(still(venv))

    @pytest.mark.parametrize("mask", [np.ones(3, bool), np.ones(2, int), np.ones((2, 1), bool)])
    def test_masks(self, venv, mask):
        with pytest.raises(ConfigurationError, match=r"mask must be an array of shape \(2,\) and dtype bool"):
            venv.decide(commands(venv), mask)
        with pytest.raises(ConfigurationError, match=r"mask must be an array of shape \(2,\) and dtype bool"):
            venv.advance(still(venv), mask)

    @pytest.mark.parametrize("which", [2, -1, "env_2", "", ["env_0", "x"], [0, 5], True, [1.0], 0.5j])
    def test_reset_of_unknown_copies(self, venv, which):
        before = self.everything(venv)
        with pytest.raises((UnknownEnvError, TypeError)) as caught:
            venv.reset_envs(which)
        if not isinstance(which, complex):
            assert isinstance(caught.value, UnknownEnvError)
            assert "an index from 0 to 1, or one of env_0, env_1" in str(caught.value)
        assert self.everything(venv) == before

    @pytest.mark.parametrize("which", [[0, 0], ["env_0", 0], np.ones(3, bool)])
    def test_reset_of_a_copy_twice_or_of_another_mask(self, venv, which):
        before = self.everything(venv)
        with pytest.raises(ConfigurationError):
            venv.reset_envs(which)
        assert self.everything(venv) == before

    @pytest.mark.parametrize("seed", [[1], [1, 2, 3], -1, 1.5, [0, -1], True])
    def test_seeds(self, venv, seed):
        before = self.everything(venv)
        with pytest.raises(ConfigurationError, match="seed"):
            venv.reset(seed)
        assert self.everything(venv) == before


class TestConfiguration:
    @pytest.mark.parametrize("length", [0, -1.0, np.nan, np.inf])
    def test_step_length(self, length):
        with pytest.raises(ConfigurationError, match="step_length must be a positive number"):
            scripted(step_length=length)

    def test_hierarchy_that_does_not_fit(self):
        for tree, message in (
            ({"top": [A]}, "misses the environment's agents"),
            ({"top": [A, B, "agent_2"]}, "the environment has no agents"),
            ({A: [B]}, "cannot be coordinators"),
        ):
            with pytest.raises(HierarchyError, match=message):
                scripted(1, Hierarchy(tree, command_space=GOAL))

    def test_hierarchy_without_command_space(self):
        with pytest.raises(HierarchyError, match="what 'coordinator' sends to 'agent_0': give the hierarchy a command"):
            scripted(1, star(command_space=None))

    def test_commands_of_a_group_are_of_one_space(self):
        tree = Hierarchy({"top": [A, B]}, command_space={A: GOAL, B: Discrete(2)})
        with pytest.raises(ConfigurationError, match="agents of group 'agent' must get commands of one space"):
            scripted(1, tree)

    def test_a_coordinator_sends_numbers_or_choices(self):
        tree = Hierarchy({"top": [A, B]}, command_space={A: GOAL, B: Discrete(2)})
        with pytest.raises(ConfigurationError, match="either Box or Discrete commands, not both"):
            scripted(1, tree, groups={"a": [A], "b": [B]})

    def test_a_failed_construction_closes_the_copies_it_made(self):
        made = []

        def factory():
            made.append(Scripted())
            return made[-1]

        with pytest.raises(HierarchyError):
            make_vec(factory, 2, Hierarchy({"top": [A]}, command_space=GOAL))
        assert [copy.closed for copy in made] == [1, 1]

    def test_coordinators_that_differ_are_different_groups(self):
        lives = {name: Life() for name in "abc"}
        tree = Hierarchy({"boss_1": ["a", "b"], "boss_2": ["c"]}, command_space=GOAL)
        venv = make_vec(lambda: Scripted(lives), 1, tree)
        assert list(venv.groups) == ["boss", "boss_2", "a+b+c"]
        venv.reset()
        venv.decide({"boss": np.full((1, 1, 4), 0.5, np.float32), "boss_2": np.full((1, 1, 2), 0.25, np.float32)})
        assert venv.commands("a+b+c")[0, :, 0].tolist() == [0.5, 0.5, 0.25]


class TestMakeVec:
    def test_name_arguments_and_function_for_the_hierarchy(self):
        venv = make_vec(
            "mpe2.simple_spread_v3",
            2,
            lambda ids: Hierarchy.star(ids, "boss", period=5, command_space=GOAL),
            env_kwargs={"N": 2, "max_cycles": 7},
        )
        assert venv.groups["agent"].agent_ids == (A, B)
        assert venv.groups["boss"].period == 5

    def test_module_and_function(self):
        venv = make_vec("mpe2.simple_tag_v3:parallel_env")
        assert list(venv.groups) == ["adversary", "agent"]
        assert venv.num_envs == 1

    def test_list_of_factories(self):
        venv = make_vec([Scripted, lambda: Scripted(horizon=1)])
        assert venv.num_envs == 2
        with pytest.raises(ConfigurationError, match="num_envs is 3, but the list has 2"):
            make_vec([Scripted, Scripted], 3)

    def test_batch_env(self):
        batch = LoopEnv([Scripted] * 2)
        assert make_vec(batch, 2).batch_env is batch
        with pytest.raises(ConfigurationError, match=r"\['env_ids'\] cannot be changed"):
            make_vec(batch, env_ids=["a", "b"])
        with pytest.raises(ConfigurationError, match="num_envs is 3, but the BatchEnv has 2"):
            make_vec(batch, 3)

    @pytest.mark.parametrize(
        ("env", "message"),
        [
            ("no_such_module", "No module named 'no_such_module'"),
            ("mpe2.no_such_env_v1", "is the package installed"),
            ("mpe2", "module 'mpe2' has no function 'parallel_env'"),
            ("mpe2.simple_spread_v3:nothing", "has no function 'nothing'"),
            (3, "expected an environment's name"),
        ],
    )
    def test_bad_names(self, env, message):
        with pytest.raises(ConfigurationError, match=message):
            make_vec(env)

    @pytest.mark.parametrize("number", [0, -1, 2.0, "2"])
    def test_bad_numbers(self, number):
        with pytest.raises(ConfigurationError, match="num_envs must be a positive integer"):
            make_vec(Scripted, number)

    def test_duplicate_ids(self):
        with pytest.raises(ConfigurationError, match="env_ids must be distinct"):
            make_vec(Scripted, 2, env_ids=["a", "a"])

    def test_factory_that_raises(self):
        with pytest.raises(EnvCreationError, match="env_0: the factory raised TypeError"):
            make_vec("mpe2.simple_spread_v3", env_kwargs={"colour": 3})

    def test_validate_is_passed_on(self):
        assert make_vec(Scripted, validate=True).batch_env.validate


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


def test_a_message_by_hand_that_does_not_fit_is_named():
    venv = scripted(1, star())
    venv.reset()
    channel = ChannelManager.action_channel("coordinator", A, "env_0")
    venv.broker.publish(channel, Message("env_0", "coordinator", A, 0.0, MessageType.ACTION, {"action": [1.0]}))
    with pytest.raises(ValueError, match=r"must carry 'action' of shape \(2,\)"):
        venv.decide()


def test_construction_takes_a_batch_env_directly():
    venv = HierarchicalVectorEnv(LoopEnv([Scripted]), star())
    assert venv.reset()["agent"].shape == (1, 2, 6)


@pytest.mark.parametrize("start", [0, -1, 5])
def test_a_choice_that_has_not_come_is_seen_as_zeros(start):
    venv = scripted(2, star(command_space=Discrete(3, start=start)))
    assert venv.reset()["agent"][:, :, 4:].tolist() == [[[0, 0, 0]] * 2] * 2
    venv.decide(commands(venv, start), np.array([True, False]))
    assert venv.observe("agent")[:, :, 4:].tolist() == [[[1, 0, 0]] * 2, [[0, 0, 0]] * 2]


class TestMessagesByHand:
    @pytest.fixture
    def venv(self):
        venv = scripted(2, star(period=2), horizon=9, intrinsic_reward=lambda *args: np.ones((2, 2)))
        venv.reset(seed=0)
        venv.decide(commands(venv))
        return venv

    def publish(self, venv, channel, *route, time=0.0, **payload):
        kind = MessageType.ACTION if "action" in payload else MessageType.INFO
        venv.broker.publish(channel, Message(*route, time, kind, payload))

    def inform(self, venv, **message):
        channel = ChannelManager.info_channel(A, "coordinator", "env_0")
        self.publish(venv, channel, "env_0", A, "coordinator", **message)

    def command(self, venv, recipient=A, **message):
        channel = ChannelManager.action_channel("coordinator", recipient, "env_0")
        self.publish(venv, channel, "env_0", "coordinator", recipient, **message)

    def test_an_info_that_does_not_fit_hides_nothing_else(self, venv):
        self.inform(venv, time=99.0, note="hi")
        with pytest.raises(InvalidMessageError, match="must carry 'observation'"):
            venv.advance(still(venv))
        assert venv.steps.tolist() == [1, 1]
        assert venv.returns["agent"].tolist() == [[1, 10]] * 2
        assert venv.returns["coordinator"].tolist() == [[11]] * 2
        assert venv.results["agent"].rewards.tolist() == [[1, 1]] * 2
        assert venv.observe("coordinator")[:, 0, [6, 11]].tolist() == [[1, 0]] * 2
        venv.advance(still(venv))
        assert venv.observe("coordinator")[:, 0, [0, 5]].tolist() == [[2, 0]] * 2

    @pytest.mark.parametrize("bad", [[np.nan, 0.0], [0.0, 77.0], [-np.inf, 0.0]])
    def test_a_command_outside_its_space_is_refused_and_all_others_count(self, venv, bad):
        self.command(venv, action=np.float32(bad))
        self.command(venv, B, action=np.float32([0.5, 0.5]))
        with pytest.raises(
            InvalidMessageError, match=r"env_0: command from 'coordinator' to 'agent_0' must lie in Box"
        ):
            venv.decide()
        assert venv.commands("agent")[0].tolist() == [[0, 0], [0.5, 0.5]]
        venv.decide()

    def test_a_coordinator_has_decided_though_another_message_was_refused(self, venv):
        for _ in range(2):
            venv.advance(still(venv))
        self.command(venv, time=3.0, action=np.float32([9, 9]))
        with pytest.raises(InvalidMessageError, match="agent_0"):
            venv.decide(commands(venv, 0.25))
        assert not venv.due("coordinator").any()

    def test_what_is_stamped_later_than_now_hides_nothing_that_follows(self, venv):
        self.command(venv, time=1e6, action=np.float32([0.5, 0.5]))
        self.inform(venv, time=1e6, observation=np.full(4, 7, np.float32), reward=1.0)
        venv.decide()
        venv.advance(still(venv))
        venv.advance(still(venv))
        assert venv.observe("coordinator")[0, 0, [0, 5]].tolist() == [2, 0]
        venv.decide(commands(venv, 0.25))
        assert venv.commands("agent")[0, 0].tolist() == [0.25, 0.25]


class TestMistakes:
    def test_a_mask_that_is_no_array(self):
        venv = scripted(2)
        venv.reset()
        with pytest.raises(
            ConfigurationError, match=r"mask must be an array of shape \(2,\) and dtype bool, got list \[True, False\]"
        ):
            venv.advance(still(venv), [True, False])

    def test_ragged_actions(self):
        venv = scripted(2)
        venv.reset()
        with pytest.raises(InvalidActionError, match="must make one array"):
            venv.advance({"agent": [[0, 1], [2]]})

    @pytest.mark.parametrize("step_length", ["1", None, 1j])
    def test_step_length(self, step_length):
        with pytest.raises(ConfigurationError, match="step_length must be a positive number"):
            scripted(step_length=step_length)

    def test_options_that_are_no_mapping_clear_nothing(self):
        venv = scripted(1, star())
        venv.reset()
        step(venv)
        with pytest.raises(ConfigurationError, match="options must be a mapping, got 3"):
            venv.reset(options=3)
        assert venv.steps.tolist() == [1]

    def test_numbers_of_numpy_are_numbers(self):
        venv = make_vec(Scripted, np.int64(2))
        venv.reset(seed=np.array([4, 5]))
        assert [env.reset_calls for env in venv.batch_env.envs] == [[(4, None)], [(5, None)]]
