"""Copies whose results are packed into arrays by hand: the least that a learner needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pettingzoo import ParallelEnv

from benchmarks.tasks import Actions

MakeArray = Callable[[tuple[int, ...], type[np.generic]], npt.NDArray[Any]]


@dataclass(frozen=True)
class PackedArrays:
    """Results of all copies, each ``(copies, agents, ...)``."""

    observations: npt.NDArray[np.float32]
    rewards: npt.NDArray[np.float32]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]

    @classmethod
    def make(cls, copies: int, agents: int, size: int, zeros: MakeArray = np.zeros) -> "PackedArrays":
        """Arrays for ``copies`` with ``agents`` that observe ``size`` values each, in memory of one's own choice."""
        shape = (copies, agents)
        return cls(
            zeros((*shape, size), np.float32),
            zeros(shape, np.float32),
            zeros(shape, np.bool_),
            zeros(shape, np.bool_),
        )

    def rows(self, copies: slice) -> "PackedArrays":
        """The part of some copies."""
        return PackedArrays(
            self.observations[copies], self.rewards[copies], self.terminated[copies], self.truncated[copies]
        )


class PackedCopies:
    """Steps copies one after the other, resetting those that have ended; works only if all agents live equally long.

    Args:
        envs: The copies.
        arrays: Where to write the results; those of a new episode overwrite the last observations of the old one.

    Attributes:
        last: Copy -> what its agents observed last, of those that ended in the last step.
    """

    def __init__(self, envs: list[ParallelEnv], arrays: PackedArrays) -> None:
        self.arrays = arrays
        self.last: dict[int, Mapping[str, npt.NDArray[np.float32]]] = {}
        self._envs = envs
        self._agents = list(enumerate(envs[0].possible_agents))

    def reset(self, seed: int = 0) -> None:
        """Start a new episode in all copies."""
        for copy, env in enumerate(self._envs):
            self._write_observations(copy, env.reset(seed=seed + copy)[0])

    def step(self, actions: Actions) -> None:
        """Step all copies, with actions ``(copies, agents)``."""
        arrays = self.arrays
        self.last.clear()
        for copy, (env, chosen) in enumerate(zip(self._envs, actions, strict=True)):
            observations, rewards, terminations, truncations, _ = env.step(dict(zip(env.agents, chosen, strict=True)))
            for place, agent in self._agents:
                arrays.rewards[copy, place] = rewards[agent]
                arrays.terminated[copy, place] = terminations[agent]
                arrays.truncated[copy, place] = truncations[agent]
            if not env.agents:
                self.last[copy] = observations
                observations, _ = env.reset()
            self._write_observations(copy, observations)

    def _write_observations(self, copy: int, observations: Mapping[str, npt.NDArray[np.float32]]) -> None:
        written = self.arrays.observations[copy]
        for place, agent in self._agents:
            written[place] = observations[agent]
