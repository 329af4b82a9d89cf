"""One copy of a vector env, with its agents by name."""

from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium.spaces import Space

from heron.batch.array_tree import ArrayTree, row
from heron.batch.copy_selection import env_mask
from heron.errors import ConfigurationError, UnknownAgentError, UnknownEnvError, meant, shown
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.vector.vec_group import VecGroup


class EnvCopy:
    """One copy of a vector env, for views of single environments.

    Args:
        venv: The vector env.
        env_id: The copy; may be left out if there is only one.

    Attributes:
        venv: The vector env.
        env_id: The copy's name.
        index: Its place in the vector env's arrays.
        mask: ``(num_envs,) bool``, true for this copy.
        agents: The ids of all agents, from the top of the hierarchy down.
        observation_spaces: Agent id -> what it observes. Every agent has a space of its own, so that seeding one
            does not touch another.
        action_spaces: Agent id -> what it does, likewise.

    Raises:
        ConfigurationError: If ``env_id`` is left out, but there are several copies.
        UnknownEnvError: If there is no such copy.
    """

    def __init__(self, venv: HierarchicalVectorEnv, env_id: str | None = None) -> None:
        if env_id is None and venv.num_envs > 1:
            raise ConfigurationError(
                f"the vector env has {venv.num_envs} copies: choose one by env_id, such as 'env_0'"
            )
        if not isinstance(env_id, str | int | None):
            raise UnknownEnvError(f"expected the env_id of one copy, got {env_id!r}")
        (self.index,) = venv.indices(0 if env_id is None else env_id)
        self.venv = venv
        self.env_id = venv.env_ids[self.index]
        self.mask = env_mask([self.index], venv.num_envs)
        self._places = {
            agent: (group, place) for group in venv.groups.values() for place, agent in enumerate(group.agent_ids)
        }
        self.agents = tuple(self._places)
        self.observation_spaces = {agent: _own(group.observation_space) for agent, (group, _) in self._places.items()}
        self.action_spaces = {agent: _own(group.action_space) for agent, (group, _) in self._places.items()}

    @property
    def running(self) -> bool:
        """Whether any agent of the copy is active."""
        return bool(self.venv.running[self.index])

    @property
    def steps(self) -> int:
        """Environment steps since the copy's reset."""
        return int(self.venv.steps[self.index])

    def place(self, agent: str) -> tuple[VecGroup, int]:
        """The agent's group, and its place in there.

        Raises:
            UnknownAgentError: If there is no such agent.
        """
        self.check_agent(agent)
        return self._places[agent]

    def check_agent(self, agent: str) -> None:
        """Check that the copy may have such an agent.

        Raises:
            UnknownAgentError: If it may not.
        """
        if agent not in self._places:
            raise UnknownAgentError(
                f"{self.env_id}: no agent {agent!r}, only {shown(self.agents)}{meant(agent, self.agents)}"
            )

    def level(self, agent: str) -> str:
        """The agent's level of the hierarchy."""
        return self._places[agent][0].level

    def observations(self, group: str) -> ArrayTree:
        """``(num_agents, ...)``, what a group sees in this copy now, new arrays."""
        return row(self.venv.observe(group), self.index)

    def awaited(self) -> list[str]:
        """The agents whose actions the next environment step still needs, from the top down."""
        awaited = []
        for group in self.venv.groups.values():
            flags = self.venv.results[group.name].active if group.is_field else self.venv.due(group.name)
            awaited += [group.agent_ids[place] for place in np.flatnonzero(flags[self.index])]
        return awaited

    def reward(self, agent: str) -> float:
        """What the agent earned in the last environment step."""
        group, place = self._places[agent]
        return float(self.venv.results[group.name].rewards[self.index, place])

    def ended(self, agent: str) -> tuple[bool, bool]:
        """Whether the agent was terminated, and whether it was truncated, in the last environment step."""
        group, place = self._places[agent]
        result = self.venv.results[group.name]
        return bool(result.terminated[self.index, place]), bool(result.truncated[self.index, place])

    def info(self, agent: str) -> dict[str, Any]:
        """What the environment said of the agent in the last reset or step, a new dict."""
        return dict(self.venv.infos[self.index].get(agent, ()))

    def get_attr(self, name: str, default: Any) -> Any:
        """An attribute of the copy's environment, or ``default`` if it has none of that name."""
        try:
            return self.venv.batch_env.get_attr(name, [self.index])[0]
        except AttributeError:
            return default

    def call(self, name: str) -> Any:
        """What method ``name`` of the copy's environment returns."""
        return self.venv.batch_env.call(name, [self.index])[0]

    def close(self) -> None:
        """Close the vector env, unless it has other copies that somebody may still use."""
        if self.venv.num_envs == 1:
            self.venv.close()


def _own(space: Space[Any]) -> Space[Any]:
    """A space like the given one, with a random stream of its own."""
    own = deepcopy(space)
    own.seed(None)
    return own
