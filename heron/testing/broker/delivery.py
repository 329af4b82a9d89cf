"""Promises about the recipients of messages, their number and their order."""

from typing import Final

from heron.messaging import BROADCAST_ID, ChannelManager, MessageBroker, MessageType
from heron.testing.broker.promise import MakeBroker, Settle, consumed, do_nothing, expect_equal, numbered

_ALIKE: Final = ("env_1", "env_10", "env_1__x", "env_1_", "env_11", "1", "env_", "env_1__action__a_to_b")
"""Ids that are prefixes of one another, by themselves or in the name of a channel."""


def check_message_arrives_as_sent(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """``consume`` returns what was published, field by field."""
    with make_broker() as broker:
        broker.publish("c", numbered(3, sender_id="a", message_type=MessageType.RESULT))
        (message,) = broker.consume("c", "b", "env_0")
        fields = (message.env_id, message.sender_id, message.recipient_id, message.timestamp)
        expect_equal(fields, ("env_0", "a", "b", 3.0), "a message keeps its ids and timestamp")
        expect_equal(message.message_type, MessageType.RESULT, "a message keeps its type")
        expect_equal(message.payload, {"number": 3}, "a message keeps its payload")


def check_unknown_channel_is_empty(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """A channel that does not exist holds nothing."""
    with make_broker() as broker:
        expect_equal(consumed(broker, "nowhere"), [], "a channel that does not exist holds nothing")
        expect_equal(broker.get_environment_channels("env_0"), [], "an env that is unknown has no channels")


def check_one_recipient_alone_receives(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """A message reaches its recipient and no other agent."""
    with make_broker() as broker:
        for number, recipient_id in enumerate(("b", "c", "b_2")):
            broker.publish("c", numbered(number, recipient_id))
        expect_equal(consumed(broker, "elsewhere"), [], "a message stays on its channel")
        expect_equal(consumed(broker, "c", "d"), [], "an agent receives nothing that is for others")
        expect_equal(consumed(broker, "c", "c"), [1], "an agent receives what is for it")
        expect_equal(consumed(broker, "c", "b"), [0], "what is for b waits while c consumes")
        expect_equal(consumed(broker, "c", "b_2"), [2], "b_2 is another agent than b")


def check_consumed_once(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """Each publication of a message is consumed once, even if the message is published twice."""
    with make_broker() as broker:
        message = numbered(1)
        broker.publish("c", message)
        expect_equal(consumed(broker, "c"), [1], "a message is consumed")
        expect_equal(consumed(broker, "c"), [], "a message is consumed once")
        broker.publish("c", message)
        broker.publish("c", message)
        expect_equal(consumed(broker, "c"), [1, 1], "each publication of a message is consumed once")


def check_peeking_takes_nothing(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """``consume(clear=False)`` shows direct messages and broadcasts, and takes none."""
    with make_broker() as broker:
        broker.publish("c", numbered(1))
        broker.publish("c", numbered(2, BROADCAST_ID))
        for _ in range(2):
            peeked = consumed(broker, "c", clear=False)
            expect_equal(peeked, [1, 2], "clear=False takes nothing")
            broker.consume("c", "b", "env_0", clear=False).clear()
        expect_equal(consumed(broker, "c"), [1, 2], "what was peeked at is still consumed")
        expect_equal(consumed(broker, "c", clear=False), [], "what was consumed is not peeked at")


def check_order_of_a_sender(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """Messages of one sender arrive in the order of publication, direct ones and broadcasts alike."""
    with make_broker() as broker:
        recipients = ["b", BROADCAST_ID, "b", "b", BROADCAST_ID, BROADCAST_ID, "b", "b"]
        for number, recipient_id in enumerate(recipients):
            broker.publish("c", numbered(100 - number, recipient_id))
            broker.publish("c", numbered(200 + number, sender_id="other"))
        received = consumed(broker, "c")
        own = [number for number in received if number <= 100]  # noqa: PLR2004
        others = [number for number in received if number >= 200]  # noqa: PLR2004
        expect_equal(own, list(range(100, 92, -1)), "messages of one sender arrive in order of publication")
        expect_equal(others, list(range(200, 208)), "messages of another sender arrive in order, too")


def check_broadcast_reaches_each_once(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """A broadcast, by recipient or by type, is received once by each agent that consumes the channel."""
    with make_broker() as broker:
        broker.publish("c", numbered(1, BROADCAST_ID))
        broker.publish("c", numbered(2, "b", message_type=MessageType.BROADCAST))
        for agent in ("b", "x", "a"):
            expect_equal(consumed(broker, "c", agent), [1, 2], "each consumer receives each broadcast")
            expect_equal(consumed(broker, "c", agent), [], "a consumer receives a broadcast once")
        broker.publish("c", numbered(3, BROADCAST_ID))
        expect_equal(consumed(broker, "c", "late"), [1, 2, 3], "a late consumer receives old broadcasts")
        expect_equal(consumed(broker, "c", "b"), [3], "a new broadcast reaches an agent that received the old ones")
        expect_equal(consumed(broker, "c", "b", "env_1"), [], "a broadcast stays in its environment copy")
        expect_equal(consumed(broker, "other", "b"), [], "a broadcast stays on its channel")


def check_envs_share_a_channel(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """On a shared channel, each environment copy sees only its own messages and broadcasts."""
    with make_broker() as broker:
        for number, env_id in enumerate(_ALIKE):
            broker.publish("shared", numbered(number, env_id=env_id))
            broker.publish("shared", numbered(number + 100, BROADCAST_ID, env_id=env_id))
        for number, env_id in enumerate(_ALIKE):
            got = consumed(broker, "shared", "b", env_id)
            expect_equal(got, [number, number + 100], f"{env_id!r} sees its own messages on a shared channel")


def check_similar_env_ids_stay_apart(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """Clearing ``env_1`` touches neither ``env_10`` nor ``env_1__x``, each on channels of its own."""
    with make_broker() as broker:
        channels = {env_id: ChannelManager.action_channel("a", "b", env_id) for env_id in _ALIKE}
        for cleared in _ALIKE:
            _publish_to_each(broker, channels)
            broker.clear_environment(cleared)
            expect_equal(consumed(broker, channels[cleared], "b", cleared), [], f"{cleared!r} was cleared")
            for number, env_id in enumerate(_ALIKE):
                if env_id != cleared:
                    got = consumed(broker, channels[env_id], "b", env_id)
                    expect_equal(got, [number], f"clearing {cleared!r} does not touch {env_id!r}")
        for env_id, channel in channels.items():
            expect_equal(broker.get_environment_channels(env_id), [channel], f"channels of {env_id!r}")


def check_env_is_that_of_the_message(make_broker: MakeBroker, _settle: Settle = do_nothing) -> None:
    """A message belongs to its own ``env_id``, whatever the name of its channel."""
    with make_broker() as broker:
        names = ["env_0__action__a_to_b", "plain", "env_1", ChannelManager.action_channel("a", "b", "env_1")]
        for number, name in enumerate(names):
            broker.publish(name, numbered(number))
        broker.clear_environment("env_1")
        for number, name in enumerate(names):
            expect_equal(consumed(broker, name, "b", "env_1"), [], f"{name!r} holds nothing of 'env_1'")
            peeked = consumed(broker, name, clear=False)
            expect_equal(peeked, [number], f"the message on {name!r} belongs to its own env_id")
        found = sorted(broker.get_environment_channels("env_0"))
        expect_equal(found, sorted(names), "an env has every channel on which its messages were published")
        broker.clear_environment("env_0")
        for name in names:
            expect_equal(consumed(broker, name), [], f"{name!r} was cleared with the env of its message")


def _publish_to_each(broker: MessageBroker, channels: dict[str, str]) -> None:
    for number, (env_id, channel) in enumerate(channels.items()):
        broker.publish(channel, numbered(number, env_id=env_id))
