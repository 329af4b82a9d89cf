"""FieldAgent and CoordinatorAgent: the specification's Pattern 2, and what it implies."""

import numpy as np
import pytest

from heron.agents import Agent, CoordinatorAgent, FieldAgent
from heron.errors import AgentError, BrokerClosedError, InvalidMessageError
from heron.messaging import ChannelManager, InMemoryBroker, Message, MessageType


@pytest.fixture
def broker():
    return InMemoryBroker()


@pytest.fixture
def bound(broker):
    """Makes agents that speak through the broker."""

    def bind(agent):
        agent.set_message_broker(broker)
        return agent

    return bind


@pytest.fixture
def coordinator(bound):
    return bound(CoordinatorAgent("top", env_id="env_0"))


@pytest.fixture
def field(bound):
    return bound(FieldAgent("low", env_id="env_0", upstream_id="top"))


def test_action_goes_down_as_the_specification_shows(broker, coordinator, field):
    coordinator.send_action_to_subordinate("low", 0.5)

    waiting = broker.channels[ChannelManager.action_channel("top", "low", "env_0")]
    assert waiting == [Message("env_0", "top", "low", 0.0, MessageType.ACTION, {"action": 0.5})]
    assert field.receive_action_messages() == [0.5]
    assert field.receive_action_messages() == []


def test_actions_come_oldest_first(coordinator, field):
    for action in (3, 1, 2):
        coordinator.send_action_to_subordinate("low", action)

    assert field.receive_action_messages() == [3, 1, 2]


def test_info_goes_up(broker, coordinator, field):
    field.send_info_to_upstream({"reward": 1.0})

    waiting = broker.channels[ChannelManager.info_channel("low", "top", "env_0")]
    assert waiting == [Message("env_0", "low", "top", 0.0, MessageType.INFO, {"reward": 1.0})]
    assert coordinator.receive_subordinate_info() == {"low": [{"reward": 1.0}]}
    assert coordinator.receive_subordinate_info() == {}


def test_infos_are_listed_by_subordinate_in_the_order_given_and_oldest_first(bound):
    top = bound(CoordinatorAgent("top", "env_0", subordinate_ids=["b", "c", "a"]))
    a, b = (bound(FieldAgent(name, "env_0", "top")) for name in "ab")
    for sender, number in ((a, 1), (b, 2), (a, 3)):
        sender.send_info_to_upstream({"n": number})

    infos = top.receive_subordinate_info()

    assert list(infos.items()) == [("b", [{"n": 2}]), ("a", [{"n": 1}, {"n": 3}])]


def test_coordinator_without_list_hears_whoever_speaks_to_it_and_nobody_else(broker, bound, coordinator):
    broker.create_channel("env_0__legacy")
    broker.publish("env_0__legacy", Message("env_0", "x", "top", 0.0, MessageType.INFO, {}))
    for name, upstream, env_id in (("a", "top", "env_0"), ("b", "other", "env_0"), ("c", "top", "env_1")):
        bound(FieldAgent(name, env_id, upstream)).send_info_to_upstream({"from": name})

    assert coordinator.receive_subordinate_info() == {"a": [{"from": "a"}]}


def test_coordinator_under_an_upstream_hears_commands_and_informs(bound):
    system = bound(CoordinatorAgent("system", "env_0", subordinate_ids=["area"]))
    area = bound(CoordinatorAgent("area", "env_0", upstream_id="system", subordinate_ids=["low"]))
    low = bound(FieldAgent("low", "env_0", upstream_id="area"))

    system.send_action_to_subordinate("area", 10)
    (goal,) = area.receive_action_messages()
    area.send_action_to_subordinate("low", goal + 1)
    low.send_info_to_upstream({"got": low.receive_action_messages()})
    area.send_info_to_upstream({"below": area.receive_subordinate_info()})

    assert system.receive_subordinate_info() == {"area": [{"below": {"low": [{"got": [11]}]}}]}


