"""A broker that carries nothing, to see what messages cost."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from heron.messaging import InMemoryBroker, Lane, LaneBatch, MessageType, Route, Schema

BoolArray = npt.NDArray[np.bool_]


class HandOverBroker(InMemoryBroker):
    """Its lanes hand the sender's arrays to the receiver and do nothing else.

    Nothing is checked, copied, queued or counted, and no channel ever holds a message: this is what a hierarchy
    would cost whose parts just called each other.
    """

    def open_lane(self, routes: Iterable[Route], schema: Schema, message_type: MessageType) -> Lane:
        return HandOverLane(routes, schema, message_type)


class HandOverLane(Lane):
    """The last arrays that were sent."""

    def __init__(self, routes: Iterable[Route], schema: Schema, message_type: MessageType) -> None:
        super().__init__(routes, schema, message_type)
        self._nothing = self.make_batch()
        self._sent = self._nothing

    def send(
        self,
        arrays: Mapping[str, npt.NDArray[Any]],
        where: BoolArray | None = None,
        timestamp: float | npt.NDArray[np.float64] = 0.0,
    ) -> None:
        fresh = self._all_rows if where is None else where
        self._sent = LaneBatch(dict(arrays), np.broadcast_to(timestamp, fresh.shape), fresh)

    def receive(self, where: BoolArray | None = None) -> LaneBatch:
        del where
        sent, self._sent = self._sent, self._nothing
        return sent
