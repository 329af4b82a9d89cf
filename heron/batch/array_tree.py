"""Batches of samples of a space: arrays, or dicts and tuples of arrays."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple

from heron.errors import ConfigurationError

ArrayTree: TypeAlias = "npt.NDArray[Any] | dict[str, ArrayTree] | tuple[ArrayTree, ...]"
"""An array, or a dict or tuple of trees, nested like a ``Dict`` or ``Tuple`` space."""

BoolArray = npt.NDArray[np.bool_]

_LEAVES = (Box, Discrete, MultiBinary, MultiDiscrete)


def any_true(flags: BoolArray) -> bool:
    """Return True if any value of a bool array is true.

    For the few values of most steps ``np.count_nonzero`` takes 3 times as long, and ``np.any`` 10 times.
    """
    return 1 in flags.tobytes()


def all_true(flags: BoolArray) -> bool:
    """Return True if every value of a bool array is true; see ``any_true``."""
    return 0 not in flags.tobytes()


def check_supported(space: Space[Any], owner: str) -> None:
    """Check that samples of ``space`` can be stored in arrays of a fixed shape.

    Args:
        space: Any space.
        owner: Owner of the space, for the error message.

    Raises:
        ConfigurationError: If ``space`` is or contains anything but ``Box``, ``Discrete``, ``MultiBinary``,
            ``MultiDiscrete``, ``Dict`` and ``Tuple``.
    """
    if isinstance(space, Dict):
        for key, part in space.spaces.items():
            check_supported(part, f"{owner}[{key!r}]")
    elif isinstance(space, Tuple):
        for place, part in enumerate(space.spaces):
            check_supported(part, f"{owner}[{place}]")
    elif not isinstance(space, _LEAVES):
        raise ConfigurationError(
            f"{owner} is {space!r}; expected Box, Discrete, MultiBinary, MultiDiscrete, or a Dict or Tuple of them"
        )


def zeros(space: Space[Any], batch_shape: tuple[int, ...]) -> ArrayTree:
    """Return a tree of zeros for ``batch_shape`` samples of ``space``.

    >>> zeros(Dict(x=Box(0, 1, (2,))), (16, 3))["x"].shape
    (16, 3, 2)
    """
    if isinstance(space, Dict):
        return {key: zeros(part, batch_shape) for key, part in space.spaces.items()}
    if isinstance(space, Tuple):
        return tuple(zeros(part, batch_shape) for part in space.spaces)
    return np.zeros((*batch_shape, *(space.shape or ())), dtype=space.dtype)


def write(tree: ArrayTree, index: Any, sample: Any) -> None:
    """Set ``tree[index]`` to one sample or, if ``index`` selects several rows, to a tree of them.

    Raises:
        KeyError: If a part is missing.
        TypeError: If a sample has another structure than the tree.
        ValueError: If a sample has the wrong shape or number of parts, or numbers that the tree's integer dtype
            cannot represent.
        OverflowError: If an integer is too large.
    """
    if isinstance(tree, dict):
        for key, part in tree.items():
            write(part, index, sample[key])
    elif isinstance(tree, tuple):
        for part, value in zip(tree, sample, strict=True):
            write(part, index, value)
    else:
        shape = tree[index].shape
        if np.shape(sample) != shape:  # NumPy would broadcast a single value
            raise ValueError(f"expected shape {shape}, got {np.shape(sample)}")
        tree[index] = sample if tree.dtype.kind == "f" else as_whole(sample, tree.dtype)


def as_whole(sample: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return a sample as an array of an integer dtype that has the same values.

    NumPy itself would truncate fractions, convert NaN to an arbitrary number, and wrap large numbers around.

    Raises:
        ValueError: If the dtype cannot represent the values.

    >>> as_whole(np.array([300, 2]), np.dtype(np.uint8))
    Traceback (most recent call last):
    ValueError: expected numbers of uint8, got [300   2]
    """
    # Most samples have this dtype, or are an int for int64, where NumPy raises OverflowError by itself.
    if getattr(sample, "dtype", None) is dtype or (type(sample) is int and dtype == np.int64):
        return sample  # type: ignore[no-any-return]  # an array or a number
    array = np.asarray(sample)
    if array.dtype == dtype:
        return array
    with np.errstate(invalid="ignore"):
        whole = array.astype(dtype)
    if not np.array_equal(whole, array):
        raise ValueError(f"expected numbers of {dtype}, got {array}")
    return whole


