"""Figures about a broker."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BrokerStatistics:
    """State of a broker at one moment.

    Attributes:
        messages: Number of waiting messages; a broadcast counts once.
        channels: Number of channels.
        deepest_channel: The channel with the most waiting messages, or None if no message waits.
        deepest: Number of messages that wait on that channel.
        published: Number of messages accepted since the broker was created.
        dropped: Number of messages that a bounded queue dropped in favour of newer ones.
        bytes: Memory of the waiting messages in bytes, or None if the broker cannot measure it.
    """

    messages: int
    channels: int
    deepest_channel: str | None
    deepest: int
    published: int
    dropped: int
    bytes: int | None = None
