"""What each group of agents of the vector env sees and does, coordinators included."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar, cast

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space

from heron.agents import Hierarchy
from heron.agents.hierarchy import FIELD_LEVEL
from heron.batch.agent_groups import group_name, partition
from heron.batch.array_tree import ArrayTree, flat_size, flatten
from heron.batch.batch_env import AgentGroup, BoolArray
from heron.errors import ConfigurationError, HierarchyError, UnknownGroupError, meant

_T = TypeVar("_T")

INFO_EXTRAS = 2
"""An info is seen as the subordinate's flat observation, its reward, and the info's age."""


@dataclass(frozen=True)
class VecGroup:
    """Agents that see and do the same, on one level of the hierarchy.

    Attributes:
        name: The group's name, unique in the vector env.
        level: The name of its level, ``"field"`` or a coordinator level of the hierarchy.
        agent_ids: Its agents, in the order of the arrays' second dimension.
        observation_space: What one agent sees: its own observation, or its subordinates' infos, then its
            command.
        action_space: What one agent does: act on the environment, or command all its subordinates.
        period: Environment steps between two decisions.
        own_space: What the agent tells its upstream as its observation.
        command_space: What it receives from upstream, or None.
    """

    name: str
    level: str
    agent_ids: tuple[str, ...]
    observation_space: Space[Any]
    action_space: Space[Any]
    period: int
    own_space: Space[Any]
    command_space: Space[Any] | None

    @property
    def is_field(self) -> bool:
        """Whether the agents act on the environment rather than on other agents."""
        return self.level == FIELD_LEVEL

    @property
    def command_layout(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and dtype of one command.

        Raises:
            ConfigurationError: If the group has no upstream.
        """
        if self.command_space is None:
            raise ConfigurationError(f"group {self.name!r} receives no commands")
        return self.command_space.shape or (), np.dtype(self.command_space.dtype)

    @property
    def num_agents(self) -> int:
        """Number of agents, the arrays' second dimension."""
        return len(self.agent_ids)


class ByGroup(dict[str, _T]):
    """Something for each group by its name, which says what there is when asked for another one."""

    def __missing__(self, name: object) -> NoReturn:
        raise UnknownGroupError(f"no group {name!r}, only {list(self)}{meant(name, self)}")


def build_groups(env_groups: Mapping[str, AgentGroup], hierarchy: Hierarchy) -> ByGroup[VecGroup]:
    """All groups of the vector env, from the top of the hierarchy down.

    Raises:
        HierarchyError: If the hierarchy's field agents are not the environment's agents, or a subordinate
            has no command space.
        ConfigurationError: If agents of one environment group get commands of different spaces, or one
            coordinator would have to send both numbers and choices.
    """
    hierarchy.check_matches(agent for group in env_groups.values() for agent in group.agent_ids)
    for above, below in hierarchy.edges:
        if hierarchy.command_space(below) is None:
            raise HierarchyError(
                f"a vector env needs to know what {above!r} sends to {below!r}: give the hierarchy a command_space"
            )
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
    """The group called ``key``, or else all groups of the level called so.

    Raises:
        UnknownGroupError: If there is neither; ``what`` says what the key was given for.
    """
    if isinstance(key, str) and key in groups:
        return [groups[key]]
    if found := [group for group in groups.values() if group.level == key]:
        return found
    levels = sorted({group.level for group in groups.values()})
    raise UnknownGroupError(
        f"{what}: no group or level {key!r}; groups {list(groups)}, levels {levels}{meant(key, [*groups, *levels])}"
    )


def join_observation(
    group: VecGroup, own: ArrayTree, commands: npt.NDArray[Any] | None, commanded: Callable[[], BoolArray]
) -> ArrayTree:
    """What agents see: their own observation together with their command, laid out as the group's space says.

    Args:
        group: The agents' group.
        own: Their own observations, ``(num_envs, num_agents, ...)``.
        commands: Their commands in ``group.command_space``, or None if the group has no upstream.
        commanded: Gives ``(num_envs, num_agents) bool``, the agents that a command has come to; others see zeros.
    """
    if group.command_space is None or commands is None:
        return own
    seen = flatten(group.command_space, commands, batch_dims=2)
    if not isinstance(group.command_space, Box):  # a choice is one-hot, and even the first is not zeros
        seen = seen * commanded()[..., None]
    if isinstance(group.observation_space, Box):
        own = np.asarray(own)
        joined = np.empty((*own.shape[:2], own.shape[2] + seen.shape[2]), group.observation_space.dtype)
        joined[..., : own.shape[2]] = own
        joined[..., own.shape[2] :] = seen
        return joined
    if isinstance(own, dict):
        return {**own, "command": seen}
    return {"observation": own, "command": seen}


def _field_group(group: AgentGroup, hierarchy: Hierarchy) -> VecGroup:
    commands = {agent: hierarchy.command_space(agent) for agent in group.agent_ids}
    first = commands[group.agent_ids[0]]
    if odd := {agent: space for agent, space in commands.items() if space != first}:
        raise ConfigurationError(
            f"agents of group {group.name!r} must get commands of one space, but {group.agent_ids[0]!r} gets "
            f"{first} and others {odd}; split the group with groups={{name: agent ids}}"
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
            raise ConfigurationError(f"group {owner!r} observes a 'command' of its own: rename that key")
        return Dict({**own.spaces, "command": seen})
    return Dict({"observation": own, "command": seen})


def _seen_space(command: Space[Any]) -> Box:
    """The space of a command as it is seen. It holds zero, which stands for no command yet."""
    if isinstance(command, Box):
        low, high = np.minimum(command.low, 0), np.maximum(command.high, 0)
        return Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
    return Box(0.0, 1.0, (flat_size(command),), dtype=np.float32)


def _coordinator_groups(
    level: str,
    agents: tuple[str, ...],
    hierarchy: Hierarchy,
    sizes: Mapping[str, int],
    taken: set[str],
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
    """One command for each subordinate, side by side."""
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
        f"coordinator {agent!r} must send its subordinates either Box or Discrete commands, not both: {spaces}"
    )
