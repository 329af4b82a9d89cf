"""Messages of one lane that wait in the in-memory broker as rows of arrays."""

import numpy as np
import numpy.typing as npt

from heron.messaging.lane import Arrays, Lane, LaneBatch, Rows
from heron.messaging.memory.mailbox import ArrayRows, Mailbox
from heron.messaging.message import Message


class LaneRows(ArrayRows):
    """Rows of a lane, of which at most one message each waits here as arrays.

    As soon as a caller looks at that message, or another follows it on its channel, it becomes a ``Message`` in its
    mailbox, in its place in the order of publications.

    The lock of the store guards everything here: each method expects the caller to hold it.

    Args:
        lane: Gives the routes, the type of message and the buffers.

    Attributes:
        routes: One route a row.
        channels: The channels of the routes, each once.
        received: The batch that the last ``receive`` returned, which the next may write into.
        shares_queue_with: The other open lanes that have a channel, recipient and environment copy in common with
            this one.
        num_without_mailbox: Number of rows without a mailbox.
    """

    def __init__(self, lane: Lane) -> None:
        self.routes = lane.routes
        self.channels = dict.fromkeys(route.channel for route in lane.routes)
        self._message_type = lane.message_type
        # Two sets of buffers take turns: one is filled while the caller reads the other.
        self._waiting = lane.make_batch()
        self.received = lane.make_batch()
        self._some_wait = False
        self._order = np.zeros(len(lane.routes), dtype=np.int64)
        self._places = np.arange(len(lane.routes))
        self.mailboxes: list[Mailbox | None] = [None] * len(lane.routes)
        self.without_mailbox = np.ones(len(lane.routes), dtype=bool)
        self.num_without_mailbox = len(lane.routes)
        self.shares_queue_with: set[LaneRows] = set()

    def link(self, row: int, mailbox: Mailbox) -> None:
        """Note the mailbox of a row, which holds every message that does not wait here."""
        mailbox.link(self, row)
        self.mailboxes[row] = mailbox
        self.without_mailbox[row] = False
        self.num_without_mailbox -= 1
        if mailbox.direct or mailbox.broadcasts:
            self.mailboxes_used = True

    def let_go(self) -> None:
        """Move all waiting messages into their mailboxes, and break the links with these and with other lanes."""
        for row in np.flatnonzero(self._waiting.fresh).tolist() if self._some_wait else ():
            self.into_mailbox(row)
        for mailbox in self.mailboxes:
            if mailbox is not None:
                mailbox.unlink(self)
        for other in self.shares_queue_with:
            other.shares_queue_with.discard(self)
        self.shares_queue_with.clear()

    def is_waiting(self, row: int) -> bool:
        return self._some_wait and bool(self._waiting.fresh[row])

    def into_mailbox(self, row: int) -> None:
        waiting, route = self._waiting, self.routes[row]
        mailbox = self.mailboxes[row]
        if mailbox is None or not waiting.fresh[row]:
            return
        waiting.fresh[row] = False
        payload = {name: np.array(array[row]) for name, array in waiting.arrays.items()}
        time = float(waiting.timestamp[row])
        message = Message(route.env_id, route.sender_id, route.recipient_id, time, self._message_type, payload)
        mailbox.put(int(self._order[row]), route.recipient_id, message)

    def drop(self, rows: npt.NDArray[np.intp]) -> None:
        """Drop the messages that wait as arrays on some rows."""
        self._waiting.fresh[rows] = False

    def put(self, first: int, arrays: Arrays, rows: Rows, times: npt.NDArray[np.float64]) -> None:
        """Let one message wait on each of some rows.

        Args:
            first: Place of row 0 in the order of publications; row ``i`` has the place ``first + i``.
            arrays: For each name of the schema ``(num_routes, *shape)``.
            rows: ``(num_routes,) bool``.
            times: ``()`` or ``(num_routes,) float64``.
        """
        waiting = self._waiting
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
            # No other row waits, so the values written into them do not matter.
            for name, array in arrays.items():
                np.copyto(waiting.arrays[name], array, casting="same_kind")
            waiting.timestamp[:] = times
            np.add(self._places, first, out=self._order)
            waiting.fresh[:] = rows
        self._some_wait = True

    def take(self, rows: Rows) -> LaneBatch:
        """Return the messages that wait on some rows, in the buffers that ``put`` has filled.

        Args:
            rows: ``(num_routes,) bool``; messages on other rows keep waiting.
        """
        waiting, other = self._waiting, self.received
        if not self._some_wait:
            other.fresh[:] = False
            return other
        staying = waiting.fresh & ~rows
        self._some_wait = bool(np.count_nonzero(staying))
        self._waiting, self.received = other, waiting
        if self._some_wait:
            for name, array in waiting.arrays.items():
                other.arrays[name][staying] = array[staying]
            other.timestamp[staying] = waiting.timestamp[staying]
            np.logical_and(waiting.fresh, rows, out=waiting.fresh)
        other.fresh[:] = staying
        return waiting
