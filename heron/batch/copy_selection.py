"""Ids, selections, masks and seeds of env copies."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from heron.batch.array_tree import BoolArray
from heron.errors import ConfigurationError, InvalidMaskError, UnknownEnvError, check_id, checked_count, meant, shown

EnvSelection: TypeAlias = int | str | Sequence[int | str] | range | BoolArray
"""Copies given by index, env_id, a list of either, or a ``(num_envs,) bool`` mask."""


def check_env_ids(env_ids: Sequence[str] | None, num_envs: int) -> tuple[str, ...]:
    """Return the env_ids of ``num_envs`` copies, ``env_0`` ... by default.

    Raises:
        ConfigurationError: If ``num_envs`` is not positive, or ``env_ids`` has the wrong length or duplicates.
        InvalidMessageError: If an env_id is empty or not a string.
    """
    if num_envs < 1:
        raise ConfigurationError(f"expected at least one environment copy, got {num_envs}")
    if env_ids is None:
        return tuple(f"env_{index}" for index in range(num_envs))
    if isinstance(env_ids, str) or len(env_ids) != num_envs:
        raise ConfigurationError(f"expected {num_envs} env_ids, one for each copy, got {env_ids!r}")
    names = tuple(check_id("env_id", env_id) for env_id in env_ids)
    if len(set(names)) != len(names):
        duplicates = sorted(name for name, count in Counter(names).items() if count > 1)
        raise ConfigurationError(f"duplicate env_ids {duplicates}: give each copy its own")
    return names


def select_envs(which: EnvSelection, env_ids: Sequence[str]) -> list[int]:
    """Return the indices of the selected copies.

    Raises:
        UnknownEnvError: If an index or env_id does not exist.
        ConfigurationError: If a copy is selected twice.
        InvalidMaskError: If a mask has the wrong shape, or is a list.

    >>> select_envs(["b", 0], ["a", "b", "c"])
    [1, 0]
    """
    if isinstance(which, np.ndarray) and which.dtype == np.bool_:
        return np.flatnonzero(checked_mask(which, len(env_ids), "a mask of copies")).tolist()
    is_listed = isinstance(which, Iterable) and not isinstance(which, str)
    listed: list[Any] = list(which) if is_listed else [which]  # type: ignore[arg-type]  # it can be iterated
    if is_listed and any(isinstance(item, (bool, np.bool_)) for item in listed):
        checked_mask(which, len(env_ids), "a mask of copies")
    indices = [_index(item, env_ids) for item in listed]
    if len(set(indices)) != len(indices):
        raise ConfigurationError(f"duplicate copies in {which!r}: select each copy once")
    return indices


def checked_mask(mask: Any, size: int, name: str = "mask") -> BoolArray:
    """Return the mask if it is valid.

    Args:
        mask: Any value.
        size: Expected number of entries.
        name: Name of the mask, for the error message.

    Raises:
        InvalidMaskError: If it is not an array, or has the wrong shape or dtype.
    """
    if not isinstance(mask, np.ndarray) or mask.shape != (size,) or mask.dtype != np.bool_:
        got = (
            f"{mask.shape} and {mask.dtype}" if isinstance(mask, np.ndarray) else f"{type(mask).__name__} {mask!r:.200}"
        )
        raise InvalidMaskError(f"{name} must be an array of shape {(size,)} and dtype bool, got {got}")
    return mask


def checked_reset_mask(mask: BoolArray | None, seeds: Sequence[int | None] | None, env_ids: Sequence[str]) -> BoolArray:
    """Return the mask of a reset, all copies by default.

    Raises:
        InvalidMaskError: If the mask is not ``(num_envs,) bool``.
        ConfigurationError: If ``seeds`` has the wrong length.
    """
    if seeds is not None and len(seeds) != len(env_ids):
        raise ConfigurationError(f"seeds has the wrong length: expected {len(env_ids)}, got {seeds!r:.200}")
    return np.ones(len(env_ids), dtype=bool) if mask is None else checked_mask(mask, len(env_ids))


def env_mask(indices: Sequence[int], num_envs: int) -> BoolArray:
    """Return a ``(num_envs,) bool`` mask that is true at the indices."""
    mask = np.zeros(num_envs, dtype=bool)
    mask[list(indices)] = True
    return mask


def spread_seeds(
    seed: int | Sequence[int | None] | npt.NDArray[np.integer[Any]] | None, count: int
) -> list[int | None]:
    """Return a seed for each of ``count`` copies: ``seed + k`` for copy k, or entry k of a list.

    Raises:
        ConfigurationError: If a list has the wrong length, or a seed is not a non-negative integer.

    >>> spread_seeds(7, 3)
    [7, 8, 9]
    """
    if seed is None:
        return [None] * count
    if isinstance(seed, np.ndarray):
        seed = seed.tolist()
    if not isinstance(seed, Sequence):
        first = checked_count("a seed", seed, least=0)
        return [first + place for place in range(count)]
    if len(seed) != count:
        raise ConfigurationError(f"seeds has the wrong length: expected {count}, got {seed!r}")
    return [None if one is None else checked_count("a seed", one, least=0) for one in seed]


def _index(item: Any, env_ids: Sequence[str]) -> int:
    if isinstance(item, str) and item in env_ids:
        return env_ids.index(item)
    is_number = isinstance(item, (int, np.integer)) and not isinstance(item, bool)
    if is_number and 0 <= item < len(env_ids):
        return int(item)
    raise UnknownEnvError(
        f"unknown env copy {item!r}: expected an index from 0 to {len(env_ids) - 1}, or one of {shown(env_ids)}"
        f"{meant(item, env_ids)}"
    )
