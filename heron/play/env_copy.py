"""One copy of a vector env, addressed by agent id."""

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
        index: The copy's index in the vector env's arrays.
        mask: ``(num_envs,) bool``, true for this copy.
        agents: The ids of all agents, from the top of the hierarchy down.
        observation_spaces: Agent id -> its observation space. Each agent has its own object, so that seeding one
            space does not affect another.
        action_spaces: Agent id -> its action space, also one object per agent.

    Raises:
        ConfigurationError: If ``env_id`` is left out, but there are several copies.
        UnknownEnvError: If ``env_id`` is not an id of the vector env.
    """

    def __init__(self, venv: HierarchicalVectorEnv, env_id: str | None = None) -> None:
        if env_id is None and venv.num_envs > 1:
            raise ConfigurationError(
                f"env_id is required, because the vector env has {venv.num_envs} copies: choose one, such as 'env_0'"
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
        """True if any agent of the copy is active."""
        return bool(self.venv.running[self.index])

    @property
    def steps(self) -> int:
        """Environment steps since the copy's reset."""
        return int(self.venv.steps[self.index])

    def place(self, agent: str) -> tuple[VecGroup, int]:
        """Return the agent's group, and its index in the group.

        Raises:
            UnknownAgentError: If the copy has no agent of that id.
        """
        self.check_agent(agent)
        return self._places[agent]

    def check_agent(self, agent: str) -> None:
        """Check that the copy has an agent of this id.

        Raises:
            UnknownAgentError: If it does not.
        """
        if agent not in self._places:
            raise UnknownAgentError(
                f"{self.env_id}: unknown agent {agent!r}, expected one of {shown(self.agents)}"
                f"{meant(agent, self.agents)}"
            )

    def level(self, agent: str) -> str:
        """Return the agent's level of the hierarchy."""
        return self._places[agent][0].level

    def observations(self, group: str) -> ArrayTree:
        """Return the current observations of a group in this copy, ``(num_agents, ...)``, new arrays."""
        return row(self.venv.observe(group), self.index)

    def awaited(self) -> list[str]:
        """Return the agents whose actions the next environment step still needs, from the top down."""
        awaited = []
        for group in self.venv.groups.values():
            flags = self.venv.results[group.name].active if group.is_field else self.venv.due(group.name)
            awaited += [group.agent_ids[place] for place in np.flatnonzero(flags[self.index])]
        return awaited

    def reward(self, agent: str) -> float:
        """Return the agent's reward of the last environment step."""
        group, place = self._places[agent]
        return float(self.venv.results[group.name].rewards[self.index, place])

    def ended(self, agent: str) -> tuple[bool, bool]:
        """Return the agent's ``terminated`` and ``truncated`` flags of the last environment step."""
        group, place = self._places[agent]
        result = self.venv.results[group.name]
        return bool(result.terminated[self.index, place]), bool(result.truncated[self.index, place])

    def info(self, agent: str) -> dict[str, Any]:
        """Return the agent's info of the last reset or step, a new dict."""
        return dict(self.venv.infos[self.index].get(agent, ()))

    def get_attr(self, name: str, default: Any) -> Any:
        """Return an attribute of the copy's environment, or ``default`` if the environment does not have it."""
        try:
            return self.venv.batch_env.get_attr(name, [self.index])[0]
        except AttributeError:
            return default

    def call(self, name: str) -> Any:
        """Call method ``name`` of the copy's environment, and return its result."""
        return self.venv.batch_env.call(name, [self.index])[0]

    def close(self) -> None:
        """Close the vector env, unless it has other copies, which may still be in use."""
        if self.venv.num_envs == 1:
            self.venv.close()


def _own(space: Space[Any]) -> Space[Any]:
    """Return a copy of the space with its own random stream."""
    own = deepcopy(space)
    own.seed(None)
    return own
