"""The agent that acts on other agents."""

from collections.abc import Iterable, Mapping
from typing import Any

from heron.agents.agent import Agent, check_agent_id
from heron.errors import AgentError, InvalidMessageError, check_id
from heron.messaging import ChannelManager, MessageType


class CoordinatorAgent(Agent):
    """An agent that commands subordinates and receives their infos; it may have an upstream itself.

    Args:
        agent_id: Id of the agent.
        env_id: The environment copy that it lives in.
        upstream_id: Id of the agent that commands it, or None.
        subordinate_ids: Ids of the agents that it commands. If not given, it may command any agent, and receives
            infos from any agent.

    Raises:
        InvalidMessageError: If an id is not a non-empty string, is ``"broadcast"``, or is a duplicate.
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
        self._subordinate_ids = None if subordinate_ids is None else tuple(map(check_agent_id, subordinate_ids))
        known = self._subordinate_ids or ()
        if len(set(known)) != len(known):
            raise InvalidMessageError(f"{self} has duplicate subordinate_ids: {list(known)}")
        self._action_channels = {below: ChannelManager.action_channel(agent_id, below, env_id) for below in known}
        self._info_channels = {below: ChannelManager.info_channel(below, agent_id, env_id) for below in known}

    @property
    def subordinate_ids(self) -> tuple[str, ...] | None:
        """Ids of the agents that this one commands, or None if it may command any."""
        return self._subordinate_ids

    def send_action_to_subordinate(self, subordinate_id: str, action: Any, timestamp: float | None = None) -> None:
        """Command ``subordinate_id`` to take ``action``.

        Raises:
            AgentError: If the agent has no broker, or ``subordinate_id`` is not one of its subordinates.
            InvalidMessageError: If ``subordinate_id`` is not a non-empty string.
        """
        channel = self._action_channels.get(check_id("subordinate_id", subordinate_id))
        if channel is None:
            if self._subordinate_ids is not None:
                raise AgentError(f"{self} has no subordinate {subordinate_id!r}, only {list(self._subordinate_ids)}")
            channel = ChannelManager.action_channel(self.agent_id, subordinate_id, self.env_id)
            self._action_channels[subordinate_id] = channel
        self._publish(channel, subordinate_id, MessageType.ACTION, {"action": action}, timestamp)

    def receive_subordinate_info(self) -> dict[str, list[dict[str, Any]]]:
        """Return the infos that each subordinate has sent since the last call, oldest first.

        Returns:
            Subordinate id -> infos, for those that have sent any, in the order of ``subordinate_ids``.

        Raises:
            AgentError: If the agent has no broker.
        """
        channels = self._find_info_channels() if self._subordinate_ids is None else self._info_channels
        received = {}
        for subordinate_id, channel in channels.items():
            if messages := self._consume(channel):
                received[subordinate_id] = [message.payload for message in messages]
        return received

    def _find_info_channels(self) -> Mapping[str, str]:
        """Return sender id -> info channel, of all that lead to this agent."""
        channels = {}
        for name in self.broker.get_environment_channels(self.env_id):
            try:
                channel = ChannelManager.parse(name)
            except InvalidMessageError:
                continue
            ours = (channel.env_id, channel.channel_type, channel.recipient_id) == (self.env_id, "info", self.agent_id)
            if ours and channel.sender_id:
                channels[channel.sender_id] = name
        return channels
