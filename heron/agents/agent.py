"""What every agent can do: speak to its upstream, listen to it, and broadcast."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from heron.errors import AgentError, InvalidMessageError, check_id
from heron.messaging import BROADCAST_ID, ChannelManager, Message, MessageBroker, MessageType


def check_agent_id(agent_id: object) -> str:
    """Return ``agent_id`` if an agent can be called so.

    Raises:
        InvalidMessageError: If it is empty, no string, or the reserved ``"broadcast"``.
    """
    name = check_id("agent_id", agent_id)
    if name == BROADCAST_ID:
        raise InvalidMessageError(f"agent_id {BROADCAST_ID!r} is reserved: it addresses every agent")
    return name


class Agent:
    """One decision maker of one environment copy, speaking through a broker.

    Messages are stamped with ``clock()``, or with the ``timestamp`` given to a call. Arrays are copied when
    they are sent, also those in dicts, lists and tuples, so the sender may go on using them.

    Args:
        agent_id: The agent's own id.
        env_id: The environment copy that it lives in.
        upstream_id: Who commands it, or None.

    Attributes:
        clock: Returns the simulation time of the environment copy; always 0.0 until replaced.

    Raises:
        InvalidMessageError: If an id is empty, no string or ``"broadcast"``, or the agent is its own
            upstream.
    """

    def __init__(self, agent_id: str, env_id: str = "default", upstream_id: str | None = None) -> None:
        self.agent_id = check_agent_id(agent_id)
        self.env_id = check_id("env_id", env_id)
        self.upstream_id = None if upstream_id is None else check_agent_id(upstream_id)
        if upstream_id == agent_id:
            raise InvalidMessageError(f"agent {agent_id!r} of {env_id!r} cannot be its own upstream")
        self.clock: Callable[[], float] = float
        self._broker: MessageBroker | None = None
        self._undelivered: list[Any] = []

    def set_message_broker(self, broker: MessageBroker) -> None:
        """Speak and listen through ``broker`` from now on.

        Raises:
            AgentError: If ``broker`` is no ``MessageBroker``.
        """
        if not isinstance(broker, MessageBroker):
            raise AgentError(f"{self} needs a MessageBroker, got {broker!r}")
        self._broker = broker

    def receive_action_messages(self) -> list[Any]:
        """The actions that upstream has sent since the last call, oldest first.

        Raises:
            AgentError: If the agent has no broker or no upstream.
            InvalidMessageError: If a message carries no ``"action"``. It is consumed; the actions of all others are
                returned by the next call.
        """
        channel = ChannelManager.action_channel(self._upstream(), self.agent_id, self.env_id)
        messages = self._consume(channel)
        self._undelivered += [message.payload["action"] for message in messages if "action" in message.payload]
        for message in messages:
            if "action" not in message.payload:
                raise InvalidMessageError(
                    f"channel {channel!r}: {self} expected a payload with 'action' from "
                    f"{message.sender_id!r}, got {message.payload!r}"
                )
        actions, self._undelivered = self._undelivered, []
        return actions

    def send_info_to_upstream(self, info: Mapping[str, Any], timestamp: float | None = None) -> None:
        """Send ``info`` upstream.

        Raises:
            AgentError: If the agent has no broker or no upstream.
            InvalidMessageError: If ``info`` is no mapping with string keys.
        """
        upstream = self._upstream()
        channel = ChannelManager.info_channel(self.agent_id, upstream, self.env_id)
        self._publish(channel, upstream, MessageType.INFO, info, timestamp)

    def broadcast(self, payload: Mapping[str, Any], timestamp: float | None = None) -> None:
        """Send ``payload`` to every agent that listens to this one's broadcasts.

        Raises:
            AgentError: If the agent has no broker.
            InvalidMessageError: If ``payload`` is no mapping with string keys.
        """
        channel = ChannelManager.broadcast_channel(self.agent_id, self.env_id)
        self._publish(channel, BROADCAST_ID, MessageType.BROADCAST, payload, timestamp)

    def receive_broadcasts(self, sender_id: str | None = None) -> list[dict[str, Any]]:
        """The payloads that ``sender_id`` has broadcast since this agent last asked, oldest first.

        Args:
            sender_id: Whose broadcasts; the upstream's by default.

        Raises:
            AgentError: If the agent has no broker, or no upstream and no ``sender_id`` is given.
        """
        sender = self._upstream() if sender_id is None else sender_id
        channel = ChannelManager.broadcast_channel(sender, self.env_id)
        return [message.payload for message in self._consume(channel)]

    @property
    def broker(self) -> MessageBroker:
        """The broker that was set.

        Raises:
            AgentError: If none was.
        """
        if self._broker is None:
            raise AgentError(f"{self} has no broker: call set_message_broker(broker) first")
        return self._broker

    def _upstream(self) -> str:
        if self.upstream_id is None:
            raise AgentError(f"{self} has no upstream: give it an upstream_id")
        return self.upstream_id

    def _consume(self, channel: str) -> list[Message]:
        return self.broker.consume(channel, self.agent_id, self.env_id)

    def _publish(
        self,
        channel: str,
        recipient_id: str,
        message_type: MessageType,
        payload: Mapping[str, Any],
        timestamp: float | None,
    ) -> None:
        if not isinstance(payload, Mapping):
            raise InvalidMessageError(f"{self} can send a mapping of names to values, got {payload!r}")
        values = {name: _snapshot(value) for name, value in payload.items()}
        time = self.clock() if timestamp is None else timestamp
        message = Message(self.env_id, self.agent_id, recipient_id, time, message_type, values)
        self.broker.publish(channel, message)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.agent_id!r}, env_id={self.env_id!r})"


def _snapshot(value: Any) -> Any:
    """``value`` as it is now: environments reuse their arrays."""
    match value:
        case np.ndarray():
            return value.copy()
        case dict():
            return {key: _snapshot(part) for key, part in value.items()}
        case list():
            return [_snapshot(part) for part in value]
        case tuple() if type(value) is tuple:
            return tuple(_snapshot(part) for part in value)
    return value
