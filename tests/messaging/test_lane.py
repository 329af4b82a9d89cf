import gc
import weakref

import numpy as np
import pytest

from heron.errors import BrokerClosedError, InvalidMessageError
from heron.messaging import ChannelManager, InMemoryBroker, Lane, Message, MessageType, Route

from .counting import CountingBroker
from .naive import NaiveBroker

ROUTES = [
    Route(ChannelManager.action_channel("top", f"low_{i}", "env_0"), "top", f"low_{i}", "env_0") for i in range(3)
]
SCHEMA = {"action": ((2,), np.float32), "mode": ((), np.int64)}


@pytest.fixture(
    params=[InMemoryBroker, NaiveBroker, lambda: CountingBroker(InMemoryBroker())], ids=["memory", "naive", "wrapped"]
)
def broker(request):
    return request.param()


@pytest.fixture
def lane(broker):
    return broker.open_lane(ROUTES, SCHEMA, MessageType.ACTION)


def rows(value=1.0):
    return {"action": np.full((3, 2), value, np.float32), "mode": np.arange(3)}


class TestRoute:
    @pytest.mark.parametrize("place", range(4))
    @pytest.mark.parametrize("bad", ["", None, 3])
    def test_names_what_is_no_id(self, place, bad):
        parts = ["c", "a", "b", "env_0"]
        parts[place] = bad
        name = ["channel", "sender_id", "recipient_id", "env_id"][place]

        with pytest.raises(InvalidMessageError, match=f"^{name} "):
            Route(*parts)

    def test_is_a_value(self):
        assert Route("c", "a", "b", "e") == Route("c", "a", "b", "e")
        assert len({Route("c", "a", "b", "e"), Route("c", "a", "b", "e")}) == 1


class TestOpening:
    def test_keeps_routes_schema_and_type(self, lane):
        assert isinstance(lane, Lane)
        assert lane.num_routes == 3
        assert list(lane.routes) == ROUTES
        assert lane.schema == {"action": ((2,), np.dtype("float32")), "mode": ((), np.dtype("int64"))}
        assert lane.message_type is MessageType.ACTION

    def test_takes_any_iterable_of_routes(self, broker):
        assert broker.open_lane(iter(ROUTES), SCHEMA, MessageType.ACTION).num_routes == 3

    def test_keeps_what_waits_on_its_channels(self, broker):
        payload = {"action": [1.0, 2.0], "mode": 3}
        broker.publish(ROUTES[1].channel, Message("env_0", "top", "low_1", 1, MessageType.ACTION, payload))
        batch = broker.open_lane(ROUTES, SCHEMA, MessageType.ACTION).receive()

        assert batch.fresh.tolist() == [False, True, False]
        assert batch.arrays["action"][1].tolist() == [1.0, 2.0]

    def test_says_which_route_is_one_too_many(self, broker):
        with pytest.raises(InvalidMessageError, match="low_2"):
            broker.open_lane([*ROUTES, ROUTES[2]], SCHEMA, MessageType.ACTION)

    @pytest.mark.parametrize("bad", ["", 3])
    def test_refuses_a_schema_key_that_is_no_name(self, broker, bad):
        with pytest.raises(InvalidMessageError, match="schema key"):
            broker.open_lane(ROUTES, {bad: ((), float)}, MessageType.ACTION)


