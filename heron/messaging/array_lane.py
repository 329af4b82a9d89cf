"""The in-memory broker's lanes: arrays for as long as nobody looks."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heron.errors import InvalidMessageError
from heron.messaging.lane import Lane, LaneBatch, Route, Schema
from heron.messaging.message import Message, MessageType

if TYPE_CHECKING:
    from heron.messaging.in_memory_broker import InMemoryBroker
    from heron.messaging.mailbox import Mailbox

BoolArray = npt.NDArray[np.bool_]


class ArrayLane(Lane):
    """A lane of ``InMemoryBroker`` whose rows become ``Message`` objects only when somebody looks.

    At most one message a row waits here, as a row of arrays. As soon as it is looked at, or followed by another
    on its channel, it becomes a ``Message`` in its mailbox, in its place in the order of publications. While no
    mailbox of the lane holds anything, ``receive`` hands over the very arrays that ``send`` has filled.

    The broker's lock guards everything here; methods with a leading underscore expect it to be held.
    """

    def __init__(
        self, broker: "InMemoryBroker", routes: Iterable[Route], schema: Schema, message_type: MessageType
    ) -> None:
        super().__init__(routes, schema, message_type)
        self._broker = broker
        # Two sets of buffers take turns: one is filled while the caller reads the other.
        self._waiting = self.make_batch()
        self._handed_over = self.make_batch()
        self._some_wait = False
        self._undelivered = False
        self._order = np.zeros(self.num_routes, dtype=np.int64)
        self._places = np.arange(self.num_routes)
        self._channels = dict.fromkeys(route.channel for route in self.routes)
        self._mailboxes: list[Mailbox | None] = [None] * self.num_routes
        self._without_mailbox = np.ones(self.num_routes, dtype=bool)
        self._num_without_mailbox = self.num_routes
        self.shares_queue_with: set[ArrayLane] = set()
        """The other open lanes that have the same channel, recipient and environment copy in a row."""
        self.mailboxes_used = False
        """Whether anything may wait in a mailbox that ``receive`` has to look into."""

    def send(
        self,
        arrays: Mapping[str, npt.NDArray[Any]],
        where: BoolArray | None = None,
        timestamp: float | npt.NDArray[np.float64] = 0.0,
    ) -> None:
        rows = self.check_rows(arrays, where)
        times = self.check_times(timestamp, rows)
        with self._broker.lock:
            self._broker.check_open()
            self.check_open()
            # Callbacks and other lanes want messages, so these rows go the ordinary way.
            subscribed = self._broker.subscribers
            has_subscriber = subscribed and not subscribed.keys().isdisjoint(self._channels)
            one_by_one = bool(self.shares_queue_with or has_subscriber)
            if not one_by_one:
                self._put(arrays, rows, times)
        if one_by_one:
            self.publish_rows(self._broker, arrays, rows, times)

    def receive(self, where: BoolArray | None = None) -> LaneBatch:
        rows = self.check_where(where)
        with self._broker.lock:
            self._broker.check_open()
            self.check_open()
            if self.shares_queue_with or self.mailboxes_used or self._undelivered:
                return self._receive_messages(rows)
            return self._receive_arrays(rows)

    def close(self) -> None:
        with self._broker.lock:
            super().close()
            for row in self.waiting_rows():
                self.into_mailbox(row)
            for mailbox in self._mailboxes:
                if mailbox is not None:
                    mailbox.unlink(self)
            for other in self.shares_queue_with:
                other.shares_queue_with.discard(self)
            self.shares_queue_with.clear()
            self._broker.forget_lane(self)

    def link(self, row: int, mailbox: "Mailbox") -> None:
        """Note where the messages of a row wait when they do not wait here."""
        self._mailboxes[row] = mailbox
        self._without_mailbox[row] = False
        self._num_without_mailbox -= 1
        if mailbox.direct or mailbox.broadcasts:
            self.mailboxes_used = True

    def waiting_rows(self) -> list[int]:
        """The rows on which a message waits as arrays."""
        return np.flatnonzero(self._waiting.fresh).tolist() if self._some_wait else []

    def is_waiting(self, row: int) -> bool:
        """Whether a message waits as arrays on this row."""
        return self._some_wait and bool(self._waiting.fresh[row])

    def drop(self, rows: npt.NDArray[np.intp]) -> None:
        """Drop what waits as arrays on some rows."""
        self._waiting.fresh[rows] = False

    def into_mailbox(self, row: int) -> None:
        """Make the message that waits as arrays on this row an ordinary one."""
        waiting, route = self._waiting, self.routes[row]
        mailbox = self._mailboxes[row]
        if mailbox is None or not waiting.fresh[row]:
            return
        waiting.fresh[row] = False
        payload = {name: np.array(array[row]) for name, array in waiting.arrays.items()}
        time = float(waiting.timestamp[row])
        message = Message(route.env_id, route.sender_id, route.recipient_id, time, self.message_type, payload)
        mailbox.put(int(self._order[row]), route.recipient_id, message)

    def _put(self, arrays: Mapping[str, npt.NDArray[Any]], rows: BoolArray, times: npt.NDArray[np.float64]) -> None:
        if self._num_without_mailbox:
            for row in np.flatnonzero(rows & self._without_mailbox).tolist():
                self._broker.make_mailbox(self.routes[row].channel, self.routes[row].env_id)
        waiting = self._waiting
        first = self._broker.take_numbers(self.num_routes, int(np.count_nonzero(rows)))
        some_stay = False
        if self._some_wait:
            for row in np.flatnonzero(waiting.fresh & rows).tolist():
                self.into_mailbox(row)
            some_stay = bool(waiting.fresh.any())
        if some_stay:
            for name, array in arrays.items():
                waiting.arrays[name][rows] = array[rows]
            waiting.timestamp[rows] = times[rows] if times.ndim else times
            self._order[rows] = first + self._places[rows]
            waiting.fresh[rows] = True
        else:
            # Nothing else waits, so what is written into the other rows does not matter.
            for name, array in arrays.items():
                np.copyto(waiting.arrays[name], array, casting="same_kind")
            waiting.timestamp[:] = times
            np.add(self._places, first, out=self._order)
            waiting.fresh[:] = rows
        self._some_wait = True

    def _receive_arrays(self, rows: BoolArray) -> LaneBatch:
        waiting, other = self._waiting, self._handed_over
        if not self._some_wait:
            other.fresh[:] = False
            return other
        staying = waiting.fresh & ~rows
        self._some_wait = bool(np.count_nonzero(staying))
        self._waiting, self._handed_over = other, waiting
        if self._some_wait:
            for name, array in waiting.arrays.items():
                other.arrays[name][staying] = array[staying]
            other.timestamp[staying] = waiting.timestamp[staying]
            np.logical_and(waiting.fresh, rows, out=waiting.fresh)
        other.fresh[:] = staying
        return waiting

    def _receive_messages(self, rows: BoolArray) -> LaneBatch:
        """Receive one by one, as there may be more than one message a row."""
        received = self._handed_over
        if not self._undelivered:
            received.fresh[:] = False
        self._undelivered = True
        misfit: InvalidMessageError | None = None
        for row in np.flatnonzero(rows).tolist():
            mailbox = self._mailboxes[row]
            messages = [] if mailbox is None else mailbox.take(self.routes[row].recipient_id, True)
            try:
                self.keep_newest(received, row, messages)
            except InvalidMessageError as error:
                misfit = error
        if rows.all():
            self.mailboxes_used = False
        if misfit is not None:
            raise misfit
        self._undelivered = False
        return received
