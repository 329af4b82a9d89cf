"""Instructions to reproduce the current step of each copy."""

import numpy as np
import numpy.typing as npt


class EpisodeLog:
    """Counter of the resets and steps of each copy since its last seed, for errors that say how to reproduce them.

    Args:
        num_envs: Number of copies.
    """

    def __init__(self, num_envs: int) -> None:
        self._seeds: list[int | None] = [None] * num_envs
        self._resets_since = [0] * num_envs
        # Steps of a copy are the sum of both; all copies are mostly stepped together.
        self._steps_of_all = 0
        self._other_steps = np.zeros(num_envs, dtype=np.int64)

    def begin(self, index: int, seed: int | None) -> None:
        """Note that a copy is about to be reset, with a seed, or with None to continue its random stream."""
        if seed is None:
            self._resets_since[index] += 1
        else:
            self._seeds[index] = seed
            self._resets_since[index] = 0
        self._other_steps[index] = -self._steps_of_all

    def note_steps(self, mask: npt.NDArray[np.bool_] | None) -> None:
        """Note that the masked copies are about to be stepped; None means all."""
        if mask is None:
            self._steps_of_all += 1
        else:
            self._other_steps += mask

    def place(self, index: int) -> str:
        """Return the current step of a copy, and the resets that lead there, in words.

        >>> log = EpisodeLog(2)
        >>> log.begin(1, 7)
        >>> log.begin(1, None)
        >>> log.note_steps(np.array([False, True]))
        >>> log.place(1)
        'in step 1 of the episode that began with reset(seed=7) and 1 later reset without a seed'
        """
        seed, later = self._seeds[index], self._resets_since[index]
        if seed is None:
            began = f"reset number {later}, none of which had a seed: give one to reproduce it"
        elif later:
            began = f"reset(seed={seed}) and {later} later reset{'s' if later > 1 else ''} without a seed"
        else:
            began = f"reset(seed={seed})"
        return f"in step {self._steps_of_all + self._other_steps[index]} of the episode that began with {began}"
