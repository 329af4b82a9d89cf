"""Checks of actions against their space, for a whole batch at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space

from heron.batch.action_records import as_actions, map_leaves
from heron.batch.batch_env import BoolArray
from heron.errors import InvalidActionError, shown


def checked_actions(
    actions: Any, space: Space[Any], where: BoolArray, agent_ids: Sequence[str], env_ids: Sequence[str], leaf: str = ""
) -> npt.NDArray[Any]:
    """Return ``actions`` as an array of the space's dtype, if all that are used are in the space.

    Args:
        actions: ``(N, M, *space.shape)``, of a dtype that can be cast to the space's. For a ``Dict`` or ``Tuple`` space
            a dict or tuple of such arrays, or records.
        space: The action space of one agent.
        where: ``(N, M) bool``, the agents whose actions are used.
        agent_ids: The M agents.
        env_ids: The N copies.
        leaf: Path of this part of an action, for the error message.

    Returns:
        ``(N, M, *space.shape)``, or ``(N, M)`` records; the given array if nothing is converted.

    Raises:
        InvalidActionError: If shape or dtype are wrong, or an action that is used contains NaN or is outside the
            space.
    """
    own = space.shape
    if own is None:
        return _checked_records(actions, space, where, agent_ids, env_ids)
    try:
        array = np.asarray(actions)
    except ValueError as error:
        raise InvalidActionError(f"{_whose(agent_ids, env_ids, leaf)} must make one array, got {actions!r}") from error
    shape = (*where.shape, *own)
    if array.shape != shape:
        raise InvalidActionError(
            f"{_whose(agent_ids, env_ids, leaf)} must have shape {shape} (copies, agents, ...), got {array.shape}"
        )
    if array.dtype != space.dtype and not np.can_cast(array.dtype, space.dtype or array.dtype, "same_kind"):
        raise InvalidActionError(f"{_whose(agent_ids, env_ids, leaf)} must have dtype {space.dtype}, got {array.dtype}")
    cast = array
    if array.dtype != space.dtype:
        with np.errstate(over="ignore"):
            cast = array.astype(space.dtype)
    # Integers are compared as given, since a narrower dtype would wrap them around; floats are rounded first.
    inside = inside_space(cast if cast.dtype.kind == "f" else array, space)
    if np.count_nonzero(inside) == inside.size:
        return cast
    good = inside.reshape(*where.shape, -1).all(axis=-1) | ~where
    if not good.all():
        env, agent = np.argwhere(~good)[0]
        raise InvalidActionError(
            f"{env_ids[env]}: action of {agent_ids[agent]!r}{leaf and ' '}{leaf} must lie in {space}, "
            f"got {array[env, agent]}"
        )
    return cast


def checked_action(action: Any, space: Space[Any], agent_id: str, env_id: str) -> Any:
    """Check one agent's action in one copy as ``checked_actions`` does; return an array, a NumPy scalar or a record."""
    batch = batch_of_one(action, space, agent_id, env_id, dims=2)
    return checked_actions(batch, space, np.ones((1, 1), dtype=bool), [agent_id], [env_id])[0, 0]


def batch_of_one(action: Any, space: Space[Any], agent_id: str, env_id: str, *, dims: int = 1) -> Any:
    """Return one action as a batch with ``dims`` leading dimensions of length 1.

    Only the structure of an action in a ``Dict`` or ``Tuple`` space is checked.

    Raises:
        InvalidActionError: If it does not have the structure of the space.
    """

    def wrapped(_space: Space[Any], part: Any, _leaf: str = "") -> Any:
        return [part] if dims == 1 else [[part]]

    if space.shape is not None:
        return wrapped(space, action)
    return map_leaves(space, action, wrapped, f"{env_id}: action of {agent_id!r}", InvalidActionError)


def _checked_records(
    actions: Any, space: Space[Any], where: BoolArray, agent_ids: Sequence[str], env_ids: Sequence[str]
) -> npt.NDArray[Any]:
    def checked(part: Space[Any], array: Any, leaf: str) -> npt.NDArray[Any]:
        return checked_actions(array, part, where, agent_ids, env_ids, leaf)

    parts = map_leaves(space, actions, checked, _whose(agent_ids, env_ids), InvalidActionError)
    return as_actions(space, parts, where.shape)


def _whose(agent_ids: Sequence[str], env_ids: Sequence[str], leaf: str = "") -> str:
    return f"{shown(env_ids)}: actions of {list(agent_ids)}{leaf and ' '}{leaf}"


def inside_space(array: npt.NDArray[Any], space: Space[Any]) -> BoolArray:
    """Return for each value of ``(..., *space.shape)`` True if it is within the bounds, which NaN is not."""
    low: Any
    high: Any
    match space:
        case Box():
            low, high = space.low, space.high
        case Discrete():
            low, high = space.start, space.start + space.n - 1
        case MultiDiscrete():
            low, high = space.start, space.start + space.nvec - 1
        case _:  # MultiBinary, the only other supported space
            low, high = 0, 1
    return np.asarray((array >= low) & (array <= high))
