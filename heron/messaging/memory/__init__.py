"""The in-memory broker: one store under the broker, its lanes and its views."""

from heron.messaging.memory.broker import InMemoryBroker

__all__ = ["InMemoryBroker"]
