"""What waits in the in-memory broker on one channel of one environment copy."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from heron.messaging.message import BROADCAST_ID, Message, MessageType

if TYPE_CHECKING:
    from heron.messaging.array_lane import ArrayLane

Numbered = tuple[int, Message]
"""A message with its place in the order of all publications."""


NOTHING: tuple[list[Message], list[int]] = ([], [])


@dataclass(slots=True)
class Mailbox:
    """What waits on one channel for the agents of one environment copy.

    Broadcasts stay until the environment is cleared, because an agent that has not consumed yet may still do
    so. ``seen`` holds, for each agent that ever consumed, how many broadcasts lie behind it, counted from the
    first ever.

    Rows of lanes that lead here keep their latest message as arrays in the lane until somebody looks.
    """

    direct: dict[str, tuple[list[Message], list[int]]] = field(default_factory=dict)
    """By recipient, the messages and their places in the order of publications: apart, so that handing over costs
    nothing."""
    broadcasts: list[Numbered] = field(default_factory=list)
    forgotten: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    lane_rows: list[tuple["ArrayLane", int]] = field(default_factory=list)

    def __len__(self) -> int:
        in_lanes = sum(lane.is_waiting(row) for lane, row in self.lane_rows)
        return sum(len(messages) for messages, _ in self.direct.values()) + len(self.broadcasts) + in_lanes

    def put(self, number: int, message: Message) -> None:
        """Add a message, to one recipient or to all."""
        recipient_id = message.recipient_id
        if recipient_id == BROADCAST_ID or message.message_type is MessageType.BROADCAST:
            self.broadcasts.append((number, message))
        else:
            queue = self.direct.get(recipient_id)
            if queue is None:
                self.direct[recipient_id] = ([message], [number])
            else:
                queue[0].append(message)
                queue[1].append(number)
        if self.lane_rows:
            for lane, _ in self.lane_rows:
                lane.mailboxes_used = True

    def collect_from_lanes(self) -> None:
        """Take in what waits in lanes."""
        for lane, row in self.lane_rows:
            lane.into_mailbox(row)

    def waiting(self) -> Iterator[Numbered]:
        """Everything that waits, by recipient, in no order."""
        self.collect_from_lanes()
        for messages, numbers in self.direct.values():
            yield from zip(numbers, messages, strict=True)
        yield from self.broadcasts

    def take(self, recipient_id: str, clear: bool) -> list[Message]:
        """What waits for one recipient, oldest first; ``clear`` counts it as received."""
        if self.lane_rows:
            self.collect_from_lanes()
        messages, numbers = self.direct.get(recipient_id, NOTHING)
        unseen = self.unseen(recipient_id) if self.broadcasts else []
        if clear:
            self.direct.pop(recipient_id, None)
            # Also of one who got nothing: a full queue forgets only what all who ever came have received.
            self.seen[recipient_id] = self.forgotten + len(self.broadcasts)
        if unseen or self.lane_rows:
            # What has come out of a lane may stand behind what was published after it.
            return in_order([*zip(numbers, messages, strict=True), *unseen])
        return list(messages)

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
        self.direct.clear()
        self.broadcasts.clear()
        self.forgotten = 0
        self.seen.clear()


def in_order(numbered: list[Numbered]) -> list[Message]:
    """Messages in the order of their publication."""
    return [message for _, message in sorted(numbered, key=lambda item: item[0])]
