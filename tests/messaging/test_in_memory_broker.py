import copy
import logging
import pickle
import signal
import threading
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass

import pytest

from heron.errors import (
    BrokerClosedError,
    ConfigurationError,
    HeronError,
    InvalidMessageError,
    MessagingError,
    QueueFullError,
)
from heron.messaging import (
    BROADCAST_ID,
    BrokerStatistics,
    ChannelManager,
    InMemoryBroker,
    Message,
    MessageType,
    Subscription,
)


def numbered(number, recipient_id="b", env_id="env_0", sender_id="a"):
    return Message(env_id, sender_id, recipient_id, float(number), MessageType.INFO, {"number": number})


def numbers(messages):
    return [message.payload["number"] for message in messages]


@pytest.fixture
def broker():
    return InMemoryBroker()


class TestQueues:
    def test_are_unbounded_by_default(self, broker):
        for number in range(2000):
            broker.publish("c", numbered(number))

        assert broker.max_queue is None
        assert len(broker.consume("c", "b", "env_0")) == 2000

    def test_drop_the_oldest_of_the_recipient_that_is_full(self):
        broker = InMemoryBroker(max_queue=2)
        broker.publish("c", numbered(0, "other"))
        for number in range(1, 6):
            broker.publish("c", numbered(number))
        broker.publish("d", numbered(6))
        broker.publish("c", numbered(7, env_id="env_1"))

        assert broker.statistics().dropped == 3
        assert numbers(broker.consume("c", "b", "env_0")) == [4, 5]
        assert numbers(broker.consume("c", "other", "env_0")) == [0]
        assert numbers(broker.consume("d", "b", "env_0")) == [6]
        assert numbers(broker.consume("c", "b", "env_1")) == [7]

    def test_raise_and_stay_as_they_were(self):
        broker = InMemoryBroker(max_queue=2, overflow="error")
        seen = []
        broker.subscribe("c", seen.append)
        for number in range(2):
            broker.publish("c", numbered(number))
        before = broker.statistics()

        with pytest.raises(QueueFullError, match=r"'c' of 'env_0': 2 .*'b'"):
            broker.publish("c", numbered(2))

        assert broker.statistics() == before
        assert numbers(seen) == [0, 1]
        assert numbers(broker.consume("c", "b", "env_0")) == [0, 1]
        broker.publish("c", numbered(3))
        assert numbers(broker.consume("c", "b", "env_0")) == [3]

    def test_have_room_again_after_consuming_and_after_clearing(self):
        broker = InMemoryBroker(max_queue=1, overflow="error")
        broker.publish("c", numbered(0))
        broker.consume("c", "b", "env_0", clear=False)
        with pytest.raises(QueueFullError):
            broker.publish("c", numbered(1))
        broker.consume("c", "b", "env_0")
        broker.publish("c", numbered(2))
        broker.clear_environment("env_0")
        broker.publish("c", numbered(3))

        assert numbers(broker.consume("c", "b", "env_0")) == [3]

    def test_of_broadcasts_forget_first_what_every_consumer_has_received(self):
        broker = InMemoryBroker(max_queue=2, overflow="error")
        for number in range(2):
            broker.publish("c", numbered(number, BROADCAST_ID))
        assert numbers(broker.consume("c", "x", "env_0")) == [0, 1]
        broker.publish("c", numbered(2, BROADCAST_ID))

        assert broker.statistics().dropped == 0
        assert numbers(broker.channels["c"]) == [2]
        assert numbers(broker.consume("c", "x", "env_0")) == [2]

    def test_of_broadcasts_keep_what_some_consumer_has_not_received(self):
        broker = InMemoryBroker(max_queue=2, overflow="error")
        broker.create_channel(ChannelManager.broadcast_channel("a", "env_0"))
        (channel,) = broker.channels
        broker.consume(channel, "came_before_the_first", "env_0")
        for number in range(2):
            broker.publish(channel, numbered(number, BROADCAST_ID))
        broker.consume(channel, "x", "env_0")

        with pytest.raises(QueueFullError):
            broker.publish(channel, numbered(2, BROADCAST_ID))

        assert numbers(broker.consume(channel, "came_before_the_first", "env_0")) == [0, 1]

    def test_of_broadcasts_drop_the_oldest(self):
        broker = InMemoryBroker(max_queue=2)
        for number in range(2):
            broker.publish("c", numbered(number, BROADCAST_ID))
        broker.consume("c", "slow", "env_0")
        broker.publish("c", numbered(2, BROADCAST_ID))
        for number in range(3, 6):
            broker.publish("c", numbered(number, BROADCAST_ID))

        assert broker.statistics().dropped == 2
        assert numbers(broker.consume("c", "slow", "env_0")) == [4, 5]
        assert numbers(broker.consume("c", "slow", "env_0")) == []
        assert numbers(broker.consume("c", "new", "env_0")) == [4, 5]

    def test_of_broadcasts_do_not_count_direct_messages(self):
        broker = InMemoryBroker(max_queue=1, overflow="error")
        broker.publish("c", numbered(0))
        broker.publish("c", numbered(1, BROADCAST_ID))

        assert numbers(broker.consume("c", "b", "env_0")) == [0, 1]

    @pytest.mark.parametrize("bad", [0, -1, 1.5, "3", True])
    def test_refuse_a_bound_that_is_no_positive_integer(self, bad):
        with pytest.raises(ConfigurationError, match=r"^max_queue "):
            InMemoryBroker(max_queue=bad)

    @pytest.mark.parametrize("bad", ["drop", "", None])
    def test_refuse_an_unknown_overflow(self, bad):
        with pytest.raises(ConfigurationError, match=r"^overflow .*'drop_oldest'.*'error'"):
            InMemoryBroker(overflow=bad)


