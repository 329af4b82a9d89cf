"""Promises about callbacks."""

from functools import partial

from heron.messaging import BROADCAST_ID, Message
from heron.testing.broker.promise import (
    MakeBroker,
    Settle,
    consumed,
    do_nothing,
    expect_equal,
    numbered,
    numbers,
    run_together,
)


def check_subscriber_sees_every_message(make_broker: MakeBroker, settle: Settle = do_nothing) -> None:
    """A subscriber sees every later message of its channel, and takes none."""
    with make_broker() as broker:
        seen: list[Message] = []
        broker.publish("c", numbered(0))
        broker.subscribe("c", seen.append)
        broker.publish("c", numbered(1, "b"))
        broker.publish("c", numbered(2, "x", env_id="env_1"))
        broker.publish("c", numbered(3, BROADCAST_ID))
        broker.publish("elsewhere", numbered(4))
        settle()
        expect_equal(numbers(seen), [1, 2, 3], "a subscriber sees each later message of its channel, in order")
        expect_equal(consumed(broker, "c"), [0, 1, 3], "what a subscriber saw still waits for its recipient")


def check_each_subscriber_is_called(make_broker: MakeBroker, settle: Settle = do_nothing) -> None:
    """Each of several subscribers of a channel is called once a message."""
    with make_broker() as broker:
        first: list[Message] = []
        second: list[Message] = []
        broker.subscribe("c", first.append)
        broker.publish("c", numbered(1))
        settle()
        broker.subscribe("c", second.append)
        broker.publish("c", numbered(2))
        settle()
        expect_equal(numbers(first), [1, 2], "a second subscriber does not replace the first")
        expect_equal(numbers(second), [2], "a second subscriber sees what comes after it")


def check_raising_subscriber_stops_no_other(make_broker: MakeBroker, settle: Settle = do_nothing) -> None:
    """A callback that raises stops neither the other callbacks nor the publisher."""

    def fail(message: Message) -> None:
        raise RuntimeError(f"raised on purpose at message {message.payload['number']}")

    with make_broker() as broker:
        before: list[Message] = []
        after: list[Message] = []
        broker.subscribe("c", before.append)
        broker.subscribe("c", fail)
        broker.subscribe("c", after.append)
        for number in (1, 2):
            broker.publish("c", numbered(number))
        settle()
        expect_equal(numbers(before), [1, 2], "a subscriber before one that raises is called")
        expect_equal(numbers(after), [1, 2], "a subscriber after one that raises is called")
        expect_equal(consumed(broker, "c"), [1, 2], "the messages at which a callback raised are delivered")


def check_subscriber_may_use_the_broker(make_broker: MakeBroker, settle: Settle = do_nothing) -> None:
    """A callback may publish, consume, subscribe, clear and create channels without a deadlock."""
    broker = make_broker()
    replies: list[Message] = []
    consumed_inside: list[int] = []

    def answer(message: Message) -> None:
        broker.create_channel("replies")
        broker.subscribe("replies", replies.append)
        consumed_inside.extend(consumed(broker, "c"))
        broker.get_environment_channels(message.env_id)
        broker.clear_environment("env_1")
        broker.publish("replies", numbered(message.payload["number"] + 1, "a", sender_id="b"))

    broker.subscribe("c", answer)

    def publish() -> None:
        broker.publish("c", numbered(1))
        settle()

    # In a thread, because a broker that deadlocks would never return. It could not be closed then, either.
    run_together("a callback may use the broker", [publish])
    expect_equal(consumed_inside, [1], "a callback consumes the message that it was called with")
    expect_equal(numbers(replies), [2], "what a callback publishes reaches the subscriber that it added")
    expect_equal(consumed(broker, "replies", "a"), [2], "what a callback publishes is consumed")
    broker.close()


def check_publishers_call_subscribers(make_broker: MakeBroker, settle: Settle = do_nothing) -> None:
    """With four threads publishing, a subscriber is called once for each message."""
    with make_broker() as broker:
        seen: list[Message] = []
        broker.subscribe("c", seen.append)

        def publish(start: int) -> None:
            for number in range(start, start + 20):
                broker.publish("c", numbered(number))

        run_together("publishing does not block", [partial(publish, start) for start in range(0, 80, 20)])
        settle()
        expect_equal(sorted(numbers(seen)), list(range(80)), "a subscriber sees each message once")
