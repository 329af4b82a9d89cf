"""Parts of the checks: numbered messages, comparisons that explain themselves, threads that end."""

import threading
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from heron.messaging import Message, MessageBroker, MessageType, QueueKey
from heron.testing.findings import Check

MakeBroker = Callable[[], MessageBroker]
Settle = Callable[[], None]

_TIMEOUT: Final = 30.0
"""Seconds until a thread counts as stuck, far more than any broker needs."""


BrokerCheck: TypeAlias = Check[MakeBroker, Settle]
"""A check of the brokers from ``make_broker``; ``settle`` waits for their callbacks."""


def do_nothing() -> None:
    """Settle a broker that has called every callback when ``publish`` returns."""


def numbered(
    number: int,
    recipient_id: str = "b",
    *,
    sender_id: str = "a",
    env_id: str = "env_0",
    message_type: MessageType = MessageType.INFO,
) -> Message:
    """Return a message with a number, which is its timestamp too."""
    return Message(env_id, sender_id, recipient_id, float(number), message_type, {"number": number})


def numbers(messages: Iterable[Message]) -> list[int]:
    """Return the numbers of ``numbered`` messages."""
    return [message.payload["number"] for message in messages]


def consumed(
    broker: MessageBroker, channel: str, recipient_id: str = "b", env_id: str = "env_0", *, clear: bool = True
) -> list[int]:
    """Return the numbers of the messages that ``consume`` returns."""
    return numbers(broker.consume(channel, recipient_id, env_id, clear))


def consumed_many(broker: MessageBroker, queues: Iterable[QueueKey], *, clear: bool = True) -> list[list[int]]:
    """Return the numbers of the messages that ``consume_many`` returns, one list a queue."""
    return [numbers(messages) for messages in broker.consume_many(queues, clear)]


def expect_equal(got: object, expected: object, promise: str) -> None:
    """Fail with the promise unless ``got`` equals ``expected``."""
    assert got == expected, f"{promise}: expected {expected!r}, got {got!r}"


def run_together(promise: str, tasks: Iterable[Callable[[], None]]) -> None:
    """Run each task in a thread of its own, all at once; fail with the promise if one does not end.

    Raises:
        BaseException: The first error of a task.
    """
    tasks = tuple(tasks)
    barrier = threading.Barrier(len(tasks))
    errors: list[BaseException] = []

    def run(task: Callable[[], None]) -> None:
        try:
            barrier.wait(_TIMEOUT)
            task()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    # Daemons, so that a deadlock fails the check instead of keeping the process alive.
    threads = [threading.Thread(target=run, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_TIMEOUT)
        assert not thread.is_alive(), f"{promise}: a thread was still waiting after {_TIMEOUT} s"
    if errors:
        raise errors[0]
