"""Gymnasium environments split among several agents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, MultiBinary, MultiDiscrete, Space

from heron.errors import ConfigurationError, check_id
from heron.wrappers.sources.gym_parallel_env import GymParallelEnv, StepResults

Entries: TypeAlias = Sequence[int] | slice
"""Places in a flattened array."""

RewardSplit: TypeAlias = Callable[[float, Any, Mapping[str, Any]], Mapping[str, float]]
"""From the environment's reward, observation and info to the reward of each agent."""


@dataclass(frozen=True)
class AgentPart:
    """Part of one agent in a split environment.

    Attributes:
        actions: The entries of the environment's action that it sets, in the order of its own action.
        observations: The entries of the environment's observation that it sees; all by default.
    """

    actions: Entries
    observations: Entries | None = None


def split_env(
    make: Callable[..., gymnasium.Env[Any, Any]] | str,
    parts: Mapping[str, AgentPart],
    reward: RewardSplit | None = None,
) -> Callable[..., "SplitEnv"]:
    """Return a factory of environments whose actions and observations are split among several agents.

    Args:
        make: Makes a Gymnasium ``Env``, or is the id of a registered one. Its action space must be a ``Box``,
            ``MultiDiscrete`` or ``MultiBinary``.
        parts: Agent id -> its part. Each entry of the action belongs to exactly one agent; entries of the
            observation may be seen by several agents or by none.
        reward: Splits the reward. By default each agent gets an equal share, so that their sum is the
            environment's reward.

    Returns:
        A factory for ``make_vec``, ``LoopEnv`` and ``ProcessEnv``; its arguments are passed on to ``make``. It raises
        a ``ConfigurationError`` if the parts do not fit.

    The two legs of a walker, both of which see everything, under a coordinator::

        legs = {"left": AgentPart(actions=[0, 1]), "right": AgentPart(actions=[2, 3])}
        venv = make_vec(
            split_env("BipedalWalker-v3", legs),
            num_envs=8,
            hierarchy=lambda agents: Hierarchy.star(agents, period=10, command_space=Box(-1, 1, (2,))),
        )
    """
    return partial(_make_split, make, dict(parts), reward)


