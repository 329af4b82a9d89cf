"""Groups of agents of the vector env, coordinators included, and their spaces."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, TypeVar, cast

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space

from heron.agents import Hierarchy
from heron.agents.hierarchy import FIELD_LEVEL
from heron.batch.agent_groups import group_name, partition
from heron.batch.array_tree import flat_size
from heron.batch.batch_env import AgentGroup
from heron.errors import ConfigurationError, HierarchyError, UnknownGroupError, meant

_T = TypeVar("_T")

INFO_EXTRAS = 2
"""Number of values of an info beside the subordinate's flat observation: its reward, and the info's age."""


@dataclass(frozen=True)
class VecGroup:
    """Agents with the same spaces, on one level of the hierarchy.

    Attributes:
        name: The group's name, unique in the vector env.
        level: The name of its level, ``"field"`` or a coordinator level of the hierarchy.
        agent_ids: Its agents, in the order of the arrays' second dimension.
        observation_space: Space of one agent's observations: its own observation, or its subordinates' infos,
            then its command.
        action_space: Space of one agent's actions, which act on the environment or command all its subordinates.
        period: Environment steps between two decisions.
        own_space: Space of the own observation, which the agent sends to its upstream.
        command_space: Space of the commands from upstream, or None.
    """

    name: str
    level: str
    agent_ids: tuple[str, ...]
    observation_space: Space[Any]
    action_space: Space[Any]
    period: int
    own_space: Space[Any]
    command_space: Space[Any] | None

    @cached_property
    def is_field(self) -> bool:
        """True if the agents act on the environment rather than on other agents."""
        return self.level == FIELD_LEVEL

    @cached_property
    def command_layout(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and dtype of one command.

        Raises:
            ConfigurationError: If the group has no upstream.
        """
        if self.command_space is None:
            raise ConfigurationError(f"group {self.name!r} has no upstream, and so no command_space")
        return self.command_space.shape or (), np.dtype(self.command_space.dtype)

    @cached_property
    def num_agents(self) -> int:
        """Number of agents, the arrays' second dimension."""
        return len(self.agent_ids)


class ByGroup(dict[str, _T]):
    """Values by group name, with an error for an unknown name that lists the known ones."""

    def __missing__(self, name: object) -> NoReturn:
        raise UnknownGroupError(f"no group {name!r}, only {list(self)}{meant(name, self)}")


def build_groups(env_groups: Mapping[str, AgentGroup], hierarchy: Hierarchy) -> ByGroup[VecGroup]:
    """Return all groups of the vector env, from the top of the hierarchy down.

    Raises:
        HierarchyError: If the hierarchy's field agents are not the environment's agents, or a subordinate
            has no command space.
        ConfigurationError: If agents of one environment group get commands of different spaces, or the
            subordinates of one coordinator have both ``Box`` and ``Discrete`` command spaces.
    """
    hierarchy.check_matches(agent for group in env_groups.values() for agent in group.agent_ids)
    for above, below in hierarchy.edges:
        if hierarchy.command_space(below) is None:
            raise HierarchyError(f"subordinate {below!r} of {above!r} has no command_space: give the hierarchy one")
    fields = [_field_group(group, hierarchy) for group in env_groups.values()]
    sizes = {agent: flat_size(group.own_space) for group in fields for agent in group.agent_ids}
    levels = [fields]
    for level, agents in reversed(list(hierarchy.levels.items())):
        if level != FIELD_LEVEL:
            taken = {group.name for known in levels for group in known}
            groups = _coordinator_groups(level, agents, hierarchy, sizes, taken)
            sizes |= {agent: flat_size(group.own_space) for group in groups for agent in group.agent_ids}
            levels.append(groups)
    return ByGroup({group.name: group for groups in reversed(levels) for group in groups})


def resolve_group(key: str, groups: Mapping[str, VecGroup], what: str) -> list[VecGroup]:
    """Return the group with the name ``key``, or else all groups of the level with that name.

    Args:
        key: Name of a group or level.
        groups: All groups.
        what: Name of the option that the key was given for, for the error.

    Raises:
        UnknownGroupError: If there is neither.
    """
    if isinstance(key, str) and key in groups:
        return [groups[key]]
    if found := [group for group in groups.values() if group.level == key]:
        return found
    levels = sorted({group.level for group in groups.values()})
    raise UnknownGroupError(
        f"{what}: no group or level {key!r}; groups {list(groups)}, levels {levels}{meant(key, [*groups, *levels])}"
    )


