"""What messages cost: one by one against the least that Python can do, and as lanes."""

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from heron.messaging import ChannelManager, InMemoryBroker, Message, MessageType, Route

AGENTS = 8


def singles(count: int) -> dict[str, Callable[[], None]]:
    """Label -> a function that sends and receives ``count`` messages one by one."""
    alone, crowd, wide = InMemoryBroker(), InMemoryBroker(), InMemoryBroker()
    for number in range(10_000):
        crowd.publish("c", _message(f"other_{number % 100}"))
    for number in range(40_000):
        wide.create_channel(f"channel {number}")
    return {
        "slotted object, deque, lock": lambda: _bare(count),
        "publish and consume": lambda: _through(alone, count),
        "... 10,000 wait for others there": lambda: _through(crowd, count),
        "... 40,000 other channels": lambda: _through(wide, count),
    }


def lanes(rounds: int) -> dict[tuple[int, int], Callable[[], None]]:
    """(Rows, values a row) -> a function that sends and receives all rows ``rounds`` times."""
    return {size: _lane(*size, rounds) for size in ((48, 2), (48, 18), (8_192, 16))}


class _Slotted:
    __slots__ = ("env_id", "message_type", "payload", "recipient_id", "sender_id", "timestamp")

    def __init__(self, env_id, sender_id, recipient_id, timestamp, message_type, payload) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        self.env_id = env_id
        self.sender_id = sender_id
        self.recipient_id = recipient_id
        self.timestamp = timestamp
        self.message_type = message_type
        self.payload = payload


PAYLOAD = {"x": 1}


def _message(recipient: str) -> Message:
    return Message("env_0", "a", recipient, 0.0, MessageType.INFO, PAYLOAD)


def _bare(count: int) -> None:
    queue: deque[_Slotted] = deque()
    lock = threading.Lock()
    for _ in range(count):
        message = _Slotted("env_0", "a", "b", 0.0, MessageType.INFO, PAYLOAD)
        with lock:
            queue.append(message)
        with lock:
            queue.popleft()


def _through(broker: InMemoryBroker, count: int) -> None:
    for _ in range(count):
        broker.publish("c", Message("env_0", "a", "b", 0.0, MessageType.INFO, PAYLOAD))
        broker.consume("c", "b", "env_0")


def _lane(rows: int, values: int, rounds: int) -> Callable[[], None]:
    broker = InMemoryBroker()
    ends = [(f"field_{row % AGENTS}", f"env_{row // AGENTS}") for row in range(rows)]
    routes = [Route(ChannelManager.action_channel("c", field, env), "c", field, env) for field, env in ends]
    lane = broker.open_lane(routes, {"action": ((values,), np.float32)}, MessageType.ACTION)
    sent = np.random.default_rng(0).random((rows, values), dtype=np.float32)
    times, where = np.zeros(rows), np.ones(rows, dtype=bool)

    def run() -> None:
        for _ in range(rounds):
            lane.send({"action": sent}, where, times)
            lane.receive()

    return run
