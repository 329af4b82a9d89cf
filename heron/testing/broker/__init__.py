"""Checks of the promises that every message broker makes.

Run them all at once, or one by one under pytest::

    check_broker(MyBroker)

    @pytest.mark.parametrize("check", BROKER_CHECKS, ids=lambda check: check.__name__)
    def test_my_broker(check):
        check(MyBroker)

Each check makes one broker, uses only the methods of ``MessageBroker``, closes the broker, and raises an
``AssertionError`` that names a broken promise.
"""

from heron.testing.broker import bulk, delivery, lanes, lifecycle, subscribers, threads
from heron.testing.broker.promise import BrokerCheck, MakeBroker, Settle, do_nothing
from heron.testing.findings import checks_in, run_suite

__all__ = ["BROKER_CHECKS", "BrokerCheck", "check_broker"]

BROKER_CHECKS: tuple[BrokerCheck, ...] = checks_in(delivery, bulk, threads, subscribers, lifecycle, lanes)
"""Every check, from the simplest promise to the most involved."""


def check_broker(make_broker: MakeBroker, settle: Settle = do_nothing) -> None:
    """Check that a broker keeps every promise of ``MessageBroker``.

    Args:
        make_broker: Returns a new, empty broker that shares no messages with those made before.
        settle: Returns once the callbacks of all messages published so far have run. Only a broker that calls its
            subscribers from another thread or process needs one.

    Raises:
        ContractError: If promises are broken, with a finding for each failed check.

    >>> from heron.messaging import InMemoryBroker
    >>> check_broker(InMemoryBroker)
    """
    run_suite("the broker", BROKER_CHECKS, make_broker, settle)
