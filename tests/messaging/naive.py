"""A broker too simple to be wrong: one list of what was published, one set of who received what.

It implements the seven methods of the specification and nothing else, so it also shows what a user's own broker
gets for them. `InMemoryBroker` is compared with it, and it passes the same contract.
"""

from contextlib import suppress
from threading import Lock

from heron.errors import BrokerClosedError, InvalidMessageError, check_id
from heron.messaging import ChannelManager, Message, MessageBroker


class NaiveBroker(MessageBroker):
    def __init__(self):
        self.log: list[tuple[int, str, Message]] = []
        self.published = 0
        self.received: set[tuple[int, str]] = set()
        self.known: list[tuple[str, str | None]] = []
        self.callbacks = []
        self.closed = False
        self.lock = Lock()

    def check(self, **names):
        for what, name in names.items():
            check_id(what, name)
        if self.closed:
            raise BrokerClosedError("closed")

    def know(self, channel, env_id):
        if (channel, env_id) not in self.known:
            self.known.append((channel, env_id))

    def create_channel(self, channel_name):
        self.check(channel=channel_name)
        self.know(channel_name, None)
        with suppress(InvalidMessageError):
            self.know(channel_name, ChannelManager.parse(channel_name).env_id)

    def publish(self, channel, message):
        self.check(channel=channel)
        if not isinstance(message, Message):
            raise InvalidMessageError("no message")
        with self.lock:
            self.log.append((self.published, channel, message))
            self.published += 1
            self.know(channel, None)
            self.know(channel, message.env_id)
        for name, callback in list(self.callbacks):
            if name == channel:
                with suppress(Exception):
                    callback(message)

    def consume(self, channel, recipient_id, env_id, clear=True):
        self.check(channel=channel, recipient_id=recipient_id, env_id=env_id)
        with self.lock:
            waiting = [
                (number, message)
                for number, name, message in self.log
                if name == channel
                and message.env_id == env_id
                and (message.is_broadcast or message.recipient_id == recipient_id)
                and (number, recipient_id) not in self.received
            ]
            if clear:
                self.received |= {(number, recipient_id) for number, _ in waiting}
        return [message for _, message in waiting]

    def subscribe(self, channel, callback):
        self.create_channel(channel)
        if not callable(callback):
            raise InvalidMessageError("no callback")
        self.callbacks.append((channel, callback))

    def clear_environment(self, env_id):
        self.check(env_id=env_id)
        with self.lock:
            self.log = [entry for entry in self.log if entry[2].env_id != env_id]

    def get_environment_channels(self, env_id):
        self.check(env_id=env_id)
        return [channel for channel, owner in self.known if owner == env_id]

    def close(self):
        self.closed = True

    def waiting(self) -> dict[str, list[Message]]:
        """Return the messages that `InMemoryBroker.channels` shows."""
        channels = {channel: [] for channel, owner in self.known if owner is None}
        for number, channel, message in self.log:
            if message.is_broadcast or (number, message.recipient_id) not in self.received:
                channels[channel].append(message)
        return channels
