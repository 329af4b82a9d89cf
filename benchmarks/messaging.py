"""Contenders that send messages: one by one, as lanes, and through a broker with a clock."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

import numpy as np

from benchmarks.timing import Run, Stopwatch, Timing
from heron.messaging import (
    BrokerWrapper,
    ChannelManager,
    InMemoryBroker,
    Lane,
    LaneWrapper,
    Message,
    MessageBroker,
    MessageType,
    Route,
    Schema,
)

AGENTS = 8
ENV_IDS = tuple(f"env_{number}" for number in range(1_024))
PAYLOAD = {"x": 1}


class ClockedBroker(InMemoryBroker):
    """An in-memory broker whose calls during steps and resets are timed, under ``"messages"``."""

    def __init__(self, watch: Stopwatch) -> None:
        super().__init__()
        self._watch = watch
        watch.watch(self, "clear_environment", "messages")

    def open_lane(self, routes: Iterable[Route], schema: Schema, message_type: MessageType) -> Lane:
        lane = super().open_lane(routes, schema, message_type)
        self._watch.watch(lane, "send", "messages")
        self._watch.watch(lane, "receive", "messages")
        return lane


def singles(count: int) -> dict[str, Run]:
    """Return runs that send and receive ``count`` messages one by one, by label."""
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


def lanes(trips: int) -> dict[tuple[int, int], Run]:
    """Return runs that send and receive all rows of a lane ``trips`` times, by number of rows and values a row."""
    return {size: _lane(*size, trips, InMemoryBroker()) for size in ((48, 2), (48, 18), (8_192, 16))}


def clearing(rounds: int) -> dict[str, Timing]:
    """Time ``clear_environment`` of one of 1,024 environments with 16 messages each, in s, by label."""
    waiting = {
        "16 single messages on 4 channels": _waiting_singles(),
        f"16 rows of lanes, {AGENTS} agents both ways": _waiting_rows(),
    }
    seconds: dict[str, list[float]] = {label: [] for label in waiting}
    for round_ in range(rounds + 1):
        for label, (broker, fill) in waiting.items():
            fill()
            start = time.perf_counter()
            for env_id in ENV_IDS:
                broker.clear_environment(env_id)
            if round_:
                seconds[label].append((time.perf_counter() - start) / len(ENV_IDS))
    return {label: Timing(tuple(values)) for label, values in seconds.items()}


class WithLanes(BrokerWrapper):
    """A broker wrapper that forwards everything and wraps lanes, too."""

    def open_lane(self, routes: Iterable[Route], schema: Schema, message_type: MessageType) -> Lane:
        return LaneWrapper(super().open_lane(routes, schema, message_type))


class BySingleCalls(BrokerWrapper):
    """A broker wrapper that overrides single calls alone, so that lanes go message by message."""

    def publish(self, channel: str, message: Message) -> None:
        super().publish(channel, message)

    def consume(self, channel: str, recipient_id: str, env_id: str, clear: bool = True) -> list[Message]:
        return super().consume(channel, recipient_id, env_id, clear)


WRAPPED: Final[Mapping[str, Callable[[], MessageBroker]]] = {
    "in memory": InMemoryBroker,
    "wrapped": lambda: WithLanes(InMemoryBroker()),
    "wrapped twice": lambda: WithLanes(WithLanes(InMemoryBroker())),
    "wrapped by single calls": lambda: BySingleCalls(InMemoryBroker()),
}


def wrapped(count: int) -> dict[str, dict[str, Run]]:
    """Return runs through wrapped brokers, by label: ``count`` single messages, and ``count`` trips of a lane."""
    return {
        "single messages": {label: partial(_through, make(), count) for label, make in WRAPPED.items()},
        "lane, 48 rows": {label: _lane(48, 2, count, make()) for label, make in WRAPPED.items()},
    }


class _Slotted:
    __slots__ = ("env_id", "message_type", "payload", "recipient_id", "sender_id", "timestamp")

    def __init__(self, env_id, sender_id, recipient_id, timestamp, message_type, payload) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        self.env_id = env_id
        self.sender_id = sender_id
        self.recipient_id = recipient_id
        self.timestamp = timestamp
        self.message_type = message_type
        self.payload = payload


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


def _through(broker: MessageBroker, count: int) -> None:
    for _ in range(count):
        broker.publish("c", Message("env_0", "a", "b", 0.0, MessageType.INFO, PAYLOAD))
        broker.consume("c", "b", "env_0")


def _waiting_singles() -> tuple[InMemoryBroker, Callable[[], None]]:
    """Return a broker, and a function that fills it with 16 messages an environment."""
    broker = InMemoryBroker()
    messages = [
        (ChannelManager.action_channel("c", f"field_{place % 4}", env_id), place, env_id)
        for env_id in ENV_IDS
        for place in range(16)
    ]

    def fill() -> None:
        for channel, place, env_id in messages:
            broker.publish(channel, Message(env_id, "c", f"field_{place % 4}", 0.0, MessageType.ACTION, PAYLOAD))

    return broker, fill


def _waiting_rows() -> tuple[InMemoryBroker, Callable[[], None]]:
    """Return a broker, and a function that sends on both lanes of a coordinator above 8 agents in every environment."""
    broker = InMemoryBroker()
    down = broker.open_lane(_commands(len(ENV_IDS) * AGENTS), {"action": ((2,), np.float32)}, MessageType.ACTION)
    infos = [
        Route(ChannelManager.info_channel(r.recipient_id, "c", r.env_id), r.recipient_id, "c", r.env_id)
        for r in down.routes
    ]
    up = broker.open_lane(infos, {"observation": ((4,), np.float32)}, MessageType.INFO)

    def fill() -> None:
        down.send({"action": np.zeros((down.num_routes, 2), np.float32)})
        up.send({"observation": np.zeros((up.num_routes, 4), np.float32)})

    return broker, fill


def _commands(rows: int) -> list[Route]:
    """Return routes from a coordinator to 8 agents in as many environments as needed."""
    ends = [(f"field_{row % AGENTS}", f"env_{row // AGENTS}") for row in range(rows)]
    return [Route(ChannelManager.action_channel("c", field, env), "c", field, env) for field, env in ends]


def _lane(rows: int, values: int, trips: int, broker: MessageBroker) -> Run:
    lane = broker.open_lane(_commands(rows), {"action": ((values,), np.float32)}, MessageType.ACTION)
    sent = np.random.default_rng(0).random((rows, values), dtype=np.float32)
    times, where = np.zeros(rows), np.ones(rows, dtype=bool)

    def run() -> None:
        for _ in range(trips):
            lane.send({"action": sent}, where, times)
            lane.receive()

    return run
