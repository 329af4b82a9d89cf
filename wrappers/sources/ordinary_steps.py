"""Results of ordinary steps, written for many copies at once."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import numpy as np

from heron.batch.batch_env import AgentGroup, GroupState


class OrdinarySteps:
    """Collector of the copies in which all agents were present and continue after a step.

    Only observations and rewards are new then, and rewards of all copies are cheaper to write together.

    Args:
        groups: The environment's groups.

    Attributes:
        agents: All agents, group by group.
    """

    def __init__(self, groups: Mapping[str, AgentGroup]) -> None:
        self.agents = [agent for group in groups.values() for agent in group.agent_ids]
        self._get_all = itemgetter(*self.agents)
        self._columns = {}
        start = 0
        for name, group in groups.items():
            self._columns[name] = slice(start, start + len(group.agent_ids))
            start = self._columns[name].stop
        self._copies: list[int] = []
        self._rewards: list[list[float]] = []

    def rewards_of(self, rewards: Mapping[str, Any]) -> list[float]:
        """Return the rewards of all agents of one copy, in the order of ``agents``.

        Raises:
            KeyError: If one is missing.
            TypeError: If one is not a number.
            ValueError: If one is not a number.
        """
        found = self._get_all(rewards)
        return list(map(float, found if len(self.agents) > 1 else (found,)))

    def note(self, index: int, rewards: list[float]) -> None:
        """Note that a copy took an ordinary step, in which its agents earned ``rewards``."""
        self._copies.append(index)
        self._rewards.append(rewards)

    def write(self, states: Mapping[str, GroupState]) -> None:
        """Write the noted steps, and forget them."""
        if not self._copies:
            return
        table = np.array(self._rewards)
        everyone = len(self._copies) == len(next(iter(states.values())).rewards)
        copies = slice(None) if everyone else self._copies  # copies are noted in their order
        for name, state in states.items():
            state.rewards[copies] = table[:, self._columns[name]]
            state.terminated[copies] = False
            state.truncated[copies] = False
        self._copies, self._rewards = [], []
