"""A steady load leaves nothing behind: memory is measured, not what the broker says of itself."""

import gc
import tracemalloc
from itertools import count

import numpy as np

from heron.messaging import BROADCAST_ID, ChannelManager, InMemoryBroker, Message, MessageType, Route

ENV_IDS = tuple(f"env_{number}" for number in range(4))
AGENTS = ("a", "b", "c")
ROUTES = [
    Route(ChannelManager.action_channel("top", agent, env_id), "top", agent, env_id)
    for env_id in ENV_IDS
    for agent in AGENTS
]
SCHEMA = {"action": ((2,), np.float32)}


def publish_and_consume(broker, number):
    for env_id in ENV_IDS:
        # Recipients of all kinds: the usual one, all, and one that never comes back.
        for recipient_id in ("a", BROADCAST_ID, f"passing_{number}"):
            for _ in range(2):
                message = Message(env_id, "top", recipient_id, float(number), MessageType.INFO, {"x": number})
                broker.publish("c", message)
            broker.consume("c", recipient_id, env_id)


def use_lanes(broker, number, lane):
    lane.send({"action": np.ones((len(ROUTES), 2), np.float32)}, timestamp=float(number))
    route = ROUTES[number % len(ROUTES)]
    broker.consume(route.channel, route.recipient_id, route.env_id)
    lane.receive()
    other = broker.open_lane(ROUTES[::2], SCHEMA, MessageType.ACTION)
    other.send({"action": np.ones((len(ROUTES[::2]), 2), np.float32)}, timestamp=float(number))
    other.close()


def subscribe_for_a_while(broker, number):
    seen = []
    handle = broker.subscribe(f"c_{number % 8}", seen.append)
    broker.publish(f"c_{number % 8}", Message("env_0", "top", "a", 0.0, MessageType.INFO, {"x": number}))
    handle.unsubscribe()


def live(broker, lane, numbers, rounds):
    for number in (next(numbers) for _ in range(rounds)):
        publish_and_consume(broker, number)
        use_lanes(broker, number, lane)
        subscribe_for_a_while(broker, number)
        for env_id in ENV_IDS:
            broker.clear_environment(env_id)


def traced():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_a_steady_load_leaves_memory_flat():
    """Some 20,000 operations after a warm-up may leave less than a byte each."""
    broker, numbers = InMemoryBroker(), count()
    lane = broker.open_lane(ROUTES, SCHEMA, MessageType.ACTION)
    tracemalloc.start()
    try:
        live(broker, lane, numbers, 100)
        before = traced()
        live(broker, lane, numbers, 500)
        grown = traced() - before
    finally:
        tracemalloc.stop()

    assert grown < 10_000


def test_recipients_that_never_come_back_leave_memory_flat_without_any_clearing():
    broker, numbers = InMemoryBroker(), count()
    tracemalloc.start()
    try:
        for rounds in (200, 2_000):
            before = traced()
            for number in (next(numbers) for _ in range(rounds)):
                recipient_id = f"passing_{number}"
                broker.publish("c", Message("env_0", "top", recipient_id, 0.0, MessageType.INFO, {"x": number}))
                broker.publish("c", Message("env_0", "top", "a", 0.0, MessageType.INFO, {"x": number}))
                if number % 2:
                    broker.consume("c", "a", "env_0")
                broker.consume("c", recipient_id, "env_0")
            grown = traced() - before
    finally:
        tracemalloc.stop()

    assert grown < 10_000
