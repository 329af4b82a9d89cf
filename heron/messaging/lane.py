"""Lanes: many channels of one kind, sent and received together as arrays."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heron.errors import InvalidMessageError
from heron.messaging.message import Message, MessageType, check_id, check_timestamp

if TYPE_CHECKING:
    from heron.messaging.base import MessageBroker

Schema = Mapping[str, tuple[tuple[int, ...], npt.DTypeLike]]
"""Payload of every message of a lane: name -> (shape, dtype) of one row."""


@dataclass(frozen=True, slots=True)
class Route:
    """One row of a lane: who speaks to whom, on which channel, in which environment copy.

    Raises:
        InvalidMessageError: If any of them is empty or no string.
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
    """What a lane received. The arrays are owned by the lane and reused by its next ``receive``.

    Attributes:
        arrays: The payload by name, each ``(num_routes, *shape)`` of the schema's dtype; only the fresh rows
            are meaningful.
        timestamp: ``(num_routes,) float64``, the simulation time at which each fresh row was sent.
        fresh: ``(num_routes,) bool``, the rows for which a message has come since the last ``receive``.
    """

    arrays: dict[str, npt.NDArray[Any]]
    timestamp: npt.NDArray[np.float64]
    fresh: npt.NDArray[np.bool_]


class Lane(ABC):
    """Many channels of one message type, sent and received together as one array.

    A lane *is* its channels: a row sent is a ``Message`` published on the route's channel, and a row received
    was consumed from it by the route's recipient.

    Args:
        routes: One route a row; no two alike.
        schema: Payload name -> (shape, dtype) of one row.
        message_type: The type of every message of the lane.

    Raises:
        InvalidMessageError: If there is no route, a route stands twice, or the schema is empty.
    """

    def __init__(self, routes: Iterable[Route], schema: Schema, message_type: MessageType) -> None:
        self.routes: Sequence[Route] = tuple(routes)
        self.schema = {
            check_id("a schema key", name): (tuple(shape), np.dtype(dtype))
            for name, (shape, dtype) in schema.items()
        }
        self.message_type = message_type
        if not self.routes:
            raise InvalidMessageError("a lane needs at least one route, got none")
        if not self.schema:
            raise InvalidMessageError("a lane needs at least one payload name in its schema, got none")
        if len(set(self.routes)) != len(self.routes):
            twice = next(route for route in self.routes if self.routes.count(route) > 1)
            raise InvalidMessageError(f"a lane has each route once, got {twice} twice")

    @property
    def num_routes(self) -> int:
        """Number of rows."""
        return len(self.routes)

    @abstractmethod
    def send(
        self,
        arrays: Mapping[str, npt.NDArray[Any]],
        where: npt.NDArray[np.bool_] | None = None,
        timestamp: float | npt.NDArray[np.float64] = 0.0,
    ) -> None:
        """Send one message on each route in ``where``. The arrays are copied.

        Args:
            arrays: For each name of the schema ``(num_routes, *shape)``.
            where: ``(num_routes,) bool``, the rows to send; all of them by default.
            timestamp: Simulation time, one for all or ``(num_routes,)``.

        Raises:
            InvalidMessageError: If a name, shape or dtype does not fit the schema; nothing is sent then.
        """

    @abstractmethod
    def receive(self) -> LaneBatch:
        """Consume what waits on every route, and keep the newest message of each.

        The newest is the one with the latest timestamp; of equals, the one that came last.

        Raises:
            InvalidMessageError: If somebody published a message on a route that does not fit the schema. That
                message is consumed; every other row is returned by the next ``receive``.
        """

    def check_rows(
        self, arrays: Mapping[str, npt.NDArray[Any]], where: npt.NDArray[np.bool_] | None
    ) -> npt.NDArray[np.bool_]:
        """Check what ``send`` was given, and return the rows to send, ``(num_routes,) bool``."""
        if arrays.keys() != self.schema.keys():
            raise InvalidMessageError(f"expected arrays {sorted(self.schema)}, got {sorted(arrays)}")
        for name, (shape, dtype) in self.schema.items():
            array = arrays[name]
            if array.shape != (self.num_routes, *shape) or not np.can_cast(array.dtype, dtype, "same_kind"):
                raise InvalidMessageError(
                    f"array {name!r} must have shape {(self.num_routes, *shape)} and dtype {dtype}, "
                    f"got {array.shape} and {array.dtype}"
                )
        if where is None:
            return np.ones(self.num_routes, dtype=bool)
        if where.shape != (self.num_routes,) or where.dtype != np.bool_:
            raise InvalidMessageError(
                f"where must have shape {(self.num_routes,)} and dtype bool, "
                f"got {where.shape} and {where.dtype}"
            )
        return where


class MessageLane(Lane):
    """A lane over any broker, message by message, by nothing but ``publish`` and ``consume``."""

    def __init__(
        self, broker: "MessageBroker", routes: Iterable[Route], schema: Schema, message_type: MessageType
    ) -> None:
        super().__init__(routes, schema, message_type)
        self._broker = broker
        for channel in dict.fromkeys(route.channel for route in self.routes):
            broker.create_channel(channel)
        size = self.num_routes
        arrays = {name: np.zeros((size, *shape), dtype) for name, (shape, dtype) in self.schema.items()}
        self._received = LaneBatch(arrays, np.zeros(size), np.zeros(size, dtype=bool))
        self._undelivered = False

    def send(
        self,
        arrays: Mapping[str, npt.NDArray[Any]],
        where: npt.NDArray[np.bool_] | None = None,
        timestamp: float | npt.NDArray[np.float64] = 0.0,
    ) -> None:
        rows = np.flatnonzero(self.check_rows(arrays, where)).tolist()
        times = np.broadcast_to(np.asarray(timestamp, dtype=np.float64), (self.num_routes,))
        for row in rows:
            check_timestamp(times[row])
        for row in rows:
            route = self.routes[row]
            payload = {name: np.array(arrays[name][row], dtype) for name, (_, dtype) in self.schema.items()}
            message = Message(
                route.env_id, route.sender_id, route.recipient_id, times[row], self.message_type, payload
            )
            self._broker.publish(route.channel, message)

    def receive(self) -> LaneBatch:
        received = self._received
        if not self._undelivered:
            received.fresh[:] = False
        self._undelivered = True
        misfit: InvalidMessageError | None = None
        for row, route in enumerate(self.routes):
            messages = self._broker.consume(route.channel, route.recipient_id, route.env_id)
            if messages:
                try:
                    self._keep(row, max(reversed(messages), key=lambda message: message.timestamp))
                except InvalidMessageError as error:
                    misfit = error
        if misfit is not None:
            raise misfit
        self._undelivered = False
        return received

    def _keep(self, row: int, message: Message) -> None:
        """Write a message's payload into its row, all of it or nothing."""
        values = {}
        for name, (shape, dtype) in self.schema.items():
            value = np.asarray(message.payload.get(name))
            if value.shape != shape or not np.can_cast(value.dtype, dtype, "same_kind"):
                raise InvalidMessageError(
                    f"channel {self.routes[row].channel!r} of {message.env_id!r}: message from "
                    f"{message.sender_id!r} must carry {name!r} of shape {shape} and dtype {dtype}, "
                    f"got payload {message.payload!r}"
                )
            values[name] = value
        for name, value in values.items():
            self._received.arrays[name][row] = value
        self._received.timestamp[row] = message.timestamp
        self._received.fresh[row] = True
