"""Checks of actions against their space, for a whole batch at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Space

from heron.batch.action_records import as_actions, map_leaves
from heron.batch.array_tree import all_true
from heron.batch.batch_env import BoolArray
from heron.batch.space_fit import bounds
from heron.errors import HeronError, InvalidActionError, shown


@dataclass(frozen=True, slots=True)
class ActionErrors:
    """The errors of one check: their type, and the owner of the actions in words.

    Attributes:
        kind: The type of the error.
        batch: Returns the owner of all actions, such as ``"env_0: actions of ['agent_0']"``.
        single: Returns the owner of the action at an index of the batch.
    """

    kind: type[HeronError]
    batch: Callable[[], str]
    single: Callable[[tuple[int, ...]], str]


def errors_of_agents(agent_ids: Sequence[str], env_ids: Sequence[str]) -> ActionErrors:
    """Return the errors of actions ``(N, M, ...)`` of M agents in N copies."""
    return ActionErrors(
        InvalidActionError,
        lambda: f"{shown(env_ids)}: actions of {list(agent_ids)}",
        lambda index: f"{env_ids[index[0]]}: action of {agent_ids[index[1]]!r}",
    )


def checked_actions(
    actions: Any, space: Space[Any], where: BoolArray, errors: ActionErrors, leaf: str = ""
) -> npt.NDArray[Any]:
    """Return ``actions`` as an array of the space's dtype, if all that are used are in the space.

    Args:
        actions: ``(*where.shape, *space.shape)``, of a dtype that can be cast to the space's. For a ``Dict`` or
            ``Tuple`` space a dict or tuple of such arrays, or records.
        space: The action space of one agent.
        where: The agents whose actions are used, a bool array such as ``(N, M)``.
        errors: Makes the errors.
        leaf: Path of this part of an action, for the error message.

    Returns:
        ``(*where.shape, *space.shape)``, or records ``where.shape``; the given array if nothing is converted.

    Raises:
        HeronError: Of the type of ``errors``, if shape or dtype are wrong, or an action that is used contains NaN or is
            outside the space.
    """
    own = space.shape
    if own is None:
        return _checked_records(actions, space, where, errors)
    try:
        array = np.asarray(actions)
    except ValueError as error:
        raise errors.kind(f"{errors.batch()}{_of(leaf)} must make one array, got {actions!r:.200}") from error
    if array.shape != (*where.shape, *own):
        raise errors.kind(f"{errors.batch()}{_of(leaf)} must have shape {(*where.shape, *own)}, got {array.shape}")
    cast = array
    if array.dtype != space.dtype:
        if not np.can_cast(array.dtype, space.dtype or array.dtype, "same_kind"):
            raise errors.kind(f"{errors.batch()}{_of(leaf)} must have dtype {space.dtype}, got {array.dtype}")
        with np.errstate(over="ignore"):
            cast = array.astype(space.dtype)
    # Integers are compared as given, since a narrower dtype would wrap them around; floats are rounded first.
    inside = inside_space(cast if cast.dtype.kind == "f" else array, space)
    if not all_true(inside):
        good = inside.reshape(*where.shape, -1).all(axis=-1) | ~where
        if not good.all():
            index = tuple(np.argwhere(~good)[0].tolist())
            raise errors.kind(f"{errors.single(index)}{_of(leaf)} must lie in {space}, got {array[index]}")
    return cast


def checked_action(action: Any, space: Space[Any], agent_id: str, env_id: str) -> Any:
    """Check one agent's action in one copy as ``checked_actions`` does; return an array, a NumPy scalar or a record."""
    batch = batch_of_one(action, space, agent_id, env_id, dims=2)
    return checked_actions(batch, space, np.ones((1, 1), dtype=bool), errors_of_agents([agent_id], [env_id]))[0, 0]


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


def _checked_records(actions: Any, space: Space[Any], where: BoolArray, errors: ActionErrors) -> npt.NDArray[Any]:
    def checked(part: Space[Any], array: Any, leaf: str) -> npt.NDArray[Any]:
        return checked_actions(array, part, where, errors, leaf)

    return as_actions(space, map_leaves(space, actions, checked, errors.batch(), errors.kind), where.shape)


def _of(leaf: str) -> str:
    return f" {leaf}" if leaf else ""


def inside_space(array: npt.NDArray[Any], space: Space[Any]) -> BoolArray:
    """Return for each value of ``(..., *space.shape)`` True if it is within the bounds, which NaN is not."""
    low, high = bounds(space)
    return np.asarray((array >= low) & (array <= high))
