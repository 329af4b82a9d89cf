"""Names of channels, and the way back from a name to its route."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypedDict
from urllib.parse import unquote

from heron.errors import InvalidMessageError, check_id

_ACTION: Final = "action"
_INFO: Final = "info"
_BROADCAST: Final = "broadcast"
_STATE_UPDATES: Final = "state_updates"
_RESULTS: Final = "results"
_STANDARD_TYPES: Final = frozenset({_ACTION, _INFO, _BROADCAST, _STATE_UPDATES, _RESULTS})

_PREFIX: Final = "env_"
_PART: Final = "__"
_TO: Final = "_to_"


class AgentChannels(TypedDict):
    """The channels that one agent listens to, and those that it publishes on."""

    subscribe: list[str]
    publish: list[str]


@dataclass(frozen=True, slots=True)
class ParsedChannel:
    """The parts of a channel name of ``ChannelManager``.

    Attributes:
        env_id: The environment copy.
        channel_type: ``"action"``, ``"info"``, ``"broadcast"``, ``"state_updates"``, ``"results"``, or the
            user's own type.
        sender_id: The sender, on action and info channels.
        recipient_id: The recipient, on action and info channels.
        agent_id: The agent that owns the channel, on every other kind except state updates.
    """

    env_id: str
    channel_type: str
    sender_id: str | None = None
    recipient_id: str | None = None
    agent_id: str | None = None


class ChannelManager:
    """Consistent channel names, ``env_{env_id}__{channel_type}__{details}``.

    Names are injective: two different routes never share a name. For that, an id that contains ``__``, ``_to_`` or
    ``%``, or that would run into a separator at one of its ends, is percent-escaped. Any other id appears in the name
    as it is. ``parse`` inverts every name.
    """

    @staticmethod
    def action_channel(upstream_id: str, node_id: str, env_id: str) -> str:
        """Return the name of the channel on which ``upstream_id`` commands ``node_id``.

        >>> ChannelManager.action_channel("coordinator_1", "field_1", "env_0")
        'env_env_0__action__coordinator_1_to_field_1'
        """
        return _name(env_id, _ACTION, _route(("upstream_id", upstream_id), ("node_id", node_id)))

    @staticmethod
    def info_channel(node_id: str, upstream_id: str, env_id: str) -> str:
        """Return the name of the channel on which ``node_id`` informs ``upstream_id``.

        >>> ChannelManager.info_channel("field_1", "coordinator_1", "env_0")
        'env_env_0__info__field_1_to_coordinator_1'
        """
        return _name(env_id, _INFO, _route(("node_id", node_id), ("upstream_id", upstream_id)))

    @staticmethod
    def broadcast_channel(agent_id: str, env_id: str) -> str:
        """Return the name of the channel on which ``agent_id`` speaks to all listeners.

        >>> ChannelManager.broadcast_channel("coordinator_1", "env_0")
        'env_env_0__broadcast__coordinator_1'
        """
        return _name(env_id, _BROADCAST, _escape("agent_id", agent_id))

    @staticmethod
    def state_update_channel(env_id: str) -> str:
        """Return the name of the channel for updates of the environment's state.

        >>> ChannelManager.state_update_channel("env_0")
        'env_env_0__state_updates'
        """
        return _name(env_id, _STATE_UPDATES)

    @staticmethod
    def result_channel(env_id: str, agent_id: str) -> str:
        """Return the name of the channel for the results of ``agent_id``.

        >>> ChannelManager.result_channel("env_0", "field_1")
        'env_env_0__results__field_1'
        """
        return _name(env_id, _RESULTS, _escape("agent_id", agent_id))

    @staticmethod
    def custom_channel(channel_type: str, env_id: str, agent_id: str) -> str:
        """Return the name of a channel of the user's own type; see ``ChannelRegistry``.

        Raises:
            InvalidMessageError: If ``channel_type`` is a standard type, because the names would collide.

        >>> ChannelManager.custom_channel("market", "env_0", "trader_1")
        'env_env_0__market__trader_1'
        """
        if check_id("channel_type", channel_type) in _STANDARD_TYPES:
            raise InvalidMessageError(
                f"channel_type {channel_type!r} is a standard type: use ChannelManager's own method for it"
            )
        return _name(env_id, _escape("channel_type", channel_type), _escape("agent_id", agent_id))

    @staticmethod
    def agent_channels(
        agent_id: str, upstream_id: str | None, subordinate_ids: Iterable[str], env_id: str
    ) -> AgentChannels:
        """Return all standard channels of one agent.

        The agent listens to its own actions, its upstream's broadcasts, its subordinates' infos and the state
        updates. It publishes its own broadcasts and results, its infos and its subordinates' actions.

        Args:
            agent_id: The agent.
            upstream_id: Its upstream, or None.
            subordinate_ids: Its subordinates.
            env_id: The environment copy.

        Returns:
            A dict of two lists of names, ``"subscribe"`` and ``"publish"``.
        """
        if isinstance(subordinate_ids, str):
            raise InvalidMessageError(f"subordinate_ids must be a list of ids, got {subordinate_ids!r}")
        subordinates = list(subordinate_ids)
        manager = ChannelManager
        subscribe = [manager.info_channel(node, agent_id, env_id) for node in subordinates]
        publish = [manager.action_channel(agent_id, node, env_id) for node in subordinates]
        if upstream_id is not None:
            subscribe.insert(0, manager.action_channel(upstream_id, agent_id, env_id))
            subscribe.append(manager.broadcast_channel(upstream_id, env_id))
            publish.insert(0, manager.info_channel(agent_id, upstream_id, env_id))
        subscribe.append(manager.state_update_channel(env_id))
        publish += [manager.broadcast_channel(agent_id, env_id), manager.result_channel(env_id, agent_id)]
        return {"subscribe": subscribe, "publish": publish}

    @staticmethod
    def parse(name: str) -> ParsedChannel:
        """Return the parts of a name that this class made.

        Raises:
            InvalidMessageError: If no method of this class returns ``name``.

        >>> ChannelManager.parse("env_env_0__action__coordinator_1_to_field_1").recipient_id
        'field_1'
        """
        parsed = _parse(check_id("channel", name))
        if parsed is None or _unparse(parsed) != name:
            raise InvalidMessageError(
                f"channel {name!r} is not a name of ChannelManager: expected "
                "'env_{env_id}__{channel_type}__{details}'"
            )
        return parsed


def _escape(what: str, value: str) -> str:
    """Return an id in the form that it has in a name."""
    return _escaped(check_id(what, value))


@lru_cache(maxsize=1024)  # the channels of many copies are named in a row, and each id is part of many names
def _escaped(text: str) -> str:
    """Return ``text`` without any run of characters that separates the parts of a name.

    The first ``_to_`` of an escaped route is then its separator: no escaped id contains ``_to_``, and none ends in
    ``_to``, so no other can start before the separator does.
    """
    if "_" not in text and "%" not in text:
        return text
    text = text.replace("%", "%25")
    if text.startswith("_"):
        text = "%5F" + text[1:]
    if text.endswith("_"):
        text = text[:-1] + "%5F"
    while _PART in text:
        text = text.replace(_PART, "%5F%5F")
    while _TO in text:
        text = text.replace(_TO, "%5Fto_")
    return text[:-3] + "%5Fto" if text.endswith("_to") else text


def _route(sender: tuple[str, str], recipient: tuple[str, str]) -> str:
    return f"{_escape(*sender)}{_TO}{_escape(*recipient)}"


def _name(env_id: str, *parts: str) -> str:
    return _PREFIX + _PART.join((_escape("env_id", env_id), *parts))


def _parse(name: str) -> ParsedChannel | None:
    env_id, *rest = name.removeprefix(_PREFIX).split(_PART)
    match rest:
        case ["state_updates"]:
            return ParsedChannel(unquote(env_id), _STATE_UPDATES)
        case ["action" | "info" as kind, route]:
            sender, _, recipient = route.partition(_TO)
            return ParsedChannel(unquote(env_id), kind, unquote(sender), unquote(recipient))
        case [kind, agent] if kind != _STATE_UPDATES:
            return ParsedChannel(unquote(env_id), unquote(kind), agent_id=unquote(agent))
    return None


def _unparse(parsed: ParsedChannel) -> str | None:
    """Return the name with these parts, or None if they have no name."""
    env_id, kind = parsed.env_id, parsed.channel_type
    sender, recipient, agent = parsed.sender_id, parsed.recipient_id, parsed.agent_id
    try:
        if sender is not None and recipient is not None:
            return _name(env_id, kind, _route(("sender_id", sender), ("recipient_id", recipient)))
        if agent is not None:
            return _name(env_id, _escape("channel_type", kind), _escape("agent_id", agent))
        return _name(env_id, kind)
    except InvalidMessageError:
        return None
