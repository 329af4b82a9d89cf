"""The broker for one process: thread-safe and isolated by environment."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from heron.errors import BrokerClosedError, ConfigurationError, InvalidMessageError, QueueFullError, check_id
from heron.messaging.array_lane import ArrayLane
from heron.messaging.base import MessageBroker, Subscription
from heron.messaging.channels import ChannelManager
from heron.messaging.inspection import BrokerStatistics, ChannelsView
from heron.messaging.lane import Lane, Route, Schema
from heron.messaging.lock_guard import guard_of
from heron.messaging.mailbox import NO_QUEUE, Mailbox
from heron.messaging.message import BROADCAST_ID, Message, MessageType

logger = logging.getLogger(__name__)

Callback = Callable[[Message], None]
Key = TypeVar("Key")
Value = TypeVar("Value")

_TO_ALL: Final = MessageType.BROADCAST


class InMemoryBroker(MessageBroker):
    """Thread-safe broker for environments in one process.

    ``consume`` costs as much as what it returns, and ``clear_environment`` as much as that environment's own
    channels, however many others there are. A message that is never consumed waits until its environment is
    cleared; ``statistics()`` shows where they pile up.

    Pickling or copying a broker gives an *empty* broker of the same configuration: messages, channels and
    subscribers belong to the process.

    Args:
        max_queue: The most messages that may wait for one recipient on one channel of one environment copy
            (and as many broadcasts there). None, the default, sets no bound.
        overflow: What a full queue does with one more message: ``"drop_oldest"`` makes room,
            ``"error"`` raises ``QueueFullError`` and leaves everything as it was. A full queue of broadcasts
            first forgets those that every agent which ever consumed there has received.

    Attributes:
        subscribers: Channel name -> list of callbacks, in the order of subscription.
        lock: Guards everything. It is held for moments only, and never while a callback runs. Whoever holds it
            must not use the broker, nor look into ``channels``, meanwhile: it is a plain ``threading.Lock``.

    Raises:
        ConfigurationError: If ``max_queue`` is not a positive integer or ``overflow`` is unknown.

    >>> from heron.messaging import Message, MessageType
    >>> broker = InMemoryBroker()
    >>> broker.publish("news", Message("env_0", "a", "b", 0.0, MessageType.INFO, {"x": 1}))
    >>> [message.payload for message in broker.consume("news", "b", "env_0")]
    [{'x': 1}]
    """

    subscribers: dict[str, list[Callback]]

    def __init__(self, max_queue: int | None = None, overflow: Literal["drop_oldest", "error"] = "drop_oldest") -> None:
        if max_queue is not None and (not isinstance(max_queue, int) or isinstance(max_queue, bool) or max_queue < 1):
            raise ConfigurationError(f"max_queue must be a positive integer or None, got {max_queue!r}")
        if overflow not in ("drop_oldest", "error"):
            raise ConfigurationError(f"overflow must be 'drop_oldest' or 'error', got {overflow!r}")
        self.max_queue = max_queue
        self.overflow = overflow
        self.lock = threading.Lock()
        self.subscribers = {}
        # One mailbox a channel and environment, reachable from either side.
        self._mailboxes: dict[str, dict[str, Mailbox]] = {}
        self._environments: dict[str, dict[str, Mailbox]] = {}
        self._next_number = 0
        # Rows of lanes by channel and environment, also of those that have no mailbox yet.
        self._lane_rows: dict[tuple[str, str], list[tuple[ArrayLane, int]]] = {}
        self._lanes_of_environment: dict[str, list[tuple[ArrayLane, npt.NDArray[np.intp]]]] = {}
        self._unused_numbers = 0
        self._dropped = 0
        self._closed = False

    @property
    def lock(self) -> threading.Lock:
        return self._lock

    @lock.setter
    def lock(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._guard = guard_of(lock)

    @property
    def channels(self) -> Mapping[str, list[Message]]:
        """Channel name -> messages that wait there, oldest first; live and read-only.

        A broadcast waits until its environment is cleared, since any agent may still consume it.
        """
        return ChannelsView(self)

    def create_channel(self, channel_name: str) -> None:
        env_id = _env_named_by(check_id("channel", channel_name))
        with self._guard:
            self.check_open()
            self._mailboxes.setdefault(channel_name, {})
            if env_id is not None:
                self.make_mailbox(channel_name, env_id)

    def publish(self, channel: str, message: Message) -> None:
        if message.__class__ is not Message and not isinstance(message, Message):
            raise InvalidMessageError(f"channel {channel!r} carries Message objects, got {message!r}")
        env_id = message.env_id
        recipient_id = message.recipient_id if message.message_type is not _TO_ALL else BROADCAST_ID
        with self._guard:
            # What nearly every message needs stands here without a call. Whatever is not of this kind, also what is
            # wrong or on a closed broker, finds no open queue.
            try:
                queue = self._environments[env_id][channel].open.get(recipient_id)
            except (KeyError, TypeError):
                queue = None
            if queue is None:
                self._put(channel, env_id, recipient_id, message)
            else:
                number = self._next_number
                self._next_number = number + 1
                messages = queue.messages
                if messages:
                    queue.later.append(number)
                else:
                    queue.first = number
                messages.append(message)
            if not self.subscribers:
                return
            callbacks = tuple(self.subscribers.get(channel, ()))
        for callback in callbacks:
            try:
                callback(message)
            except Exception:
                logger.exception("a subscriber of channel %r of %r raised", channel, message.env_id)

    def consume(self, channel: str, recipient_id: str, env_id: str, clear: bool = True) -> list[Message]:
        with self._guard:
            try:
                mailbox = self._environments[env_id][channel]
                queue = mailbox.open.get(recipient_id)
            except (KeyError, TypeError):
                self.check_open()
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

    def subscribe(self, channel: str, callback: Callback) -> Subscription:
        check_id("channel", channel)
        if not callable(callback):
            raise InvalidMessageError(f"channel {channel!r} needs a callback to call, got {callback!r}")
        self.create_channel(channel)
        with self._guard:
            self.check_open()
            self.subscribers.setdefault(channel, []).append(callback)
        return _CallbackSubscription(self, channel, callback)

    def clear_environment(self, env_id: str) -> None:
        check_id("env_id", env_id)
        with self._guard:
            self.check_open()
            for lane, rows in self._lanes_of_environment.get(env_id, ()):
                lane.drop(rows)
            for mailbox in self._environments.get(env_id, {}).values():
                mailbox.clear()

    def get_environment_channels(self, env_id: str) -> list[str]:
        check_id("env_id", env_id)
        with self._guard:
            self.check_open()
            return list(self._environments.get(env_id, ()))

    def statistics(self) -> BrokerStatistics:
        """What waits where, at this moment.

        Raises:
            BrokerClosedError: If the broker was closed.
        """
        with self._guard:
            self.check_open()
            depths = {name: sum(map(len, boxes.values())) for name, boxes in self._mailboxes.items()}
            published, dropped = self._next_number - self._unused_numbers, self._dropped
        deepest = max(depths.values(), default=0)
        name = next((name for name, depth in depths.items() if depth == deepest), None) if deepest else None
        return BrokerStatistics(sum(depths.values()), len(depths), name, deepest, published, dropped)

    def open_lane(self, routes: Iterable[Route], schema: Schema, message_type: MessageType) -> Lane:
        """Send and receive on many channels together, as arrays that are messages to everybody who looks.

        Bounded queues and broadcasts go message by message.
        """
        listed = tuple(routes)
        to_all = message_type is MessageType.BROADCAST or any(route.recipient_id == BROADCAST_ID for route in listed)
        if self.max_queue is not None or to_all:
            return super().open_lane(listed, schema, message_type)
        lane = ArrayLane(self, listed, schema, message_type)
        for channel in dict.fromkeys(route.channel for route in listed):
            self.create_channel(channel)
        with self._guard:
            self.check_open()
            rows_of: dict[str, list[int]] = {}
            for row, route in enumerate(listed):
                self._add_lane_row(lane, row, route)
                rows_of.setdefault(route.env_id, []).append(row)
            for env_id, rows in rows_of.items():
                self._lanes_of_environment.setdefault(env_id, []).append((lane, np.array(rows)))
        return lane

    def forget_lane(self, lane: ArrayLane) -> None:
        """Let go of a lane that is closed, for callers that hold the lock."""
        for key in {(route.channel, route.env_id) for route in lane.routes}:
            _remove_lane(self._lane_rows, key, lane)
        for env_id in {route.env_id for route in lane.routes}:
            _remove_lane(self._lanes_of_environment, env_id, lane)

    def close(self) -> None:
        with self._guard:
            self._closed = True
            self._mailboxes.clear()
            self._environments.clear()
            self._lane_rows.clear()
            self._lanes_of_environment.clear()
            self.subscribers.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.max_queue, self.overflow)

    def check_open(self) -> None:
        """Raise ``BrokerClosedError`` if the broker was closed."""
        if self._closed:
            raise BrokerClosedError("the broker is closed: make a new InMemoryBroker()")

    def _add_lane_row(self, lane: ArrayLane, row: int, route: Route) -> None:
        known = self._lane_rows.setdefault((route.channel, route.env_id), [])
        for other, other_row in known:
            if other.routes[other_row].recipient_id == route.recipient_id:
                other.shares_queue_with.add(lane)
                lane.shares_queue_with.add(other)
        known.append((lane, row))
        mailbox = self._environments.get(route.env_id, {}).get(route.channel)
        if mailbox is not None:
            _link(mailbox, lane, row)

    def make_mailbox(self, channel: str, env_id: str) -> Mailbox:
        """The mailbox of a channel and environment, made if there is none; for callers that hold the lock."""
        environment = self._environments.setdefault(env_id, {})
        mailbox = environment.get(channel)
        if mailbox is None:
            mailbox = environment[channel] = Mailbox(bounded=self.max_queue is not None)
            self._mailboxes.setdefault(channel, {})[env_id] = mailbox
            for lane, row in self._lane_rows.get((channel, env_id), ()):
                _link(mailbox, lane, row)
        return mailbox

    def _put(self, channel: str, env_id: str, recipient_id: str, message: Message) -> None:
        """Put any message on any channel; ``BROADCAST_ID`` stands for all recipients."""
        check_id("channel", channel)
        self.check_open()
        mailbox = self.make_mailbox(channel, env_id)
        if self.max_queue is not None:
            self._make_room(mailbox, channel, env_id, recipient_id)
        mailbox.put(self.take_numbers(1, 1), recipient_id, message)

    def take_numbers(self, numbers: int, published: int) -> int:
        """Reserve places in the order of publications, for callers that hold the lock.

        Args:
            numbers: How many places.
            published: On how many of them a message was published.

        Returns:
            The first place.
        """
        first = self._next_number
        self._next_number += numbers
        self._unused_numbers += numbers - published
        return first

    def _make_room(self, mailbox: Mailbox, channel: str, env_id: str, recipient_id: str) -> None:
        """Let one more message in, if its queue is full."""
        broadcast = recipient_id == BROADCAST_ID
        queue = mailbox.direct.get(recipient_id, NO_QUEUE)
        waiting = len(mailbox.broadcasts) if broadcast else len(queue.messages)
        if self.max_queue is None or waiting < self.max_queue:
            return
        if broadcast and mailbox.forget_received_broadcasts():
            return
        if self.overflow == "error":
            raise QueueFullError(
                f"channel {channel!r} of {env_id!r}: {self.max_queue} messages already wait for "
                f"{recipient_id!r} (max_queue={self.max_queue}); consume or clear them first"
            )
        self._dropped += 1
        if broadcast:
            mailbox.forget_broadcasts(1)
        else:
            queue.drop_oldest()


def _link(mailbox: Mailbox, lane: ArrayLane, row: int) -> None:
    mailbox.link(lane, row)
    lane.link(row, mailbox)


def _remove_lane(index: dict[Key, list[tuple[ArrayLane, Value]]], key: Key, lane: ArrayLane) -> None:
    """Take a lane out of an index, and its key with the last lane."""
    others = [pair for pair in index.pop(key, ()) if pair[0] is not lane]
    if others:
        index[key] = others


class _CallbackSubscription(Subscription):
    def __init__(self, broker: InMemoryBroker, channel: str, callback: Callback) -> None:
        self._broker = broker
        self._channel = channel
        self._callback: Callback | None = callback

    def unsubscribe(self) -> None:
        with self._broker.lock:
            callbacks = self._broker.subscribers.get(self._channel, [])
            # By identity: two callbacks that are equal are still two subscriptions.
            place = next((i for i, known in enumerate(callbacks) if known is self._callback), None)
            if place is not None:
                del callbacks[place]
                if not callbacks:
                    del self._broker.subscribers[self._channel]
            self._callback = None


def _env_named_by(channel: str) -> str | None:
    """The environment copy in a name of ``ChannelManager``, None for any other name."""
    try:
        return ChannelManager.parse(channel).env_id
    except InvalidMessageError:
        return None
