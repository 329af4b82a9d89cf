"""The broker for one process: thread-safe and isolated by environment."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from heron.errors import ConfigurationError, InvalidMessageError, check_id, checked_count
from heron.messaging.base import MessageBroker, Subscription
from heron.messaging.channels import ChannelManager
from heron.messaging.lane import Lane, Route, Schema
from heron.messaging.memory.array_lane import ArrayLane
from heron.messaging.memory.channels_view import ChannelsView
from heron.messaging.memory.store import Callback, Store
from heron.messaging.message import BROADCAST_ID, Message, MessageType
from heron.messaging.statistics import BrokerStatistics

logger = logging.getLogger(__name__)

_TO_ALL: Final = MessageType.BROADCAST


class InMemoryBroker(MessageBroker):
    """Thread-safe broker for environments in one process.

    The cost of ``consume`` is proportional to the messages it returns, and that of ``clear_environment`` to the
    environment's own channels, however many others there are. A message that is never consumed waits until its
    environment is cleared; ``statistics()`` shows where messages pile up.

    Pickling or copying a broker gives an *empty* broker of the same configuration: messages, channels and
    subscribers belong to the process.

    Args:
        max_queue: Maximum number of messages that may wait for one recipient on one channel of one environment
            copy (and of broadcasts there). None, the default, sets no bound.
        overflow: Policy of a full queue for one more message: ``"drop_oldest"`` makes room, ``"error"`` raises
            ``QueueFullError`` and changes nothing. A full queue of broadcasts first forgets those that every
            consumer so far has received.

    Raises:
        ConfigurationError: If ``max_queue`` is not a positive integer or ``overflow`` is unknown.

    >>> from heron.messaging import Message, MessageType
    >>> broker = InMemoryBroker()
    >>> broker.publish("news", Message("env_0", "a", "b", 0.0, MessageType.INFO, {"x": 1}))
    >>> [message.payload for message in broker.consume("news", "b", "env_0")]
    [{'x': 1}]
    """

    def __init__(self, max_queue: int | None = None, overflow: Literal["drop_oldest", "error"] = "drop_oldest") -> None:
        max_queue = None if max_queue is None else checked_count("max_queue", max_queue)
        if overflow not in ("drop_oldest", "error"):
            raise ConfigurationError(f"overflow must be 'drop_oldest' or 'error', got {overflow!r}")
        self._store = Store(max_queue, overflow)

    @property
    def max_queue(self) -> int | None:
        """Bound of each queue, or None."""
        return self._store.max_queue

    @property
    def overflow(self) -> Literal["drop_oldest", "error"]:
        """Policy of a full queue."""
        return self._store.overflow

    @property
    def lock(self) -> threading.Lock:
        """The lock that guards everything.

        The broker holds it for moments only, and never while a callback runs. It is a plain ``threading.Lock``: a
        thread that holds it must neither use the broker nor look into ``channels``.
        """
        return self._store.lock

    @lock.setter
    def lock(self, lock: threading.Lock) -> None:
        self._store.lock = lock

    @property
    def channels(self) -> Mapping[str, list[Message]]:
        """Channel name -> messages that wait there, oldest first; live and read-only.

        A broadcast waits until its environment is cleared, since any agent may still consume it.
        """
        return ChannelsView(self._store)

    @property
    def subscribers(self) -> dict[str, list[Callback]]:
        """Channel name -> callbacks, in the order of subscription."""
        return self._store.subscribers

    def create_channel(self, channel_name: str) -> None:
        env_id = _env_named_by(check_id("channel", channel_name))
        store = self._store
        with store.guard:
            store.check_open()
            store.mailboxes.setdefault(channel_name, {})
            if env_id is not None:
                store.make_mailbox(channel_name, env_id)

    def publish(self, channel: str, message: Message) -> None:
        if message.__class__ is not Message and not isinstance(message, Message):
            raise InvalidMessageError(f"channel {channel!r} carries Message objects, got {message!r}")
        env_id = message.env_id
        recipient_id = message.recipient_id if message.message_type is not _TO_ALL else BROADCAST_ID
        store = self._store
        with store.guard:
            # The usual case is inlined without a call. Every other one, including errors and a closed broker, finds
            # no open queue.
            try:
                queue = store.environments[env_id][channel].open.get(recipient_id)
            except (KeyError, TypeError):
                queue = None
            if queue is None:
                store.put(channel, env_id, recipient_id, message)
            else:
                number = store.next_number
                store.next_number = number + 1
                messages = queue.messages
                if messages:
                    queue.later.append(number)
                else:
                    queue.first = number
                messages.append(message)
            if not store.subscribers:
                return
            callbacks = tuple(store.subscribers.get(channel, ()))
        for callback in callbacks:
            try:
                callback(message)
            except Exception:
                logger.exception("a subscriber of channel %r of %r raised", channel, message.env_id)

    def consume(self, channel: str, recipient_id: str, env_id: str, clear: bool = True) -> list[Message]:
        store = self._store
        with store.guard:
            try:
                mailbox = store.environments[env_id][channel]
                queue = mailbox.open.get(recipient_id)
            except (KeyError, TypeError):
                store.check_open()
                for what, name in (("channel", channel), ("recipient_id", recipient_id), ("env_id", env_id)):
                    check_id(what, name)
                return []
            if queue is None or not clear:
                check_id("recipient_id", recipient_id)
                return mailbox.take(recipient_id, clear)
            messages = queue.messages
            queue.messages = []
            if queue.later:
                queue.later = []
            return messages

    def subscribe(self, channel: str, callback: Callable[[Message], None]) -> Subscription:
        check_id("channel", channel)
        if not callable(callback):
            raise InvalidMessageError(f"channel {channel!r} needs a callback to call, got {callback!r}")
        self.create_channel(channel)
        with self._store.guard:
            self._store.check_open()
            self._store.subscribers.setdefault(channel, []).append(callback)
        return _CallbackSubscription(self._store, channel, callback)

    def clear_environment(self, env_id: str) -> None:
        check_id("env_id", env_id)
        with self._store.guard:
            self._store.check_open()
            self._store.clear(env_id)

    def get_environment_channels(self, env_id: str) -> list[str]:
        check_id("env_id", env_id)
        with self._store.guard:
            self._store.check_open()
            return list(self._store.environments.get(env_id, ()))

    def statistics(self) -> BrokerStatistics:
        """Return the number of waiting messages, where most of them wait, and other figures of this moment.

        Raises:
            BrokerClosedError: If the broker was closed.
        """
        with self._store.guard:
            self._store.check_open()
            return self._store.statistics()

    def open_lane(self, routes: Iterable[Route], schema: Schema, message_type: MessageType) -> Lane:
        """Open a lane, whose rows stay arrays until a caller looks at them.

        Lanes with bounded queues or broadcasts go message by message.
        """
        listed = tuple(routes)
        to_all = message_type is MessageType.BROADCAST or any(route.recipient_id == BROADCAST_ID for route in listed)
        if self.max_queue is not None or to_all:
            return super().open_lane(listed, schema, message_type)
        lane = ArrayLane(self._store, self.publish_many, listed, schema, message_type)
        for channel in lane.channels:
            self.create_channel(channel)
        return lane

    def close(self) -> None:
        with self._store.guard:
            self._store.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.max_queue, self.overflow)


class _CallbackSubscription(Subscription):
    def __init__(self, store: Store, channel: str, callback: Callback) -> None:
        self._store = store
        self._channel = channel
        self._callback: Callback | None = callback

    def unsubscribe(self) -> None:
        with self._store.guard:
            callbacks = self._store.subscribers.get(self._channel, [])
            # By identity: two callbacks that are equal are still two subscriptions.
            place = next((i for i, known in enumerate(callbacks) if known is self._callback), None)
            if place is not None:
                del callbacks[place]
                if not callbacks:
                    del self._store.subscribers[self._channel]
            self._callback = None


def _env_named_by(channel: str) -> str | None:
    """Return the environment copy in a name of ``ChannelManager``, or None for any other name."""
    try:
        return ChannelManager.parse(channel).env_id
    except InvalidMessageError:
        return None
