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

__all__ = [
    "BROADCAST_ID",
    "AgentChannels",
    "BrokerStatistics",
    "ChannelManager",
    "ChannelRegistry",
    "Clock",
    "InMemoryBroker",
    "Lane",
    "LaneBatch",
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
