import queue
import threading
from contextlib import suppress

import pytest

from heron.errors import InvalidMessageError
from heron.messaging import InMemoryBroker
from heron.testing import BROKER_CHECKS, check_broker

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


@pytest.mark.parametrize("make_broker", [InMemoryBroker, lambda: InMemoryBroker(max_queue=1000), NaiveBroker])
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