class TestStatistics:
    def test_of_a_new_broker_are_zero(self, broker):
        assert broker.statistics() == BrokerStatistics(0, 0, None, 0, published=0, dropped=0, bytes=None)

    def test_count_what_waits_and_what_was_accepted(self, broker):
        broker.create_channel("empty")
        for number in range(3):
            broker.publish("deep", numbered(number, env_id=f"env_{number}"))
        broker.publish("deep", numbered(3, BROADCAST_ID))
        broker.publish("shallow", numbered(4))
        broker.consume("deep", "b", "env_1")
        broker.consume("deep", "x", "env_0")

        statistics = broker.statistics()

        assert statistics == BrokerStatistics(
            messages=4, channels=3, deepest_channel="deep", deepest=3, published=5, dropped=0
        )

    def test_are_a_snapshot(self, broker):
        before = broker.statistics()
        broker.publish("c", numbered(0))

        assert before.messages == 0
        with pytest.raises(FrozenInstanceError):
            before.messages = 1

    def test_show_an_empty_broker_after_clearing(self, broker):
        broker.publish("c", numbered(0))
        broker.publish("c", numbered(0, BROADCAST_ID))
        broker.clear_environment("env_0")

        assert broker.statistics() == BrokerStatistics(0, 1, None, 0, published=2, dropped=0)


class TestCopies:
    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
    def test_are_empty_and_configured_alike(self, duplicate):
        broker = InMemoryBroker(max_queue=3, overflow="error")
        broker.subscribe("c", print)
        broker.publish("d", numbered(0))

        made = duplicate(broker)

        assert (made.max_queue, made.overflow) == (3, "error")
        assert (dict(made.channels), made.subscribers) == ({}, {})
        made.publish("d", numbered(1))
        assert numbers(broker.channels["d"]) == [0]
        assert list(broker.subscribers) == ["c"]

    def test_of_a_subclass_are_of_the_subclass(self):
        assert type(copy.copy(DerivedBroker())) is DerivedBroker

    def test_of_a_closed_broker_are_open(self, broker):
        broker.close()
        copy.copy(broker).create_channel("c")


class DerivedBroker(InMemoryBroker):
    pass


