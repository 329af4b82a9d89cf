"""``Message``, the unit that travels, and its ``MessageType``."""

import math
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Final

import numpy as np

from heron.errors import InvalidMessageError, check_id

BROADCAST_ID: Final = "broadcast"
"""The recipient id that addresses every agent that consumes the channel."""


class MessageType(Enum):
    """Standard kinds of message."""

    ACTION = "action"
    """A command from an agent to its subordinate."""
    INFO = "info"
    """A report from an agent to its upstream."""
    BROADCAST = "broadcast"
    """A message to every agent that consumes the channel."""
    STATE_UPDATE = "state_update"
    """A change of the environment's state."""
    RESULT = "result"
    """The outcome of a request."""
    CUSTOM = "custom"
    """A type of the user's own domain; see ``MessageTypeRegistry``."""


QueueKey = tuple[str, str, str]
"""One queue of messages: (channel, recipient_id, env_id), in the order of the arguments of ``consume``."""


@dataclass(slots=True, init=False, eq=False)
class Message:
    """One message from one agent to another, or to all listeners.

    A broker in memory hands over this very object. After publishing it, change neither the message nor an array in
    its payload.

    Args:
        env_id: The environment copy that the message belongs to.
        sender_id: The agent that sends it.
        recipient_id: The agent that receives it; ``"broadcast"`` for every agent that consumes the channel.
        timestamp: Simulation time of that copy, finite, in the user's unit (one step by default).
        message_type: The kind of message.
        payload: Values of any type, by name.

    Raises:
        InvalidMessageError: If an id is not a non-empty string, the timestamp is not a finite number, the type is not
            a ``MessageType``, or the payload is not a dict with string keys.
    """

    env_id: str
    sender_id: str
    recipient_id: str
    timestamp: float
    message_type: MessageType
    payload: dict[str, Any]

    def __init__(
        self,
        env_id: str,
        sender_id: str,
        recipient_id: str,
        timestamp: float,
        message_type: MessageType,
        payload: dict[str, Any],
    ) -> None:
        # The usual case is checked inline, since a call costs as much as the whole check.
        if not (
            env_id.__class__ is sender_id.__class__ is recipient_id.__class__ is str
            and env_id
            and sender_id
            and recipient_id
            and timestamp.__class__ is float
            and timestamp - timestamp == 0.0  # not so for NaN and infinities
            and message_type.__class__ is MessageType
            and payload.__class__ is dict
        ):
            timestamp = _checked(env_id, sender_id, recipient_id, timestamp, message_type, payload)
        for key in payload:
            if key.__class__ is not str or not key:
                check_id("a payload key", key)
        self.env_id = env_id
        self.sender_id = sender_id
        self.recipient_id = recipient_id
        self.timestamp = timestamp
        self.message_type = message_type
        self.payload = payload

    def __eq__(self, other: object) -> bool:
        """Return True if all fields are equal; arrays are equal if their shapes and all values are."""
        if not isinstance(other, Message):
            return NotImplemented
        return all(_equal(getattr(self, one.name), getattr(other, one.name)) for one in fields(self))

    __hash__ = None  # type: ignore[assignment]  # it may change

    @property
    def is_broadcast(self) -> bool:
        """True if every agent that consumes the channel receives the message."""
        return self.recipient_id == BROADCAST_ID or self.message_type is MessageType.BROADCAST


Publication = tuple[str, Message]
"""A message with the channel that it is published on."""


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    return bool(one == other)


def _checked(
    env_id: object, sender_id: object, recipient_id: object, timestamp: object, message_type: object, payload: object
) -> float:
    """Raise an error for the first invalid field, or return the timestamp as a float."""
    check_id("env_id", env_id)
    check_id("sender_id", sender_id)
    check_id("recipient_id", recipient_id)
    if not isinstance(message_type, MessageType):
        raise InvalidMessageError(f"message_type must be a MessageType, got {message_type!r}")
    if not isinstance(payload, dict):
        raise InvalidMessageError(f"payload must be a dict, got {payload!r}")
    return check_timestamp(timestamp)


def check_timestamp(timestamp: Any) -> float:
    """Return ``timestamp`` as a float.

    Raises:
        InvalidMessageError: If ``timestamp`` is not a finite real number.
    """
    is_number = isinstance(timestamp, (int, float, np.integer, np.floating))
    if not is_number or isinstance(timestamp, bool) or not _is_finite(timestamp):
        raise InvalidMessageError(f"timestamp must be a finite number, got {timestamp!r}")
    return float(timestamp)


def _is_finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond the largest float
        return False
