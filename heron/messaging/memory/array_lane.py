"""Lanes of the in-memory broker: arrays until a caller looks at a message."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from heron.messaging.lane import Arrays, Lane, LaneBatch, Route, Rows, Schema, Times
from heron.messaging.memory.lane_rows import LaneRows
from heron.messaging.memory.store import Store
from heron.messaging.message import Message, MessageType, Publication


class ArrayLane(Lane):
    """A lane of ``InMemoryBroker``, whose rows become ``Message`` objects only when a caller looks at them.

    While no mailbox of the lane holds a message, ``receive`` hands over the very arrays that ``send`` has filled.

    Args:
        store: Everything that the broker holds.
        publish_many: Publishes rows as messages where callbacks or other lanes need these.
        routes: See ``Lane``.
        schema: See ``Lane``.
        message_type: See ``Lane``.
    """

    def __init__(
        self,
        store: Store,
        publish_many: Callable[[Iterable[Publication]], None],
        routes: Iterable[Route],
        schema: Schema,
        message_type: MessageType,
    ) -> None:
        super().__init__(routes, schema, message_type)
        self._store = store
        self._publish_many = publish_many
        self._rows = LaneRows(self)
        with store.guard:
            store.check_open()
            store.add_lane(self._rows)

    def send(self, arrays: Arrays, where: Rows | None = None, timestamp: Times = 0.0) -> None:
        rows = self.check_rows(arrays, where)
        times = self.check_times(timestamp, rows)
        store, waiting = self._store, self._rows
        with store.guard:
            store.check_open()
            self.check_open()
            # Callbacks and other lanes need messages, so these rows go the ordinary way.
            subscribed = store.subscribers
            has_subscriber = subscribed and not subscribed.keys().isdisjoint(waiting.channels)
            one_by_one = bool(waiting.shares_queue_with or has_subscriber)
            if not one_by_one:
                if waiting.num_without_mailbox:
                    self._make_mailboxes(rows)
                first = store.take_numbers(self.num_routes, int(np.count_nonzero(rows)))
                waiting.put(first, arrays, rows, times)
        if one_by_one:
            self._publish_many(self.messages_of(arrays, rows, times))

    def receive(self, where: Rows | None = None) -> LaneBatch:
        rows = self.check_where(where)
        store, waiting = self._store, self._rows
        with store.guard:
            store.check_open()
            self.check_open()
            if waiting.shares_queue_with or waiting.mailboxes_used or self._undelivered:
                # There may be more than one message a row.
                return self.keep_newest(waiting.received, self._take_messages(rows))
            return waiting.take(rows)

    def close(self) -> None:
        with self._store.guard:
            super().close()
            self._store.remove_lane(self._rows)

    def _make_mailboxes(self, rows: Rows) -> None:
        """Make the mailboxes of rows that are sent for the first time."""
        for row in np.flatnonzero(rows & self._rows.without_mailbox).tolist():
            self._store.make_mailbox(self.routes[row].channel, self.routes[row].env_id)

    def _take_messages(self, rows: Rows) -> Iterator[tuple[int, list[Message]]]:
        """Take the messages of each row when the caller asks for them, so that an interrupt loses one row at most."""
        for row in np.flatnonzero(rows).tolist():
            mailbox = self._rows.mailboxes[row]
            yield row, [] if mailbox is None else mailbox.take(self.routes[row].recipient_id, True)
        if rows.all():
            self._rows.mailboxes_used = False