class TestChannels:
    def test_show_what_waits_in_order_over_recipients_envs_and_broadcasts(self, broker):
        recipients = ["b", "x", BROADCAST_ID, "b", BROADCAST_ID, "x", "b"]
        for number, recipient in enumerate(recipients):
            broker.publish("c", numbered(number, recipient, env_id=f"env_{number % 2}"))

        assert numbers(broker.channels["c"]) == list(range(7))
        broker.consume("c", "b", "env_0")
        assert numbers(broker.channels["c"]) == [1, 2, 3, 4, 5]

    def test_are_live(self, broker):
        channels = broker.channels
        assert (len(channels), list(channels), "c" in channels) == (0, [], False)
        broker.create_channel("d")
        broker.publish("c", numbered(1))

        assert (len(channels), list(channels), "c" in channels) == (2, ["d", "c"], True)
        assert channels["d"] == []
        assert numbers(channels["c"]) == [1]

    def test_are_read_only(self, broker):
        broker.publish("c", numbered(1))
        broker.channels["c"].clear()

        assert isinstance(broker.channels, Mapping)
        assert numbers(broker.channels["c"]) == [1]
        with pytest.raises(TypeError):
            broker.channels["c"] = []
        with pytest.raises(TypeError):
            del broker.channels["c"]
        with pytest.raises(AttributeError):
            broker.channels = {}

    def test_keep_a_broadcast_until_its_env_is_cleared(self, broker):
        broker.publish("c", numbered(1, BROADCAST_ID))
        broker.publish("c", numbered(2, BROADCAST_ID, env_id="env_1"))
        broker.consume("c", "b", "env_0")
        assert numbers(broker.channels["c"]) == [1, 2]
        broker.clear_environment("env_0")

        assert numbers(broker.channels["c"]) == [2]

    def test_hold_the_very_message_that_was_published(self, broker):
        message = numbered(1)
        broker.publish("c", message)

        assert broker.channels["c"][0] is message
        assert broker.consume("c", "b", "env_0")[0] is message

    def test_raise_key_error_for_an_unknown_name(self, broker):
        with pytest.raises(KeyError):
            broker.channels["nowhere"]

    def test_print_as_a_dict(self, broker):
        broker.create_channel("c")
        assert repr(broker.channels) == "{'c': []}"

    def test_may_be_looked_at_from_a_callback_and_changed_while_iterated(self, broker):
        broker.subscribe("c", lambda _: broker.create_channel(f"made_after_{len(broker.channels['c'])}"))
        for name in broker.channels:
            broker.publish(name, numbered(1))

        assert list(broker.channels) == ["c", "made_after_1"]

    def test_belong_to_the_env_of_their_name_also_if_created_after_a_message_of_another(self, broker):
        name = ChannelManager.state_update_channel("env_1")
        broker.publish(name, numbered(1, env_id="env_0"))
        assert broker.get_environment_channels("env_1") == []
        broker.create_channel(name)

        assert broker.get_environment_channels("env_1") == [name]
        assert broker.get_environment_channels("env_0") == [name]


@dataclass
class Notes:
    seen: list[Message]

    def __call__(self, message):
        self.seen.append(message)


class TestSubscribers:
    def test_are_listed_by_channel_in_order(self, broker):
        calls = []

        def first(message):
            calls.append("first")

        def second(message):
            calls.append("second")

        for callback in (first, second, first):
            broker.subscribe("c", callback)
        broker.publish("c", numbered(1))

        assert broker.subscribers == {"c": [first, second, first]}
        assert calls == ["first", "second", "first"]

    def test_make_their_channel(self, broker):
        name = ChannelManager.broadcast_channel("a", "env_0")
        broker.subscribe(name, print)

        assert broker.get_environment_channels("env_0") == [name]

    def test_end_with_their_own_handle_and_no_other(self, broker):
        seen, kept = [], []
        handle = broker.subscribe("c", seen.append)
        broker.subscribe("c", kept.append)
        assert isinstance(handle, Subscription)
        broker.publish("c", numbered(1))
        handle.unsubscribe()
        broker.publish("c", numbered(2))

        assert (numbers(seen), numbers(kept)) == ([1], [1, 2])

    def test_that_subscribed_twice_end_once_a_handle(self, broker):
        seen = []
        note = seen.append
        handle = broker.subscribe("c", note)
        broker.subscribe("c", note)
        handle.unsubscribe()
        handle.unsubscribe()
        broker.publish("c", numbered(1))

        assert numbers(seen) == [1]

    def test_that_are_equal_but_not_the_same_are_told_apart(self, broker):
        first, second = Notes([]), Notes([])
        assert first == second
        broker.subscribe("c", first)
        broker.subscribe("c", second).unsubscribe()
        broker.publish("c", numbered(1))

        assert (numbers(first.seen), numbers(second.seen)) == ([1], [])

    def test_may_end_themselves_while_called(self, broker):
        seen = []
        handles = []

        def once(message):
            seen.append(message)
            handles[0].unsubscribe()

        handles.append(broker.subscribe("c", once))
        broker.publish("c", numbered(1))
        broker.publish("c", numbered(2))

        assert numbers(seen) == [1]

    def test_leave_no_trace_once_they_have_ended(self, broker):
        handles = [broker.subscribe("c", print) for _ in range(2)]
        handles[0].unsubscribe()
        assert broker.subscribers == {"c": [print]}
        handles[1].unsubscribe()

        assert broker.subscribers == {}

    def test_end_harmlessly_after_the_broker_was_closed(self, broker):
        handle = broker.subscribe("c", print)
        broker.close()
        handle.unsubscribe()

    def test_run_outside_the_lock(self, broker):
        held = []
        broker.subscribe("c", lambda _: held.append(broker.lock.locked()))
        broker.publish("c", numbered(1))

        assert held == [False]

    def test_find_the_message_waiting(self, broker):
        waiting = []
        broker.subscribe("c", lambda _: waiting.append(numbers(broker.consume("c", "b", "env_0", clear=False))))
        broker.publish("c", numbered(1))

        assert waiting == [[1]]

    def test_that_raise_are_logged_with_their_channel(self, broker, caplog):
        def fail(message):
            raise RuntimeError("on purpose")

        broker.subscribe("prices", fail)
        with caplog.at_level(logging.ERROR, logger="heron.messaging"):
            broker.publish("prices", numbered(1))

        (record,) = caplog.records
        assert record.getMessage() == "a subscriber of channel 'prices' of 'env_0' raised"
        assert record.exc_info[0] is RuntimeError

    def test_let_an_interrupt_through(self, broker):
        def interrupt(message):
            raise KeyboardInterrupt

        broker.subscribe("c", interrupt)
        with pytest.raises(KeyboardInterrupt):
            broker.publish("c", numbered(1))