class TestSending:
    def test_casts_within_a_kind_and_stays_a_copy(self, lane, broker):
        sent = {"action": np.ones((3, 2), np.float64), "mode": np.arange(3, dtype=np.int32)}
        lane.send(sent)
        sent["action"][:] = 9

        (message,) = broker.consume(ROUTES[0].channel, "low_0", "env_0")
        assert message.payload["action"].dtype == np.float32
        assert message.payload["mode"].dtype == np.int64
        assert message.payload["action"].tolist() == [1.0, 1.0]

    def test_goes_in_order_of_rows_and_takes_time_zero_by_default(self, broker):
        routes = [Route("shared", "top", f"low_{i}", "env_0") for i in range(3)]
        seen = []
        broker.subscribe("shared", seen.append)
        broker.open_lane(routes, SCHEMA, MessageType.ACTION).send(rows())

        assert [(message.recipient_id, message.timestamp) for message in seen] == [
            ("low_0", 0.0),
            ("low_1", 0.0),
            ("low_2", 0.0),
        ]

    def test_checks_only_the_timestamps_of_rows_that_are_sent(self, lane):
        times = np.array([1.0, np.nan, 2.0])
        lane.send(rows(), np.array([True, False, True]), times)
        assert lane.receive().timestamp[[0, 2]].tolist() == [1.0, 2.0]
        with pytest.raises(InvalidMessageError, match=r"timestamp .*nan"):
            lane.send(rows(), timestamp=times)
        assert not lane.receive().fresh.any()

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"action": np.ones((3, 2))}, r"\['action', 'mode'\].*\['action'\]"),
            (rows() | {"x": np.ones(3)}, r"\['action', 'mode', 'x'\]"),
            (rows() | {"action": np.ones((3, 3))}, r"'action' .*\(3, 2\).*float32.*\(3, 3\)"),
            (rows() | {"mode": np.ones(3)}, r"'mode' .*\(3,\).*int64.*float64"),
        ],
    )
    def test_says_what_does_not_fit(self, lane, arrays, message):
        with pytest.raises(InvalidMessageError, match=message):
            lane.send(arrays)
        assert not lane.receive().fresh.any()

    @pytest.mark.parametrize("where", [np.ones(2, bool), np.ones(3), np.ones((3, 1), bool)])
    def test_says_what_is_no_mask(self, lane, where):
        with pytest.raises(InvalidMessageError, match=r"where .*\(3,\).*bool"):
            lane.send(rows(), where)

    @pytest.mark.parametrize("timestamp", [np.zeros(2), np.zeros((3, 1)), np.zeros(1)])
    def test_says_which_timestamps_do_not_fit(self, lane, timestamp):
        with pytest.raises(InvalidMessageError, match=r"timestamp .*\(3,\)"):
            lane.send(rows(), timestamp=timestamp)


