"""The agent that acts on other agents."""

from collections.abc import Iterable
from typing import Any

from heron.agents.agent import Agent, check_agent_id
from heron.errors import AgentError, InvalidMessageError
from heron.messaging import ChannelManager, MessageType


class CoordinatorAgent(Agent):
    """An agent that commands subordinates and hears from them; it may have an upstream itself.

    Args:
        agent_id: The agent's own id.
        env_id: The environment copy that it lives in.
        upstream_id: Who commands it, or None.
        subordinate_ids: Whom it commands. If not given, it may command anybody, and hears from everybody that
            sends it infos.

    Raises:
        InvalidMessageError: If an id is empty, no string or ``"broadcast"``, or stands twice.
    """

    def __init__(
        self,
        agent_id: str,
        env_id: str = "default",
        upstream_id: str | None = None,
        subordinate_ids: Iterable[str] | None = None,
    ) -> None:
        super().__init__(agent_id, env_id, upstream_id)
        if isinstance(subordinate_ids, str):
            raise InvalidMessageError(f"subordinate_ids must be a list of ids, got {subordinate_ids!r}")
        self.subordinate_ids: tuple[str, ...] | None = None
        if subordinate_ids is not None:
            self.subordinate_ids = tuple(map(check_agent_id, subordinate_ids))
            if len(set(self.subordinate_ids)) != len(self.subordinate_ids):
                raise InvalidMessageError(f"{self} has a subordinate twice: {list(self.subordinate_ids)}")

    def send_action_to_subordinate(self, subordinate_id: str, action: Any, timestamp: float | None = None) -> None:
        """Command ``subordinate_id`` to do ``action``.

        Raises:
            AgentError: If the agent has no broker, or ``subordinate_id`` is none of its subordinates.
            InvalidMessageError: If ``subordinate_id`` is empty or no string.
        """
        if self.subordinate_ids is not None and subordinate_id not in self.subordinate_ids:
            raise AgentError(f"{self} has no subordinate {subordinate_id!r}, only {list(self.subordinate_ids)}")
        channel = ChannelManager.action_channel(self.agent_id, subordinate_id, self.env_id)
        self._publish(channel, subordinate_id, MessageType.ACTION, {"action": action}, timestamp)

    def receive_subordinate_info(self) -> dict[str, list[dict[str, Any]]]:
        """The infos that each subordinate has sent since the last call, oldest first.

        Returns:
            Subordinate id -> infos, for those that have sent any, in the order of ``subordinate_ids``.

        Raises:
            AgentError: If the agent has no broker.
        """
        received = {}
        for subordinate_id in self._known_subordinates():
            channel = ChannelManager.info_channel(subordinate_id, self.agent_id, self.env_id)
            if messages := self._consume(channel):
                received[subordinate_id] = [message.payload for message in messages]
        return received

    def _known_subordinates(self) -> Iterable[str]:
        """The subordinates given, or whoever has an info channel to this agent."""
        if self.subordinate_ids is not None:
            return self.subordinate_ids
        senders = []
        for name in self.broker.get_environment_channels(self.env_id):
            try:
                channel = ChannelManager.parse(name)
            except InvalidMessageError:
                continue
            if (channel.channel_type, channel.recipient_id) == ("info", self.agent_id) and channel.sender_id:
                senders.append(channel.sender_id)
        return senders
