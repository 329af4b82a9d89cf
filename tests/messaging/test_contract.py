import queue
import threading
import time
from contextlib import suppress

import pytest

from heron.errors import InvalidMessageError
from heron.messaging import InMemoryBroker
from heron.testing import BROKER_CHECKS, check_broker

from .counting import BriefCountingBroker, CountingBroker
from .naive import NaiveBroker


class PostponingBroker(NaiveBroker):
    """Calls subscribers from a thread of its own, as a broker between processes does."""

    def __init__(self):
        super().__init__()
        self.deliveries = queue.Queue()
        self.worker = threading.Thread(target=self.deliver)
        self.worker.start()

    def deliver(self):
        while (delivery := self.deliveries.get()) is not None:
            callback, message = delivery
            with suppress(Exception):
                callback(message)
            self.deliveries.task_done()

    def subscribe(self, channel, callback):
        if not callable(callback):
            raise InvalidMessageError("no callback")
        super().subscribe(channel, lambda message: self.deliveries.put((callback, message)))

    def settle(self):
        self.deliveries.join()

    def close(self):
        if not self.closed:
            self.deliveries.put(None)
            self.worker.join(10)
        super().close()


BROKERS = {
    "in memory": InMemoryBroker,
    "bounded": lambda: InMemoryBroker(max_queue=1000),
    "naive": NaiveBroker,
    "wrapped": lambda: CountingBroker(InMemoryBroker()),
    "wrapped by single calls": lambda: BriefCountingBroker(InMemoryBroker()),
    "wrapped twice": lambda: CountingBroker(BriefCountingBroker(InMemoryBroker())),
    "naive and wrapped": lambda: CountingBroker(NaiveBroker()),
}


@pytest.mark.parametrize("make_broker", BROKERS.values(), ids=BROKERS)
@pytest.mark.parametrize("check", BROKER_CHECKS, ids=lambda check: check.__name__)
def test_broker_keeps(check, make_broker):
    check(make_broker)


def test_check_broker_runs_every_check():
    made = []

    def make_broker():
        made.append(InMemoryBroker())
        return made[-1]

    check_broker(make_broker)

    assert len(made) == len(BROKER_CHECKS)
    assert all(broker._store._closed for broker in made)


def test_checks_have_names_and_promises():
    names = [check.__name__ for check in BROKER_CHECKS]

    assert len(set(names)) == len(names)
    assert all(check.__doc__ for check in BROKER_CHECKS)


def test_settle_waits_for_callbacks_that_come_late():
    brokers = []

    def make_broker():
        brokers.append(PostponingBroker())
        return brokers[-1]

    def settle():
        brokers[-1].settle()

    check_broker(make_broker, settle)


class LosesTheLast(InMemoryBroker):
    def publish_many(self, messages):
        super().publish_many(list(messages)[:-1])


class PublishesTheLastTwice(InMemoryBroker):
    def publish_many(self, messages):
        messages = list(messages)
        super().publish_many(messages + messages[-1:])


class PublishesInReverse(InMemoryBroker):
    def publish_many(self, messages):
        super().publish_many(list(messages)[::-1])


class ReadsMessagesTwice(InMemoryBroker):
    def publish_many(self, messages):
        for _ in messages:
            pass
        super().publish_many(messages)


class PublishesUntilRefused(InMemoryBroker):
    def publish_many(self, messages):
        for channel, message in messages:
            self.publish(channel, message)


class PublishesPastSubscribers(InMemoryBroker):
    def publish_many(self, messages):
        subscribers = dict(self.subscribers)
        self.subscribers.clear()
        super().publish_many(messages)
        self.subscribers.update(subscribers)


class IgnoresBadMessages(InMemoryBroker):
    def publish_many(self, messages):
        with suppress(InvalidMessageError):
            super().publish_many(messages)


class KeepsWhatWasConsumed(InMemoryBroker):
    def consume_many(self, queues, clear=True):
        return super().consume_many(queues, clear=False)


class TakesWhatWasPeekedAt(InMemoryBroker):
    def consume_many(self, queues, clear=True):
        return super().consume_many(queues)


class LeavesEmptyQueuesOut(InMemoryBroker):
    def consume_many(self, queues, clear=True):
        return [messages for messages in super().consume_many(queues, clear) if messages]


class ConsumesByName(InMemoryBroker):
    def consume_many(self, queues, clear=True):
        return super().consume_many(sorted(queues), clear)


class ConsumesUntilRefused(InMemoryBroker):
    def consume_many(self, queues, clear=True):
        return [self.consume(*queue, clear) for queue in queues]


class MixesEnvironments(InMemoryBroker):
    def consume_many(self, queues, clear=True):
        return super().consume_many([(channel, recipient, "env_0") for channel, recipient, _ in queues], clear)


class ConsumesInTwoReads(InMemoryBroker):
    """Two threads may read the same messages before either of them takes these."""

    def consume_many(self, queues, clear=True):
        queues = list(queues)
        received = super().consume_many(queues, clear=False)
        time.sleep(0.01)
        if clear:
            super().consume_many(queues)
        return received


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (LosesTheLast, "check_publish_many_is_publishing_each"),
        (PublishesTheLastTwice, "check_publish_many_is_publishing_each"),
        (PublishesInReverse, "check_publish_many_keeps_the_order_of_a_sender"),
        (ReadsMessagesTwice, "check_publish_many_is_publishing_each"),
        (PublishesUntilRefused, "check_publish_many_refuses_all_or_none"),
        (PublishesPastSubscribers, "check_publish_many_is_publishing_each"),
        (IgnoresBadMessages, "check_publish_many_refuses_all_or_none"),
        (KeepsWhatWasConsumed, "check_consume_many_is_consuming_each"),
        (TakesWhatWasPeekedAt, "check_consume_many_may_only_look"),
        (LeavesEmptyQueuesOut, "check_consume_many_is_consuming_each"),
        (ConsumesByName, "check_consume_many_is_consuming_each"),
        (ConsumesUntilRefused, "check_consume_many_refuses_all_or_none"),
        (MixesEnvironments, "check_consume_many_is_consuming_each"),
        (ConsumesInTwoReads, "check_threads_lose_nothing_in_bulk"),
    ],
)
def test_bulk_that_differs_from_single_calls_is_caught(broken, check):
    checks = {known.__name__: known for known in BROKER_CHECKS}

    with pytest.raises(AssertionError):
        checks[check](broken)