class TestClosing:
    def test_releases_everything(self, broker):
        broker.subscribe("c", print)
        broker.publish("d", numbered(1))
        broker.close()

        assert dict(broker.channels) == {}
        assert broker.subscribers == {}
        assert not broker._store.mailboxes
        assert not broker._store.environments

    def test_ends_statistics_and_lanes_too(self, broker):
        broker.close()
        with pytest.raises(BrokerClosedError, match="InMemoryBroker"):
            broker.statistics()

    def test_error_is_a_heron_error_and_a_runtime_error(self):
        for kind in (BrokerClosedError, QueueFullError):
            assert issubclass(kind, MessagingError)
            assert issubclass(kind, HeronError)
            assert issubclass(kind, RuntimeError)


class TestLock:
    def test_is_a_plain_lock_that_is_free_between_calls(self, broker):
        assert isinstance(broker.lock, type(threading.Lock()))
        broker.publish("c", numbered(1))
        with pytest.raises(InvalidMessageError):
            broker.publish("", numbered(1))

        assert not broker.lock.locked()

    def test_guards_every_method(self, broker):
        """While somebody else holds the lock, no method gets through."""
        handle = broker.subscribe("c", lambda _: None)
        calls = {
            "create_channel": lambda: broker.create_channel("d"),
            "publish": lambda: broker.publish("c", numbered(1)),
            "consume": lambda: broker.consume("c", "b", "env_0"),
            "subscribe": lambda: broker.subscribe("c", lambda _: None),
            "clear_environment": lambda: broker.clear_environment("env_0"),
            "get_environment_channels": lambda: broker.get_environment_channels("env_0"),
            "statistics": broker.statistics,
            "channels": lambda: broker.channels["c"],
            "unsubscribe": handle.unsubscribe,
            "close": broker.close,
        }
        for name, call in calls.items():
            broker.lock = LockThatRefuses()
            with pytest.raises(LockIsHeldError):
                call()
            assert broker.lock.asked == 1, name

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer's signal")
    def test_is_free_after_an_interrupt_at_any_moment(self, broker):
        """Ctrl-C in the middle of a call neither blocks the broker nor spoils what waits."""
        message = numbered(1)

        def interrupt(*_):
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            for _ in range(200):
                with pytest.raises(KeyboardInterrupt):
                    self.talk_until_interrupted(broker, message)
                assert not broker.lock.locked()
                assert set(numbers(broker.channels["c"])) <= {1}
        finally:
            signal.signal(signal.SIGALRM, before)

    @staticmethod
    def talk_until_interrupted(broker, message):
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
        while True:
            broker.publish("c", message)
            broker.consume("c", "b", "env_0")


class LockIsHeldError(Exception):
    pass


class LockThatRefuses:
    def __init__(self):
        self.asked = 0

    def __enter__(self):
        self.asked += 1
        raise LockIsHeldError

    def __exit__(self, *_):
        raise AssertionError


