"""Common base of the PettingZoo views."""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Space

from heron.play.env_copy import EnvCopy
from heron.play.turns import Turns
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv


class PettingZooView:
    """Agents, spaces, global state, rendering and closing of a PettingZoo view of one copy.

    Args:
        venv: The vector env.
        env_id: The copy; may be left out if there is only one.

    Attributes:
        venv: The vector env.
        turns: The turns of the copy's agents.
        possible_agents: All agents, from the top of the hierarchy down.
        agents: The agents that take part now.
        metadata: The metadata of the environment.
        render_mode: The render mode of the environment, or None.

    Raises:
        ConfigurationError: If ``env_id`` is left out, but there are several copies.
        UnknownEnvError: If ``env_id`` is not an id of the vector env.
    """

    def __init__(self, venv: HierarchicalVectorEnv, env_id: str | None = None) -> None:
        self._copy = EnvCopy(venv, env_id)
        self.venv = venv
        self.turns = Turns(self._copy)
        self.possible_agents = list(self._copy.agents)
        self.agents: list[str] = []
        self.metadata: dict[str, Any] = dict(self._copy.get_attr("metadata", {}))
        self.render_mode = self._copy.get_attr("render_mode", None)

    @property
    def state_space(self) -> Space[Any]:
        """Space of ``state``, as the environment declares it.

        Raises:
            AttributeError: If the environment declares no ``state_space``.
        """
        space = self._copy.get_attr("state_space", None)
        if space is None:
            raise AttributeError(f"the environment of {self._copy.env_id} declares no state_space")
        return space  # type: ignore[no-any-return]

    def observation_space(self, agent: str) -> Space[Any]:
        """Return the observation space of an agent, the same object in every call.

        Raises:
            UnknownAgentError: If the copy has no agent of that id.
        """
        self._copy.check_agent(agent)
        return self._copy.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """Return the action space of an agent, the same object in every call.

        Raises:
            UnknownAgentError: If the copy has no agent of that id.
        """
        self._copy.check_agent(agent)
        return self._copy.action_spaces[agent]

    def state(self) -> npt.NDArray[Any]:
        """Return the environment's global state. It does not include messages or commands."""
        return np.asarray(self._copy.call("state"))

    def render(self) -> Any:
        """Return the environment's own rendering."""
        return self._copy.call("render")

    def close(self) -> None:
        """Close the vector env, unless it has other copies, which may still be in use."""
        self._copy.close()
