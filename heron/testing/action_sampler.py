"""Random legal actions, independent of the environment's own random numbers."""

import zlib
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium.spaces import Space


class ActionSampler:
    """Random actions that depend on a seed and on the legal actions only.

    Args:
        seed: Seed from which each agent gets a random stream of its own.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._spaces: dict[Any, Space[Any]] = {}

    def sample(self, agent: Any, space: Space[Any], observation: Any = None, info: Any = None) -> Any:
        """Draw an action of one agent, within the ``action_mask`` of its observation or info if there is one."""
        own = self._spaces.get(agent)
        if own is None:
            own = self._spaces[agent] = deepcopy(space)
            own.seed(zlib.crc32(repr((self._seed, agent)).encode()))
        mask = action_mask(observation, info)
        return own.sample() if mask is None else own.sample(mask)


def action_mask(observation: Any, info: Any) -> Any:
    """Return the mask of legal actions in an observation or info: int8, or a dict or tuple of masks, or None."""
    for holder in (observation, info):
        if isinstance(holder, Mapping) and holder.get("action_mask") is not None:
            return _as_mask(holder["action_mask"])
    return None


def _as_mask(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_mask(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_as_mask, value))
    return None if value is None else np.asarray(value).astype(np.int8)
