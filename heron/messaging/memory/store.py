"""Everything that an in-memory broker holds, under one lock."""

import threading
from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from heron.errors import BrokerClosedError, QueueFullError, check_id
from heron.messaging.memory.lane_rows import LaneRows
from heron.messaging.memory.lock_guard import guard_of
from heron.messaging.memory.mailbox import NO_QUEUE, Mailbox
from heron.messaging.message import BROADCAST_ID, Message
from heron.messaging.statistics import BrokerStatistics

Callback = Callable[[Message], None]
Key = TypeVar("Key")
Value = TypeVar("Value")


class Store:
    """Mailboxes, lane rows and callbacks of one in-memory broker.

    The lock guards everything here: each method expects the caller to hold it.

    Args:
        max_queue: Bound of each queue, or None.
        overflow: Policy of a full queue; see ``InMemoryBroker``.

    Attributes:
        guard: Holds ``lock`` for the time of a ``with`` block, cheaper than the lock itself.
        mailboxes: Channel -> env_id -> mailbox.
        environments: Env_id -> channel -> the same mailbox.
        subscribers: Channel -> callbacks, in the order of subscription.
        next_number: Place of the next message in the order of publications.
    """

    def __init__(self, max_queue: int | None, overflow: Literal["drop_oldest", "error"]) -> None:
        self.max_queue = max_queue
        self.overflow = overflow
        self.lock = threading.Lock()
        self.mailboxes: dict[str, dict[str, Mailbox]] = {}
        self.environments: dict[str, dict[str, Mailbox]] = {}
        self.subscribers: dict[str, list[Callback]] = {}
        self.next_number = 0
        # Rows of lanes by channel and environment, including those without a mailbox.
        self._lane_rows: dict[tuple[str, str], list[tuple[LaneRows, int]]] = {}
        self._lanes_of_environment: dict[str, list[tuple[LaneRows, npt.NDArray[np.intp]]]] = {}
        self._unused_numbers = 0
        self._dropped = 0
        self._closed = False

    @property
    def lock(self) -> threading.Lock:
        """The lock that guards everything."""
        return self._lock

    @lock.setter
    def lock(self, lock: threading.Lock) -> None:
        self._lock = lock
        self.guard = guard_of(lock)

    def check_open(self) -> None:
        """Raise ``BrokerClosedError`` if the broker was closed."""
        if self._closed:
            raise BrokerClosedError("the broker is closed: make a new InMemoryBroker()")

    def close(self) -> None:
        """Release everything."""
        self._closed = True
        self.mailboxes.clear()
        self.environments.clear()
        self._lane_rows.clear()
        self._lanes_of_environment.clear()
        self.subscribers.clear()

    def make_mailbox(self, channel: str, env_id: str) -> Mailbox:
        """Return the mailbox of a channel and environment, creating it if necessary."""
        environment = self.environments.setdefault(env_id, {})
        mailbox = environment.get(channel)
        if mailbox is None:
            mailbox = environment[channel] = Mailbox(bounded=self.max_queue is not None)
            self.mailboxes.setdefault(channel, {})[env_id] = mailbox
            for lane, row in self._lane_rows.get((channel, env_id), ()):
                lane.link(row, mailbox)
        return mailbox

    def put(self, channel: str, env_id: str, recipient_id: str, message: Message) -> None:
        """Put any message on any channel; ``BROADCAST_ID`` stands for all recipients.

        Raises:
            InvalidMessageError: If the channel is not a non-empty string.
            QueueFullError: If the recipient's queue is full and may not drop.
            BrokerClosedError: If the broker was closed.
        """
        check_id("channel", channel)
        self.check_open()
        mailbox = self.make_mailbox(channel, env_id)
        if self.max_queue is not None:
            self._make_room(mailbox, channel, env_id, recipient_id)
        mailbox.put(self.take_numbers(1, 1), recipient_id, message)

    def take_numbers(self, numbers: int, published: int) -> int:
        """Reserve places in the order of publications.

        Args:
            numbers: Number of places.
            published: Number of messages that were published on them.

        Returns:
            The first place.
        """
        first = self.next_number
        self.next_number += numbers
        self._unused_numbers += numbers - published
        return first

    def clear(self, env_id: str) -> None:
        """Drop all messages of one environment copy."""
        for lane, rows in self._lanes_of_environment.get(env_id, ()):
            lane.drop(rows)
        for mailbox in self.environments.get(env_id, {}).values():
            mailbox.clear()

    def add_lane(self, lane: LaneRows) -> None:
        """Take in the rows of a new lane, and link them with the mailboxes that exist."""
        rows_of: dict[str, list[int]] = {}
        for row, route in enumerate(lane.routes):
            known = self._lane_rows.setdefault((route.channel, route.env_id), [])
            for other, other_row in known:
                if other.routes[other_row].recipient_id == route.recipient_id:
                    other.shares_queue_with.add(lane)
                    lane.shares_queue_with.add(other)
            known.append((lane, row))
            mailbox = self.environments.get(route.env_id, {}).get(route.channel)
            if mailbox is not None:
                lane.link(row, mailbox)
            rows_of.setdefault(route.env_id, []).append(row)
        for env_id, rows in rows_of.items():
            self._lanes_of_environment.setdefault(env_id, []).append((lane, np.array(rows)))

    def remove_lane(self, lane: LaneRows) -> None:
        """Move the messages of a closed lane into their mailboxes, and forget its rows."""
        lane.let_go()
        for key in {(route.channel, route.env_id) for route in lane.routes}:
            _remove_lane(self._lane_rows, key, lane)
        for env_id in {route.env_id for route in lane.routes}:
            _remove_lane(self._lanes_of_environment, env_id, lane)

    def statistics(self) -> BrokerStatistics:
        """Return the figures of this moment."""
        depths = {name: sum(map(len, boxes.values())) for name, boxes in self.mailboxes.items()}
        deepest = max(depths.values(), default=0)
        name = next((name for name, depth in depths.items() if depth == deepest), None) if deepest else None
        published = self.next_number - self._unused_numbers
        return BrokerStatistics(sum(depths.values()), len(depths), name, deepest, published, self._dropped)

    def _make_room(self, mailbox: Mailbox, channel: str, env_id: str, recipient_id: str) -> None:
        """Make room for one more message if its queue is full."""
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


def _remove_lane(index: dict[Key, list[tuple[LaneRows, Value]]], key: Key, lane: LaneRows) -> None:
    """Take a lane out of an index, and its key with the last lane."""
    others = [pair for pair in index.pop(key, ()) if pair[0] is not lane]
    if others:
        index[key] = others
