"""Publish and subscribe between agents: messages, channels, brokers and lanes."""

from heron.messaging.base import (
    BROADCAST_ID,
    AgentChannels,
    ChannelManager,
    ChannelRegistry,
    Lane,
    LaneBatch,
    Message,
    MessageBroker,
    MessageType,
    MessageTypeRegistry,
    ParsedChannel,
    Publication,
    QueueKey,
    Route,
    Schema,
    Subscription,
)
from heron.messaging.clock import Clock
from heron.messaging.in_memory_broker import InMemoryBroker
from heron.messaging.statistics import BrokerStatistics
from heron.messaging.wrapper import BrokerWrapper, LaneWrapper

__all__ = [
    "BROADCAST_ID",
    "AgentChannels",
    "BrokerStatistics",
    "BrokerWrapper",
    "ChannelManager",
    "ChannelRegistry",
    "Clock",
    "InMemoryBroker",
    "Lane",
    "LaneBatch",
    "LaneWrapper",
    "Message",
    "MessageBroker",
    "MessageType",
    "MessageTypeRegistry",
    "ParsedChannel",
    "Publication",
    "QueueKey",
    "Route",
    "Schema",
    "Subscription",
]
