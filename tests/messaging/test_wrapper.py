"""Brokers around brokers and lanes around lanes: nothing goes past them, nothing is lost in them."""

import copy
import pickle
from collections import Counter

import numpy as np
import pytest

from heron.errors import BrokerClosedError, InvalidMessageError
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
)

from .counting import BriefCountingBroker, CountingBroker
from .naive import NaiveBroker

ROUTES = [
    Route(ChannelManager.action_channel("top", f"low_{i}", "env_0"), "top", f"low_{i}", "env_0") for i in range(3)
]
CHANNELS = [route.channel for route in ROUTES]
SCHEMA = {"x": ((), np.float64)}


def message(number=0, recipient_id="b", env_id="env_0"):
    return Message(env_id, "a", recipient_id, float(number), MessageType.INFO, {"x": float(number)})


def rows():
    return {"x": np.arange(3.0)}


def talk(broker):
    """Send and receive in every way, and return what came."""
    broker.publish("c", message(1))
    broker.publish_many([("c", message(2)), ("d", message(3))])
    lane = broker.open_lane(ROUTES, SCHEMA, MessageType.ACTION)
    lane.send(rows(), np.array([True, True, False]))
    received = [broker.consume("c", "b", "env_0"), *broker.consume_many([("d", "b", "env_0")] * 2)]
    return [[one.payload["x"] for one in messages] for messages in received], lane.receive().fresh.tolist()


class TestForwarding:
    def test_is_all_that_a_plain_wrapper_does(self):
        assert talk(BrokerWrapper(InMemoryBroker())) == talk(InMemoryBroker())

    def test_leaves_lanes_as_fast_as_they_are(self):
        inner = InMemoryBroker()
        lanes = [broker.open_lane(ROUTES, SCHEMA, MessageType.ACTION) for broker in (inner, BrokerWrapper(inner))]
        assert type(lanes[0]) is type(lanes[1])

    def test_reaches_the_inner_brokers_own_bulk_methods(self):
        calls = []

        class Bulk(InMemoryBroker):
            def publish_many(self, messages):
                calls.append("publish_many")
                super().publish_many(messages)

            def consume_many(self, queues, clear=True):
                calls.append("consume_many")
                return super().consume_many(queues, clear)

        talk(BrokerWrapper(BrokerWrapper(Bulk())))
        assert calls == ["publish_many", "consume_many"]

    def test_includes_attributes_and_methods_of_the_inner_broker_alone(self):
        inner = InMemoryBroker(max_queue=3)
        outer = BrokerWrapper(BrokerWrapper(inner))
        outer.publish("c", message())

        assert outer.statistics() == inner.statistics()
        assert dict(outer.channels) == {"c": [message()]}
        assert outer.lock is inner.lock
        assert outer.subscribers is inner.subscribers
        assert outer.max_queue == 3
        with pytest.raises(AttributeError, match="statistics"):
            BrokerWrapper(NaiveBroker()).statistics  # noqa: B018

    def test_excludes_what_is_private(self):
        assert not hasattr(BrokerWrapper(InMemoryBroker()), "_store")

    def test_gives_the_inner_brokers_subscription(self):
        seen = []
        broker = BrokerWrapper(InMemoryBroker())
        handle = broker.subscribe("c", seen.append)
        broker.publish("c", message(1))
        handle.unsubscribe()
        broker.publish("c", message(2))

        assert seen == [message(1)]

    def test_ends_with_the_block_and_closes_the_inner_broker(self):
        with BrokerWrapper(InMemoryBroker()) as broker:
            assert isinstance(broker, BrokerWrapper)
        with pytest.raises(BrokerClosedError):
            broker.broker.publish("c", message())

    def test_shows_in_the_repr(self):
        inner = InMemoryBroker()
        assert repr(CountingBroker(BrokerWrapper(inner))) == f"CountingBroker(BrokerWrapper({inner!r}))"


class TestCopies:
    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
    def test_hold_an_empty_broker_of_the_same_configuration(self, duplicate):
        broker = CountingBroker(BrokerWrapper(InMemoryBroker(max_queue=3, overflow="error")))
        broker.publish("c", message())

        made = duplicate(broker)

        assert (type(made), type(made.broker)) == (CountingBroker, BrokerWrapper)
        assert (made.max_queue, made.overflow, dict(made.channels)) == (3, "error", {})
        made.publish("d", message())
        assert dict(broker.channels) == {"c": [message()]}


class TestOverriding:
    @pytest.mark.parametrize("kind", [CountingBroker, BriefCountingBroker])
    @pytest.mark.parametrize("make_inner", [InMemoryBroker, NaiveBroker, lambda: BriefCountingBroker(NaiveBroker())])
    def test_catches_every_message_however_it_is_sent(self, kind, make_inner):
        broker = kind(make_inner())

        assert talk(broker) == talk(InMemoryBroker())
        assert +broker.published == Counter({"c": 2, "d": 1, CHANNELS[0]: 1, CHANNELS[1]: 1})
        assert +broker.consumed == +broker.published

    def test_of_single_calls_catches_all_also_in_a_mixin_and_in_a_grandchild(self):
        class Counts:
            calls = 0

            def consume(self, *args):
                self.calls += 1
                return super().consume(*args)

        for base in (BrokerWrapper, CountingBroker):
            broker = type("Mixed", (Counts, base), {})(InMemoryBroker())
            talk(broker)
            assert broker.calls == 1 + 2 + len(ROUTES)

    def test_in_bulk_stays_where_the_same_class_overrides_both(self):
        assert CountingBroker.publish_many is not MessageBroker.publish_many
        assert BriefCountingBroker.publish_many is MessageBroker.publish_many
        assert BriefCountingBroker.open_lane is MessageBroker.open_lane


class TestLaneWrapper:
    @pytest.fixture
    def lane(self):
        return LaneWrapper(InMemoryBroker().open_lane(ROUTES, SCHEMA, MessageType.ACTION))

    def test_is_a_lane_of_the_same_routes(self, lane):
        assert isinstance(lane, Lane)
        assert (lane.routes, lane.schema, lane.message_type) == (lane.lane.routes, lane.lane.schema, MessageType.ACTION)
        assert lane.num_routes == 3

    def test_sends_and_receives_masked_rows_with_timestamps(self, lane):
        lane.send(rows(), np.array([True, False, True]), np.array([1.0, 2.0, 3.0]))
        batch = lane.receive(np.array([True, True, False]))

        assert batch.fresh.tolist() == [True, False, False]
        assert batch.timestamp[0] == 1.0
        assert lane.receive().fresh.tolist() == [False, False, True]

    def test_closes_both(self, lane):
        lane.close()
        for one in (lane, lane.lane):
            with pytest.raises(InvalidMessageError, match="closed"):
                one.send(rows())
