"""Promises about lanes: they are their channels, only faster."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from heron.errors import InvalidMessageError
from heron.messaging import ChannelManager, Lane, Message, MessageBroker, MessageType, Route
from heron.testing.broker.promise import MakeBroker, Settle, do_nothing, expect_equal
from heron.testing.findings import expect_error

_SCHEMA: Final = {"goal": ((2,), np.float32), "price": ((), np.float64)}
_ENVS: Final = ("env_0", "env_1", "env_10")
_ROUTES: Final = tuple(
    Route(ChannelManager.action_channel("top", "low", env_id), "top", "low", env_id) for env_id in _ENVS
)


def check_lane_moves_masked_rows(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """The rows in ``where`` are sent and received once, with their timestamps."""
    with make_broker() as broker:
        lane = _open(broker)
        expect_equal(_fresh(lane), {}, "a lane on which nothing was sent")
        lane.send(_rows(1, 2, 3), np.array([True, False, True]), np.array([0.5, np.nan, 1.5]))
        expect_equal(_fresh(lane), {0: (1.0, 0.5), 2: (3.0, 1.5)}, "the rows in where, with their timestamps")
        expect_equal(_fresh(lane), {}, "a row is received once")
        lane.send(_rows(4, 5, 6), timestamp=7)
        expect_equal(_fresh(lane), {0: (4.0, 7.0), 1: (5.0, 7.0), 2: (6.0, 7.0)}, "all rows without where")
        lane.send(_rows(7, 8, 9), np.zeros(3, dtype=bool))
        expect_equal(_fresh(lane), {}, "no row where the mask is all False")


def check_lane_receives_the_newest(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """Of several messages on a route, the one with the latest timestamp counts; of equals, the last."""
    with make_broker() as broker:
        lane = _open(broker)
        for value, timestamp in ((1, 5.0), (2, 9.0), (3, 9.0), (4, 7.0)):
            lane.send(_rows(value, value, value), np.array([True, False, False]), timestamp)
        expect_equal(_fresh(lane), {0: (3.0, 9.0)}, "the latest timestamp, of equals the last")
        lane.send(_rows(5, 5, 5), timestamp=1.0)
        expect_equal(_fresh(lane)[0], (5.0, 1.0), "a row that was received before does not count")


def check_lane_copies_arrays(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """A change of the arrays after ``send`` changes no message."""
    with make_broker() as broker:
        lane = _open(broker)
        rows = _rows(1, 2, 3)
        times = np.array([1.0, 2.0, 3.0])
        lane.send(rows, timestamp=times)
        for array in (*rows.values(), times):
            array[:] = -1
        expect_equal(_fresh(lane), {0: (1.0, 1.0), 1: (2.0, 2.0), 2: (3.0, 3.0)}, "a lane copies its arrays")


def check_lane_row_is_a_message(make_broker: MakeBroker, settle: Settle = do_nothing) -> None:
    """To ``consume``, ``subscribe`` and ``get_environment_channels`` a row is an ordinary message."""
    with make_broker() as broker:
        seen: list[Message] = []
        broker.subscribe(_ROUTES[1].channel, seen.append)
        lane = _open(broker)
        for env_id, route in zip(_ENVS, _ROUTES, strict=True):
            expect_equal(broker.get_environment_channels(env_id), [route.channel], "open_lane makes channels")
        lane.send(_rows(1, 2, 3), timestamp=4.0)
        settle()
        messages = broker.consume(_ROUTES[1].channel, "low", "env_1")
        for (message,), way in ((seen, "subscribe"), (messages, "consume")):
            fields = (message.env_id, message.sender_id, message.recipient_id, message.timestamp)
            expect_equal(fields, ("env_1", "top", "low", 4.0), f"the fields of a lane's row by {way}")
            expect_equal(message.message_type, MessageType.ACTION, f"the type of a lane's row by {way}")
            payload = {name: np.asarray(value).tolist() for name, value in message.payload.items()}
            expect_equal(payload, {"goal": [2.0, 2.0], "price": 2.0}, f"the payload of a row by {way}")
        expect_equal(_fresh(lane), {0: (1.0, 4.0), 2: (3.0, 4.0)}, "a row that was consumed is gone")


def check_lane_receives_single_messages(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """A message published by hand on a route arrives in the lane, in order with the rows that were sent."""
    with make_broker() as broker:
        lane = _open(broker)
        broker.publish(_ROUTES[2].channel, _command(8, "env_10", timestamp=2.0))
        expect_equal(_fresh(lane), {2: (8.0, 2.0)}, "a message published by hand arrives")
        lane.send(_rows(1, 1, 1), timestamp=3.0)
        broker.publish(_ROUTES[0].channel, _command(9, "env_0", timestamp=3.0))
        expect_equal(_fresh(lane)[0], (9.0, 3.0), "a message published after a row replaces it")
        broker.publish(_ROUTES[0].channel, _command(9, "env_0", timestamp=4.0))
        lane.send(_rows(2, 2, 2), timestamp=4.0)
        expect_equal(_fresh(lane)[0], (2.0, 4.0), "a row sent after a message replaces it")


def check_lane_names_what_does_not_fit(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """A message that does not fit raises with its channel; every other row comes with the next receive."""
    misfits: tuple[dict[str, Any], ...] = (
        {},
        {"goal": [1.0, 2.0]},
        {"goal": [1.0, 2.0, 3.0], "price": 0.0},
        {"goal": [[1.0], [1.0, 2.0]], "price": 0.0},
        {"goal": "high", "price": 0.0},
        {"goal": [1.0, 2.0], "price": None},
    )
    with make_broker() as broker:
        lane = _open(broker)
        for payload in misfits:
            lane.send(_rows(1, 2, 3), np.array([True, False, True]), timestamp=1.0)
            message = Message("env_1", "top", "low", 1.0, MessageType.ACTION, payload)
            broker.publish(_ROUTES[1].channel, message)
            with expect_error(InvalidMessageError, f"receiving {payload}"):
                _expect_channel_named(lane, _ROUTES[1].channel)
            lane.send(_rows(4, 4, 4), np.array([True, False, False]), timestamp=0.5)
            expected = {0: (1.0, 1.0), 2: (3.0, 1.0)}
            expect_equal(_fresh(lane), expected, "the newest of every other row comes with the next receive")
            expect_equal(_fresh(lane), {}, "a message that did not fit was consumed")


def check_lane_is_cleared_with_its_env(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """``clear_environment`` drops the rows of that env and no others; the lane goes on."""
    with make_broker() as broker:
        lane = _open(broker)
        lane.send(_rows(1, 2, 3))
        broker.clear_environment("env_1")
        expect_equal(_fresh(lane), {0: (1.0, 0.0), 2: (3.0, 0.0)}, "the rows of other envs stay")
        lane.send(_rows(4, 5, 6))
        expect_equal(sorted(_fresh(lane)), [0, 1, 2], "a lane is as good as new after its env was cleared")


def check_lanes_share_channels(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """Two lanes over the same routes are one set of queues; other channels of the env are another."""
    with make_broker() as broker:
        sender, receiver = _open(broker), _open(broker)
        upward = tuple(
            Route(ChannelManager.info_channel("low", "top", env_id), "low", "top", env_id) for env_id in _ENVS
        )
        infos = broker.open_lane(upward, _SCHEMA, MessageType.INFO)
        sender.send(_rows(1, 2, 3))
        infos.send(_rows(4, 5, 6))
        expect_equal(_fresh(receiver), {0: (1.0, 0.0), 1: (2.0, 0.0), 2: (3.0, 0.0)}, "the same routes")
        expect_equal(_fresh(sender), {}, "a row is received by one lane")
        expect_equal(_fresh(infos), {0: (4.0, 0.0), 1: (5.0, 0.0), 2: (6.0, 0.0)}, "other routes")


def check_lane_refuses_bad_rows(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """``send`` with a wrong name, shape, dtype, mask or timestamp raises and sends nothing."""
    good = _rows(1, 2, 3)
    bad_rows: dict[str, dict[str, npt.NDArray[Any]]] = {
        "a missing name": {"goal": good["goal"]},
        "an unknown name": {**good, "more": good["price"]},
        "a wrong shape": {**good, "goal": good["goal"][:, :1]},
        "too few rows": {**good, "price": good["price"][:2]},
        "a wrong dtype": {**good, "goal": good["goal"].astype(np.complex64)},
    }
    bad_masks = {"a short mask": np.ones(2, dtype=bool), "a mask of numbers": np.array([0, 1, 2])}
    bad_times = {"a time that is not finite": np.array([0.0, 0.0, np.inf]), "too few times": np.zeros(2)}
    with make_broker() as broker:
        lane = _open(broker)
        for what, rows in bad_rows.items():
            with expect_error(InvalidMessageError, what):
                lane.send(rows)
        for what, mask in bad_masks.items():
            with expect_error(InvalidMessageError, what):
                lane.send(good, mask)
        for what, times in bad_times.items():
            with expect_error(InvalidMessageError, what):
                lane.send(good, timestamp=times)
        expect_equal(_fresh(lane), {}, "a refused call sends no row, not even a valid one")


def check_lane_refuses_bad_routes(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """A lane without routes or schema, or with two routes that consume the same messages, is refused."""
    rival = Route(_ROUTES[0].channel, "another", "low", "env_0")
    with make_broker() as broker:
        for what, routes in (("none", ()), ("one twice", _ROUTES[:1] * 2), ("rivals", (_ROUTES[0], rival))):
            with expect_error(InvalidMessageError, f"a lane's routes: {what}"):
                broker.open_lane(routes, _SCHEMA, MessageType.ACTION)
        with expect_error(InvalidMessageError, "a lane's schema: empty"):
            broker.open_lane(_ROUTES, {}, MessageType.ACTION)
        with expect_error(InvalidMessageError, "a lane's schema: a name that is empty"):
            broker.open_lane(_ROUTES, {"": ((), np.float32)}, MessageType.ACTION)
        expect_equal(broker.get_environment_channels("env_0"), [], "a refused lane makes no channel")


def _open(broker: MessageBroker) -> Lane:
    return broker.open_lane(_ROUTES, _SCHEMA, MessageType.ACTION)


def _rows(*values: float) -> dict[str, npt.NDArray[Any]]:
    """Return arrays for the schema, in which row ``i`` holds ``values[i]`` everywhere."""
    price = np.array(values, dtype=np.float64)
    return {"goal": np.stack([price, price], axis=1).astype(np.float32), "price": price}


def _command(value: float, env_id: str, timestamp: float) -> Message:
    payload = {"goal": [value, value], "price": value}
    return Message(env_id, "top", "low", timestamp, MessageType.ACTION, payload)


def _fresh(lane: Lane) -> dict[int, tuple[float, float]]:
    """Return the rows that arrived, row -> (value, timestamp)."""
    batch = lane.receive()
    rows = np.flatnonzero(batch.fresh).tolist()
    goal, price = batch.arrays["goal"], batch.arrays["price"]
    for name, (shape, dtype) in lane.schema.items():
        array = batch.arrays[name]
        expect_equal((array.shape, array.dtype), ((lane.num_routes, *shape), dtype), f"the array {name!r}")
    for row in rows:
        expect_equal(goal[row].tolist(), [price[row], price[row]], "the arrays of one row belong together")
    return {row: (float(price[row]), float(batch.timestamp[row])) for row in rows}


def _expect_channel_named(lane: Lane, channel: str) -> None:
    try:
        lane.receive()
    except InvalidMessageError as error:
        expect_equal(channel in str(error), True, "the error names the channel of the message that does not fit")
        raise