class TestReceiving:
    def test_keeps_what_it_returned_until_the_next_receive(self, lane):
        lane.send(rows(5.0))
        first = lane.receive()
        kept = first.arrays["action"].copy()
        lane.send(rows(6.0))

        np.testing.assert_array_equal(first.arrays["action"], kept)
        assert first.fresh.all()

    def test_allocates_nothing_once_it_runs(self, lane):
        seen = set()
        for number in range(6):
            lane.send(rows(float(number)))
            seen.add(id(lane.receive().arrays["action"]))
        assert len(seen) <= 2

    def test_gives_arrays_of_the_documented_shape_and_dtype(self, lane):
        batch = lane.receive()

        assert batch.arrays["action"].shape == (3, 2)
        assert batch.arrays["action"].dtype == np.float32
        assert batch.arrays["mode"].shape == (3,)
        assert batch.arrays["mode"].dtype == np.int64
        assert (batch.timestamp.shape, batch.timestamp.dtype) == ((3,), np.float64)
        assert (batch.fresh.shape, batch.fresh.dtype) == ((3,), np.bool_)

    def test_empties_every_route(self, lane, broker):
        lane.send(rows(1.0))
        lane.send(rows(2.0))
        lane.receive()

        for route in ROUTES:
            assert broker.consume(route.channel, route.recipient_id, "env_0") == []

    def test_leaves_other_envs_and_recipients_alone(self, lane, broker):
        message = Message("env_1", "top", "low_0", 1, MessageType.ACTION, {})
        other = Message("env_0", "top", "another", 1, MessageType.ACTION, {})
        broker.publish(ROUTES[0].channel, message)
        broker.publish(ROUTES[0].channel, other)

        assert not lane.receive().fresh.any()
        assert broker.consume(ROUTES[0].channel, "low_0", "env_1") == [message]
        assert broker.consume(ROUTES[0].channel, "another", "env_0") == [other]

    def test_takes_a_broadcast_once_a_row(self, broker):
        routes = [Route("news", "top", f"low_{i}", "env_0") for i in range(3)]
        lane = broker.open_lane(routes, SCHEMA, MessageType.ACTION)
        payload = {"action": [1.0, 2.0], "mode": 0, "more": "is ignored"}
        broker.publish("news", Message("env_0", "top", "broadcast", 1, MessageType.INFO, payload))

        assert lane.receive().fresh.all()
        assert not lane.receive().fresh.any()

    def test_error_names_channel_env_sender_and_what_was_expected(self, lane, broker):
        payload = {"action": [1.0, 2.0, 3.0], "mode": 1}
        broker.publish(ROUTES[2].channel, Message("env_0", "top", "low_2", 1, MessageType.ACTION, payload))

        with pytest.raises(InvalidMessageError) as caught:
            lane.receive()

        for part in (ROUTES[2].channel, "'env_0'", "'top'", "'action'", "(2,)", "float32", "[1.0, 2.0, 3.0]"):
            assert part in str(caught.value)

    def test_writes_a_row_that_does_not_fit_not_even_in_part(self, lane, broker):
        lane.send(rows(7.0))
        batch = lane.receive()
        payload = {"action": [1.0, 2.0], "mode": 0.5}
        broker.publish(ROUTES[0].channel, Message("env_0", "top", "low_0", 1, MessageType.ACTION, payload))
        with pytest.raises(InvalidMessageError):
            lane.receive()

        assert batch.arrays["action"][0].tolist() == [7.0, 7.0]
        assert not lane.receive().fresh.any()

    def test_consumes_every_route_before_it_raises(self, lane, broker):
        for row in (0, 1):
            recipient = ROUTES[row].recipient_id
            misfit = Message("env_0", "top", recipient, 1, MessageType.ACTION, {})
            broker.publish(ROUTES[row].channel, misfit)
        lane.send(rows(), np.array([False, False, True]))
        with pytest.raises(InvalidMessageError):
            lane.receive()

        for route in ROUTES:
            assert broker.consume(route.channel, route.recipient_id, "env_0") == []
        assert lane.receive().fresh.tolist() == [False, False, True]

    def test_looks_only_at_the_newest_message(self, lane, broker):
        broker.publish(ROUTES[0].channel, Message("env_0", "top", "low_0", 1, MessageType.ACTION, {}))
        lane.send(rows(), timestamp=2)

        assert lane.receive().fresh.all()

    def test_keeps_what_a_receive_that_raised_has_taken_through_another_that_raises(self, lane, broker):
        misfit = Message("env_0", "top", "low_2", 9, MessageType.ACTION, {})
        lane.send(rows(1.0), np.array([True, False, False]), 5.0)
        for row in (False, True):
            broker.publish(ROUTES[2].channel, misfit)
            lane.send(rows(2.0), np.array([False, row, False]), 6.0)
            with pytest.raises(InvalidMessageError):
                lane.receive()
        batch = lane.receive()

        assert batch.fresh.tolist() == [True, True, False]
        assert batch.timestamp[:2].tolist() == [5.0, 6.0]

    def test_of_a_closed_broker_raises(self, lane, broker):
        broker.close()
        with pytest.raises(BrokerClosedError):
            lane.receive()
        with pytest.raises(BrokerClosedError):
            lane.send(rows())


def test_a_lane_over_any_broker_makes_one_bulk_call_each_way():
    calls = []

    class Bulk(NaiveBroker):
        def publish_many(self, messages):
            calls.append(("publish_many", len(messages)))
            super().publish_many(messages)

        def consume_many(self, queues, clear=True):
            calls.append(("consume_many", len(queues)))
            return super().consume_many(queues, clear)

    lane = Bulk().open_lane(ROUTES, SCHEMA, MessageType.ACTION)
    lane.send(rows(), np.array([True, False, True]))
    lane.receive(np.array([True, True, False]))
    lane.receive()

    assert calls == [("publish_many", 2), ("consume_many", 2), ("consume_many", 3)]


