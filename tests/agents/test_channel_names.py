"""Agents name their channels once, when they are made."""

import pytest

from heron.agents import CoordinatorAgent, FieldAgent
from heron.messaging import ChannelManager, InMemoryBroker, Message, MessageType


@pytest.fixture
def talk():
    """Makes a system, a coordinator and a field agent, and lets each use all its standard channels."""
    broker = InMemoryBroker()
    system = CoordinatorAgent("system", "env_0", subordinate_ids=["area"])
    area = CoordinatorAgent("area", "env_0", "system", ["low"])
    low = FieldAgent("low", "env_0", "area")
    agents = (system, area, low)
    for agent in agents:
        agent.set_message_broker(broker)

    def use_all_channels():
        for above, below in ((system, area), (area, low)):
            above.send_action_to_subordinate(below.agent_id, 1)
            above.broadcast({"x": 1})
            below.send_info_to_upstream({"x": 1})
            assert below.receive_action_messages() == [1]
            assert below.receive_broadcasts() == [{"x": 1}]
            assert above.receive_subordinate_info() == {below.agent_id: [{"x": 1}]}

    return use_all_channels


def test_no_call_names_a_channel(talk, monkeypatch):
    def refuse(*_):
        raise AssertionError("a channel was named at a call")

    for name in ("action_channel", "info_channel", "broadcast_channel"):
        monkeypatch.setattr(ChannelManager, name, refuse)
    talk()


@pytest.mark.parametrize("name", ["agent_id", "env_id", "upstream_id"])
def test_ids_of_an_agent_cannot_change(name):
    with pytest.raises(AttributeError):
        setattr(FieldAgent("a", upstream_id="b"), name, "c")


def test_infos_under_the_name_of_another_copy_are_not_received():
    broker = InMemoryBroker()
    top = CoordinatorAgent("top", "env_0")
    top.set_message_broker(broker)
    elsewhere = ChannelManager.info_channel("low", "top", "env_1")
    broker.publish(elsewhere, Message("env_0", "low", "top", 0.0, MessageType.INFO, {"x": 1}))

    assert top.receive_subordinate_info() == {}
