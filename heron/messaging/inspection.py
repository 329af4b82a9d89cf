"""Looking into the in-memory broker without changing anything."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heron.messaging.mailbox import in_order
from heron.messaging.message import Message

if TYPE_CHECKING:
    from heron.messaging.in_memory_broker import InMemoryBroker


@dataclass(frozen=True, slots=True)
class BrokerStatistics:
    """A broker's state at one moment.

    Attributes:
        messages: Messages that wait, broadcasts counted once.
        channels: Channels that exist.
        deepest_channel: The channel on which most messages wait, or None if none does.
        deepest: How many wait there.
        published: Messages accepted since the broker was made.
        dropped: Messages that a bounded queue dropped for newer ones.
        bytes: Memory of the waiting messages in bytes, None where the broker cannot know it.
    """

    messages: int
    channels: int
    deepest_channel: str | None
    deepest: int
    published: int
    dropped: int
    bytes: int | None = None


class ChannelsView(Mapping[str, list[Message]]):
    """A live, read-only mapping of channel names to the messages that wait there, oldest first.

    Each list is made when asked for: changing it changes nothing in the broker.
    """

    def __init__(self, broker: "InMemoryBroker") -> None:
        self._broker = broker

    def __getitem__(self, name: str) -> list[Message]:
        with self._broker.lock:
            mailboxes = self._broker._mailboxes[name].values()  # noqa: SLF001
            numbered = [item for mailbox in mailboxes for item in mailbox.waiting()]
        return in_order(numbered)

    def __iter__(self) -> Iterator[str]:
        with self._broker.lock:
            return iter(list(self._broker._mailboxes))  # noqa: SLF001

    def __len__(self) -> int:
        return len(self._broker._mailboxes)  # noqa: SLF001

    def __contains__(self, name: object) -> bool:
        return name in self._broker._mailboxes  # noqa: SLF001

    def __repr__(self) -> str:
        return repr(dict(self))
