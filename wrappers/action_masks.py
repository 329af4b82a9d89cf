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


def legal_actions(mask: Any, space: Space[Any]) -> npt.NDArray[np.bool_]:
    """A mask for one decision. Where it allows nothing, because it is not the agent's turn, all is allowed.

    Args:
        mask: True for each choice that is allowed, for each of several dimensions one after the other.
        space: The actions.

    Raises:
        ConfigurationError: If the mask has another length, or the actions are no choices.

    >>> legal_actions([0, 1, 0, 0, 0], MultiDiscrete([2, 3]))
    array([False,  True,  True,  True,  True])
    """
    choices = _choices(space)
    legal = np.array(mask, dtype=bool).ravel()
    if len(legal) != sum(choices):
        raise ConfigurationError(
            f"an action mask must have {sum(choices)} entries for {space}, got {len(legal)} in {mask!r}"
        )
    begin = 0
    for count in choices:
        if not legal[begin : begin + count].any():
            legal[begin : begin + count] = True
        begin += count
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
