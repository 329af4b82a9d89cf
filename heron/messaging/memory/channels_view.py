"""View of the messages that wait in the in-memory broker."""

from collections.abc import Iterator, Mapping

from heron.messaging.memory.mailbox import in_order
from heron.messaging.memory.store import Store
from heron.messaging.message import Message


class ChannelsView(Mapping[str, list[Message]]):
    """Live, read-only mapping of channel names to the messages that wait there, oldest first.

    Each lookup makes a new list; changing that list changes nothing in the broker.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getitem__(self, name: str) -> list[Message]:
        with self._store.lock:
            mailboxes = self._store.mailboxes[name].values()
            numbered = [item for mailbox in mailboxes for item in mailbox.waiting()]
        return in_order(numbered)

    def __iter__(self) -> Iterator[str]:
        with self._store.lock:
            return iter(list(self._store.mailboxes))

    def __len__(self) -> int:
        return len(self._store.mailboxes)

    def __contains__(self, name: object) -> bool:
        return name in self._store.mailboxes

    def __repr__(self) -> str:
        return repr(dict(self))