class TestClosing:
    def test_leaves_what_waits_to_whoever_consumes(self, lane, broker):
        lane.send(rows(5.0))
        lane.close()
        lane.close()

        route = lane.routes[0]
        (message,) = broker.consume(route.channel, route.recipient_id, route.env_id)
        np.testing.assert_array_equal(message.payload["action"], rows(5.0)["action"][0])

    def test_leaves_it_in_the_order_in_which_it_was_published(self, lane, broker):
        route = lane.routes[0]
        by_hand = Message("env_0", "top", "low_0", 0, MessageType.ACTION, {"mode": 9})
        broker.publish(route.channel, by_hand)
        lane.send(rows())
        broker.publish(route.channel, by_hand)
        broker.publish(route.channel, by_hand)
        lane.close()

        waiting = broker.consume(route.channel, route.recipient_id, route.env_id)
        assert [message.payload["mode"] for message in waiting] == [9, 0, 9, 9]

    @pytest.mark.parametrize("use", [lambda lane: lane.send(rows(1.0)), lambda lane: lane.receive()])
    def test_then_every_use_is_an_error(self, lane, use):
        lane.close()
        with pytest.raises(InvalidMessageError, match=r"the lane of .* is closed"):
            use(lane)


def test_a_broker_lets_go_of_closed_lanes():
    broker = InMemoryBroker()
    routes = [Route("c", "a", "b", "env_0"), Route("d", "a", "b", "env_1")]
    lanes = []
    for _ in range(3):
        lane = broker.open_lane(routes, {"x": ((), np.float64)}, MessageType.INFO)
        lane.send({"x": np.zeros(2)})
        lane.close()
        lanes.append(weakref.ref(lane))
    del lane
    gc.collect()
    assert [reference() for reference in lanes] == [None, None, None]


class TestTwoLanesOnOneQueue:
    """Messages of both come in the order of their publication, for which each has to go one by one."""

    @pytest.fixture
    def published(self, monkeypatch):
        """The channels on which somebody publishes one by one."""
        channels = []
        publish = InMemoryBroker.publish

        def noted(self, channel, message):
            channels.append(channel)
            publish(self, channel, message)

        monkeypatch.setattr(InMemoryBroker, "publish", noted)
        return channels

    def test_send_as_arrays_again_when_the_last_other_has_closed(self, published):
        broker = InMemoryBroker()
        lane, second, third = (broker.open_lane(ROUTES[:size], SCHEMA, MessageType.ACTION) for size in (3, 1, 2))
        lane.send(rows(1.0))
        second.close()
        lane.send(rows(2.0))
        assert len(published) == 6

        third.close()
        assert lane.receive().arrays["action"][:, 0].tolist() == [2.0, 2.0, 2.0]
        lane.send(rows(3.0))
        assert len(published) == 6
        assert lane.receive().arrays["action"][:, 0].tolist() == [3.0, 3.0, 3.0]

    def test_lose_nothing_when_one_closes(self, broker):
        lane, other = (broker.open_lane(ROUTES, SCHEMA, MessageType.ACTION) for _ in range(2))
        other.send(rows(1.0), np.array([True, True, False]), timestamp=1)
        lane.send(rows(2.0), np.array([True, False, False]), timestamp=0)
        other.close()
        lane.send(rows(3.0), np.array([False, False, True]))

        batch = lane.receive()
        assert batch.fresh.tolist() == [True, True, True]
        assert batch.arrays["action"][:, 0].tolist() == [1.0, 1.0, 3.0]

    def test_do_not_know_each_other_once_closed(self):
        broker = InMemoryBroker()
        lane, other = (broker.open_lane(ROUTES, SCHEMA, MessageType.ACTION) for _ in range(2))
        other.close()
        closed = weakref.ref(other)
        del other
        gc.collect()

        assert lane.receive().fresh.tolist() == [False, False, False]
        assert closed() is None
