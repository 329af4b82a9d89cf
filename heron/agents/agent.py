"""Abilities of every agent: speak to its upstream, listen to it, and broadcast."""

from collections.abc import Callable, Mapping
from typing import Any

from heron.errors import AgentError, InvalidMessageError, check_id
from heron.messaging import BROADCAST_ID, ChannelManager, Message, MessageBroker, MessageType
from heron.messaging.snapshot import snapshot


def check_agent_id(agent_id: object) -> str:
    """Return ``agent_id`` if it is valid for an agent.

    Raises:
        InvalidMessageError: If ``agent_id`` is not a non-empty string, or is the reserved ``"broadcast"``.
    """
    name = check_id("agent_id", agent_id)
    if name == BROADCAST_ID:
        raise InvalidMessageError(f"agent_id {BROADCAST_ID!r} is reserved: it addresses every agent")
    return name


class Agent:
    """One decision maker of one environment copy, which speaks through a broker.

    Messages carry the time of ``clock()``, or the ``timestamp`` given to a call. Arrays are copied when they are
    sent, including those in dicts, lists and tuples, so the sender may reuse them.

    Args:
        agent_id: Id of the agent.
        env_id: The environment copy that it lives in.
        upstream_id: Id of the agent that commands it, or None.

    Attributes:
        clock: Returns the simulation time of the environment copy; always 0.0 until replaced.

    Raises:
        InvalidMessageError: If an id is not a non-empty string or is ``"broadcast"``, or the agent is its own
            upstream.
    """

    def __init__(self, agent_id: str, env_id: str = "default", upstream_id: str | None = None) -> None:
        self._agent_id = check_agent_id(agent_id)
        self._env_id = check_id("env_id", env_id)
        self._upstream_id = None if upstream_id is None else check_agent_id(upstream_id)
        if upstream_id == agent_id:
            raise InvalidMessageError(f"agent {agent_id!r} of {env_id!r} cannot be its own upstream")
        self.clock: Callable[[], float] = float
        self._broker: MessageBroker | None = None
        self._undelivered: list[Any] = []
        self._broadcast_channel = ChannelManager.broadcast_channel(agent_id, env_id)
        if upstream_id is not None:
            self._action_channel = ChannelManager.action_channel(upstream_id, agent_id, env_id)
            self._info_channel = ChannelManager.info_channel(agent_id, upstream_id, env_id)
            self._upstream_broadcast_channel = ChannelManager.broadcast_channel(upstream_id, env_id)

    @property
    def agent_id(self) -> str:
        """Id of the agent."""
        return self._agent_id

    @property
    def env_id(self) -> str:
        """The environment copy that the agent lives in."""
        return self._env_id

    @property
    def upstream_id(self) -> str | None:
        """Id of the agent that commands this one, or None."""
        return self._upstream_id

    def set_message_broker(self, broker: MessageBroker) -> None:
        """Speak and listen through ``broker`` from now on.

        Raises:
            AgentError: If ``broker`` is not a ``MessageBroker``.
        """
        if not isinstance(broker, MessageBroker):
            raise AgentError(f"{self} needs a MessageBroker, got {broker!r}")
        self._broker = broker

    def receive_action_messages(self) -> list[Any]:
        """Return the actions that upstream has sent since the last call, oldest first.

        Raises:
            AgentError: If the agent has no broker or no upstream.
            InvalidMessageError: If a message carries no ``"action"``. It is consumed; the next call returns the
                actions of all others.
        """
        self._upstream()
        messages = self._consume(self._action_channel)
        self._undelivered += [message.payload["action"] for message in messages if "action" in message.payload]
        for message in messages:
            if "action" not in message.payload:
                raise InvalidMessageError(
                    f"channel {self._action_channel!r}: {self} expected a payload with 'action' from "
                    f"{message.sender_id!r}, got {message.payload!r}"
                )
        actions, self._undelivered = self._undelivered, []
        return actions

    def send_info_to_upstream(self, info: Mapping[str, Any], timestamp: float | None = None) -> None:
        """Send ``info`` upstream.

        Raises:
            AgentError: If the agent has no broker or no upstream.
            InvalidMessageError: If ``info`` is not a mapping with string keys.
        """
        upstream = self._upstream()
        self._publish(self._info_channel, upstream, MessageType.INFO, info, timestamp)

    def broadcast(self, payload: Mapping[str, Any], timestamp: float | None = None) -> None:
        """Send ``payload`` to every agent that listens to this one's broadcasts.

        Raises:
            AgentError: If the agent has no broker.
            InvalidMessageError: If ``payload`` is not a mapping with string keys.
        """
        self._publish(self._broadcast_channel, BROADCAST_ID, MessageType.BROADCAST, payload, timestamp)

    def receive_broadcasts(self, sender_id: str | None = None) -> list[dict[str, Any]]:
        """Return the payloads that ``sender_id`` has broadcast since the last call for it, oldest first.

        Args:
            sender_id: The agent that broadcasts; the upstream by default.

        Raises:
            AgentError: If the agent has no broker, or no upstream and no ``sender_id`` is given.
        """
        if sender_id is None:
            self._upstream()
            channel = self._upstream_broadcast_channel
        else:
            channel = ChannelManager.broadcast_channel(sender_id, self.env_id)
        return [message.payload for message in self._consume(channel)]

    @property
    def broker(self) -> MessageBroker:
        """The broker that was set.

        Raises:
            AgentError: If no broker was set.
        """
        if self._broker is None:
            raise AgentError(f"{self} has no broker: call set_message_broker(broker) first")
        return self._broker

    def _upstream(self) -> str:
        if self._upstream_id is None:
            raise AgentError(f"{self} has no upstream: give it an upstream_id")
        return self._upstream_id

    def _consume(self, channel: str) -> list[Message]:
        return self.broker.consume(channel, self._agent_id, self._env_id)

    def _publish(
        self,
        channel: str,
        recipient_id: str,
        message_type: MessageType,
        payload: Mapping[str, Any],
        timestamp: float | None,
    ) -> None:
        if not isinstance(payload, Mapping):
            raise InvalidMessageError(f"{self} can only send a mapping of names to values, got {payload!r}")
        time = self.clock() if timestamp is None else timestamp
        message = Message(self._env_id, self._agent_id, recipient_id, time, message_type, snapshot(payload))
        self.broker.publish(channel, message)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.agent_id!r}, env_id={self.env_id!r})"
