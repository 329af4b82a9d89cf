"""`InMemoryBroker`, alone or wrapped, and the naive broker get the same calls and must give the same answers."""

from functools import partial

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from heron.messaging import BROADCAST_ID, ChannelManager, InMemoryBroker, Message, MessageType, Route

from .counting import BriefCountingBroker, CountingBroker
from .naive import NaiveBroker

ENVS = ("env_1", "env_10", "env_1__x", "1")
AGENTS = ("a", "b", "a_to_b")
ROUTES = tuple(
    Route(ChannelManager.action_channel("a", agent, env_id), "a", agent, env_id)
    for env_id in ENVS
    for agent in ("b", "a_to_b")
)
# The second lane shares a channel of every environment with the first, and has one of its own.
LANES = (ROUTES, (*ROUTES[::2], *(Route("env_1__shared", "a", "b", env_id) for env_id in ENVS)))
SCHEMA = {"x": ((), np.float64)}

envs = st.sampled_from(ENVS)
agents = st.sampled_from(AGENTS)
channels = st.sampled_from(
    [
        *(route.channel for route in ROUTES[:4]),
        ChannelManager.broadcast_channel("a", "env_1"),
        ChannelManager.state_update_channel("env_10"),
        "env_1__shared",
        "env_1__action__a_to_b",
        "env_1",
        "market place",
    ]
)
lanes = st.sampled_from(range(len(LANES)))


class TwoBrokers(RuleBasedStateMachine):
    make_broker = staticmethod(InMemoryBroker)

    def __init__(self):
        super().__init__()
        self.broker = self.make_broker()
        self.naive = NaiveBroker()
        self.published = 0
        self.seen: list[tuple[int, Message]] = []
        self.naively_seen: list[tuple[int, Message]] = []
        self.subscriptions = []
        self.lanes = {}
        for lane in range(len(LANES)):
            self.opened(lane)

    def opened(self, lane):
        """The lane of either broker, opened again if it was closed."""
        if lane not in self.lanes:
            brokers = (self.broker, self.naive)
            self.lanes[lane] = [broker.open_lane(LANES[lane], SCHEMA, MessageType.ACTION) for broker in brokers]
        return self.lanes[lane]

    def next_number(self):
        self.published += 1
        return self.published

    @rule(
        channel=channels,
        sender=agents,
        recipient=st.sampled_from([*AGENTS, BROADCAST_ID]),
        env_id=envs,
        message_type=st.sampled_from([MessageType.INFO, MessageType.ACTION, MessageType.BROADCAST]),
        timestamp=st.integers(0, 3),
        times=st.integers(1, 2),
    )
    def publish(self, channel, sender, recipient, env_id, message_type, timestamp, times):
        payload = {"x": float(self.next_number())}
        message = Message(env_id, sender, recipient, timestamp, message_type, payload)
        for _ in range(times):
            self.broker.publish(channel, message)
            self.naive.publish(channel, message)

    @rule(channel=channels, recipient=agents, env_id=envs, clear=st.booleans())
    def consume(self, channel, recipient, env_id, clear):
        got = self.broker.consume(channel, recipient, env_id, clear)
        assert got == self.naive.consume(channel, recipient, env_id, clear)

    @rule(
        queues=st.lists(st.tuples(channels, st.sampled_from([*AGENTS, BROADCAST_ID]), envs), max_size=4),
        timestamp=st.integers(0, 3),
    )
    def publish_many(self, queues, timestamp):
        messages = []
        for channel, recipient, env_id in queues:
            payload = {"x": float(self.next_number())}
            messages.append((channel, Message(env_id, "a", recipient, timestamp, MessageType.INFO, payload)))
        self.broker.publish_many(messages)
        self.naive.publish_many(messages)

    @rule(queues=st.lists(st.tuples(channels, agents, envs), max_size=4), clear=st.booleans())
    def consume_many(self, queues, clear):
        assert self.broker.consume_many(queues, clear) == self.naive.consume_many(queues, clear)

    @rule(channel=channels)
    def create_channel(self, channel):
        self.broker.create_channel(channel)
        self.naive.create_channel(channel)

    @rule(channel=channels)
    def subscribe(self, channel):
        number = len(self.subscriptions)
        handle = self.broker.subscribe(channel, partial(self.note, self.seen, number))
        callback = partial(self.note, self.naively_seen, number)
        self.naive.subscribe(channel, callback)
        self.subscriptions.append((handle, (channel, callback)))

    @staticmethod
    def note(seen, number, message):
        seen.append((number, message))

    @rule(data=st.data())
    def unsubscribe(self, data):
        if self.subscriptions:
            handle, entry = data.draw(st.sampled_from(self.subscriptions))
            handle.unsubscribe()
            if entry in self.naive.callbacks:
                self.naive.callbacks.remove(entry)

    @rule(env_id=envs)
    def clear_environment(self, env_id):
        self.broker.clear_environment(env_id)
        self.naive.clear_environment(env_id)

    @rule(lane=lanes, mask=st.lists(st.booleans(), min_size=8, max_size=8), timestamp=st.integers(0, 3))
    def send(self, lane, mask, timestamp):
        assert len(LANES[lane]) == len(mask)
        rows = {"x": self.next_number() + np.arange(len(mask)) / 100}
        times = timestamp + np.arange(len(mask)) % 2
        for one in self.opened(lane):
            one.send(rows, np.array(mask), times)
        rows["x"][:] = -1

    @rule(lane=lanes, mask=st.none() | st.lists(st.booleans(), min_size=8, max_size=8))
    def receive(self, lane, mask):
        where = None if mask is None else np.array(mask)
        got, expected = (one.receive(where) for one in self.opened(lane))
        np.testing.assert_array_equal(got.fresh, expected.fresh)
        fresh = expected.fresh
        np.testing.assert_array_equal(got.arrays["x"][fresh], expected.arrays["x"][fresh])
        np.testing.assert_array_equal(got.timestamp[fresh], expected.timestamp[fresh])

    @rule(lane=lanes)
    def close_lane(self, lane):
        for one in self.lanes.pop(lane, ()):
            one.close()

    @invariant()
    def same_environment_channels(self):
        for env_id in ENVS:
            assert self.broker.get_environment_channels(env_id) == self.naive.get_environment_channels(env_id)

    @rule()
    def look_at_waiting_messages(self):
        # No invariant: looking turns what lanes hold as arrays into messages.
        assert dict(self.broker.channels) == self.naive.waiting()

    @invariant()
    def same_callbacks(self):
        assert self.seen == self.naively_seen

    @invariant()
    def same_statistics(self):
        waiting = self.naive.waiting()
        depths = {name: len(messages) for name, messages in waiting.items()}
        got = self.broker.statistics()
        assert (got.messages, got.channels) == (sum(depths.values()), len(depths))
        assert (got.published, got.dropped) == (self.naive.published, 0)
        assert got.deepest == max(depths.values(), default=0)
        assert depths.get(got.deepest_channel, 0) == got.deepest

    def teardown(self):
        self.look_at_waiting_messages()


class WithWrapper(TwoBrokers):
    make_broker = staticmethod(lambda: CountingBroker(InMemoryBroker()))


class WithWrapperBySingleCalls(TwoBrokers):
    make_broker = staticmethod(lambda: BriefCountingBroker(InMemoryBroker()))


TestTwoBrokers = TwoBrokers.TestCase
TestTwoBrokers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestWithWrapper = WithWrapper.TestCase
TestWithWrapper.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
TestWithWrapperBySingleCalls = WithWrapperBySingleCalls.TestCase
TestWithWrapperBySingleCalls.settings = TestWithWrapper.settings
