"""Groups of agents that share an array."""

import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from itertools import chain, count
from typing import Any

from gymnasium.spaces import Space
from pettingzoo import ParallelEnv

from heron.batch.array_tree import check_supported
from heron.batch.batch_env import AgentGroup
from heron.errors import ConfigurationError

_NUMBER_AT_END = re.compile(r"[_\-. ]?\d+$")
_LONGEST_NAME = 40


def group_agents(env: ParallelEnv, given: Mapping[str, Sequence[str]] | None = None) -> dict[str, AgentGroup]:
    """Return the agents of ``env`` in groups with the same spaces.

    Args:
        env: Any copy of the environment.
        given: Group name -> agent ids, to choose the groups by hand.

    Raises:
        ConfigurationError: If the environment does not declare its agents, a space is not supported, or
            ``given`` does not contain each agent once, in a group of agents with the same spaces.
    """
    agents = _declared_agents(env)
    spaces = {agent: (env.observation_space(agent), env.action_space(agent)) for agent in agents}
    members = _same_spaces(spaces) if given is None else _checked_groups(given, spaces)
    return {name: checked_group(name, ids, *spaces[ids[0]]) for name, ids in members.items()}


def checked_group(
    name: str, agent_ids: tuple[str, ...], observation_space: Space[Any], action_space: Space[Any]
) -> AgentGroup:
    """Return a group of agents.

    Raises:
        ConfigurationError: If samples of a space cannot be stored in arrays of a fixed shape.
    """
    check_supported(observation_space, f"group {name!r}: observation_space of {agent_ids[0]!r}")
    check_supported(action_space, f"group {name!r}: action_space of {agent_ids[0]!r}")
    return AgentGroup(name, agent_ids, observation_space, action_space)


def groups_by_name(groups: Sequence[AgentGroup]) -> dict[str, AgentGroup]:
    """Return group name -> group.

    Raises:
        ConfigurationError: If there is no agent, a name or an agent is a duplicate, or a space is not supported.
    """
    by_name = {
        group.name: checked_group(group.name, tuple(group.agent_ids), group.observation_space, group.action_space)
        for group in groups
    }
    agents = [agent for group in groups for agent in group.agent_ids]
    if not agents or len(by_name) != len(groups) or len(set(agents)) != len(agents):
        raise ConfigurationError(f"expected groups of distinct names with distinct agents, got {list(groups)}")
    return by_name


def common_name(agent_ids: Sequence[str]) -> str:
    """Return the ids of the agents without the numbers at their ends.

    >>> common_name(["agent_0", "agent_1"]), common_name(["alice", "bob"])
    ('agent', 'alice+bob')
    """
    stems = dict.fromkeys(_NUMBER_AT_END.sub("", agent) or agent for agent in agent_ids)
    return "+".join(stems)


def group_name(agent_ids: Sequence[str], taken: Container[str]) -> str:
    """Return an unused name for a group of agents.

    If agents have similar ids but different spaces, the first agent's whole id distinguishes the groups, or a number.

    >>> group_name(["agent_0", "agent_1"], taken=["agent"])
    'agent_0+1'
    """
    common, first = common_name(agent_ids), agent_ids[0]
    by_first = f"{first}+{len(agent_ids) - 1}" if len(agent_ids) > 1 else first
    short = [common] if len(common) <= _LONGEST_NAME else []
    numbered = (f"{by_first} ({number})" for number in count(2))
    return next(name for name in chain(short, [by_first], numbered) if name not in taken)


def _declared_agents(env: ParallelEnv) -> list[str]:
    agents = getattr(env, "possible_agents", None)
    if not agents:
        raise ConfigurationError(
            f"{env} has no possible_agents, so its arrays cannot be allocated: set possible_agents to the list of "
            "all ids that may appear (in a subclass, or with heron.wrappers.declare_agents)"
        )
    if odd := [agent for agent in agents if not isinstance(agent, str)]:
        raise ConfigurationError(f"agent ids must be strings, but possible_agents of {env} has {odd}")
    if duplicates := sorted(agent for agent, count in Counter(agents).items() if count > 1):
        raise ConfigurationError(f"duplicate agents {duplicates} in possible_agents of {env}: list each agent once")
    return list(agents)


def partition(kinds: Mapping[str, object]) -> list[list[str]]:
    """Return the ids in groups of equal kind. Kinds are compared by ``==``, since spaces are not hashable.

    >>> partition({"a": 1, "b": 2, "c": 1})
    [['a', 'c'], ['b']]
    """
    found: list[tuple[object, list[str]]] = []
    for agent, kind in kinds.items():
        members = next((members for known, members in found if known == kind), None)
        if members is None:
            found.append((kind, [agent]))
        else:
            members.append(agent)
    return [members for _, members in found]


def _same_spaces(spaces: Mapping[str, tuple[Space[Any], Space[Any]]]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    for ids in partition(spaces):
        groups[group_name(ids, groups)] = tuple(ids)
    return groups


def _checked_groups(
    given: Mapping[str, Sequence[str]], spaces: Mapping[str, tuple[Space[Any], Space[Any]]]
) -> dict[str, tuple[str, ...]]:
    for name, ids in given.items():
        if isinstance(ids, str) or not isinstance(ids, Sequence) or not all(isinstance(agent, str) for agent in ids):
            raise ConfigurationError(f"group {name!r}: expected a list of agents, got {ids!r}")
    listed = [agent for ids in given.values() for agent in ids]
    if sorted(listed) != sorted(spaces):
        raise ConfigurationError(f"groups must have each agent once: expected {sorted(spaces)}, got {sorted(listed)}")
    for name, ids in given.items():
        if not ids:
            raise ConfigurationError(f"group {name!r} has no agents")
        for agent in ids:
            if spaces[agent] != spaces[ids[0]]:
                raise ConfigurationError(
                    f"group {name!r}: {agent!r} has spaces {spaces[agent]}, but {ids[0]!r} has {spaces[ids[0]]}: "
                    "agents of a group must have the same"
                )
    return {name: tuple(ids) for name, ids in given.items()}
