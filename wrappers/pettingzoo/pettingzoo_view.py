"""What the PettingZoo views have in common."""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Space

from heron.play.env_copy import EnvCopy
from heron.play.turns import Turns
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv


class PettingZooView:
    """Agents, spaces, global state, pictures and the end of a PettingZoo environment, from one copy of a vector env.

    Args:
        venv: The vector env.
        env_id: The copy; may be left out if there is only one.

    Attributes:
        venv: The vector env.
        turns: Whose turn it is.
        possible_agents: All agents, from the top of the hierarchy down.
        agents: Those that take part now.
        metadata: The environment's own.
        render_mode: The environment's own, None if it has none.

    Raises:
        ConfigurationError: If ``env_id`` is left out, but there are several copies.
        UnknownEnvError: If there is no such copy.
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
        """The space of ``state``, where the environment declares it."""
        space = self._copy.get_attr("state_space", None)
        if space is None:
            raise AttributeError(f"the environment of {self._copy.env_id} declares no state_space")
        return space  # type: ignore[no-any-return]

    def observation_space(self, agent: str) -> Space[Any]:
        """What an agent sees, the same object each time.

        Raises:
            UnknownAgentError: If there is no such agent.
        """
        self._copy.check_agent(agent)
        return self._copy.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """What an agent does, the same object each time.

        Raises:
            UnknownAgentError: If there is no such agent.
        """
        self._copy.check_agent(agent)
        return self._copy.action_spaces[agent]

    def state(self) -> npt.NDArray[Any]:
        """The environment's own global state; messages and commands are no part of it."""
        return np.asarray(self._copy.call("state"))

    def render(self) -> Any:
        """The environment's own picture."""
        return self._copy.call("render")

    def close(self) -> None:
        """Close the vector env. One with other copies is left open, since somebody may still use those."""
        self._copy.close()
