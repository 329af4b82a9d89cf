"""Detection of NaN in results: in all copies at once first, and in single copies only if there is any."""

from collections.abc import Iterator, Mapping
from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from heron.batch.array_tree import ArrayTree
from heron.batch.batch_env import AgentGroup, GroupState


class NanWatch:
    """Detector of NaN in the observations and rewards of a batch; infinite values are allowed.

    Args:
        groups: The environment's groups.
        states: The arrays to watch.
    """

    def __init__(self, groups: Mapping[str, AgentGroup], states: Mapping[str, GroupState]) -> None:
        self._groups = groups
        self._watched = {
            name: [("reward", state.rewards), *_float_leaves(state.observations, "observation")]
            for name, state in states.items()
        }
        self._arrays = [array for watched in self._watched.values() for _, array in watched]

    def fires(self) -> bool:
        """Return True if there is any NaN."""
        # A minimum is NaN if anything is; unlike isnan(...).any() it needs no array of flags.
        return any([isnan(np.minimum.reduce(array, axis=None)) for array in self._arrays])  # noqa: C419 -- faster

    def find(self, index: int) -> list[str]:
        """Describe what is NaN in one copy, by agent, and set it to 0, so that it is reported once."""
        found = []
        for name, watched in self._watched.items():
            for what, array in watched:
                for place, agent in enumerate(self._groups[name].agent_ids):
                    values = array[index, place, ...]
                    if (bad := np.isnan(values)).any():
                        found.append(f"the {what} of {agent!r} is NaN{_places(bad)}")
                        values[bad] = 0.0
        return found


def nan_in(tree: ArrayTree, name: str) -> list[str]:
    """Describe what is NaN in a tree called ``name``.

    >>> nan_in({"x": np.array([0.0, np.nan])}, "observation")
    ["the observation['x'] is NaN at entries 1"]
    """
    flags = ((what, np.isnan(array)) for what, array in _float_leaves(tree, name))
    return [f"the {what} is NaN{_places(bad)}" for what, bad in flags if bad.any()]


def _float_leaves(tree: ArrayTree, name: str) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield the non-empty arrays of floats in a tree, with their names."""
    if isinstance(tree, dict):
        for key, part in tree.items():
            yield from _float_leaves(part, f"{name}[{key!r}]")
    elif isinstance(tree, tuple):
        for place, part in enumerate(tree):
            yield from _float_leaves(part, f"{name}[{place}]")
    elif tree.dtype.kind == "f" and tree.size:
        yield name, tree


def _places(flags: npt.NDArray[np.bool_]) -> str:
    return "" if flags.ndim == 0 else f" at entries {_shown(flags)}"


def _shown(flags: npt.NDArray[np.bool_]) -> str:
    """Return the indices of the first few true entries."""
    few = 5
    indices = [tuple(index) if flags.ndim > 1 else index[0] for index in np.argwhere(flags).tolist()]
    return ", ".join(map(str, indices[:few])) + (", ..." if len(indices) > few else "")
