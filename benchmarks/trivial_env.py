"""An environment that does next to nothing, so that nearly all time is spent in the code around it."""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

EPISODE_LENGTH = 25
SIZE = 8
CHOICES = 5


class TrivialEnv(ParallelEnv[str, npt.NDArray[np.float32], int]):
    """Agents that see the time and their own last action; all are truncated together.

    Args:
        num_agents: Number of agents.
    """

    metadata: dict[str, Any] = {"name": "trivial_v0", "render_modes": []}  # noqa: RUF012 -- as PettingZoo declares it
    render_mode = None

    def __init__(self, num_agents: int = 8) -> None:
        self.possible_agents = [f"agent_{number}" for number in range(num_agents)]
        self.agents: list[str] = []
        self._space = Box(-np.inf, np.inf, (SIZE,), np.float32)
        self._actions = Discrete(CHOICES)
        self._time = 0

    def observation_space(self, agent: str) -> Box:  # type: ignore[override]
        del agent
        return self._space

    def action_space(self, agent: str) -> Discrete:  # type: ignore[override]
        del agent
        return self._actions

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, npt.NDArray[np.float32]], dict[str, dict[str, Any]]]:
        del seed, options
        self.agents = list(self.possible_agents)
        self._time = 0
        return self._observed(dict.fromkeys(self.agents, 0)), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], ...]:  # type: ignore[override]
        agents = self.agents
        self._time += 1
        over = self._time >= EPISODE_LENGTH
        observations = self._observed(actions)
        rewards = {agent: float(actions[agent]) for agent in agents}
        terminations = dict.fromkeys(agents, False)
        truncations = dict.fromkeys(agents, over)
        infos: dict[str, dict[str, Any]] = {agent: {} for agent in agents}
        if over:
            self.agents = []
        return observations, rewards, terminations, truncations, infos

    def _observed(self, actions: dict[str, int]) -> dict[str, npt.NDArray[np.float32]]:
        rest = [0.0] * (SIZE - 2)
        return {agent: np.array([self._time, action, *rest], np.float32) for agent, action in actions.items()}
