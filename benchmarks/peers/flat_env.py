"""All agents of an environment as one, for libraries with a single agent."""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, MultiDiscrete, flatdim

from benchmarks.tasks import Task


class FlatEnv(gymnasium.Env[npt.NDArray[np.float32], npt.NDArray[np.int64]]):
    """One agent with the observations and actions of all agents of a copy, and the sum of their rewards.

    Such libraries have less work than the others: one reward, one pair of flags and one info for all.
    """

    def __init__(self, task: Task) -> None:
        self._env = task.make()
        self._agents = list(self._env.possible_agents)
        size = sum(flatdim(self._env.observation_space(agent)) for agent in self._agents)
        self.observation_space = Box(-np.inf, np.inf, (size,), np.float32)
        self.action_space = MultiDiscrete([task.choices] * task.agents)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        observations, _ = self._env.reset(seed=seed, options=options)
        return np.concatenate(list(observations.values())), {}

    def step(self, action: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        actions = dict(zip(self._agents, action, strict=True))
        observations, rewards, terminations, truncations, _ = self._env.step(actions)
        return (
            np.concatenate(list(observations.values())),
            float(sum(rewards.values())),
            all(terminations.values()),
            all(truncations.values()),
            {},
        )