def test_broadcast_reaches_each_listener_once(broker, bound, coordinator):
    listeners = [bound(FieldAgent(name, "env_0", "top")) for name in "abc"]
    elsewhere = bound(FieldAgent("a", "env_1", "top"))
    coordinator.broadcast({"price": 1})
    coordinator.broadcast({"price": 2})

    (waiting, _) = broker.channels[ChannelManager.broadcast_channel("top", "env_0")]
    assert (waiting.recipient_id, waiting.message_type) == ("broadcast", MessageType.BROADCAST)
    for listener in listeners:
        assert listener.receive_broadcasts() == [{"price": 1}, {"price": 2}]
        assert listener.receive_broadcasts() == []
    assert elsewhere.receive_broadcasts() == []


def test_broadcast_of_any_agent_can_be_heard_by_name(field, bound):
    other = bound(FieldAgent("other", "env_0"))
    field.broadcast({"x": 1})

    assert other.receive_broadcasts("low") == [{"x": 1}]


def test_copies_do_not_hear_each_other(bound, coordinator, field):
    elsewhere = bound(FieldAgent("low", env_id="env_1", upstream_id="top"))
    coordinator.send_action_to_subordinate("low", 1)

    assert elsewhere.receive_action_messages() == []
    assert field.receive_action_messages() == [1]


def test_env_id_may_be_left_out(bound):
    top, low = bound(CoordinatorAgent("top")), bound(FieldAgent("low", upstream_id="top"))
    top.send_action_to_subordinate("low", 1)

    assert low.env_id == "default"
    assert low.receive_action_messages() == [1]


class TestTimestamps:
    def send_all(self, coordinator, field, **kwargs):
        coordinator.send_action_to_subordinate("low", 1, **kwargs)
        coordinator.broadcast({}, **kwargs)
        field.send_info_to_upstream({}, **kwargs)

    def stamps(self, broker):
        return [message.timestamp for name in broker.channels for message in broker.channels[name]]

    def test_come_from_the_clock(self, broker, coordinator, field):
        coordinator.clock = field.clock = lambda: 7.5
        self.send_all(coordinator, field)
        assert self.stamps(broker) == [7.5, 7.5, 7.5]

    def test_may_be_given(self, broker, coordinator, field):
        coordinator.clock = field.clock = lambda: 7.5
        self.send_all(coordinator, field, timestamp=3)
        assert self.stamps(broker) == [3.0, 3.0, 3.0]

    def test_are_zero_without_a_clock(self, broker, coordinator, field):
        self.send_all(coordinator, field)
        assert self.stamps(broker) == [0.0, 0.0, 0.0]


class TestArraysAreCopied:
    def test_in_actions(self, coordinator, field):
        action = np.array([1.0, 2.0])
        coordinator.send_action_to_subordinate("low", action)
        action[:] = 0

        np.testing.assert_array_equal(field.receive_action_messages()[0], [1.0, 2.0])

    def test_in_infos_and_whatever_they_nest(self, coordinator, field):
        array = np.array([1.0])
        field.send_info_to_upstream({"plain": array, "dict": {"x": array}, "list": [array], "tuple": (array, 3)})
        array[:] = 0
        (info,) = coordinator.receive_subordinate_info()["low"]

        assert info == {
            "plain": np.ones(1),
            "dict": {"x": np.ones(1)},
            "list": [np.ones(1)],
            "tuple": (np.ones(1), 3),
        }

    def test_in_broadcasts(self, coordinator, field):
        array = np.array([1.0])
        coordinator.broadcast({"x": array})
        array[:] = 0

        assert field.receive_broadcasts() == [{"x": np.ones(1)}]

    def test_and_the_senders_dict_is_not_kept(self, coordinator, field):
        info = {"x": 1}
        field.send_info_to_upstream(info)
        info["x"] = 2

        assert coordinator.receive_subordinate_info() == {"low": [{"x": 1}]}


