"""Why a sample does not lie in its space."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple


def misfit(space: Space[Any], sample: Any) -> str | None:
    """Why ``sample`` is not in ``space``, with the place; None if it is.

    >>> misfit(Box(0, 1, (2,)), np.array([0.5, 1.5], np.float32))
    '[1] is 1.5, outside [0.0, 1.0]'
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium warns where it converts; that is judged below
        if space.contains(sample):
            return None
    found = next(_misfits(space, sample, ""), None)
    return found or f"{sample!r:.200} is not in {space!r:.200}"


def wrong_dtypes(space: Space[Any], sample: Any, path: str = "") -> Iterator[str]:
    """Where a sample in the space is of another type than the space's, so that storing it converts it."""
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
        yield f"{here} {sample!r:.80}, which makes no array"
        return
    if array.dtype == object or array.dtype.kind not in "biuf":
        yield f"{here} {sample!r:.80}, expected {space.dtype} {space.shape}"
    elif array.shape != space.shape:
        yield f"{here} of shape {array.shape}, expected {space.shape}"
    elif not np.can_cast(array.dtype, space.dtype):
        yield f"{here} {array.dtype}, expected {space.dtype}"
    else:
        yield from _outside(*_bounds(space), array, path)


def _bounds(space: Any) -> tuple[Any, Any]:
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
