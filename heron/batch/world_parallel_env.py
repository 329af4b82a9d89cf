"""A batched environment with one copy as a PettingZoo environment."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from gymnasium.spaces import Space
from pettingzoo import ParallelEnv

from heron.batch.action_check import checked_action
from heron.batch.action_records import zero_actions
from heron.batch.array_tree import row
from heron.batch.batch_env import AgentGroup, BatchEnv
from heron.errors import ConfigurationError


class WorldParallelEnv(ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """The one copy of a world as a PettingZoo ``ParallelEnv``.

    Args:
        world: A batched environment with one copy, which belongs to this one from now on.

    Attributes:
        world: The world.
        metadata: The world's metadata.
        render_mode: The world's render mode.
        possible_agents: Ids of all agents.
        agents: Ids of the agents that are active.

    Raises:
        ConfigurationError: If there is not exactly one copy.
    """

    def __init__(self, world: BatchEnv) -> None:
        if world.num_envs != 1:
            raise ConfigurationError(f"expected a world with one copy, got {world.num_envs}: {world.describe()}")
        self.world = world
        self.metadata: dict[str, Any] = {"name": str(world), **getattr(world, "metadata", {})}
        self.render_mode: str | None = getattr(world, "render_mode", None)
        self._places = {
            agent: (name, place) for name, group in world.groups.items() for place, agent in enumerate(group.agent_ids)
        }
        self.possible_agents = list(self._places)
        self.agents: list[str] = []
        # A space of its own for each agent, so that seeding one does not touch another.
        self.observation_spaces: dict[str, Space[Any]] = {
            agent: deepcopy(self._group(agent).observation_space) for agent in self._places
        }
        self.action_spaces: dict[str, Space[Any]] = {
            agent: deepcopy(self._group(agent).action_space) for agent in self._places
        }

    def observation_space(self, agent: str) -> Space[Any]:
        """Return the observation space of an agent."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """Return the action space of an agent."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Start a new episode, and return observations and infos of all agents."""
        self.world.reset(seeds=[seed], options=options)
        self.agents = self._active()
        return self._observations(self.agents), self._infos(self.agents)

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Step with the actions of all active agents.

        Raises:
            KeyError: If the action of an active agent is missing.
            InvalidActionError: If an action is not in its space.
            ResetRequiredError: If the episode is over.
        """
        taken = {
            name: zero_actions(group.action_space, (1, len(group.agent_ids)))
            for name, group in self.world.groups.items()
        }
        acting = self.agents
        for agent in acting:
            name, place = self._places[agent]
            space = self.action_spaces[agent]
            action = checked_action(actions[agent], space, agent, self.world.env_ids[0])
            taken[name][0, place] = action
        self.world.step(taken)
        self.agents = self._active()
        rewards = {agent: float(self._result("rewards", agent)) for agent in acting}
        terminated, truncated = (
            {agent: bool(self._result(field, agent)) for agent in acting} for field in ("terminated", "truncated")
        )
        return self._observations(acting), rewards, terminated, truncated, self._infos(acting)

    def render(self) -> Any:
        """Return a picture of the world; None without a render mode."""
        return self.world.call("render", [0])[0]

    def close(self) -> None:
        """Close the world."""
        self.world.close()

    def _group(self, agent: str) -> AgentGroup:
        return self.world.groups[self._places[agent][0]]

    def _result(self, field: str, agent: str) -> Any:
        name, place = self._places[agent]
        return getattr(self.world.states[name], field)[0, place]

    def _active(self) -> list[str]:
        return [agent for agent in self.possible_agents if self._result("active", agent)]

    def _observations(self, agents: list[str]) -> dict[str, Any]:
        seen = {name: row(state.observations, 0) for name, state in self.world.states.items()}
        return {agent: row(seen[self._places[agent][0]], self._places[agent][1]) for agent in agents}

    def _infos(self, agents: list[str]) -> dict[str, dict[str, Any]]:
        told = self.world.infos[0]
        return {agent: dict(told.get(agent, {})) for agent in agents}