class CountedMessage(Message):
    """Counts how often the broker looks at any field of any message."""

    looks = 0

    def __getattribute__(self, name):
        CountedMessage.looks += 1
        return super().__getattribute__(name)


class TestCost:
    """Number of things that a call touches; never its time."""

    @pytest.fixture
    def crowded(self, broker):
        """A broker in which a thousand messages wait for others on the channel, and in other envs."""
        for number in range(500):
            broker.publish("c", self.counted(number, f"other_{number % 7}"))
            broker.publish("c", self.counted(number, "b", env_id="env_1"))
        return broker

    @staticmethod
    def counted(number, recipient_id, env_id="env_0"):
        return CountedMessage(env_id, "a", recipient_id, float(number), MessageType.INFO, {"number": number})

    def looks(self, broker):
        """Return the number of looks at messages of one publication and one consumption."""
        message = self.counted(0, "b")
        CountedMessage.looks = 0
        broker.publish("c", message)
        (received,) = broker.consume("c", "b", "env_0")
        assert received is message
        return CountedMessage.looks

    def test_of_consuming_does_not_grow_with_what_waits_for_others(self, crowded):
        assert self.looks(crowded) == self.looks(InMemoryBroker()) <= 6

    def test_of_consuming_moves_no_message_of_others(self, crowded):
        mailbox = crowded._store.mailboxes["c"]["env_0"]
        queues = {agent: (id(queue.messages), len(queue.messages)) for agent, queue in mailbox.direct.items()}
        self.looks(crowded)

        del mailbox.direct["b"]
        assert {agent: (id(queue.messages), len(queue.messages)) for agent, queue in mailbox.direct.items()} == queues

    def test_of_consuming_broadcasts_is_that_of_the_new_ones(self, broker):
        for number in range(100):
            broker.publish("c", numbered(number, BROADCAST_ID))
        broker.consume("c", "b", "env_0")
        broker.publish("c", numbered(100, BROADCAST_ID))

        mailbox = broker._store.mailboxes["c"]["env_0"]
        assert numbers(message for _, message in mailbox.unseen("b")) == [100]
        assert mailbox.seen == {"b": 100}

    def test_of_clearing_looks_at_no_other_env(self, crowded):
        kept = crowded._store.mailboxes["c"]["env_1"]
        crowded._store.environments["env_1"] = Untouchable()
        CountedMessage.looks = 0
        crowded.clear_environment("env_0")

        assert CountedMessage.looks == 0
        assert len(kept) == 500

    def test_leaves_nothing_behind_once_consumed(self, broker):
        for number in range(100):
            broker.publish("c", numbered(number, f"agent_{number % 5}"))
        for agent in range(5):
            broker.consume("c", f"agent_{agent}", "env_0")

        queues = broker._store.mailboxes["c"]["env_0"].direct.values()
        assert [(queue.messages, queue.later) for queue in queues] == [([], [])] * 5

    def test_keeps_no_queues_of_recipients_that_come_and_go(self, broker):
        for number in range(1000):
            broker.publish("c", numbered(number, f"agent_{number}"))
            assert numbers(broker.consume("c", f"agent_{number}", "env_0")) == [number]

        assert len(broker._store.mailboxes["c"]["env_0"].direct) <= 16

    def test_keeps_every_queue_in_which_something_waits(self, broker):
        for number in range(100):
            broker.publish("c", numbered(number, f"agent_{number}"))
            broker.publish("c", numbered(number, f"passing_{number}"))
            broker.consume("c", f"passing_{number}", "env_0")

        assert numbers(broker.channels["c"]) == list(range(100))
        assert len(broker._store.mailboxes["c"]["env_0"].direct) < 200

    def test_of_a_thousand_episodes_is_that_of_one(self, broker):
        for episode in range(1000):
            broker.publish("c", numbered(episode))
            broker.publish("c", numbered(episode, BROADCAST_ID))
            broker.consume("c", "x", "env_0")
            broker.clear_environment("env_0")

        mailbox = broker._store.mailboxes["c"]["env_0"]
        assert (mailbox.direct, mailbox.broadcasts, mailbox.seen, mailbox.forgotten) == ({}, [], {}, 0)
        assert len(broker._store.mailboxes) == len(broker._store.environments) == 1


class Untouchable(dict):
    def values(self):
        raise AssertionError("the channels of another environment were looked through")

    items = __iter__ = values
