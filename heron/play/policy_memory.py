"""Memory of a recurrent policy for each agent of a group, in each copy."""

import numpy as np
import numpy.typing as npt

from heron.batch.array_tree import ArrayTree, clear, map_arrays, write
from heron.batch.batch_env import BoolArray


class PolicyMemory:
    """One row of memory for each of N copies and M agents.

    New memory is first noted. It replaces the known memory once it is kept, that is, once the decision took effect.

    Args:
        shape: Number of copies and agents, ``(N, M)``.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._known: ArrayTree | None = None
        self._lives = np.zeros(shape, dtype=np.int64)
        self._where = np.zeros(shape, dtype=bool)
        self._noted: ArrayTree | None = None
        self._noted_lives = self._lives

    def recall(self, where: BoolArray, lives: npt.NDArray[np.int64]) -> "tuple[ArrayTree | None, BoolArray]":
        """Return the known memory of R agents, and a mask of those that have begun a new life since it was kept.

        Args:
            where: ``(N, M) bool``, the agents.
            lives: ``(N, M) int64``, number of lives each agent has begun.

        Returns:
            The memory ``(R, ...)``, new arrays, zero for agents with a new life, or None before anything was kept;
            and the mask ``(R,) bool``.
        """
        self._where, self._noted, self._noted_lives = where.copy(), None, lives.copy()
        begins: BoolArray = (self._lives != lives)[where]
        if self._known is None:
            return None, begins
        rows: ArrayTree = map_arrays(lambda array: array[where], self._known)
        clear(rows, begins)
        return rows, begins

    def note(self, rows: "ArrayTree | None") -> None:
        """Note new memory of the agents recalled last.

        Args:
            rows: ``(R, ...)``, with the same shapes in every call; None for nothing.

        Raises:
            KeyError: If a part is missing.
            TypeError: If the tree of arrays has another structure than before.
            ValueError: If there are not R rows, or their shapes differ from those before.
        """
        if rows is None:
            return
        rows = map_arrays(np.asarray, rows)
        noted = map_arrays(self._room, rows) if self._known is None else map_arrays(np.copy, self._known)
        write(noted, self._where, rows)
        self._noted = noted

    def keep(self, decided: BoolArray) -> None:
        """Keep the noted memory of agents that have decided, ``(N, M) bool``, or ``(N, 1) bool`` for whole copies."""
        kept, self._where = self._where & decided, np.zeros_like(self._where)
        self._lives[kept] = self._noted_lives[kept]
        if self._noted is None:
            return
        if self._known is None:
            self._known = map_arrays(np.zeros_like, self._noted)
        write(self._known, kept, map_arrays(lambda array: array[kept], self._noted))

    def _room(self, rows: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return np.zeros((*self._shape, *rows.shape[1:]), rows.dtype)
