"""What a policy remembers of each agent of a group, in each copy."""

import numpy as np
import numpy.typing as npt

from heron.batch.array_tree import ArrayTree, clear, map_arrays, write
from heron.batch.batch_env import BoolArray


class SlotMemory:
    """A row of memory for each of N copies and M agents. What is noted replaces what was known only when it is kept.

    Args:
        shape: ``(N, M)``.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._known: ArrayTree | None = None
        self._lives = np.zeros(shape, dtype=np.int64)
        self._where = np.zeros(shape, dtype=bool)
        self._noted: ArrayTree | None = None
        self._noted_lives = self._lives

    def recall(self, where: BoolArray, lives: npt.NDArray[np.int64]) -> "tuple[ArrayTree | None, BoolArray]":
        """What is known of R agents, and who of them has begun anew since it was kept.

        Args:
            where: ``(N, M) bool``, the agents.
            lives: ``(N, M) int64``, how often each has begun.

        Returns:
            ``(R, ...)``, new arrays, zero for those that have begun anew, or None before anything was kept; and
            ``(R,) bool``.
        """
        self._where, self._noted, self._noted_lives = where.copy(), None, lives.copy()
        begins: BoolArray = (self._lives != lives)[where]
        if self._known is None:
            return None, begins
        rows: ArrayTree = map_arrays(lambda array: array[where], self._known)
        clear(rows, begins)
        return rows, begins

    def note(self, rows: "ArrayTree | None") -> None:
        """Note what is to be remembered of the agents recalled last, once it is kept.

        Args:
            rows: ``(R, ...)``, of the same shapes each time; None for nothing.

        Raises:
            KeyError: If a part is missing.
            TypeError: If it is nothing like the memory before.
            ValueError: If there are not R rows, or they have other shapes than before.
        """
        if rows is None:
            return
        rows = map_arrays(np.asarray, rows)
        noted = map_arrays(self._room, rows) if self._known is None else map_arrays(np.copy, self._known)
        write(noted, self._where, rows)
        self._noted = noted

    def keep(self, decided: BoolArray) -> None:
        """Remember what was noted last of those that have decided, ``(N, M) bool``, or ``(N, 1)`` for whole copies."""
        kept, self._where = self._where & decided, np.zeros_like(self._where)
        self._lives[kept] = self._noted_lives[kept]
        if self._noted is None:
            return
        if self._known is None:
            self._known = map_arrays(np.zeros_like, self._noted)
        write(self._known, kept, map_arrays(lambda array: array[kept], self._noted))

    def _room(self, rows: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return np.zeros((*self._shape, *rows.shape[1:]), rows.dtype)
