"""Text that describes a vector env: its copies, tree, groups, spaces and channels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Space, Tuple

from heron.agents import Hierarchy
from heron.batch.batch_env import BatchEnv
from heron.messaging import ChannelManager
from heron.vector.vec_group import VecGroup


def describe(
    batch_env: BatchEnv, hierarchy: Hierarchy, groups: Mapping[str, VecGroup], deciders: Mapping[str, str] | None = None
) -> str:
    """Return copies, tree, groups, spaces, periods and channels as text.

    Args:
        batch_env: The environment copies.
        hierarchy: The tree.
        groups: Group name -> its agents and spaces.
        deciders: Group name -> a description of its policy or learner, where known.
    """
    noun = "copy" if batch_env.num_envs == 1 else "copies"
    lines = [f"{batch_env.num_envs} {noun}: {_listed(batch_env.env_ids)}", f"Stepped: {batch_env.describe()}"]
    if batch_env.remark:
        lines.append(f"  {batch_env.remark}")
    lines += ["", "Hierarchy"]
    lines += [f"  {line}" for line in str(hierarchy).splitlines()]
    for group in groups.values():
        every = "every step" if group.period == 1 else f"every {group.period} steps"
        lines += [
            "",
            f"Group {group.name!r} ({group.level}, {every}): {_listed(group.agent_ids)}",
            f"  observes  {_shown(group.observation_space)}",
            f"  acts      {_shown(group.action_space)}",
        ]
        if group.command_space is not None:
            lines.append(f"  receives  {_shown(group.command_space)}")
        if deciders is not None:
            lines.append(f"  driven by {deciders[group.name]}")
    if hierarchy.edges:
        above, below = hierarchy.edges[0]
        env_id = batch_env.env_ids[0]
        lines += [
            "",
            f"Channels: {2 * len(hierarchy.edges)} for each copy, such as",
            f"  {ChannelManager.action_channel(above, below, env_id)}",
            f"  {ChannelManager.info_channel(below, above, env_id)}",
        ]
    return "\n".join(lines)


def _shown(space: Space[Any]) -> str:
    """Return a space as one line, with the extremes of its bounds."""
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
