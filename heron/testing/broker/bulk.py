"""Promises about ``publish_many`` and ``consume_many``: their effect is that of single calls."""

from typing import Any, Final, cast

from heron.errors import InvalidMessageError
from heron.messaging import BROADCAST_ID, Message, MessageBroker, Publication, QueueKey
from heron.testing.broker.promise import (
    MakeBroker,
    Settle,
    consumed,
    consumed_many,
    do_nothing,
    expect_equal,
    numbered,
    numbers,
)
from heron.testing.findings import expect_error

_QUEUES: Final[tuple[QueueKey, ...]] = (
    ("d", "b", "env_0"),
    ("c", "x", "env_0"),
    ("c", "b", "env_1"),
    ("c", "b", "env_0"),
)
"""Queues that are neither in the order of the messages below nor in that of their names."""

_WAITING: Final = ([2, 6], [4], [1, 5], [0, 3, 4])
"""Numbers of the messages below that wait in each of these queues."""


def _messages() -> list[Publication]:
    return [
        ("c", numbered(0)),
        ("c", numbered(1, env_id="env_1")),
        ("d", numbered(2)),
        ("c", numbered(3)),
        ("c", numbered(4, BROADCAST_ID)),
        ("c", numbered(5, env_id="env_1")),
        ("d", numbered(6)),
    ]


def check_publish_many_is_publishing_each(make_broker: MakeBroker, settle: Settle = do_nothing) -> None:
    """``publish_many`` puts each message on its channel, in order, and subscribers see them in that order."""
    with make_broker() as broker:
        seen: list[Message] = []
        broker.subscribe("c", seen.append)
        broker.publish_many(iter(_messages()))
        settle()
        expect_equal(numbers(seen), [0, 1, 3, 4, 5], "a subscriber sees each message of its channel, in order")
        expect_equal(sorted(broker.get_environment_channels("env_0")), ["c", "d"], "publish_many makes channels")
        for queue, expected in zip(_QUEUES, _WAITING, strict=True):
            expect_equal(consumed(broker, *queue), expected, f"publish_many puts messages into {queue}, in order")
            expect_equal(consumed(broker, *queue), [], f"publish_many puts each message into {queue} once")
        broker.publish_many([])
        expect_equal(consumed(broker, "c"), [], "publish_many of no messages publishes none")


def check_publish_many_keeps_the_order_of_a_sender(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """Messages published at once come after those published before, and before those published later."""
    with make_broker() as broker:
        broker.publish("c", numbered(0))
        broker.publish_many([("c", numbered(1)), ("c", numbered(2, BROADCAST_ID)), ("c", numbered(3))])
        broker.publish("c", numbered(4))
        broker.publish_many([("c", numbered(5))])
        expect_equal(consumed(broker, "c"), list(range(6)), "publish and publish_many share one order")


def check_publish_many_refuses_all_or_none(make_broker: MakeBroker, settle: Settle = do_nothing) -> None:
    """``publish_many`` with one bad channel or message raises and publishes nothing."""
    bad: dict[str, Any] = {
        "a message that is a dict": ("c", {"number": 1}),
        "a message that is None": ("c", None),
        "a channel without a name": ("", numbered(1)),
        "a channel that is not a string": (3, numbered(1)),
    }
    with make_broker() as broker:
        seen: list[Message] = []
        broker.subscribe("c", seen.append)
        for what, publication in bad.items():
            with expect_error(InvalidMessageError, f"publish_many with {what}"):
                broker.publish_many([("c", numbered(0)), ("new", numbered(0)), cast("Publication", publication)])
        settle()
        expect_equal(numbers(seen), [], "a refused publish_many reaches no subscriber")
        expect_equal(consumed(broker, "c"), [], "a refused publish_many publishes nothing")
        expect_equal("new" in broker.get_environment_channels("env_0"), False, "it makes no channel")


def check_consume_many_is_consuming_each(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """``consume_many`` returns one list a queue, in the order of the queues, and takes what it returns."""
    with make_broker() as broker:
        _publish_each(broker)
        expect_equal(consumed_many(broker, [("nowhere", "b", "env_0")]), [[]], "an unknown channel is empty")
        expect_equal(consumed_many(broker, []), [], "no queue, no list")
        expect_equal(consumed_many(broker, iter(_QUEUES)), list(_WAITING), "consume_many returns a list a queue")
        expect_equal(consumed_many(broker, _QUEUES), [[], [], [], []], "consume_many takes what it returns")
        broker.publish("c", numbered(7))
        broker.publish("c", numbered(8, BROADCAST_ID))
        queues = [("c", "b", "env_0"), ("c", "b", "env_0"), ("c", "x", "env_0"), ("c", "y", "env_0")]
        expected = [[7, 8], [], [8], [4, 8]]
        expect_equal(consumed_many(broker, queues), expected, "a queue that comes twice is empty the second time")


def check_consume_many_may_only_look(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """``consume_many(clear=False)`` shows direct messages and broadcasts, and takes none."""
    with make_broker() as broker:
        _publish_each(broker)
        for _ in range(2):
            peeked = consumed_many(broker, _QUEUES, clear=False)
            expect_equal(peeked, list(_WAITING), "clear=False shows what waits and takes nothing")
        for messages in broker.consume_many(_QUEUES, clear=False):
            messages.clear()
        expect_equal(consumed_many(broker, _QUEUES), list(_WAITING), "what was peeked at is still consumed")


def check_consume_many_refuses_all_or_none(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """``consume_many`` with one bad name raises and takes nothing."""
    good = ("c", "b", "env_0")
    with make_broker() as broker:
        broker.publish("c", numbered(1))
        for place in range(3):
            for bad in ("", None, 3):
                queue = cast("Any", (*good[:place], bad, *good[place + 1 :]))
                with expect_error(InvalidMessageError, f"consume_many with {queue}"):
                    broker.consume_many([good, queue])
        expect_equal(consumed(broker, "c"), [1], "a refused consume_many takes nothing")


def _publish_each(broker: MessageBroker) -> None:
    for channel, message in _messages():
        broker.publish(channel, message)
