"""Wrappers that count messages: one as fast as its inner broker, one as short as a wrapper can be."""

from collections import Counter

import numpy as np

from heron.messaging import BrokerWrapper, LaneWrapper


class CountingBroker(BrokerWrapper):
    """Counts on single messages, in bulk and on lanes, which stay arrays."""

    def __init__(self, broker):
        super().__init__(broker)
        self.published = Counter()
        self.consumed = Counter()

    def publish(self, channel, message):
        super().publish(channel, message)
        self.published[channel] += 1

    def publish_many(self, messages):
        messages = list(messages)
        super().publish_many(messages)
        self.published.update(channel for channel, _ in messages)

    def consume(self, channel, recipient_id, env_id, clear=True):
        messages = super().consume(channel, recipient_id, env_id, clear)
        self.consumed[channel] += len(messages) * clear
        return messages

    def consume_many(self, queues, clear=True):
        queues = list(queues)
        received = super().consume_many(queues, clear)
        for (channel, _, _), messages in zip(queues, received, strict=True):
            self.consumed[channel] += len(messages) * clear
        return received

    def open_lane(self, routes, schema, message_type):
        return CountingLane(super().open_lane(routes, schema, message_type), self)


class CountingLane(LaneWrapper):
    def __init__(self, lane, broker):
        super().__init__(lane)
        self.broker = broker

    def send(self, arrays, where=None, timestamp=0.0):
        super().send(arrays, where, timestamp)
        self.count(self.broker.published, self.check_where(where))

    def receive(self, where=None):
        batch = super().receive(where)
        self.count(self.broker.consumed, batch.fresh)
        return batch

    def count(self, counter, rows):
        counter.update(self.routes[row].channel for row in np.flatnonzero(rows))


class BriefCountingBroker(BrokerWrapper):
    """Counts single messages, and by these all others."""

    def __init__(self, broker):
        super().__init__(broker)
        self.published = Counter()
        self.consumed = Counter()

    def publish(self, channel, message):
        super().publish(channel, message)
        self.published[channel] += 1

    def consume(self, channel, recipient_id, env_id, clear=True):
        messages = super().consume(channel, recipient_id, env_id, clear)
        self.consumed[channel] += len(messages) * clear
        return messages
