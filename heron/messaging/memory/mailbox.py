"""Messages that wait in the in-memory broker on one channel of one environment copy."""

from abc import ABC, abstractmethod
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from heron.messaging.message import BROADCAST_ID, Message

Numbered = tuple[int, Message]
"""A message with its place in the order of all publications."""

_FEW: Final = 16
"""Number of empty queues that a mailbox may keep for messages to come."""


@dataclass(slots=True)
class Queue:
    """Messages that wait for one recipient, oldest first.

    Each message has a place in the order of all publications. Places are kept apart from the messages, so that
    handing the messages over costs nothing. The first place has a field of its own, since there is rarely another.
    A place is noted before its message is added: an interrupt in between leaves an extra place and loses nothing.
    """

    messages: list[Message] = field(default_factory=list)
    first: int = 0
    """Place of the oldest message."""
    later: list[int] = field(default_factory=list)
    """Places of all other messages."""

    def put(self, number: int, message: Message) -> None:
        """Add a message in its place, which may be before messages that wait: a lane may hold back an older one."""
        if not self.messages:
            self.first = number
            self.messages.append(message)
        elif number > self.first:
            place = bisect(self.later, number)
            self.later.insert(place, number)
            self.messages.insert(place + 1, message)
        else:
            self.first, self.later = number, [self.first, *self.later]
            self.messages.insert(0, message)

    def drop_oldest(self) -> None:
        """Drop one message."""
        del self.messages[0]
        if self.later:
            self.first = self.later.pop(0)

    def numbered(self) -> Iterator[Numbered]:
        """Yield each message with its place in the order of publications."""
        return zip([self.first, *self.later], self.messages, strict=False)


NO_QUEUE: Final = Queue()
"""Queue of a recipient that no message was ever sent to."""

_NONE_OPEN: Final[dict[str, Queue]] = {}


class ArrayRows(ABC):
    """Messages of a lane that wait as rows of arrays, as the mailboxes of the rows see them.

    Attributes:
        mailboxes_used: True while a mailbox of the lane may hold a message for it.
    """

    mailboxes_used = False

    @abstractmethod
    def is_waiting(self, row: int) -> bool:
        """Return True if a message waits as arrays on this row."""

    @abstractmethod
    def into_mailbox(self, row: int) -> None:
        """Turn the message that waits as arrays on this row, if any, into a ``Message`` in its mailbox."""


class Mailbox:
    """Messages that wait on one channel for the agents of one environment copy.

    Broadcasts stay until the environment is cleared, because an agent that has not consumed yet may still do
    so. Rows of lanes that lead here keep their latest message as arrays until a caller looks at it.

    Args:
        bounded: True if the caller counts the waiting messages before it puts in another.

    Attributes:
        open: The queues to which a publisher may simply append, and which their recipients may simply take.
            These are all of ``direct`` in a mailbox that is unbounded and has no broadcasts and no lane; otherwise
            there are none.
        direct: Recipient -> its own messages. An empty queue may stay for messages to come.
        broadcasts: Messages for all agents.
        forgotten: Number of broadcasts that were dropped.
        seen: Agent -> number of broadcasts it has passed, counted from the first ever.
        lane_rows: The rows of lanes that lead here.
    """

    __slots__ = ("_bounded", "_room", "broadcasts", "direct", "forgotten", "lane_rows", "open", "seen")

    def __init__(self, *, bounded: bool) -> None:
        self._bounded = bounded
        self._room = _FEW
        self.direct: dict[str, Queue] = {}
        self.broadcasts: list[Numbered] = []
        self.forgotten = 0
        self.seen: dict[str, int] = {}
        self.lane_rows: list[tuple[ArrayRows, int]] = []
        self.open: dict[str, Queue]
        self._open_or_not()

    def __len__(self) -> int:
        in_lanes = sum(lane.is_waiting(row) for lane, row in self.lane_rows)
        return sum(len(queue.messages) for queue in self.direct.values()) + len(self.broadcasts) + in_lanes

    def put(self, number: int, recipient_id: str, message: Message) -> None:
        """Add a message for one recipient, or for all agents if that is ``BROADCAST_ID``."""
        if recipient_id == BROADCAST_ID:
            self.broadcasts.append((number, message))
            self._open_or_not()
        else:
            self._queue_of(recipient_id).put(number, message)
        for lane, _ in self.lane_rows:
            lane.mailboxes_used = True

    def link(self, lane: ArrayRows, row: int) -> None:
        """Let a row of a lane lead here."""
        self.lane_rows.append((lane, row))
        self._open_or_not()

    def unlink(self, lane: ArrayRows) -> None:
        """Let go of a lane."""
        self.lane_rows = [pair for pair in self.lane_rows if pair[0] is not lane]
        self._open_or_not()

    def collect_from_lanes(self) -> None:
        """Take in the messages that wait in lanes."""
        for lane, row in self.lane_rows:
            lane.into_mailbox(row)

    def waiting(self) -> Iterator[Numbered]:
        """Yield every waiting message, recipient by recipient."""
        self.collect_from_lanes()
        for queue in self.direct.values():
            yield from queue.numbered()
        yield from self.broadcasts

    def take(self, recipient_id: str, clear: bool) -> list[Message]:
        """Return the messages for one recipient, oldest first; ``clear`` counts them as received."""
        self.collect_from_lanes()
        queue = self.direct.get(recipient_id, NO_QUEUE)
        unseen = self.unseen(recipient_id)
        if clear:
            self.direct.pop(recipient_id, None)
            if self.broadcasts or self._bounded:
                # Noted even if nothing came: a full queue forgets only what every consumer so far has received.
                self.seen[recipient_id] = self.forgotten + len(self.broadcasts)
        return in_order([*queue.numbered(), *unseen]) if unseen else list(queue.messages)

    def unseen(self, recipient_id: str) -> list[Numbered]:
        """Return the broadcasts that one recipient has not received."""
        start = self.seen.get(recipient_id, 0) - self.forgotten
        return self.broadcasts[max(start, 0) :]

    def forget_broadcasts(self, number: int) -> None:
        """Drop the oldest broadcasts."""
        del self.broadcasts[:number]
        self.forgotten += number

    def forget_received_broadcasts(self) -> bool:
        """Drop the broadcasts that every consumer so far has received, and return True if there were any."""
        received = min(self.seen.values(), default=0) - self.forgotten
        if received > 0:
            self.forget_broadcasts(received)
        return received > 0

    def clear(self) -> None:
        """Drop everything except the messages that wait in lanes."""
        if not (self.direct or self.broadcasts or self.seen):
            return
        self.direct.clear()
        self.broadcasts.clear()
        self.forgotten = 0
        self.seen.clear()
        self._open_or_not()

    def _open_or_not(self) -> None:
        self.open = _NONE_OPEN if self._bounded or self.broadcasts or self.lane_rows else self.direct

    def _queue_of(self, recipient_id: str) -> Queue:
        queue = self.direct.get(recipient_id)
        if queue is None:
            if len(self.direct) >= self._room:
                self._drop_empty_queues()
            queue = self.direct[recipient_id] = Queue()
        return queue

    def _drop_empty_queues(self) -> None:
        """Drop empty queues, so that there are at most twice as many queues as were ever in use at once."""
        for recipient_id in [name for name, queue in self.direct.items() if not queue.messages]:
            del self.direct[recipient_id]
        self._room = max(_FEW, 2 * len(self.direct))


def in_order(numbered: list[Numbered]) -> list[Message]:
    """Return messages in the order of their publication."""
    return [message for _, message in sorted(numbered, key=lambda item: item[0])]
