"""Conversion of actions between SB3's models and action spaces."""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space


def counted_from_zero(space: Space[Any]) -> Space[Any]:
    """Return the space with its choices counted from zero, as SB3 does. Other spaces are returned unchanged."""
    match space:
        case Discrete():
            return Discrete(space.n)
        case MultiDiscrete():
            return MultiDiscrete(space.nvec)
    return space


def actions_from_sb3(actions: npt.NDArray[Any], space: Space[Any]) -> npt.NDArray[Any]:
    """Return an SB3 model's actions as actions of ``space``.

    Choices are shifted by the space's ``start``. Where the space allows only integers, fractions are rounded to the
    nearest one. SAC and similar algorithms scale actions back from [-1, 1] and may miss a bound of a ``Box`` by a
    rounding error. Such an action is moved to the bound; other actions outside the space stay unchanged.
    """
    if space.shape is None or actions.shape[1:] != space.shape or actions.dtype.kind not in "iuf":
        return actions  # the caller's check reports the error
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
    """Return fractions rounded to integers within the bounds. Integer arrays and arrays with NaN stay unchanged."""
    if actions.dtype.kind != "f" or not np.isfinite(actions).all():
        return actions
    return np.asarray(np.clip(np.rint(actions), low, high).astype(dtype))
