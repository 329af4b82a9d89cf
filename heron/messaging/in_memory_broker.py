"""The broker for one process; ``heron.messaging.memory`` holds its parts."""

from heron.messaging.memory import InMemoryBroker

__all__ = ["InMemoryBroker"]
