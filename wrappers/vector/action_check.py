"""Actions of a whole batch, checked against their space at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space

from heron.envs.batch_env import BoolArray
from heron.errors import InvalidActionError


def checked_actions(
    actions: Any, space: Space[Any], where: BoolArray, agent_ids: Sequence[str], env_ids: Sequence[str]
) -> npt.NDArray[Any]:
    """``actions`` as an array of the space's dtype, if those that count lie in the space.

    Args:
        actions: ``(N, M, *space.shape)``, of a dtype that the space's dtype can hold.
        space: The action space of one agent.
        where: ``(N, M) bool``, the agents whose actions count.
        agent_ids: The M agents.
        env_ids: The N copies.

    Raises:
        InvalidActionError: If shape or dtype do not fit, or an action that counts holds NaN or lies outside the
            space.
    """
    try:
        array = np.asarray(actions)
    except ValueError as error:
        raise InvalidActionError(f"actions of {list(agent_ids)} must make one array, got {actions!r}") from error
    shape = (*where.shape, *(space.shape or ()))
    if array.shape != shape:
        raise InvalidActionError(
            f"actions of {list(agent_ids)} must have shape {shape} (copies, agents, ...), got {array.shape}"
        )
    if array.dtype != space.dtype and not np.can_cast(array.dtype, space.dtype or array.dtype, "same_kind"):
        raise InvalidActionError(f"actions of {list(agent_ids)} must have dtype {space.dtype}, got {array.dtype}")
    cast = array
    if array.dtype != space.dtype:
        with np.errstate(over="ignore"):
            cast = array.astype(space.dtype)
    # Whole numbers are compared as they came, for a narrower dtype would wrap them round; others are rounded first.
    inside = inside_space(cast if cast.dtype.kind == "f" else array, space)
    if np.count_nonzero(inside) == inside.size:
        return cast
    good = inside.reshape(*where.shape, -1).all(axis=-1) | ~where
    if not good.all():
        env, agent = np.argwhere(~good)[0]
        raise InvalidActionError(
            f"{env_ids[env]}: action of {agent_ids[agent]!r} must lie in {space}, got {array[env, agent]}"
        )
    return cast


def inside_space(array: npt.NDArray[Any], space: Space[Any]) -> BoolArray:
    """For each value of ``(..., *space.shape)`` whether it is allowed. A comparison with NaN is false."""
    low: Any
    high: Any
    match space:
        case Box():
            low, high = space.low, space.high
        case Discrete():
            low, high = space.start, space.start + space.n - 1
        case MultiDiscrete():
            low, high = space.start, space.start + space.nvec - 1
        case _:  # MultiBinary: no other space is left by group_agents
            low, high = 0, 1
    return np.asarray((array >= low) & (array <= high))
