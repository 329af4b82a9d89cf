"""The broker's interface, and all that a user of messaging needs beside it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from heron.messaging.channels import AgentChannels, ChannelManager, ParsedChannel
from heron.messaging.lane import Lane, LaneBatch, MessageLane, Route, Schema
from heron.messaging.message import BROADCAST_ID, Message, MessageType
from heron.messaging.registry import ChannelRegistry, MessageTypeRegistry

__all__ = [
    "BROADCAST_ID",
    "AgentChannels",
    "ChannelManager",
    "ChannelRegistry",
    "Lane",
    "LaneBatch",
    "Message",
    "MessageBroker",
    "MessageLane",
    "MessageType",
    "MessageTypeRegistry",
    "ParsedChannel",
    "Route",
    "Schema",
    "Subscription",
]


class Subscription(ABC):
    """Handle of one ``subscribe`` call."""

    @abstractmethod
    def unsubscribe(self) -> None:
        """Stop the callback. Doing it twice is harmless."""


class MessageBroker(ABC):
    """Carries messages between agents over named channels.

    A broker in a subclass needs only the seven abstract methods; everything else works on top of them.
    What holds for every broker, and is checked by ``heron.testing.check_broker``:

    - A message belongs to the environment of its own ``env_id``, whatever its channel is called.
    - Each message is consumed once by its recipient, and a broadcast (``recipient_id="broadcast"`` or
      ``MessageType.BROADCAST``) once by each agent that consumes the channel.
    - Messages of one sender to one recipient arrive in the order in which they were published.
    - After ``close()`` every other method raises ``BrokerClosedError``.
    """

    @abstractmethod
    def create_channel(self, channel_name: str) -> None:
        """Create a named channel; what an existing channel holds stays as it is.

        Raises:
            InvalidMessageError: If the name is empty or no string.
            BrokerClosedError: If the broker was closed.
        """

    @abstractmethod
    def publish(self, channel: str, message: Message) -> None:
        """Put a message on a channel, creating the channel if it does not exist.

        Raises:
            InvalidMessageError: If the name is empty or no string, or ``message`` is no ``Message``.
            QueueFullError: If the recipient's queue is bounded, full, and may not drop.
            BrokerClosedError: If the broker was closed.
        """

    @abstractmethod
    def consume(self, channel: str, recipient_id: str, env_id: str, clear: bool = True) -> list[Message]:
        """Messages of ``env_id`` that wait on the channel for ``recipient_id``, oldest first.

        Args:
            channel: The channel; one that does not exist holds nothing.
            recipient_id: The agent that consumes.
            env_id: The environment copy; messages of other copies are left alone.
            clear: Whether the messages count as received. False only looks.

        Raises:
            InvalidMessageError: If a name is empty or no string.
            BrokerClosedError: If the broker was closed.
        """

    @abstractmethod
    def subscribe(self, channel: str, callback: Callable[[Message], None]) -> Subscription | None:
        """Call ``callback`` with each message published on the channel from now on.

        The messages wait for ``consume`` all the same. A callback that raises is logged and stops neither the
        other callbacks nor the publisher.

        Returns:
            A handle that ends the subscription, where the broker supports ending one.

        Raises:
            InvalidMessageError: If the name is empty or no string, or ``callback`` cannot be called.
            BrokerClosedError: If the broker was closed.
        """

    @abstractmethod
    def clear_environment(self, env_id: str) -> None:
        """Drop all messages of one environment copy; its channels and their subscribers stay.

        Raises:
            InvalidMessageError: If the id is empty or no string.
            BrokerClosedError: If the broker was closed.
        """

    @abstractmethod
    def get_environment_channels(self, env_id: str) -> list[str]:
        """Channels that belong to one environment copy.

        These are the channels on which a message of that ``env_id`` was ever published, and those that were
        created under a ``ChannelManager`` name of it.

        Raises:
            InvalidMessageError: If the id is empty or no string.
            BrokerClosedError: If the broker was closed.
        """

    @abstractmethod
    def close(self) -> None:
        """Release all messages, channels and resources. Closing twice is harmless."""

    def open_lane(self, routes: Iterable[Route], schema: Schema, message_type: MessageType) -> Lane:
        """Send and receive on many channels together, as arrays.

        Args:
            routes: One route a row.
            schema: Payload name -> (shape, dtype) of one row.
            message_type: The type of every message of the lane.

        Raises:
            InvalidMessageError: If there is no route, two share channel, recipient and environment copy, or
                the schema is empty.
            BrokerClosedError: If the broker was closed.
        """
        return MessageLane(self, routes, schema, message_type)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
