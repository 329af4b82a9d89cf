"""Environments of all kinds as a check drives them: one turn after the other."""

import zlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Space


@dataclass(frozen=True, slots=True)
class Turn:
    """What one reset or step said, as the environment returned it.

    Attributes:
        step: 0 for a reset, and then counting.
        before: The agents that were there before.
        after: The agents that are there now.
        actions: What was done, by agent; empty for a reset.
        observations: By agent, as all that follow.
        rewards: Empty for a reset.
        terminations: Empty for a reset.
        truncations: Empty for a reset.
        infos: Info dicts.
    """

    step: int
    before: tuple[Any, ...]
    after: tuple[Any, ...]
    actions: Mapping[Any, Any]
    observations: Mapping[Any, Any]
    rewards: Mapping[Any, Any]
    terminations: Mapping[Any, Any]
    truncations: Mapping[Any, Any]
    infos: Mapping[Any, Any]

    def ended(self, agent: Any) -> bool:
        """Whether the turn says that the agent's episode is over."""
        return bool(self.terminations.get(agent, False)) or bool(self.truncations.get(agent, False))


class BadReturnError(Exception):
    """An environment returned something that is not even a turn.

    Args:
        problem: What is wrong.
        detail: What came.
    """

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(problem, detail)
        self.problem = problem
        self.detail = detail


class Subject(Protocol):
    """An environment under examination, whatever its kind."""

    env: Any
    every_agent_each_turn: bool
    """Whether a turn speaks of all agents; in an AEC environment it speaks of one."""

    @property
    def agents(self) -> Sequence[Any]:
        """The agents whose actions the next step takes."""

    @property
    def possible_agents(self) -> Sequence[Any]:
        """All agents that may ever come."""

    def observation_space(self, agent: Any) -> Space[Any]:
        """As the environment declares it."""

    def action_space(self, agent: Any) -> Space[Any]:
        """As the environment declares it."""

    def reset(self, seed: int | None) -> Turn:
        """Start an episode.

        Raises:
            BadReturnError: If what came is no turn.
        """

    def step(self, actions: Mapping[Any, Any]) -> Turn:
        """Take a step.

        Raises:
            BadReturnError: If what came is no turn.
        """

    def close(self) -> None:
        """Close the environment."""


def checked_dicts(names: Sequence[str], values: Sequence[Any], call: str) -> None:
    """Check that each value is a dict by agent.

    Raises:
        BadReturnError: If not.
    """
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, Mapping):
            raise BadReturnError(f"{call} must return its {name} as a dict by agent", f"got {value!r:.100}")


def unpacked(returned: Any, names: Sequence[str], call: str) -> tuple[Any, ...]:
    """The parts of what a call returned.

    Raises:
        BadReturnError: If it is not a tuple of so many.
    """
    if not isinstance(returned, tuple) or len(returned) != len(names):
        what = f"{len(returned)} values" if isinstance(returned, tuple) else f"{type(returned).__name__}"
        raise BadReturnError(f"{call} must return ({', '.join(names)})", f"got {what}")
    return returned


class ActionSource:
    """Random actions that depend on a seed and on what is allowed, and on none of the environment's own streams.

    Args:
        seed: Where the agents' streams begin; each agent has its own.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._spaces: dict[Any, Space[Any]] = {}

    def sample(self, agent: Any, space: Space[Any], observation: Any = None, info: Any = None) -> Any:
        """An action of one agent, allowed by the ``action_mask`` in its observation or info where there is one."""
        own = self._spaces.get(agent)
        if own is None:
            own = self._spaces[agent] = deepcopy(space)
            own.seed(zlib.crc32(repr((self._seed, agent)).encode()))
        mask = action_mask(observation, info)
        return own.sample() if mask is None else own.sample(mask)


def action_mask(observation: Any, info: Any) -> Any:
    """The mask of allowed actions as ``int8``, or a dict or tuple of masks, if observation or info hold one."""
    for holder in (observation, info):
        if isinstance(holder, Mapping) and holder.get("action_mask") is not None:
            return _as_mask(holder["action_mask"])
    return None


def _as_mask(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_mask(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_as_mask, value))
    return None if value is None else np.asarray(value).astype(np.int8)