def clear(tree: ArrayTree, index: Any) -> None:
    """Set ``[index]`` of every array to zero."""
    if isinstance(tree, dict):
        for part in tree.values():
            clear(part, index)
    elif isinstance(tree, tuple):
        for part in tree:
            clear(part, index)
    else:
        tree[index] = 0


def row(tree: ArrayTree, index: int) -> ArrayTree:
    """Return a tree of copies of every array's ``[index]``."""
    return rows(tree, [index])[0]


def rows(tree: ArrayTree, indices: Sequence[int]) -> list[ArrayTree]:
    """Return for each index a tree of copies of every array's ``[index]``.

    >>> rows((np.arange(6), np.arange(6).reshape(3, 2)), [2, 0])
    [(np.int64(2), array([4, 5])), (np.int64(0), array([0, 1]))]
    """
    if isinstance(tree, dict):
        parts = {key: rows(part, indices) for key, part in tree.items()}
        return [{key: part[place] for key, part in parts.items()} for place in range(len(indices))]
    if isinstance(tree, tuple):
        of_parts = [rows(part, indices) for part in tree]
        return [tuple(part[place] for part in of_parts) for place in range(len(indices))]
    return list(tree[list(indices)])


def map_arrays(function: Callable[[npt.NDArray[Any]], Any], tree: ArrayTree) -> Any:
    """Return a tree of the same structure with ``function`` applied to each array."""
    if isinstance(tree, dict):
        return {key: map_arrays(function, part) for key, part in tree.items()}
    if isinstance(tree, tuple):
        return tuple(map_arrays(function, part) for part in tree)
    return function(tree)


def layout(tree: ArrayTree) -> Any:
    """Return a tree of the dtype and shape of each row of the arrays, as text.

    >>> layout({"x": np.zeros((3, 2))})
    {'x': 'float64 (2,)'}
    """
    return map_arrays(lambda array: f"{array.dtype} {array.shape[1:]}", tree)


def equal(one: ArrayTree, other: ArrayTree) -> bool:
    """Return True if two trees have the same structure and, to the bit, the same values.

    >>> equal({"x": np.array([1.0, np.nan])}, {"x": np.array([1.0, np.nan])})
    True
    """
    if isinstance(one, dict):
        both = isinstance(other, dict) and one.keys() == other.keys()
        return both and all(equal(part, other[key]) for key, part in one.items())  # type: ignore[call-overload]
    if isinstance(one, tuple):
        return isinstance(other, tuple) and len(one) == len(other) and all(map(equal, one, other))
    if isinstance(other, (dict, tuple)):
        return False
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def flat_size(space: Space[Any]) -> int:
    """Return the number of values of one sample after ``flatten``."""
    return gymnasium.spaces.flatdim(space)


def flatten(space: Space[Any], tree: ArrayTree, batch_dims: int) -> npt.NDArray[np.float32]:
    """Return a batch of samples as vectors with the layout of ``gymnasium.spaces.flatten``.

    ``Box`` and ``MultiBinary`` values are unchanged; ``Discrete`` and ``MultiDiscrete`` values become one-hot.

    Args:
        space: The space of one sample.
        tree: The samples.
        batch_dims: Number of leading dimensions that belong to the batch.

    Returns:
        ``(*batch_shape, flat_size(space)) float32``; for a float32 vector space a view of the given array.

    >>> flatten(Discrete(3), np.array([2, 0]), batch_dims=1)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    if isinstance(space, Dict):
        parts = [flatten(part, tree[key], batch_dims) for key, part in space.spaces.items()]  # type: ignore[call-overload]
        return np.concatenate(parts, axis=-1)
    if isinstance(space, Tuple):
        parts = [flatten(part, value, batch_dims) for part, value in zip(space.spaces, tree, strict=True)]
        return np.concatenate(parts, axis=-1)
    array = np.asarray(tree)
    batch_shape = array.shape[:batch_dims]
    if isinstance(space, Discrete):
        return _one_hot(array - space.start, int(space.n))
    if isinstance(space, MultiDiscrete):
        values = (array - space.start).reshape(*batch_shape, -1)
        columns = [_one_hot(values[..., i], int(n)) for i, n in enumerate(space.nvec.ravel())]
        return np.concatenate(columns, axis=-1)
    return array.reshape(*batch_shape, -1).astype(np.float32, copy=False)


def _one_hot(values: npt.NDArray[Any], size: int) -> npt.NDArray[np.float32]:
    one_hot: npt.NDArray[np.bool_] = values[..., None] == np.arange(size)
    return one_hot.astype(np.float32)
