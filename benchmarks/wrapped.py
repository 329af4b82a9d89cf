"""Price of a broker wrapper that forwards everything: ``python -m benchmarks.wrapped``."""

import time
from collections.abc import Callable, Iterable

import numpy as np

from benchmarks.interleaved import time_interleaved
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

ROWS = 48
ROUTES = tuple(
    Route(ChannelManager.action_channel("c", f"field_{row}", "env_0"), "c", f"field_{row}", "env_0")
    for row in range(ROWS)
)


class WithLanes(BrokerWrapper):
    """Wraps the inner broker's lanes, too."""

    def open_lane(self, routes: Iterable[Route], schema: Schema, message_type: MessageType) -> Lane:
        return LaneWrapper(super().open_lane(routes, schema, message_type))


class BySingleCalls(BrokerWrapper):
    """Overrides single calls alone, so that lanes go message by message."""

    def publish(self, channel: str, message: Message) -> None:
        super().publish(channel, message)

    def consume(self, channel: str, recipient_id: str, env_id: str, clear: bool = True) -> list[Message]:
        return super().consume(channel, recipient_id, env_id, clear)


BROKERS: dict[str, Callable[[], MessageBroker]] = {
    "in memory": InMemoryBroker,
    "wrapped": lambda: WithLanes(InMemoryBroker()),
    "wrapped twice": lambda: WithLanes(WithLanes(InMemoryBroker())),
    "wrapped by single calls": lambda: BySingleCalls(InMemoryBroker()),
}


def singles(broker: MessageBroker, count: int) -> Callable[[], float]:
    """Return a function that sends and receives one message ``count`` times, and returns the CPU time it took, in s."""

    def run() -> float:
        start = time.process_time()
        for _ in range(count):
            broker.publish("c", Message("env_0", "a", "b", 0.0, MessageType.INFO, {}))
            broker.consume("c", "b", "env_0")
        return time.process_time() - start

    return run


def lane(broker: MessageBroker, rounds: int) -> Callable[[], float]:
    """Return a function that sends and receives all rows ``rounds`` times, and returns the CPU time it took, in s."""
    opened = broker.open_lane(ROUTES, {"action": ((2,), np.float32)}, MessageType.ACTION)
    rows = {"action": np.zeros((ROWS, 2), np.float32)}

    def run() -> float:
        start = time.process_time()
        for _ in range(rounds):
            opened.send(rows)
            opened.receive()
        return time.process_time() - start

    return run


def main(count: int = 2_000, rounds: int = 50) -> None:
    """Print what a message and a round trip of a lane cost through each broker."""
    for title, prepare in (("publish and consume", singles), (f"lane of {ROWS} rows, round trip", lane)):
        print(f"\n| {title} | us | times the inner broker |\n| --- | ---: | ---: |")
        timings = time_interleaved({label: prepare(make(), count) for label, make in BROKERS.items()}, rounds)
        for label, timing in timings.items():
            ratio, spread = timings["in memory"].speed_against(timing)
            print(f"| {label} | {timing.median / count * 1e6:.2f} | {ratio:.2f} ± {spread:.2f} |")


if __name__ == "__main__":
    main()
