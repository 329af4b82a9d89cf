"""Which copies a call is about, and the seed of each."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from heron.envs.batch_env import BoolArray
from heron.errors import ConfigurationError, UnknownEnvError

EnvSelection: TypeAlias = int | str | Sequence[int | str] | range | BoolArray
"""Copies by index, by env_id, by a list of either, or by a ``(num_envs,) bool`` mask."""


def select_envs(which: EnvSelection, env_ids: Sequence[str]) -> list[int]:
    """Indices of the selected copies.

    Raises:
        UnknownEnvError: If there is no such copy.
        ConfigurationError: If a copy stands twice, or a mask has another shape.

    >>> select_envs(["b", 0], ["a", "b", "c"])
    [1, 0]
    """
    if isinstance(which, np.ndarray) and which.dtype == np.bool_:
        if which.shape != (len(env_ids),):
            raise ConfigurationError(f"a mask of copies must have shape {(len(env_ids),)}, got {which.shape}")
        return [int(index) for index in np.flatnonzero(which)]
    listed = list(which) if isinstance(which, Iterable) and not isinstance(which, str) else [which]
    indices = [_index(item, env_ids) for item in listed]
    if len(set(indices)) != len(indices):
        raise ConfigurationError(f"each copy may be named once, got {which!r}")
    return indices


def env_mask(indices: Sequence[int], num_envs: int) -> BoolArray:
    """``(num_envs,) bool``, true at the indices."""
    mask = np.zeros(num_envs, dtype=bool)
    mask[list(indices)] = True
    return mask


def spread_seeds(
    seed: int | Sequence[int | None] | npt.NDArray[np.integer[Any]] | None, count: int
) -> list[int | None]:
    """One seed for each of ``count`` copies: ``seed + k`` for the k-th, or the k-th of a list.

    Raises:
        ConfigurationError: If a list has not ``count`` seeds, or a seed is no non-negative integer.

    >>> spread_seeds(7, 3)
    [7, 8, 9]
    """
    if seed is None:
        return [None] * count
    if isinstance(seed, np.ndarray):
        seed = seed.tolist()
    if not isinstance(seed, Sequence):
        first = _checked_seed(seed)
        return [first + place for place in range(count)]
    if len(seed) != count:
        raise ConfigurationError(f"expected {count} seeds, one for each copy, got {seed!r}")
    return [None if one is None else _checked_seed(one) for one in seed]


def _checked_seed(seed: Any) -> int:
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise ConfigurationError(f"a seed must be a non-negative integer, got {seed!r}")
    return int(seed)


def _index(item: Any, env_ids: Sequence[str]) -> int:
    if isinstance(item, str) and item in env_ids:
        return env_ids.index(item)
    is_number = isinstance(item, (int, np.integer)) and not isinstance(item, bool)
    if is_number and 0 <= item < len(env_ids):
        return int(item)
    raise UnknownEnvError(
        f"no environment copy {item!r}: expected an index from 0 to {len(env_ids) - 1}, or one of {shown(env_ids)}"
    )


def shown(env_ids: Sequence[str]) -> str:
    """The first few names and the last one, for messages.

    >>> shown(["env_0", "env_1"])
    'env_0, env_1'
    """
    few = 6
    return ", ".join(env_ids[:few]) + (f", ... {env_ids[-1]}" if len(env_ids) > few else "")
