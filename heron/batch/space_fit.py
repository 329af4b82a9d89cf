"""Differences between a sample and its space, and between two spaces, in words."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple


def misfit(space: Space[Any], sample: Any) -> str | None:
    """Explain why ``sample`` is not in ``space``, with the place; return None if it is.

    >>> misfit(Box(0, 1, (2,)), np.array([0.5, 1.5], np.float32))
    '[1] is 1.5, outside [0.0, 1.0]'
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium warns of conversions, which are checked below
        with suppress(OverflowError):  # raised before version 1.4 for numbers that the dtype cannot represent
            if space.contains(sample):
                return None
    found = next(_misfits(space, sample, ""), None)
    return found or f"{sample!r:.200} is not in {space!r:.200}"


def space_difference(got: Space[Any], expected: Space[Any], path: str = "") -> str | None:
    """Describe how a space differs from the expected one, with the place; return None if they are equal.

    >>> space_difference(Dict(x=Box(0, 1, (3,))), Dict(x=Box(0, 1, (2,))))
    "['x'] is of shape (3,), expected (2,)"
    >>> space_difference(Discrete(3), Discrete(5))
    'it has n 3, expected 5'
    """
    if got == expected:
        return None
    return next(_differences(got, expected, path), None) or f"{path or 'it'} is {got}, expected {expected}"


def _differences(got: Any, expected: Any, path: str) -> Iterator[str]:
    here = path or "it"
    if type(got) is not type(expected):
        yield f"{here} is {_article(got)}, expected {_article(expected)}"
    elif isinstance(expected, Dict):
        if got.spaces.keys() != expected.spaces.keys():
            yield f"{here} has keys {list(got.spaces)}, expected {list(expected.spaces)}"
        for key in got.spaces.keys() & expected.spaces.keys():
            yield from _differences(got[key], expected[key], f"{path}[{key!r}]")
    elif isinstance(expected, Tuple):
        if len(got.spaces) != len(expected.spaces):
            yield f"{here} has {len(got.spaces)} parts, expected {len(expected.spaces)}"
        for place, (part, other) in enumerate(zip(got.spaces, expected.spaces, strict=False)):
            yield from _differences(part, other, f"{path}[{place}]")
    elif got != expected:
        yield from _leaf_differences(got, expected, here)


def _leaf_differences(got: Any, expected: Any, here: str) -> Iterator[str]:
    if got.shape != expected.shape:
        yield f"{here} is of shape {got.shape}, expected {expected.shape}"
    elif got.dtype != expected.dtype:
        yield f"{here} is {got.dtype}, expected {expected.dtype}"
    for name in ("n", "nvec", "start", "low", "high"):
        value: Any = getattr(got, name, None)
        other: Any = getattr(expected, name, None)
        if np.shape(value) == np.shape(other) and not np.array_equal(value, other):
            yield f"{here} has {name} {_entries(value, other)}"


def _entries(value: Any, other: Any) -> str:
    """Describe the first entry in which two arrays of the same shape differ."""
    places = np.argwhere(np.not_equal(value, other))
    first = tuple(places[0].tolist())
    where = f" at entry {first[0] if len(first) == 1 else first}" if first else ""
    count = f", and {len(places) - 1} more" if len(places) > 1 else ""
    return f"{np.asarray(value)[first]}, expected {np.asarray(other)[first]}{where}{count}"


def _article(space: Any) -> str:
    return f"a {type(space).__name__}" if isinstance(space, Space) else repr(space)


def wrong_dtypes(space: Space[Any], sample: Any, path: str = "") -> Iterator[str]:
    """Describe the parts of a valid sample that are converted when stored, since they lack the space's dtype."""
    if isinstance(space, Dict):
        for key, part in space.spaces.items():
            yield from wrong_dtypes(part, sample[key], f"{path}[{key!r}]")
    elif isinstance(space, Tuple):
        for place, part in enumerate(space.spaces):
            yield from wrong_dtypes(part, sample[place], f"{path}[{place}]")
    elif isinstance(space, Box):
        prefix = f"{path} is " if path else ""
        if not isinstance(sample, (np.ndarray, np.generic)):
            yield f"{prefix}{type(sample).__name__}, expected an array of {space.dtype}"
        elif sample.dtype != space.dtype:
            yield f"{prefix}{sample.dtype}, expected {space.dtype}"


def _misfits(space: Space[Any], sample: Any, path: str) -> Iterator[str]:
    here = f"{path} is" if path else "it is"
    if isinstance(space, Dict):
        if not isinstance(sample, Mapping):
            yield f"{here} {type(sample).__name__}, expected a dict"
        elif sample.keys() != space.spaces.keys():
            yield f"{here} a dict with keys {list(sample)}, expected {list(space.spaces)}"
        else:
            for key, part in space.spaces.items():
                yield from _misfits(part, sample[key], f"{path}[{key!r}]")
    elif isinstance(space, Tuple):
        if not isinstance(sample, (tuple, list)) or len(sample) != len(space.spaces):
            yield f"{here} {sample!r:.80}, expected a tuple of {len(space.spaces)}"
        else:
            for place, part in enumerate(space.spaces):
                yield from _misfits(part, sample[place], f"{path}[{place}]")
    elif isinstance(space, (Box, Discrete, MultiDiscrete, MultiBinary)):
        yield from _leaf_misfits(space, sample, path)


def _leaf_misfits(space: Any, sample: Any, path: str) -> Iterator[str]:
    here = f"{path} is" if path else "it is"
    try:
        array = np.asarray(sample)
    except (TypeError, ValueError):
        yield f"{here} {sample!r:.80}, which is not an array"
        return
    if array.dtype == object or array.dtype.kind not in "biuf":
        yield f"{here} {sample!r:.80}, expected {space.dtype} {space.shape}"
    elif array.shape != space.shape:
        yield f"{here} of shape {array.shape}, expected {space.shape}"
    elif not np.can_cast(array.dtype, space.dtype):
        yield f"{here} {array.dtype}, expected {space.dtype}"
    else:
        yield from _outside(*bounds(space), array, path)


def bounds(space: Any) -> tuple[Any, Any]:
    """Return the lowest and highest values of a space of arrays: two arrays of its shape, or two numbers."""
    if isinstance(space, Box):
        return space.low, space.high
    if isinstance(space, Discrete):
        return space.start, space.start + space.n - 1
    if isinstance(space, MultiDiscrete):
        return space.start, space.start + space.nvec - 1
    return 0, 1


def _outside(low: Any, high: Any, array: Any, path: str) -> Iterator[str]:
    places = np.argwhere(~((array >= low) & (array <= high)))
    if len(places):
        first = tuple(places[0].tolist())
        low, high = np.broadcast_to(low, array.shape)[first], np.broadcast_to(high, array.shape)[first]
        name = path + (f"[{', '.join(map(str, first))}]" if first else "")
        count = f", as are {len(places) - 1} more" if len(places) > 1 else ""
        yield f"{name or 'it'} is {array[first]}, outside [{low}, {high}]{count}"
