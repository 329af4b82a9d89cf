"""Record of one step of an environment of any kind, and the interface that a check steps it by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gymnasium.spaces import Space


@dataclass(frozen=True, slots=True)
class StepRecord:
    """Results of one reset or step, as the environment returned them.

    Attributes:
        step: Number of the step; 0 for a reset.
        before: Agents before the step.
        after: Agents after the step.
        actions: Actions of the step, by agent; empty for a reset.
        observations: Observations by agent.
        rewards: Rewards by agent; empty for a reset, as are the flags.
        terminations: Termination flags by agent.
        truncations: Truncation flags by agent.
        infos: Info dicts by agent.
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
        """Return True if the step ended the episode of an agent."""
        return bool(self.terminations.get(agent, False)) or bool(self.truncations.get(agent, False))


class BadReturnError(Exception):
    """A return value that does not have the form of a step.

    Args:
        problem: The rule that was broken.
        detail: The value.
    """

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(problem, detail)
        self.problem = problem
        self.detail = detail


class Subject(Protocol):
    """An environment of any kind under examination."""

    env: Any
    every_agent_each_step: bool
    """True if a step returns results for all agents; in an AEC environment, for one."""

    @property
    def agents(self) -> Sequence[Any]:
        """Agents whose actions the next step takes."""

    @property
    def possible_agents(self) -> Sequence[Any]:
        """All agents that may ever appear."""

    def observation_space(self, agent: Any) -> Space[Any]:
        """Return the observation space that the environment declares for an agent."""

    def action_space(self, agent: Any) -> Space[Any]:
        """Return the action space that the environment declares for an agent."""

    def reset(self, seed: int | None) -> StepRecord:
        """Start an episode.

        Raises:
            BadReturnError: If the return value does not have the form of a reset.
        """

    def step(self, actions: Mapping[Any, Any]) -> StepRecord:
        """Take a step.

        Raises:
            BadReturnError: If the return value does not have the form of a step.
        """

    def close(self) -> None:
        """Close the environment."""


def checked_dicts(names: Sequence[str], values: Sequence[Any], call: str) -> None:
    """Check that each value is a dict by agent.

    Raises:
        BadReturnError: If one is not.
    """
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, Mapping):
            raise BadReturnError(f"{call} must return its {name} as a dict by agent", f"got {value!r:.100}")


def unpacked(returned: Any, names: Sequence[str], call: str) -> tuple[Any, ...]:
    """Return the parts of a return value.

    Raises:
        BadReturnError: If it is not a tuple with one value for each name.
    """
    if not isinstance(returned, tuple) or len(returned) != len(names):
        what = f"{len(returned)} values" if isinstance(returned, tuple) else f"{type(returned).__name__}"
        raise BadReturnError(f"{call} must return ({', '.join(names)})", f"got {what}")
    return returned
