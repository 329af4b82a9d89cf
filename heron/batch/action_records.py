"""Actions of any space as one array: those of ``Dict`` and ``Tuple`` spaces are records with a field for each part."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Dict, Space, Tuple

from heron.batch.array_tree import ArrayTree, rows
from heron.errors import HeronError

RecordSpace: TypeAlias = "Dict[Any] | Tuple[Any]"

LeafFunction: TypeAlias = Callable[[Space[Any], Any, str], Any]
"""A function of a leaf's space, its value, and its path, such as ``"['arm'][0]"``."""


def is_record_space(space: Space[Any]) -> bool:
    """Return True if an action in ``space`` is a record rather than an array."""
    return isinstance(space, (Dict, Tuple))


def action_dtype(space: Space[Any]) -> np.dtype[Any]:
    """Return the dtype of one action. An ``(N, M)`` array of it is ``(N, M, *space.shape)``, or records.

    The fields of a record have the names and order of the keys of a ``Dict``. They are ``"0"``, ``"1"`` ... for a
    ``Tuple``, and for keys that are not valid names.

    >>> from gymnasium.spaces import Discrete, MultiBinary
    >>> action_dtype(Tuple((Dict(x=Discrete(3)), MultiBinary(2))))
    dtype([('0', [('x', '<i8')]), ('1', 'i1', (2,))])
    """
    if isinstance(space, (Dict, Tuple)):
        return np.dtype([(field, action_dtype(part)) for _, field, part in _fields(space)])
    return np.dtype((space.dtype, space.shape or ()))


def zero_actions(space: Space[Any], batch_shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return an array of zeros for ``batch_shape`` actions, which may be outside the space."""
    return np.zeros(batch_shape, action_dtype(space))


def map_leaves(
    space: Space[Any], tree: Any, function: LeafFunction, owner: str, error: type[HeronError], path: str = ""
) -> ArrayTree:
    """Return the results of ``function`` for each leaf, as dicts and tuples with the structure of the space.

    Args:
        space: The space of one action.
        tree: One action or a batch of them: dicts and tuples, or records.
        function: Function of each leaf.
        owner: Owner of the actions, for the error message.
        error: Raised if the tree does not have the structure of the space.
        path: Path of this part.
    """
    if not isinstance(space, (Dict, Tuple)):
        return function(space, tree, path)  # type: ignore[no-any-return]
    values = _values(space, tree)
    if values is None:
        raise error(f"{owner}{path and ' '}{path} must be {_in_words(space)}, got {_shape_in_words(tree)}")
    keys = [key for key, _, _ in _fields(space)]
    parts = [
        map_leaves(part, value, function, owner, error, f"{path}[{key!r}]")
        for (key, _, part), value in zip(_fields(space), values, strict=True)
    ]
    return dict(zip(keys, parts, strict=True)) if isinstance(space, Dict) else tuple(parts)


def as_actions(space: Space[Any], tree: ArrayTree, batch_shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return actions as a new array of ``action_dtype``.

    Args:
        space: The space of one action.
        tree: Valid actions: dicts and tuples of arrays ``(*batch_shape, ...)``, or one array in other spaces.
        batch_shape: Shape of the result; ``()`` for a single action.

    >>> from gymnasium.spaces import Discrete
    >>> as_actions(Dict(x=Discrete(3)), {"x": np.array([2, 0])}, (2,))
    array([(2,), (0,)], dtype=[('x', '<i8')])
    """
    actions = zero_actions(space, batch_shape)
    _fill(space, actions, tree)
    return actions


def as_tree(space: Space[Any], actions: npt.NDArray[Any]) -> ArrayTree:
    """Return records as dicts and tuples of views, like Gymnasium's batches; arrays are returned unchanged."""
    if isinstance(space, Dict):
        return {key: as_tree(part, actions[field]) for key, field, part in _fields(space)}
    if isinstance(space, Tuple):
        return tuple(as_tree(part, actions[field]) for _, field, part in _fields(space))
    return actions


def samples_of(space: Space[Any], actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return records as separate actions for environments, like those of Gymnasium's ``iterate``, but copies.

    Args:
        space: A ``Dict`` or ``Tuple`` space.
        actions: Records of any shape.

    Returns:
        Dicts or tuples, as an array of objects of the same shape.
    """
    samples = np.empty(actions.size, dtype=object)
    for place, sample in enumerate(rows(as_tree(space, actions.ravel()), range(actions.size))):
        samples[place] = sample
    return samples.reshape(actions.shape)


def _fields(space: RecordSpace) -> list[tuple[Any, str, Space[Any]]]:
    """Return the key (or place), field and space of each part."""
    if isinstance(space, Tuple):
        return [(place, str(place), part) for place, part in enumerate(space.spaces)]
    named = all(type(key) is str and key for key in space.spaces)
    return [(key, key if named else str(place), part) for place, (key, part) in enumerate(space.spaces.items())]


def _values(space: RecordSpace, tree: Any) -> list[Any] | None:
    """Return the value of each part; None if the tree has other parts."""
    names = getattr(getattr(tree, "dtype", None), "names", None)
    if names is not None:
        return [tree[name] for name in names] if list(names) == [field for _, field, _ in _fields(space)] else None
    if isinstance(space, Dict):
        fits = isinstance(tree, Mapping) and tree.keys() == space.spaces.keys()
        return [tree[key] for key in space.spaces] if fits else None
    is_batch = isinstance(tree, (tuple, list)) or (isinstance(tree, np.ndarray) and tree.ndim > 0)
    return list(tree) if is_batch and len(tree) == len(space.spaces) else None


def _fill(space: Space[Any], actions: npt.NDArray[Any], tree: Any) -> None:
    if isinstance(space, (Dict, Tuple)):
        for key, field, part in _fields(space):
            _fill(part, actions[field], tree[key])
    else:
        actions[...] = tree


def _in_words(space: RecordSpace) -> str:
    if isinstance(space, Dict):
        return f"a dict with keys {list(space.spaces)}"
    return f"a tuple of {len(space.spaces)}"


def _shape_in_words(tree: Any) -> str:
    if isinstance(tree, Mapping):
        return f"one with keys {list(tree)}"
    if isinstance(tree, (tuple, list)):
        return f"a {type(tree).__name__} of {len(tree)}"
    return f"{tree!r:.200}"
