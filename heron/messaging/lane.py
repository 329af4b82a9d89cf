"""Lanes: many channels of one kind, sent and received together as arrays."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from heron.errors import InvalidMessageError, check_id
from heron.messaging.message import Message, MessageType, Publication

Schema = Mapping[str, tuple[tuple[int, ...], npt.DTypeLike]]
"""Payload of every message of a lane: name -> (shape, dtype) of one row."""

Arrays = Mapping[str, npt.NDArray[Any]]
"""Payloads of all rows of a lane: name -> ``(num_routes, *shape)``."""

Rows = npt.NDArray[np.bool_]
"""A selection of rows, ``(num_routes,) bool``."""

Times = float | npt.NDArray[np.float64]
"""Simulation time of all rows, or of each, ``(num_routes,)``."""


@dataclass(frozen=True, slots=True)
class Route:
    """One row of a lane: a sender, a recipient and a channel between them in one environment copy.

    Raises:
        InvalidMessageError: If one of them is not a non-empty string.
    """

    channel: str
    sender_id: str
    recipient_id: str
    env_id: str

    def __post_init__(self) -> None:
        check_id("channel", self.channel)
        check_id("sender_id", self.sender_id)
        check_id("recipient_id", self.recipient_id)
        check_id("env_id", self.env_id)


@dataclass(frozen=True, slots=True)
class LaneBatch:
    """Messages that a lane received. The lane owns the arrays and reuses them in its next ``receive``.

    Attributes:
        arrays: Payload by name, each ``(num_routes, *shape)`` of the schema's dtype; only the fresh rows
            are meaningful.
        timestamp: ``(num_routes,) float64``, the simulation time at which each fresh row was sent.
        fresh: ``(num_routes,) bool``, the rows for which a message has arrived since the last ``receive``.
    """

    arrays: dict[str, npt.NDArray[Any]]
    timestamp: npt.NDArray[np.float64]
    fresh: npt.NDArray[np.bool_]


class Lane(ABC):
    """Many channels of one message type, sent and received together as one array.

    A lane *is* its channels: to send a row is to publish a ``Message`` on the route's channel, and to receive a row
    is to consume from that channel as the route's recipient.

    Args:
        routes: One route a row. No two have channel, recipient and environment copy in common, since one row
            would then consume messages for the other.
        schema: Payload name -> (shape, dtype) of one row.
        message_type: The type of every message of the lane.

    Raises:
        InvalidMessageError: If there is no route, two share channel, recipient and environment copy, or the
            schema is empty.
    """

    def __init__(self, routes: Iterable[Route], schema: Schema, message_type: MessageType) -> None:
        self.routes: Sequence[Route] = tuple(routes)
        self.schema = {
            check_id("a schema key", name): (tuple(shape), np.dtype(dtype)) for name, (shape, dtype) in schema.items()
        }
        if not isinstance(message_type, MessageType):
            raise InvalidMessageError(f"message_type of a lane must be a MessageType, got {message_type!r}")
        self.message_type = message_type
        if not self.routes:
            raise InvalidMessageError("a lane needs at least one route, got none")
        if not self.schema:
            raise InvalidMessageError("a lane needs at least one payload name in its schema, got none")
        queues: set[tuple[str, str, str]] = set()
        for route in self.routes:
            queue = (route.channel, route.recipient_id, route.env_id)
            if queue in queues:
                raise InvalidMessageError(
                    f"no two routes of a lane may share channel, recipient and environment copy, got {route} again"
                )
            queues.add(queue)
        self._layout = {name: ((self.num_routes, *shape), dtype) for name, (shape, dtype) in self.schema.items()}
        self._all_rows = np.ones(self.num_routes, dtype=bool)
        self._all_rows.flags.writeable = False
        self._closed = False
        # Set while rows of a ``receive`` that raised wait for the next one to return them.
        self._undelivered = False

    def close(self) -> None:
        """Close the lane; messages keep waiting on its channels. Closing twice is harmless."""
        self._closed = True

    def check_open(self) -> None:
        """Check that the lane may still be used.

        Raises:
            InvalidMessageError: If the lane was closed.
        """
        if self._closed:
            raise InvalidMessageError(f"the lane of {self.routes[0]} and {self.num_routes - 1} more routes is closed")

    @property
    def num_routes(self) -> int:
        """Number of rows."""
        return len(self.routes)

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels of the routes, each once, in the order of the rows."""
        return tuple(dict.fromkeys(route.channel for route in self.routes))

    @abstractmethod
    def send(self, arrays: Arrays, where: Rows | None = None, timestamp: Times = 0.0) -> None:
        """Send one message on each route in ``where``. The arrays are copied.

        Args:
            arrays: For each name of the schema ``(num_routes, *shape)``.
            where: ``(num_routes,) bool``, the rows to send; all of them by default.
            timestamp: Simulation time, one for all or ``(num_routes,)``.

        Raises:
            InvalidMessageError: If a name, shape or dtype does not fit, or a timestamp is not finite. No row is
                sent then.
        """

    @abstractmethod
    def receive(self, where: Rows | None = None) -> LaneBatch:
        """Consume the messages that wait on each route in ``where``, and return the newest of each.

        The newest message has the latest timestamp; of equals, it is the one published last.

        Args:
            where: ``(num_routes,) bool``, the rows to receive; all of them by default. Messages on other rows keep
                waiting.

        Raises:
            InvalidMessageError: If the newest message of a route, published by hand, does not fit the schema.
                It is consumed; the next ``receive`` returns every other row.
        """

    def make_batch(self) -> LaneBatch:
        """Return buffers for one message a row, with no row fresh."""
        size = self.num_routes
        arrays = {name: np.zeros((size, *shape), dtype) for name, (shape, dtype) in self.schema.items()}
        return LaneBatch(arrays, np.zeros(size), np.zeros(size, dtype=bool))

    def check_rows(self, arrays: Arrays, where: Rows | None) -> Rows:
        """Check the arguments of ``send``, and return the rows to send, ``(num_routes,) bool``."""
        if arrays.keys() != self.schema.keys():
            raise InvalidMessageError(f"expected arrays {sorted(self.schema)}, got {sorted(arrays)}")
        for name, (expected, dtype) in self._layout.items():
            array = arrays[name]
            fits = isinstance(array, np.ndarray) and array.shape == expected
            if not fits or not (array.dtype == dtype or np.can_cast(array.dtype, dtype, "same_kind")):
                raise InvalidMessageError(
                    f"array {name!r} must have shape {expected} and dtype {dtype}, got {_described(array)}"
                )
        return self.check_where(where)

    def check_where(self, where: Rows | None) -> Rows:
        """Check a selection of rows, and return it; None selects all."""
        if where is None:
            return self._all_rows
        if not isinstance(where, np.ndarray) or where.shape != (self.num_routes,) or where.dtype != np.bool_:
            raise InvalidMessageError(
                f"where must have shape {(self.num_routes,)} and dtype bool, got {_described(where)}"
            )
        return where

    def check_times(self, timestamp: Times, rows: Rows) -> npt.NDArray[np.float64]:
        """Check the timestamps of the rows to send, and return one for all, ``()``, or ``(num_routes,) float64``."""
        times = np.asarray(timestamp, dtype=np.float64)
        if times.shape not in {(), (self.num_routes,)}:
            raise InvalidMessageError(
                f"timestamp must be one number or have shape {(self.num_routes,)}, got {times.shape}"
            )
        # A finite sum has finite terms only. Finite terms may still overflow, hence the second check.
        if not math.isfinite(np.add.reduce(times, axis=None)):
            bad = rows & ~np.isfinite(times)
            if bad.any():
                raise InvalidMessageError(
                    f"timestamp must be a finite number, got {np.broadcast_to(times, bad.shape)[bad][0]!r}"
                )
        return times

    def messages_of(self, arrays: Arrays, rows: Rows, times: npt.NDArray[np.float64]) -> list[Publication]:
        """Return checked rows as messages, which carry copies of the arrays, each with its channel."""
        times = np.broadcast_to(times, (self.num_routes,))
        messages = []
        for row in np.flatnonzero(rows).tolist():
            route = self.routes[row]
            payload = {name: np.array(arrays[name][row], dtype) for name, (_, dtype) in self.schema.items()}
            message = Message(route.env_id, route.sender_id, route.recipient_id, times[row], self.message_type, payload)
            messages.append((route.channel, message))
        return messages

    def keep_newest(self, received: LaneBatch, messages: Iterable[tuple[int, Sequence[Message]]]) -> LaneBatch:
        """Write the newest of the messages of each row into ``received``, and return it.

        Args:
            received: The batch that the last ``receive`` returned.
            messages: Pairs of a row and its messages, in the order of publication.

        Raises:
            InvalidMessageError: If a newest message does not fit the schema; every other row is kept for the next call.
        """
        if not self._undelivered:
            received.fresh[:] = False
        self._undelivered = True
        misfit: InvalidMessageError | None = None
        for row, waiting in messages:
            try:
                self._write_newest(received, row, waiting)
            except InvalidMessageError as error:
                misfit = error
        if misfit is not None:
            raise misfit
        self._undelivered = False
        return received

    def _write_newest(self, received: LaneBatch, row: int, messages: Sequence[Message]) -> None:
        """Write the newest of some messages into its row, all of it or nothing."""
        if not messages:
            return
        message = max(reversed(messages), key=lambda message: message.timestamp)
        if received.fresh[row] and message.timestamp < received.timestamp[row]:
            return  # a receive that raised kept a newer one
        values = {}
        for name, (shape, dtype) in self.schema.items():
            value = _as_array(message.payload.get(name))
            if value is None or value.shape != shape or not np.can_cast(value.dtype, dtype, "same_kind"):
                raise InvalidMessageError(
                    f"channel {self.routes[row].channel!r} of {message.env_id!r}: message from "
                    f"{message.sender_id!r} must carry {name!r} of shape {shape} and dtype {dtype}, "
                    f"got payload {message.payload!r}"
                )
            values[name] = value
        for name, value in values.items():
            received.arrays[name][row] = value
        received.timestamp[row] = message.timestamp
        received.fresh[row] = True


def _described(value: object) -> str:
    return f"{value.shape} and {value.dtype}" if isinstance(value, np.ndarray) else repr(value)


def _as_array(value: object) -> npt.NDArray[Any] | None:
    """Return ``value`` as an array, or None if it is None or ragged."""
    if value is None:
        return None
    try:
        return np.asarray(value)
    except ValueError:
        return None
