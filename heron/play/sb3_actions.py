"""Actions as SB3's models count and scale them."""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space


def counted_from_zero(space: Space[Any]) -> Space[Any]:
    """The same choices as SB3 counts them. A space without choices is returned as it is."""
    match space:
        case Discrete():
            return Discrete(space.n)
        case MultiDiscrete():
            return MultiDiscrete(space.nvec)
    return space


def actions_from_sb3(actions: npt.NDArray[Any], space: Space[Any]) -> npt.NDArray[Any]:
    """An SB3 model's actions in ``space``.

    Choices are counted from the space's ``start``, and where only whole numbers are allowed, fractions are rounded
    to the nearest. Scaling back from [-1, 1], SAC and its like miss a bound of a ``Box`` by a rounding error now and
    then; such an action is put on the bound, and any other left alone.
    """
    if space.shape is None or actions.shape[1:] != space.shape or actions.dtype.kind not in "iuf":
        return actions  # left for the check that says what is wrong with them
    match space:
        case Discrete() | MultiDiscrete():
            return actions + space.start
        case Box() if space.dtype.kind in "iu":
            return _whole(actions, space.low, space.high, space.dtype)
        case MultiBinary():
            return _whole(actions, 0, 1, space.dtype)
        case Box():
            on_bound = np.clip(actions, space.low, space.high)
            return np.where(np.isclose(actions, on_bound, rtol=1e-5, atol=1e-6), on_bound, actions)
    return actions


def _whole(actions: npt.NDArray[Any], low: Any, high: Any, dtype: Any) -> npt.NDArray[Any]:
    """Fractions rounded to whole numbers within the bounds; NaN, and what is whole by its dtype, is left alone."""
    if actions.dtype.kind != "f" or not np.isfinite(actions).all():
        return actions
    return np.asarray(np.clip(np.rint(actions), low, high).astype(dtype))
