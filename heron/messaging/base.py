"""The broker interface, together with every name of messaging that its users need."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Self

from heron.errors import InvalidMessageError, check_id
from heron.messaging.channels import AgentChannels, ChannelManager, ParsedChannel
from heron.messaging.lane import Lane, LaneBatch, Route, Schema
from heron.messaging.message import BROADCAST_ID, Message, MessageType, Publication, QueueKey
from heron.messaging.message_lane import MessageLane
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
    "Publication",
    "QueueKey",
    "Route",
    "Schema",
    "Subscription",
]


class Subscription(ABC):
    """Handle of one ``subscribe`` call."""

    @abstractmethod
    def unsubscribe(self) -> None:
        """Stop the callback. A second call is harmless."""


class MessageBroker(ABC):
    """Carries messages between agents over named channels.

    A broker must implement the seven abstract methods; everything else works on top of them. A broker that can do
    many messages at once overrides ``publish_many`` and ``consume_many`` as well, which makes its lanes fast.
    ``heron.testing.check_broker`` checks the rules that hold for every broker:

    - A message belongs to the environment of its own ``env_id``, whatever the name of its channel.
    - A recipient consumes each message once. Each agent that consumes the channel consumes a broadcast
      (``recipient_id="broadcast"`` or ``MessageType.BROADCAST``) once.
    - Messages of one sender to one recipient arrive in the order in which they were published.
    - After ``close()`` every other method raises ``BrokerClosedError``.
    """

    @abstractmethod
    def create_channel(self, channel_name: str) -> None:
        """Create a named channel. An existing channel stays as it is.

        Raises:
            InvalidMessageError: If the name is not a non-empty string.
            BrokerClosedError: If the broker was closed.
        """

    @abstractmethod
    def publish(self, channel: str, message: Message) -> None:
        """Put a message on a channel, creating the channel if it does not exist.

        Raises:
            InvalidMessageError: If the name is not a non-empty string, or ``message`` is not a ``Message``.
            QueueFullError: If the recipient's queue is bounded, full, and may not drop.
            BrokerClosedError: If the broker was closed.
        """

    def publish_many(self, messages: Iterable[Publication]) -> None:
        """Publish many messages, in their order.

        By default they go one by one through ``publish``.

        Args:
            messages: Pairs of a channel and a message.

        Raises:
            InvalidMessageError: If a name is not a non-empty string, or a message is not a ``Message``. Nothing is
                published then.
            QueueFullError: If a recipient's queue is bounded, full, and may not drop. The messages before that one
                are published.
            BrokerClosedError: If the broker was closed.
        """
        for channel, message in checked_publications(messages):
            self.publish(channel, message)

    @abstractmethod
    def consume(self, channel: str, recipient_id: str, env_id: str, clear: bool = True) -> list[Message]:
        """Return the messages of ``env_id`` that wait on the channel for ``recipient_id``, oldest first.

        Args:
            channel: The channel; one that does not exist is empty.
            recipient_id: The agent that consumes.
            env_id: The environment copy; messages of other copies stay.
            clear: True counts the messages as received, False only looks at them.

        Raises:
            InvalidMessageError: If a name is not a non-empty string.
            BrokerClosedError: If the broker was closed.
        """

    def consume_many(self, queues: Iterable[QueueKey], clear: bool = True) -> list[list[Message]]:
        """Consume from many queues, in their order.

        By default they go one by one through ``consume``.

        Args:
            queues: Triples of a channel, a recipient and an environment copy, as in ``consume``.
            clear: True counts the messages as received, False only looks at them.

        Returns:
            For each queue, its messages, oldest first.

        Raises:
            InvalidMessageError: If a name is not a non-empty string. Nothing is consumed then.
            BrokerClosedError: If the broker was closed.
        """
        return [self.consume(*queue, clear) for queue in checked_queues(queues)]

    @abstractmethod
    def subscribe(self, channel: str, callback: Callable[[Message], None]) -> Subscription | None:
        """Call ``callback`` with each message that is published on the channel from now on.

        Subscribers take no message from ``consume``. A callback that raises is logged and stops neither the
        other callbacks nor the publisher.

        Returns:
            A handle that ends the subscription, or None if the broker does not support that.

        Raises:
            InvalidMessageError: If the name is not a non-empty string, or ``callback`` is not callable.
            BrokerClosedError: If the broker was closed.
        """

    @abstractmethod
    def clear_environment(self, env_id: str) -> None:
        """Drop all messages of one environment copy. Its channels and their subscribers stay.

        Raises:
            InvalidMessageError: If the id is not a non-empty string.
            BrokerClosedError: If the broker was closed.
        """

    @abstractmethod
    def get_environment_channels(self, env_id: str) -> list[str]:
        """Return the channels of one environment copy.

        These are all channels on which a message of that ``env_id`` was ever published, and all that were
        created under a ``ChannelManager`` name of it.

        Raises:
            InvalidMessageError: If the id is not a non-empty string.
            BrokerClosedError: If the broker was closed.
        """

    @abstractmethod
    def close(self) -> None:
        """Release all messages, channels and resources. Closing twice is harmless."""

    def open_lane(self, routes: Iterable[Route], schema: Schema, message_type: MessageType) -> Lane:
        """Open a lane, which sends and receives on many channels together, as arrays.

        By default it goes through ``publish_many`` and ``consume_many``.

        Args:
            routes: One route a row.
            schema: Payload name -> (shape, dtype) of one row.
            message_type: The type of every message of the lane.

        Raises:
            InvalidMessageError: If there is no route, two share channel, recipient and environment copy, or
                the schema is empty.
            BrokerClosedError: If the broker was closed.
        """
        lane = MessageLane(self.publish_many, self.consume_many, routes, schema, message_type)
        for channel in lane.channels:
            self.create_channel(channel)
        return lane

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def checked_publications(messages: Iterable[Publication]) -> list[Publication]:
    """Return the arguments of ``publish_many`` as a list.

    Raises:
        InvalidMessageError: If a channel is not a non-empty string, or a message is not a ``Message``.
    """
    publications = list(messages)
    for channel, message in publications:
        # The usual case is checked inline, since a call costs more than the check.
        if channel.__class__ is not str or not channel:
            check_id("channel", channel)
        if message.__class__ is not Message and not isinstance(message, Message):
            raise InvalidMessageError(f"channel {channel!r} carries Message objects, got {message!r}")
    return publications


def checked_queues(queues: Iterable[QueueKey]) -> list[QueueKey]:
    """Return the arguments of ``consume_many`` as a list.

    Raises:
        InvalidMessageError: If a name is not a non-empty string.
    """
    keys = list(queues)
    for channel, recipient_id, env_id in keys:
        if (
            channel.__class__ is recipient_id.__class__ is env_id.__class__ is str
            and channel
            and recipient_id
            and env_id
        ):
            continue
        check_id("channel", channel)
        check_id("recipient_id", recipient_id)
        check_id("env_id", env_id)
    return keys
