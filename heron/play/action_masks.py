"""Action masks in the form that ``MaskablePPO`` expects."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete, MultiBinary, MultiDiscrete, Space

from heron.errors import ConfigurationError

MASK_KEY = "action_mask"
"""Key of the mask in observations and infos, as in PettingZoo's classic environments."""

MASKS_METHOD = "action_masks"
"""Name of the environment method from which ``MaskablePPO`` gets masks."""


def masks_in(space: Space[Any]) -> bool:
    """Return True if observations in ``space`` contain a mask."""
    return MASK_KEY in getattr(space, "spaces", {}) and isinstance(getattr(space, "spaces", None), Mapping)


def legal_actions(masks: Any, space: Space[Any]) -> npt.NDArray[np.bool_]:
    """Return a batch of masks in which every decision has at least one legal choice.

    A mask often allows nothing while it is another agent's turn. It is replaced by one that allows everything.

    Args:
        masks: ``(batch, ...)``, true for each legal choice, with the dimensions of ``space`` concatenated.
        space: The action space.

    Returns:
        ``(batch, choices) bool``, a new array.

    Raises:
        ConfigurationError: If the masks have the wrong length, or ``space`` is not discrete.

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
    raise ConfigurationError(f"action masks need a Discrete, MultiDiscrete or MultiBinary action space, got {space}")
