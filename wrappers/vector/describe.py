"""A vector env in words: who is who, who commands whom, and who drives which slot."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.spaces import Box, Dict, Space, Tuple

from heron.messaging import ChannelManager

if TYPE_CHECKING:
    from heron.wrappers.vector.hierarchical_vector_env import HierarchicalVectorEnv


def describe(venv: "HierarchicalVectorEnv", drivers: Mapping[str, str] | None = None) -> str:
    """Copies, tree, groups, spaces, periods and channels, as text.

    Args:
        venv: The vector env.
        drivers: Group name -> what decides for its agents, where that is known.
    """
    noun = "copy" if venv.num_envs == 1 else "copies"
    lines = [f"{venv.num_envs} {noun}: {_listed(venv.env_ids)}", f"Stepped: {venv.batch_env.describe()}"]
    if venv.batch_env.remark:
        lines.append(f"  {venv.batch_env.remark}")
    lines += ["", "Hierarchy"]
    lines += [f"  {line}" for line in str(venv.hierarchy).splitlines()]
    for group in venv.groups.values():
        every = "every step" if group.period == 1 else f"every {group.period} steps"
        lines += [
            "",
            f"Group {group.name!r} ({group.level}, {every}): {_listed(group.agent_ids)}",
            f"  observes  {_shown(group.observation_space)}",
            f"  acts      {_shown(group.action_space)}",
        ]
        if group.command_space is not None:
            lines.append(f"  receives  {_shown(group.command_space)}")
        if drivers is not None:
            lines.append(f"  driven by {drivers[group.name]}")
    if venv.hierarchy.edges:
        above, below = venv.hierarchy.edges[0]
        env_id = venv.env_ids[0]
        lines += [
            "",
            f"Channels: {2 * len(venv.hierarchy.edges)} for each copy, such as",
            f"  {ChannelManager.action_channel(above, below, env_id)}",
            f"  {ChannelManager.info_channel(below, above, env_id)}",
        ]
    return "\n".join(lines)


def _shown(space: Space[Any]) -> str:
    """A space in one line, however long its bounds are."""
    if isinstance(space, Dict):
        return "Dict(" + ", ".join(f"{key}: {_shown(part)}" for key, part in space.spaces.items()) + ")"
    if isinstance(space, Tuple):
        return f"Tuple({', '.join(map(_shown, space.spaces))})"
    if isinstance(space, Box):
        return f"Box of shape {space.shape}, {space.dtype}, from {np.min(space.low):g} to {np.max(space.high):g}"
    return str(space)


def _listed(names: tuple[str, ...]) -> str:
    many = 8
    if len(names) <= many:
        return ", ".join(names)
    return f"{names[0]}, {names[1]} ... {names[-1]} ({len(names)})"