class TestErrors:
    @pytest.mark.parametrize("bad", ["", None, 3, b"a"])
    @pytest.mark.parametrize("kind", [Agent, FieldAgent, CoordinatorAgent])
    def test_bad_ids(self, kind, bad):
        with pytest.raises(InvalidMessageError, match=r"^agent_id "):
            kind(bad)
        with pytest.raises(InvalidMessageError, match=r"^env_id "):
            kind("a", env_id=bad)
        if bad is not None:
            with pytest.raises(InvalidMessageError):
                kind("a", upstream_id=bad)

    def test_nobody_is_called_broadcast(self):
        for make in (
            lambda: FieldAgent("broadcast"),
            lambda: FieldAgent("a", upstream_id="broadcast"),
            lambda: CoordinatorAgent("a", subordinate_ids=["broadcast"]),
        ):
            with pytest.raises(InvalidMessageError, match="'broadcast'"):
                make()

    def test_own_upstream(self):
        with pytest.raises(InvalidMessageError, match="'a' of 'env_3'"):
            FieldAgent("a", "env_3", upstream_id="a")

    def test_subordinates(self):
        with pytest.raises(InvalidMessageError, match=r"subordinate_ids .*'abc'"):
            CoordinatorAgent("a", subordinate_ids="abc")
        with pytest.raises(InvalidMessageError, match=r"subordinate_ids.*\['b', 'b'\]"):
            CoordinatorAgent("a", subordinate_ids=["b", "b"])
        with pytest.raises(InvalidMessageError, match="agent_id"):
            CoordinatorAgent("a", subordinate_ids=["b", ""])

    @pytest.mark.parametrize("bad", [None, object(), InMemoryBroker])
    def test_no_broker_given(self, bad):
        with pytest.raises(AgentError, match="MessageBroker"):
            FieldAgent("a").set_message_broker(bad)

    @pytest.mark.parametrize(
        "use",
        [
            lambda agent: agent.send_action_to_subordinate("b", 1),
            lambda agent: agent.receive_action_messages(),
            lambda agent: agent.send_info_to_upstream({}),
            lambda agent: agent.receive_subordinate_info(),
            lambda agent: agent.broadcast({}),
            lambda agent: agent.receive_broadcasts(),
            lambda agent: agent.broker,
        ],
    )
    def test_no_broker_set(self, use):
        agent = CoordinatorAgent("a", "env_0", upstream_id="top")
        with pytest.raises(AgentError, match=r"'a', env_id='env_0'.*set_message_broker"):
            use(agent)

    @pytest.mark.parametrize(
        "use",
        [
            lambda agent: agent.receive_action_messages(),
            lambda agent: agent.send_info_to_upstream({}),
            lambda agent: agent.receive_broadcasts(),
        ],
    )
    def test_no_upstream(self, broker, coordinator, use):
        with pytest.raises(AgentError, match=r"'top'.*upstream_id"):
            use(coordinator)
        assert not broker.channels

    def test_unknown_subordinate(self, broker, bound):
        top = bound(CoordinatorAgent("top", "env_0", subordinate_ids=["a"]))
        with pytest.raises(AgentError, match=r"'top'.*'b'.*\['a'\]"):
            top.send_action_to_subordinate("b", 1)
        assert not broker.channels

    @pytest.mark.parametrize("bad", ["", None, 3])
    def test_bad_subordinate_id(self, broker, coordinator, bad):
        with pytest.raises(InvalidMessageError):
            coordinator.send_action_to_subordinate(bad, 1)
        assert not broker.channels

    @pytest.mark.parametrize("bad", [None, [1], {1: 2}, {"": 1}])
    def test_payload_that_is_no_mapping_of_names(self, broker, field, bad):
        with pytest.raises(InvalidMessageError):
            field.send_info_to_upstream(bad)
        with pytest.raises(InvalidMessageError):
            field.broadcast(bad)
        assert not broker.channels

    def test_message_without_action_is_named_and_stops_no_other(self, broker, coordinator, field):
        channel = ChannelManager.action_channel("top", "low", "env_0")
        coordinator.send_action_to_subordinate("low", 1)
        broker.publish(channel, Message("env_0", "top", "low", 0.0, MessageType.ACTION, {"goal": 1}))
        coordinator.send_action_to_subordinate("low", 2)

        with pytest.raises(InvalidMessageError, match=r"'low'.*'action'.*'top'"):
            field.receive_action_messages()
        coordinator.send_action_to_subordinate("low", 3)
        assert field.receive_action_messages() == [1, 2, 3]
        assert field.receive_action_messages() == []

    def test_after_the_broker_was_closed(self, broker, coordinator):
        broker.close()
        with pytest.raises(BrokerClosedError):
            coordinator.send_action_to_subordinate("low", 1)
