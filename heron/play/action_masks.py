"""Which actions are allowed, as ``MaskablePPO`` asks for it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete, MultiBinary, MultiDiscrete, Space

from heron.errors import ConfigurationError

MASK_KEY = "action_mask"
"""Where observations and infos have the mask, as PettingZoo's classic environments do."""

MASKS_METHOD = "action_masks"
"""The method by which ``MaskablePPO`` asks an environment."""


def masks_in(space: Space[Any]) -> bool:
    """Whether observations in ``space`` have a mask."""
    return MASK_KEY in getattr(space, "spaces", {}) and isinstance(getattr(space, "spaces", None), Mapping)


def legal_actions(masks: Any, space: Space[Any]) -> npt.NDArray[np.bool_]:
    """A mask for each of some decisions. One that allows nothing, because it is not the agent's turn, allows all.

    Args:
        masks: ``(batch, ...)``, true for each choice that is allowed, dimension after dimension if there are several.
        space: The actions.

    Returns:
        ``(batch, choices)``, a new array.

    Raises:
        ConfigurationError: If the masks have another length, or the actions are no choices.

    >>> legal_actions([[0, 1, 0, 0, 0]], MultiDiscrete([2, 3]))
    array([[False,  True,  True,  True,  True]])
    """
    choices = _choices(space)
    legal = np.array(masks, dtype=bool)
    legal = legal.reshape(len(legal), -1)
    if legal.shape[1] != sum(choices):
        raise ConfigurationError(
            f"an action mask must have {sum(choices)} entries for {space}, got {legal.shape[1]} in {masks[0]!r}"
        )
    for part in np.split(legal, np.cumsum(choices)[:-1], axis=1):
        part[~part.any(axis=1)] = True
    return legal


def _choices(space: Space[Any]) -> list[int]:
    match space:
        case Discrete():
            return [int(space.n)]
        case MultiDiscrete():
            return [int(n) for n in space.nvec.ravel()]
        case MultiBinary():
            return [2] * int(np.prod(space.shape))
    raise ConfigurationError(f"only choices can be masked, but the actions are {space}")
