"""Promises about channels, clearing, closing and invalid input."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from heron.errors import BrokerClosedError, InvalidMessageError
from heron.messaging import BROADCAST_ID, ChannelManager, Message, MessageBroker, MessageType, Route
from heron.testing.broker.promise import MakeBroker, Settle, consumed, do_nothing, expect_equal, numbered, numbers
from heron.testing.findings import expect_error


def check_create_channel_drops_nothing(make_broker: MakeBroker, settle: Settle = do_nothing) -> None:
    """Creating a channel that exists keeps its messages and its subscribers."""
    with make_broker() as broker:
        seen: list[Message] = []
        broker.create_channel("c")
        broker.subscribe("c", seen.append)
        broker.publish("c", numbered(1))
        broker.publish("c", numbered(2, BROADCAST_ID))
        broker.create_channel("c")
        broker.publish("c", numbered(3))
        settle()
        expect_equal(numbers(seen), [1, 2, 3], "create_channel drops no subscriber")
        expect_equal(consumed(broker, "c"), [1, 2, 3], "create_channel drops no message")
        broker.create_channel("c")
        expect_equal(consumed(broker, "c"), [], "create_channel brings back no message")


def check_environment_channels(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """An env has the channels with a ``ChannelManager`` name of it, and those that carried its messages."""
    with make_broker() as broker:
        made = ChannelManager.state_update_channel("env_1")
        foreign = ChannelManager.state_update_channel("env_10")
        broker.create_channel(made)
        broker.create_channel(made)
        broker.create_channel(foreign)
        broker.create_channel("plain")
        broker.publish("carried", numbered(1, env_id="env_1"))
        broker.publish("carried", numbered(2, env_id="env_1"))
        broker.publish("carried", numbered(3, env_id="env_2"))
        broker.publish(foreign, numbered(4, env_id="env_2"))
        channels = {env_id: broker.get_environment_channels(env_id) for env_id in ("env_1", "env_10", "env_2")}
        expect_equal(sorted(channels["env_1"]), sorted([made, "carried"]), "channels of 'env_1', each once")
        expect_equal(channels["env_10"], [foreign], "channels of 'env_10'")
        expect_equal(sorted(channels["env_2"]), sorted(["carried", foreign]), "channels of 'env_2'")
        expect_equal(broker.get_environment_channels("env"), [], "'env' is a prefix of ids, but not an env")
        consumed(broker, "carried", "b", "env_1")
        broker.get_environment_channels("env_1").clear()
        kept = broker.get_environment_channels("env_1")
        expect_equal(sorted(kept), sorted([made, "carried"]), "consuming removes no channel")


def check_clear_environment(make_broker: MakeBroker, settle: Settle = do_nothing) -> None:
    """Clearing an env drops its messages and broadcasts; its channels and subscribers stay."""
    with make_broker() as broker:
        seen: list[Message] = []
        broker.subscribe("c", seen.append)
        for env_id in ("env_0", "env_1"):
            broker.publish("c", numbered(1, env_id=env_id))
            broker.publish("c", numbered(2, BROADCAST_ID, env_id=env_id))
            broker.publish("d", numbered(3, env_id=env_id))
        consumed(broker, "c", "early")
        broker.clear_environment("env_0")
        broker.clear_environment("env_0")
        broker.clear_environment("env_unknown")
        for channel, agent in (("c", "b"), ("c", "never_there_before"), ("d", "b")):
            expect_equal(consumed(broker, channel, agent), [], "clear_environment drops all waiting messages")
        expect_equal(consumed(broker, "c", "b", "env_1"), [1, 2], "clear_environment touches no other env")
        expect_equal(consumed(broker, "d", "b", "env_1"), [3], "clear_environment touches no other env")
        expect_equal(sorted(broker.get_environment_channels("env_0")), ["c", "d"], "channels stay")
        settle()
        seen.clear()
        broker.publish("c", numbered(4, BROADCAST_ID))
        settle()
        expect_equal(numbers(seen), [4], "subscribers stay after clear_environment")
        for agent in ("early", "b", "late"):
            expect_equal(consumed(broker, "c", agent), [4], "the first broadcast after clearing reaches each")


def check_closed_broker_refuses(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """Closing twice is harmless; every other method of a closed broker raises ``BrokerClosedError``."""
    broker = make_broker()
    broker.publish("c", numbered(1))
    broker.close()
    broker.close()
    route = Route("c", "a", "b", "env_0")
    calls: dict[str, Callable[[], object]] = {
        "create_channel": lambda: broker.create_channel("c"),
        "publish": lambda: broker.publish("c", numbered(2)),
        "consume": lambda: broker.consume("c", "b", "env_0"),
        "publish_many": lambda: broker.publish_many([("c", numbered(2))]),
        "consume_many": lambda: broker.consume_many([("c", "b", "env_0")]),
        "subscribe": lambda: broker.subscribe("c", lambda _: None),
        "clear_environment": lambda: broker.clear_environment("env_0"),
        "get_environment_channels": lambda: broker.get_environment_channels("env_0"),
        "open_lane": lambda: broker.open_lane([route], {"x": ((), float)}, MessageType.INFO),
    }
    for name, call in calls.items():
        with expect_error(BrokerClosedError, f"{name} of a closed broker"):
            call()


def check_leaving_the_block_closes(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """``with broker:`` closes it at the end, also when the block raises."""
    broker = make_broker()

    def leave_with_an_error() -> None:
        with broker as entered:
            expect_equal(entered is broker, True, "a with statement gives the broker itself")
            raise ZeroDivisionError

    with expect_error(ZeroDivisionError, "an error inside the block"):
        leave_with_an_error()
    with expect_error(BrokerClosedError, "a broker after its with block"):
        broker.create_channel("c")


def check_bad_input_changes_nothing(make_broker: MakeBroker, settle: Settle = do_nothing) -> None:
    """Invalid names, messages and callbacks raise ``InvalidMessageError`` and change nothing."""
    with make_broker() as broker:
        seen: list[Message] = []
        broker.subscribe("c", seen.append)
        broker.publish("c", numbered(1))
        for name, call in _bad_calls(broker).items():
            with expect_error(InvalidMessageError, name):
                call()
        settle()
        expect_equal(numbers(seen), [1], "a refused message reaches no subscriber")
        expect_equal(consumed(broker, "c"), [1], "a refused call changes nothing")
        expect_equal(broker.get_environment_channels("env_0"), ["c"], "a refused call makes no channel")


def _bad_calls(broker: MessageBroker) -> dict[str, Callable[[], object]]:
    calls: dict[str, Callable[[], object]] = {
        "publish of a dict": lambda: broker.publish("c", cast("Any", {"number": 2})),
        "publish of None": lambda: broker.publish("new", cast("Any", None)),
        "subscribe without a callable": lambda: broker.subscribe("c", cast("Any", "print")),
    }
    for bad in ("", None, 3, b"c", ["c"]):
        name = cast("Any", bad)
        calls |= {
            f"create_channel({bad!r})": partial(broker.create_channel, name),
            f"publish on {bad!r}": partial(broker.publish, name, numbered(2)),
            f"consume from {bad!r}": partial(broker.consume, name, "b", "env_0"),
            f"consume for {bad!r}": partial(broker.consume, "c", name, "env_0"),
            f"consume of env {bad!r}": partial(broker.consume, "c", "b", name),
            f"subscribe to {bad!r}": partial(broker.subscribe, name, lambda _: None),
            f"clear_environment({bad!r})": partial(broker.clear_environment, name),
            f"get_environment_channels({bad!r})": partial(broker.get_environment_channels, name),
        }
    return calls
