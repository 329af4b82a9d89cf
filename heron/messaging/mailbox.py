"""What waits in the in-memory broker on one channel of one environment copy."""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from heron.messaging.message import BROADCAST_ID, Message

if TYPE_CHECKING:
    from heron.messaging.array_lane import ArrayLane

Numbered = tuple[int, Message]
"""A message with its place in the order of all publications."""

_FEW: Final = 16
"""So many empty queues may stay in a mailbox for messages to come."""


@dataclass(slots=True)
class Queue:
    """What waits for one recipient, oldest first.

    Places in the order of publications stand apart from the messages, so that handing these over costs nothing; the
    first one stands alone, since there is rarely another. Each is noted before its message comes: an interrupt in
    between leaves a place too many, and loses nothing.
    """

    messages: list[Message] = field(default_factory=list)
    first: int = 0
    """The place of the oldest message."""
    later: list[int] = field(default_factory=list)
    """The places of all others."""

    def put(self, number: int, message: Message) -> None:
        """Add a message in its place: what comes out of a lane may be older than what waits."""
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
        """What waits, each message with its place in the order of publications."""
        return zip([self.first, *self.later], self.messages, strict=False)


NO_QUEUE: Final = Queue()
"""Stands for the queue of a recipient for whom nothing ever came."""

_NONE_OPEN: Final[dict[str, Queue]] = {}


class Mailbox:
    """What waits on one channel for the agents of one environment copy.

    Broadcasts stay until the environment is cleared, because an agent that has not consumed yet may still do
    so. Rows of lanes that lead here keep their latest message as arrays in the lane until somebody looks.

    Args:
        bounded: Whether somebody counts what waits here before more is put in.

    Attributes:
        open: The queues into which a message may simply be appended, and which their recipients may simply take:
            those of ``direct`` in a mailbox that is unbounded, has no broadcasts and no lane; else none.
        direct: By recipient, what is for it alone. An empty queue may stay, for messages to come.
        broadcasts: What is for all.
        forgotten: How many broadcasts have been dropped.
        seen: For each agent that consumed, how many broadcasts lie behind it, counted from the first ever.
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
        self.lane_rows: list[tuple[ArrayLane, int]] = []
        self.open: dict[str, Queue]
        self._open_or_not()

    def __len__(self) -> int:
        in_lanes = sum(lane.is_waiting(row) for lane, row in self.lane_rows)
        return sum(len(queue.messages) for queue in self.direct.values()) + len(self.broadcasts) + in_lanes

    def put(self, number: int, recipient_id: str, message: Message) -> None:
        """Add a message for one recipient, or with ``BROADCAST_ID`` for all."""
        if recipient_id == BROADCAST_ID:
            self.broadcasts.append((number, message))
            self._open_or_not()
        else:
            self._queue_of(recipient_id).put(number, message)
        for lane, _ in self.lane_rows:
            lane.mailboxes_used = True

    def link(self, lane: "ArrayLane", row: int) -> None:
        """Let a row of a lane lead here."""
        self.lane_rows.append((lane, row))
        self._open_or_not()

    def unlink(self, lane: "ArrayLane") -> None:
        """Let go of a lane."""
        self.lane_rows = [pair for pair in self.lane_rows if pair[0] is not lane]
        self._open_or_not()

    def collect_from_lanes(self) -> None:
        """Take in what waits in lanes."""
        for lane, row in self.lane_rows:
            lane.into_mailbox(row)

    def waiting(self) -> Iterator[Numbered]:
        """Everything that waits, by recipient, in no order."""
        self.collect_from_lanes()
        for queue in self.direct.values():
            yield from queue.numbered()
        yield from self.broadcasts

    def take(self, recipient_id: str, clear: bool) -> list[Message]:
        """What waits for one recipient, oldest first; ``clear`` counts it as received."""
        self.collect_from_lanes()
        queue = self.direct.get(recipient_id, NO_QUEUE)
        unseen = self.unseen(recipient_id)
        if clear:
            self.direct.pop(recipient_id, None)
            if self.broadcasts or self._bounded:
                # Also of one who got nothing: a full queue forgets only what all who ever came have received.
                self.seen[recipient_id] = self.forgotten + len(self.broadcasts)
        return in_order([*queue.numbered(), *unseen]) if unseen else list(queue.messages)

    def unseen(self, recipient_id: str) -> list[Numbered]:
        """The broadcasts that one recipient has not received."""
        start = self.seen.get(recipient_id, 0) - self.forgotten
        return self.broadcasts[max(start, 0) :]

    def forget_broadcasts(self, number: int) -> None:
        """Drop the oldest broadcasts."""
        del self.broadcasts[:number]
        self.forgotten += number

    def forget_received_broadcasts(self) -> bool:
        """Drop the broadcasts that all who ever consumed here have received, and return whether there were any."""
        received = min(self.seen.values(), default=0) - self.forgotten
        if received > 0:
            self.forget_broadcasts(received)
        return received > 0

    def clear(self) -> None:
        """Drop everything but what waits in lanes."""
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
        """Forget recipients for whom nothing waits, before there are twice as many queues as ever had to wait."""
        for recipient_id in [name for name, queue in self.direct.items() if not queue.messages]:
            del self.direct[recipient_id]
        self._room = max(_FEW, 2 * len(self.direct))


def in_order(numbered: list[Numbered]) -> list[Message]:
    """Messages in the order of their publication."""
    return [message for _, message in sorted(numbered, key=lambda item: item[0])]
