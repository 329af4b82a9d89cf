"""Promises that hold while many threads use one broker."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Final

from heron.messaging import BROADCAST_ID, MessageBroker
from heron.testing.broker.promise import (
    MakeBroker,
    Settle,
    consumed,
    consumed_many,
    do_nothing,
    expect_equal,
    numbered,
    run_together,
)

_EACH: Final = 50
"""Number of messages of each publishing thread, a multiple of those published at once."""


def check_threads_lose_nothing(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """With four threads that publish and four that consume, each message is consumed exactly once."""
    with make_broker() as broker:
        received = _exchange(broker, recipient_id="b", consumers=("b", "b", "b", "b"))
        expect_equal(_sorted(received), list(range(4 * _EACH)), "nothing is lost or doubled between threads")


def check_threads_lose_nothing_in_bulk(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """With ``publish_many`` and ``consume_many``, each message is consumed exactly once as well."""
    with make_broker() as broker:
        received = _exchange(broker, recipient_id="b", consumers=("b", "b", "b", "b"), bulk=5)
        expect_equal(_sorted(received), list(range(4 * _EACH)), "nothing is lost or doubled in bulk")


def check_threads_share_broadcasts(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """With two threads consuming for each of two agents, each agent receives each broadcast exactly once."""
    with make_broker() as broker:
        received = _exchange(broker, recipient_id=BROADCAST_ID, consumers=("x", "x", "y", "y"))
        for agent, parts in (("x", received[:2]), ("y", received[2:])):
            expect_equal(_sorted(parts), list(range(4 * _EACH)), f"{agent!r} receives each broadcast once")


def check_threads_keep_order(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """Messages of one thread arrive in its order while three others publish as well."""
    with make_broker() as broker:
        (received,) = _exchange(broker, recipient_id="b", consumers=("b",))
        for sender in range(4):
            own = [number for number in received if number // _EACH == sender]
            ordered = all(earlier < later for earlier, later in pairwise(own))
            expect_equal(ordered, True, "messages of one sender arrive in order while others publish")


def check_threads_clear_one_env(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """Clearing one environment copy repeatedly loses no message of another."""
    with make_broker() as broker:

        def clear() -> None:
            for number in range(_EACH):
                broker.publish("c", numbered(number, env_id="env_1"))
                broker.clear_environment("env_1")
                broker.get_environment_channels("env_1")

        run_together("clearing does not block", [clear, clear, *_publishers(broker, "b")])
        expect_equal(sorted(consumed(broker, "c")), list(range(4 * _EACH)), "env_0 keeps its messages")


def _publishers(broker: MessageBroker, recipient_id: str, bulk: int = 1) -> list[Callable[[], None]]:
    """Return four tasks that publish disjoint ranges of numbers, ``bulk`` at once."""

    def publish(sender: int) -> None:
        for start in range(sender * _EACH, (sender + 1) * _EACH, bulk):
            messages = [numbered(start + i, recipient_id, sender_id=f"sender_{sender}") for i in range(bulk)]
            if bulk == 1:
                broker.publish("c", messages[0])
            else:
                broker.publish_many([("c", message) for message in messages])

    return [partial(publish, sender) for sender in range(4)]


def _exchange(broker: MessageBroker, recipient_id: str, consumers: tuple[str, ...], bulk: int = 1) -> list[list[int]]:
    """Publish from four threads while others consume until nothing is left; return the numbers each received."""
    received: list[list[int]] = [[] for _ in consumers]
    publishers = _publishers(broker, recipient_id, bulk)
    ended: list[Callable[[], None]] = []

    def publish(task: Callable[[], None]) -> None:
        try:
            task()
        finally:
            ended.append(task)

    def take(agent: str) -> list[int]:
        return consumed(broker, "c", agent) if bulk == 1 else consumed_many(broker, [("c", agent, "env_0")])[0]

    def consume(agent: str, numbers: list[int]) -> None:
        while len(ended) < len(publishers):
            numbers += take(agent)
        numbers += take(agent)

    tasks = [partial(publish, task) for task in publishers]
    tasks += [partial(consume, agent, numbers) for agent, numbers in zip(consumers, received, strict=True)]
    run_together("publishing and consuming do not block each other", tasks)
    return received


def _sorted(parts: list[list[int]]) -> list[int]:
    return sorted(number for part in parts for number in part)
