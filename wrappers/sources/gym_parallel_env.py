"""Gymnasium environments with the interface of PettingZoo."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
from gymnasium import Space
from pettingzoo import ParallelEnv

from heron.wrappers.sources.result_checks import parts_of

AGENT = "agent"
"""Id of the agent of a single-agent environment."""

StepResults = tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]
"""Observations, rewards, terminations, truncations and infos by agent."""


class GymParallelEnv(ParallelEnv):  # type: ignore[misc]  # PettingZoo ships no types
    """Base of the PettingZoo interfaces of a Gymnasium ``Env``.

    Other attributes are those of the environment, or of the environment that it wraps.

    Args:
        env: The environment, which belongs to this one from now on.
        agents: Its agents, all of which act in each episode from beginning to end.

    Attributes:
        env: The environment.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], agents: list[str]) -> None:
        self.env = env
        self.metadata = {"name": type(env.unwrapped).__name__, **env.metadata}
        self.render_mode = env.render_mode
        self.possible_agents = agents
        self.agents: list[str] = []

    @property
    def unwrapped(self) -> Any:
        """Gymnasium environment without wrappers."""
        return self.env.unwrapped

    def render(self) -> Any:
        return self.env.render()

    def close(self) -> None:
        self.env.close()

    def get_wrapper_attr(self, name: str) -> Any:
        """Return an attribute of the Gymnasium environment, or of the environment that it wraps."""
        return self.env.get_wrapper_attr(name)

    def set_wrapper_attr(self, name: str, value: Any) -> None:
        """Set an attribute on the Gymnasium environment or wrapper that has it."""
        self.env.set_wrapper_attr(name, value)

    def _reset(self, seed: int | None, options: dict[str, Any] | None) -> Sequence[Any]:
        """Reset the environment, and return observation and info."""
        return parts_of(self.env.reset(seed=seed, options=options), "reset", ("observation", "info"))

    def _step(self, action: Any) -> Sequence[Any]:
        """Step the environment, and return observation, reward, terminated, truncated and info."""
        return step_parts(self.env.step(action))

    def __getattr__(self, name: str) -> Any:
        # Copying and unpickling look for attributes before there is an env to ask.
        if name == "env" or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(name)
        return self.env.get_wrapper_attr(name)

    def __str__(self) -> str:
        return str(self.env)


def step_parts(returned: Any) -> Sequence[Any]:
    """Return the five results of a Gymnasium ``step``: observation, reward, terminated, truncated and info.

    Raises:
        TypeError: If ``returned`` has another form.
    """
    return parts_of(returned, "step", ("observation", "reward", "terminated", "truncated", "info"))


class SingleAgentEnv(GymParallelEnv):
    """A Gymnasium ``Env`` in which the one agent ``"agent"`` acts.

    Args:
        env: The environment, which belongs to this one from now on.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env, [AGENT])

    def observation_space(self, agent: str) -> Space[Any]:
        del agent
        return self.env.observation_space

    def action_space(self, agent: str) -> Space[Any]:
        del agent
        return self.env.action_space

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        observation, info = self._reset(seed, options)
        self.agents = [AGENT]
        return {AGENT: observation}, {AGENT: info}

    def step(self, actions: Mapping[str, Any]) -> StepResults:
        return self.by_agent(self._step(actions[AGENT]))

    def by_agent(self, results: Sequence[Any]) -> StepResults:
        """Return the results of a step by agent, and remove the agent if the episode is over."""
        observation, reward, terminated, truncated, info = results
        if terminated or truncated:
            self.agents = []
        return (
            {AGENT: observation},
            {AGENT: reward},  # unchanged, because it is checked later
            {AGENT: bool(terminated)},
            {AGENT: bool(truncated)},
            {AGENT: info},
        )