class SplitEnv(GymParallelEnv):
    """A Gymnasium ``Env`` on which several agents act together; see ``split_env``.

    Args:
        env: The environment, which belongs to this one from now on.
        parts: Agent id -> its part.
        reward: Splits the reward; equally by default.

    Raises:
        ConfigurationError: If the parts do not fit the environment's spaces; it says which and how.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], parts: Mapping[str, AgentPart], reward: RewardSplit | None = None
    ) -> None:
        if not isinstance(parts, Mapping) or not parts:
            raise ConfigurationError(f"expected a dict of agent id -> AgentPart, got {parts!r}")
        super().__init__(env, [check_id("agent id", agent) for agent in parts])
        acting: Space[Any] = env.action_space
        seen: Space[Any] = env.observation_space
        self._acts, self._sees = {}, {}
        for agent, part in parts.items():
            if not isinstance(part, AgentPart):
                raise ConfigurationError(f"agent {agent!r}: expected an AgentPart, got {part!r}")
            self._acts[agent] = _places(part.actions, acting, f"actions of {agent!r}")
            if part.observations is not None:
                self._sees[agent] = _places(part.observations, seen, f"observations of {agent!r}")
        _check_each_once(self._acts, acting)
        self._action_spaces = {agent: _part_of(acting, places) for agent, places in self._acts.items()}
        self._observation_spaces = {
            agent: _part_of(seen, self._sees[agent]) if agent in self._sees else seen for agent in parts
        }
        self._split = reward

    def observation_space(self, agent: str) -> Space[Any]:
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        observation, info = self._reset(seed, options)
        self.agents = list(self.possible_agents)
        return self._share_out(observation), dict.fromkeys(self.agents, info)

    def step(self, actions: Mapping[str, Any]) -> StepResults:
        whole = np.empty(self.env.action_space.shape or (), dtype=self.env.action_space.dtype)
        for agent, places in self._acts.items():
            whole.flat[places] = actions[agent]
        observation, reward, terminated, truncated, info = self._step(whole)
        everyone = self.possible_agents
        if terminated or truncated:
            self.agents = []
        return (
            self._share_out(observation),
            self._rewards(float(reward), observation, info),
            dict.fromkeys(everyone, bool(terminated)),
            dict.fromkeys(everyone, bool(truncated)),
            dict.fromkeys(everyone, info),
        )

    def _share_out(self, observation: Any) -> dict[str, Any]:
        flat = np.ravel(observation) if self._sees else None
        return {
            agent: observation if flat is None or agent not in self._sees else flat[self._sees[agent]]
            for agent in self.possible_agents
        }

    def _rewards(self, reward: float, observation: Any, info: Mapping[str, Any]) -> dict[str, float]:
        if self._split is None:
            return dict.fromkeys(self.possible_agents, reward / len(self.possible_agents))
        rewards = self._split(reward, observation, info)
        if not isinstance(rewards, Mapping) or set(rewards) != set(self.possible_agents):
            raise ConfigurationError(f"reward must return one for each of {self.possible_agents}, got {rewards!r}")
        return {agent: float(value) for agent, value in rewards.items()}


def _make_split(
    make: Callable[..., gymnasium.Env[Any, Any]] | str,
    parts: Mapping[str, AgentPart],
    reward: RewardSplit | None,
    **env_kwargs: Any,
) -> SplitEnv:
    env = gymnasium.make(make, **env_kwargs) if isinstance(make, str) else make(**env_kwargs)
    if not isinstance(env, gymnasium.Env):
        raise ConfigurationError(f"only a Gymnasium Env can be split, got {env!r}")
    try:
        return SplitEnv(env, parts, reward)
    except BaseException:
        env.close()
        raise


def _places(entries: Entries, space: Space[Any], owner: str) -> npt.NDArray[np.intp]:
    """Return the entries as indices, after checking that they are in the space."""
    if not isinstance(space, (Box, MultiDiscrete, MultiBinary)):
        raise ConfigurationError(f"{owner}: only a Box, MultiDiscrete or MultiBinary can be split, got {space}")
    size = int(np.prod(space.shape))
    if isinstance(entries, slice):
        entries = range(size)[entries]
    whole = all(isinstance(entry, (int, np.integer)) and not isinstance(entry, bool) for entry in entries)
    if not len(entries) or not whole or len(set(entries)) != len(entries):
        raise ConfigurationError(f"{owner}: expected indices, at least one and each once, got {entries!r}")
    if outside := [entry for entry in entries if not 0 <= entry < size]:
        raise ConfigurationError(f"{owner}: {space} has entries 0 to {size - 1}, but not {outside}")
    return np.array(entries, dtype=np.intp)


def _check_each_once(acts: Mapping[str, npt.NDArray[np.intp]], space: Space[Any]) -> None:
    owners: dict[int, list[str]] = {entry: [] for entry in range(int(np.prod(space.shape or ())))}
    for agent, places in acts.items():
        for entry in places.tolist():
            owners[entry].append(agent)
    if unowned := [entry for entry, agents in owners.items() if not agents]:
        raise ConfigurationError(f"entries {unowned} of the action in {space} belong to no agent")
    if several := {entry: agents for entry, agents in owners.items() if len(agents) > 1}:
        raise ConfigurationError(f"entries of the action in {space} must belong to one agent each, got {several}")


def _part_of(space: Space[Any], places: npt.NDArray[np.intp]) -> Space[Any]:
    """Return the space of these entries."""
    match space:
        case Box():
            dtype: Any = space.dtype
            return Box(space.low.ravel()[places], space.high.ravel()[places], dtype=dtype)
        case MultiDiscrete():
            return MultiDiscrete(space.nvec.ravel()[places], dtype=space.dtype, start=space.start.ravel()[places])
    return MultiBinary(len(places))
