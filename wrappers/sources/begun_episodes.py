"""Episodes that a vector environment has begun automatically, kept until a reset asks for them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Space
from gymnasium.vector import AutoresetMode

from heron.batch.array_tree import ArrayTree, map_arrays, write, zeros
from heron.batch.batch_env import BoolArray
from heron.wrappers.sources.vector_drivers import Info, Seeds, VectorResults


class BegunEpisodes:
    """Follows the autoreset of a vector environment. N is the number of copies.

    Args:
        mode: The environment's autoreset mode.
        observation_space: Observation space of one copy.
        num_envs: Number of copies.
        steps_some: True if copies can be left out of a step.

    Attributes:
        over: ``(N,) bool``, copies whose episode has ended, and which the environment has not reset yet.
        fresh: ``(N,) bool``, copies whose next episode the environment has begun.
        observations: ``(N, ...)``, the first observations of fresh copies.
        infos: The infos of fresh copies, one a copy.
    """

    def __init__(self, mode: AutoresetMode, observation_space: Space[Any], num_envs: int, *, steps_some: bool) -> None:
        self._mode = mode
        self._steps_some = steps_some
        self.over = np.zeros(num_envs, dtype=bool)
        self.fresh = np.zeros(num_envs, dtype=bool)
        self.observations = zeros(observation_space, (num_envs,))
        self.infos: list[Info] = [{} for _ in range(num_envs)]
        self._any = False  # of over and fresh

    def missing(self, mask: BoolArray, seeds: Seeds | None, options: Mapping[str, Any] | None) -> BoolArray:
        """Return the masked copies without fresh ones, which a reset with a seed or options cannot use."""
        if options or not self._any:
            return mask
        usable = self.fresh
        if seeds is not None:
            usable = usable & np.array([seed is None for seed in seeds])
        return mask & ~usable

    def note_step(self, results: VectorResults, ended: BoolArray, mask: BoolArray) -> None:
        """Follow a step of the masked copies, in which the copies in ``ended`` ended, ``(N,) bool``."""
        if not self._any and not np.count_nonzero(ended):
            return
        same_step = self._mode is AutoresetMode.SAME_STEP
        if self._steps_some:
            begun = ended & mask & same_step
            self.fresh |= begun
        else:
            begun = ended if same_step else self.over & ~mask
            self.fresh = begun = begun & (self._mode is not AutoresetMode.DISABLED)
            self.over = ended & (not same_step)
        self._any = bool(np.count_nonzero(self.over | self.fresh))
        if np.count_nonzero(begun):
            take_rows(self.observations, begun, results.observations, begun)
            for index in begun.nonzero()[0].tolist():
                self.infos[index] = _without_final(results.infos[index])

    def keep(self, mask: BoolArray, observations: Any, infos: Sequence[Info]) -> None:
        """Keep episodes of the masked copies that a reset of all copies has begun."""
        self.fresh[mask] = self._any = True
        take_rows(self.observations, mask, observations, mask)
        self.infos = list(infos)

    def forget(self, mask: BoolArray) -> None:
        """Forget the masked copies, which have begun another episode."""
        if self._any:
            self.over[mask] = self.fresh[mask] = False
            self._any = bool(np.count_nonzero(self.over | self.fresh))


def take_rows(target: ArrayTree, where: Any, source: Any, mask: BoolArray | None) -> None:
    """Set ``target[where]`` to the masked rows, or by default all rows, of an environment's results."""
    rows = source if mask is None else map_arrays(lambda array: np.asarray(array)[mask], source)
    write(target, where, rows)


def info_of_end(info: Info) -> Info:
    """Return what the info of a reset in the same step says of the episode that ended before it."""
    recorded = {"episode": info["episode"]} if _has_recorded_episode(info) else {}
    return {**info.get("final_info", {}), **recorded}


def _without_final(info: Info) -> Info:
    of_end = {"final_obs", "final_info"} | (
        {"episode"} if "final_obs" in info and _has_recorded_episode(info) else set()
    )
    return {name: value for name, value in info.items() if name not in of_end}


def _has_recorded_episode(info: Info) -> bool:
    """Return True for statistics that ``RecordEpisodeStatistics`` has added outside the ``final_info``."""
    return isinstance(info.get("episode"), Mapping)
