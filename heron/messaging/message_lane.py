"""Lanes over any broker, by its single messages."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from heron.messaging.lane import Arrays, Lane, LaneBatch, Route, Rows, Schema, Times
from heron.messaging.message import Message, MessageType, Publication, QueueKey


class MessageLane(Lane):
    """A lane that goes message by message, over any broker.

    Args:
        publish_many: Publishes messages; see ``MessageBroker.publish_many``.
        consume_many: Consumes queues; see ``MessageBroker.consume_many``.
        routes: See ``Lane``; the caller creates the channels.
        schema: See ``Lane``.
        message_type: See ``Lane``.
    """

    def __init__(
        self,
        publish_many: Callable[[Iterable[Publication]], None],
        consume_many: Callable[[Iterable[QueueKey]], Sequence[list[Message]]],
        routes: Iterable[Route],
        schema: Schema,
        message_type: MessageType,
    ) -> None:
        super().__init__(routes, schema, message_type)
        self._publish_many = publish_many
        self._consume_many = consume_many
        self._queues = [(route.channel, route.recipient_id, route.env_id) for route in self.routes]
        self._received = self.make_batch()

    def send(self, arrays: Arrays, where: Rows | None = None, timestamp: Times = 0.0) -> None:
        self.check_open()
        rows = self.check_rows(arrays, where)
        self._publish_many(self.messages_of(arrays, rows, self.check_times(timestamp, rows)))

    def receive(self, where: Rows | None = None) -> LaneBatch:
        self.check_open()
        rows = np.flatnonzero(self.check_where(where)).tolist()
        messages = self._consume_many([self._queues[row] for row in rows])
        return self.keep_newest(self._received, zip(rows, messages, strict=True))
