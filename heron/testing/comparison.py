"""Bit-exact comparison of observations, infos and whole trajectories."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

_SMALL: Final = 256
"""Largest array that is kept as a copy; of larger ones only a digest is kept, to save memory."""


@dataclass(frozen=True)
class Digest:
    """Digest of a large array."""

    shape: tuple[int, ...]
    dtype: str
    digest: str

    @classmethod
    def of(cls, array: Any) -> "Digest":
        """Return the digest of an array."""
        content = hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()
        return cls(array.shape, str(array.dtype), content)


def frozen(value: Any) -> Any:
    """Return a copy of a value that later steps cannot change."""
    if isinstance(value, np.ndarray):
        return value.copy() if value.size <= _SMALL or value.dtype == object else Digest.of(value)
    if isinstance(value, Mapping):
        return {key: frozen(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [frozen(part) for part in value]
    return deepcopy(value)


def difference(first: Any, second: Any, path: str = "") -> str | None:
    """Return the first difference of two values, or None if they are equal to the bit. NaN equals NaN.

    >>> difference({"x": np.zeros(2)}, {"x": np.array([0.0, 1.0])})
    "['x'][1]: 0.0 and 1.0"
    """
    return next(_differences(first, second, path), None)


def episode_difference(expected: Sequence[Any], got: Sequence[Any]) -> tuple[int | None, str] | None:
    """Compare two records of an episode, step by step and to the bit.

    Returns:
        The first step that differs, and the difference; None for the step if only the lengths differ. None if the
        records are equal.
    """
    for step, (one, other) in enumerate(zip(expected, got, strict=False)):
        if how := difference(one, other):
            return step, how
    if len(expected) != len(got):
        return None, f"it lasts {len(expected) - 1} steps the first time and {len(got) - 1} the second"
    return None


def _differences(first: Any, second: Any, path: str) -> Iterator[str]:
    prefix = f"{path}: " if path else ""
    match first, second:
        case (Mapping(), Mapping()):
            yield from _mapping_differences(first, second, path)
        case ((list() | tuple()), (list() | tuple())):
            yield from _sequence_differences(first, second, path)
        case (Digest(), Digest()):
            if first != second:
                yield f"{prefix}arrays {first.shape} {first.dtype} with different values"
        case (np.ndarray(), _) | (_, np.ndarray()):
            yield from _array_differences(np.asarray(first), np.asarray(second), path)
        case _ if not _alike(first, second):
            yield f"{prefix}{first!r} and {second!r}"


def _mapping_differences(first: Mapping[Any, Any], second: Mapping[Any, Any], path: str) -> Iterator[str]:
    if first.keys() != second.keys():
        yield f"{path}: keys {list(first)} and {list(second)}"
    for key in (key for key in first if key in second):
        yield from _differences(first[key], second[key], f"{path}[{key!r}]")


def _sequence_differences(first: Sequence[Any], second: Sequence[Any], path: str) -> Iterator[str]:
    if len(first) != len(second):
        yield f"{path}: {len(first)} and {len(second)} entries"
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        yield from _differences(one, other, f"{path}[{place}]")


def _array_differences(first: Any, second: Any, path: str) -> Iterator[str]:
    prefix = f"{path}: " if path else ""
    if (first.shape, first.dtype) != (second.shape, second.dtype):
        yield f"{prefix}{first.dtype} {first.shape} and {second.dtype} {second.shape}"
    elif first.dtype == object:
        yield from _differences(first.tolist(), second.tolist(), path)
    elif first.tobytes() != second.tobytes():
        if first.shape == ():
            yield f"{prefix}{first} and {second}"
            return
        unequal = np.argwhere(~((first == second) | ((first != first) & (second != second))))  # noqa: PLR0124 - NaN
        where = tuple(unequal[0].tolist()) if len(unequal) else (0,) * first.ndim
        place = ", ".join(map(str, where))
        if len(unequal):  # otherwise only signs of zeros or bits of NaNs differ, which no learner sees
            yield f"{path}[{place}]: {first[where]} and {second[where]}"


def _alike(first: Any, second: Any) -> bool:
    if first is second:
        return True
    try:
        return bool(first == second) or bool(first != first and second != second)  # noqa: PLR0124 - NaN
    except (TypeError, ValueError):
        return type(first) is type(second)  # values that cannot be compared count as equal
