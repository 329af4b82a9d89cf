"""Environments without a list of possible agents, which the user declares."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper

from heron.errors import ConfigurationError, check_id, summary
from heron.wrappers.sources.env_creation import EnvFactory, as_parallel
from heron.wrappers.sources.env_names import env_factory
from heron.wrappers.sources.gym_parallel_env import StepResults

StatedSpaces: TypeAlias = Space[Any] | Mapping[str, Space[Any]] | None
"""One space for all agents, spaces by agent id, or None for those that the environment has."""


def declare_agents(
    make: EnvFactory | str,
    possible_agents: Sequence[str],
    *,
    observation_space: StatedSpaces = None,
    action_space: StatedSpaces = None,
) -> Callable[..., "DeclaredAgentsEnv"]:
    """Return a factory of environments whose agents may appear at any time, with a list of all possible agents.

    Arrays have a row for each of these agents, which is inactive until the agent appears. If an agent's spaces are
    unknown before that, or differ between episodes, declare spaces that are large enough for all. A shorter
    one-dimensional observation is padded with zeros. In a ``Discrete`` space with fewer choices, the excess ones mean
    the first choice.

    Args:
        make: Makes a PettingZoo ``ParallelEnv`` or ``AECEnv``, or is its name, as for ``make_vec``.
        possible_agents: Ids of all agents that may ever appear. Any other agent is an error when it appears.
        observation_space: Replaces the environment's observation spaces.
        action_space: Replaces the environment's action spaces.

    Returns:
        A factory for ``make_vec``, ``LoopEnv`` and ``ProcessEnv``; its arguments are passed on to ``make``.

    Raises:
        ConfigurationError: If ``possible_agents`` is empty or has duplicates.

    Workers that come and go, at most 20 in an episode, which observe up to 8 numbers::

        ids = [f"worker_{number}" for number in range(20)]
        make = declare_agents("factory_env", ids, observation_space=Box(0, 1, (8,)), action_space=Discrete(5))
        venv = make_vec(make, num_envs=4)
    """
    if isinstance(possible_agents, str) or not possible_agents:
        raise ConfigurationError(f"expected a list of agent ids, at least one, got {possible_agents!r}")
    ids = [check_id("agent id", agent) for agent in possible_agents]
    if duplicates := sorted({agent for agent in ids if ids.count(agent) > 1}):
        raise ConfigurationError(f"possible_agents has duplicates: {duplicates}")
    factory = env_factory(make) if isinstance(make, str) else make
    return partial(_make_declared, factory, ids, observation_space, action_space)


class DeclaredAgentsEnv(BaseParallelWrapper):  # type: ignore[misc]  # PettingZoo ships no types
    """A ``ParallelEnv`` with declared agents and spaces; see ``declare_agents``.

    Args:
        env: The environment, which belongs to this one from now on.
        possible_agents: Ids of all agents that may ever appear.
        observation_space: Replaces the environment's observation spaces.
        action_space: Replaces the environment's action spaces.

    Raises:
        ConfigurationError: If an agent has no space.
    """

    def __init__(
        self,
        env: ParallelEnv,
        possible_agents: Sequence[str],
        observation_space: StatedSpaces = None,
        action_space: StatedSpaces = None,
    ) -> None:
        super().__init__(env)
        self.possible_agents = list(possible_agents)
        self._observation_spaces = self._stated("observation_space", observation_space)
        self._action_spaces = self._stated("action_space", action_space)
        # The actual choices of present agents, if a Discrete space is declared.
        self._choices: dict[str, Discrete] = {}

    def observation_space(self, agent: str) -> Space[Any]:
        stated = self._observation_spaces.get(agent)
        return self.env.observation_space(agent) if stated is None else stated

    def action_space(self, agent: str) -> Space[Any]:
        stated = self._action_spaces.get(agent)
        return self.env.action_space(agent) if stated is None else stated

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        observations, infos = self.env.reset(seed=seed, options=options)
        self._choices.clear()
        self._learn_choices(self.env.agents)
        return self._filled(observations), infos

    def step(self, actions: Mapping[str, Any]) -> StepResults:
        own = {agent: self._own_choice(agent, action) for agent, action in actions.items()}
        observations, *rest = self.env.step(own)
        self._learn_choices(self.env.agents)
        return (self._filled(observations), *rest)

    def _stated(self, kind: str, spaces: StatedSpaces) -> dict[str, Space[Any]]:
        if isinstance(spaces, Space):
            return dict.fromkeys(self.possible_agents, spaces)
        stated = dict(spaces or {})
        for agent in self.possible_agents:
            if agent not in stated:
                try:
                    getattr(self.env, kind)(agent)
                except Exception as error:
                    raise ConfigurationError(
                        f"{self.env} knows no {kind} of {agent!r} before it is there ({summary(error)}): state it in "
                        f"declare_agents(..., {kind}=...)"
                    ) from error
        return stated

    def _learn_choices(self, agents: Iterable[str]) -> None:
        for agent in agents:
            stated = self._action_spaces.get(agent)
            if agent in self._choices or not isinstance(stated, Discrete):
                continue
            own = self.env.action_space(agent)
            if not isinstance(own, Discrete) or own.start != stated.start or own.n > stated.n:
                raise ConfigurationError(f"the action_space of {agent!r} is {own}, for which {stated} has no room")
            self._choices[agent] = own

    def _own_choice(self, agent: str, action: Any) -> Any:
        own = self._choices.get(agent)
        return action if own is None or action < own.start + own.n else own.start

    def _filled(self, observations: Mapping[str, Any]) -> dict[str, Any]:
        return {agent: _filled(value, self._observation_spaces.get(agent)) for agent, value in observations.items()}


def _make_declared(
    make: EnvFactory,
    possible_agents: Sequence[str],
    observation_space: StatedSpaces,
    action_space: StatedSpaces,
    **env_kwargs: Any,
) -> DeclaredAgentsEnv:
    env = as_parallel(make(**env_kwargs))
    if not isinstance(env, ParallelEnv):
        raise ConfigurationError(f"expected a PettingZoo ParallelEnv or AECEnv, got {env!r}")
    try:
        return DeclaredAgentsEnv(env, possible_agents, observation_space, action_space)
    except BaseException:
        env.close()
        raise


def _filled(observation: Any, space: Space[Any] | None) -> Any:
    """Return the observation padded with zeros to the length of the space."""
    if not isinstance(space, Box) or len(space.shape) != 1 or np.ndim(observation) != 1:
        return observation
    missing = space.shape[0] - len(observation)
    return np.pad(observation, (0, missing)) if missing > 0 else observation
