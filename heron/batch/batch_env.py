"""The one contract under everything: many copies of a multi-agent environment, stepped together."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Space

from heron.batch.array_tree import ArrayTree, zeros

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class AgentGroup:
    """Agents with the same spaces; arrays are per group.

    Attributes:
        name: The group's name.
        agent_ids: Its agents, in the order of the arrays' second dimension.
        observation_space: What each of them observes.
        action_space: How each of them acts.
    """

    name: str
    agent_ids: tuple[str, ...]
    observation_space: Space[Any]
    action_space: Space[Any]


@dataclass(frozen=True)
class GroupState:
    """What the last reset or step said about the agents of one group, in every copy.

    The arrays belong to the environment and are reused by its next step; copies outside that step's mask keep
    what they had. N is ``num_envs``, M the number of agents of the group.

    Attributes:
        observations: ``(N, M, ...)`` in the space's dtype, a tree for ``Dict`` and ``Tuple`` spaces. An agent
            that has ended keeps its last observation, one that has not come yet observes zeros.
        rewards: ``(N, M) float64``, 0 for an agent that took no part.
        terminated: ``(N, M) bool``, true in the step in which an agent's task ended, and only then.
        truncated: ``(N, M) bool``, true in the step in which an agent was cut off or left without a word.
        active: ``(N, M) bool``, true for agents that act in the next step.
    """

    observations: ArrayTree
    rewards: npt.NDArray[np.float64]
    terminated: BoolArray
    truncated: BoolArray
    active: BoolArray

    @classmethod
    def empty(cls, group: AgentGroup, num_envs: int) -> "GroupState":
        """A state of zeros in which no agent is active."""
        shape = (num_envs, len(group.agent_ids))
        flags = [np.zeros(shape, dtype=bool) for _ in range(3)]
        return cls(zeros(group.observation_space, shape), np.zeros(shape), *flags)


class BatchEnv(ABC):
    """N copies of one multi-agent environment, stepped together as arrays.

    It never resets by itself: a copy whose agents have all ended must be reset before it is stepped again.

    Attributes:
        env_ids: The copies' names, in the order of the arrays' first dimension.
        groups: Group name -> its agents and spaces. Every agent is in exactly one group.
        states: Group name -> what the last reset or step said.
        infos: For each copy, agent id -> the info dict of the last reset or step, where it was not empty.
        remark: Why the copies are stepped in this way, where something was chosen; for people to read.
        steps_some: Whether running copies can be left out of a step. An engine that steps all copies at once
            refuses that.
        holds_ended: Whether a copy that has ended can be left out of the next step and then have the episode that
            it would have had without that. An engine that must begin one, to have something to step, cannot.
        resets_some: Whether some copies can be reset while others run on, as far as is known. Of an engine that
            cannot, only copies can begin anew that have ended, and were left out of a step since.
    """

    env_ids: tuple[str, ...]
    groups: Mapping[str, AgentGroup]
    states: Mapping[str, GroupState]
    infos: Sequence[Mapping[str, Mapping[str, Any]]]
    remark: str = ""
    steps_some: bool = True
    holds_ended: bool = True
    resets_some: bool = True

    @property
    def num_envs(self) -> int:
        """Number of copies."""
        return len(self.env_ids)

    @property
    def running(self) -> BoolArray:
        """``(num_envs,) bool``, the copies in which any agent is active, a new array."""
        running: BoolArray | None = None
        for state in self.states.values():
            active = state.active
            some = active[:, 0].copy() if active.shape[1] == 1 else np.logical_or.reduce(active, axis=1)
            running = some if running is None else running | some
        return np.asarray(running)

    def check_reset(
        self,
        mask: BoolArray | None = None,
        seeds: Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Refuse a reset that the environment cannot do; arguments as for ``reset``.

        Raises:
            ConfigurationError: If it cannot reset just these copies, or not with these seeds or options.
        """
        del mask, seeds, options

    @abstractmethod
    def reset(
        self,
        mask: BoolArray | None = None,
        seeds: Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Mapping[str, GroupState]:
        """Start a new episode in the masked copies, and touch no other.

        Args:
            mask: ``(num_envs,) bool``; all copies by default.
            seeds: One seed a copy, those outside the mask unused. None lets a copy's random stream go on.
            options: Passed to each copy as a new dict.

        Returns:
            ``states``.

        Raises:
            ConfigurationError: If ``check_reset`` refuses it; none was reset then.
            EnvStepError: If a copy raised. It needs another reset then; all others were reset.
            InvalidObservationError: Likewise, if an observation does not fit its space.
        """

    @abstractmethod
    def step(self, actions: Mapping[str, npt.NDArray[Any]], mask: BoolArray | None = None) -> Mapping[str, GroupState]:
        """Step the masked copies, and touch no other.

        Args:
            actions: Group name -> ``(num_envs, num_agents, ...)`` in the action space's dtype, which is that of
                records in a ``Dict`` or ``Tuple`` space: see ``heron.batch.action_records``. Rows of agents that are
                not active are not used. The environment does not keep or change these arrays.
            mask: ``(num_envs,) bool``; all copies by default.

        Returns:
            ``states``.

        Raises:
            ResetRequiredError: If a masked copy is not running; none was stepped then.
            ConfigurationError: If running copies are left out, and ``steps_some`` is False; none was stepped then.
            EnvStepError: If a copy raised. Its agents are cut off, and it needs a reset then; all others were
                stepped.
            InvalidObservationError: Likewise, if an observation does not fit its space.
        """

    @abstractmethod
    def get_attr(self, name: str, indices: Sequence[int]) -> list[Any]:
        """Attribute ``name`` of the environments of these copies."""

    @abstractmethod
    def set_attr(self, name: str, values: Sequence[Any], indices: Sequence[int]) -> None:
        """Set attribute ``name`` of the environment of each of these copies to its value."""

    @abstractmethod
    def call(self, name: str, indices: Sequence[int], *args: Any, **kwargs: Any) -> list[Any]:
        """What method ``name`` of the environments of these copies returns."""

    @abstractmethod
    def close(self) -> None:
        """Close every copy. Closing twice is harmless."""

    def use_states(self, states: Mapping[str, GroupState]) -> bool:
        """Write what resets and steps say into these arrays from now on, if the environment can do so.

        Args:
            states: Group name -> arrays of this environment's size, such as views of shared memory.

        Returns:
            Whether ``states`` of the environment are the given ones now. Otherwise whoever wants them there
            has to copy.
        """
        del states
        return False

    def describe(self) -> str:
        """Where and how the copies are stepped, in one line."""
        return f"{type(self).__name__} in this process"