def _field_group(group: AgentGroup, hierarchy: Hierarchy) -> VecGroup:
    commands = {agent: hierarchy.command_space(agent) for agent in group.agent_ids}
    first = commands[group.agent_ids[0]]
    if odd := {agent: space for agent, space in commands.items() if space != first}:
        raise ConfigurationError(
            f"group {group.name!r}: its agents must have one command_space, but {group.agent_ids[0]!r} has {first} and "
            f"others have {odd}; split the group with groups={{name: agent ids}}"
        )
    return VecGroup(
        name=group.name,
        level=FIELD_LEVEL,
        agent_ids=group.agent_ids,
        observation_space=_with_command(group.observation_space, first, group.name),
        action_space=group.action_space,
        period=1,
        own_space=group.observation_space,
        command_space=first,
    )


def _with_command(own: Space[Any], command: Space[Any] | None, owner: str) -> Space[Any]:
    if command is None:
        return own
    seen = _seen_space(command)
    if isinstance(own, Box) and len(own.shape) == 1 and np.issubdtype(own.dtype, np.floating):
        dtype = cast("np.dtype[np.floating[Any]]", own.dtype)
        low = np.concatenate([own.low, seen.low], dtype=dtype)
        return Box(low, np.concatenate([own.high, seen.high], dtype=dtype), dtype=dtype.type)
    if isinstance(own, Dict):
        if "command" in own.spaces:
            raise ConfigurationError(
                f"group {owner!r}: rename key 'command' of its Dict observation, which is reserved for commands from "
                "upstream"
            )
        return Dict({**own.spaces, "command": seen})
    return Dict({"observation": own, "command": seen})


def _seen_space(command: Space[Any]) -> Box:
    """Return the space of an observed command. It contains zero, which means no command yet."""
    if isinstance(command, Box):
        low, high = np.minimum(command.low, 0), np.maximum(command.high, 0)
        return Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
    return Box(0.0, 1.0, (flat_size(command),), dtype=np.float32)


def _coordinator_groups(
    level: str, agents: tuple[str, ...], hierarchy: Hierarchy, sizes: Mapping[str, int], taken: set[str]
) -> list[VecGroup]:
    kinds = {
        agent: (
            [(sizes[child], hierarchy.command_space(child)) for child in hierarchy.subordinates[agent]],
            hierarchy.period(agent),
            hierarchy.command_space(agent),
        )
        for agent in agents
    }
    return [_coordinator_group(level, ids, hierarchy, sizes, taken) for ids in partition(kinds)]


def _coordinator_group(
    level: str, ids: list[str], hierarchy: Hierarchy, sizes: Mapping[str, int], taken: set[str]
) -> VecGroup:
    name = group_name(ids, taken)
    taken.add(name)
    below = hierarchy.subordinates[ids[0]]
    size = sum(sizes[child] + INFO_EXTRAS for child in below)
    own_space = Box(-np.inf, np.inf, (size,), dtype=np.float32)
    command = hierarchy.command_space(ids[0])
    return VecGroup(
        name=name,
        level=level,
        agent_ids=tuple(ids),
        observation_space=_with_command(own_space, command, name),
        action_space=_joint_command_space(ids[0], hierarchy),
        period=hierarchy.period(ids[0]),
        own_space=own_space,
        command_space=command,
    )


def _joint_command_space(agent: str, hierarchy: Hierarchy) -> Space[Any]:
    """Return the space of one command for each subordinate, side by side."""
    spaces = [hierarchy.command_space(child) for child in hierarchy.subordinates[agent]]
    boxes = [space for space in spaces if isinstance(space, Box)]
    choices = [space for space in spaces if isinstance(space, Discrete)]
    if len(boxes) == len(spaces):
        dtype = np.result_type(*(box.dtype for box in boxes))
        low = np.concatenate([box.low for box in boxes], dtype=dtype)
        return Box(low, np.concatenate([box.high for box in boxes], dtype=dtype), dtype=dtype.type)
    if len(choices) == len(spaces):
        return MultiDiscrete([space.n for space in choices], start=[space.start for space in choices])
    raise ConfigurationError(
        f"coordinator {agent!r}: the command spaces of its subordinates must be all Box or all Discrete, got {spaces}"
    )
