"""The contract of batched environments: copies of a multi-agent environment, stepped together."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Space

from heron.batch.array_tree import ArrayTree, BoolArray, any_true, zeros
from heron.batch.copy_selection import checked_mask, checked_reset_mask
from heron.errors import ConfigurationError, EnvClosedError, InvalidActionError, ResetRequiredError, shown

__all__ = ["AgentGroup", "BatchEnv", "BoolArray", "GroupState"]


@dataclass(frozen=True)
class AgentGroup:
    """Agents with the same spaces; arrays are per group.

    Attributes:
        name: The group's name.
        agent_ids: Its agents, in the order of the arrays' second dimension.
        observation_space: Observation space of each agent.
        action_space: Action space of each agent.
    """

    name: str
    agent_ids: tuple[str, ...]
    observation_space: Space[Any]
    action_space: Space[Any]


@dataclass(frozen=True)
class GroupState:
    """Results of the last reset or step for the agents of one group, in every copy.

    The arrays belong to the environment and are reused by its next step. Rows of copies outside that step's mask do
    not change. N is ``num_envs``, M the number of agents of the group.

    Attributes:
        observations: ``(N, M, ...)`` in the space's dtype, a tree for ``Dict`` and ``Tuple`` spaces. An agent
            that has ended keeps its last observation; one that has not appeared yet observes zeros.
        rewards: ``(N, M) float64``, 0 for an agent that took no part.
        terminated: ``(N, M) bool``, true in the step in which an agent's task ended, and only then.
        truncated: ``(N, M) bool``, true in the step in which an agent was truncated, or left without a flag.
        active: ``(N, M) bool``, true for agents that act in the next step.
    """

    observations: ArrayTree
    rewards: npt.NDArray[np.float64]
    terminated: BoolArray
    truncated: BoolArray
    active: BoolArray

    @classmethod
    def empty(cls, group: AgentGroup, num_envs: int) -> "GroupState":
        """Return a state of zeros in which no agent is active."""
        shape = (num_envs, len(group.agent_ids))
        flags = [np.zeros(shape, dtype=bool) for _ in range(3)]
        return cls(zeros(group.observation_space, shape), np.zeros(shape), *flags)

    def cut_off(self, rows: Any, was_active: BoolArray | bool) -> None:
        """Truncate these agents of some copies, whose episodes end without a result.

        Args:
            rows: Index, slice or mask of the copies.
            was_active: The agents that took part, as rows of a ``(N, M) bool`` array; False for none.
        """
        self.rewards[rows] = 0.0
        self.terminated[rows] = self.active[rows] = False
        self.truncated[rows] = was_active


class BatchEnv(ABC):
    """N copies of one multi-agent environment, stepped together as arrays.

    Copies are never reset automatically: one whose agents have all ended must be reset before it is stepped again.

    A subclass implements ``_reset``, ``_step`` and ``_close``; the public methods check their arguments first and then
    call these. A subclass that writes ``active`` anywhere else sets ``_running`` to None there.

    Attributes:
        env_ids: Names of the copies, in the order of the arrays' first dimension.
        groups: Group name -> its agents and spaces. Every agent is in exactly one group.
        states: Group name -> results of the last reset or step.
        infos: For each copy, agent id -> the info dict of the last reset or step, if it is not empty.
        remark: Reason for this way of stepping, if it was chosen automatically; for people to read.
        steps_some: True if running copies can be left out of a step.
        holds_ended: True if a copy that has ended can be left out of the next step without changing its next
            episode. An engine that must begin that episode, to have something to step, cannot do this.
        resets_some: True if some copies can be reset while others run on, as far as is known.
        resets_ended: True if a copy can be reset right after the step in which it ended, while others run on. Otherwise
            a new episode begins only in copies that have ended and were left out of a step since.
    """

    env_ids: tuple[str, ...]
    groups: Mapping[str, AgentGroup]
    states: Mapping[str, GroupState]
    infos: Sequence[Mapping[str, Mapping[str, Any]]]
    remark: str = ""
    steps_some: bool = True
    holds_ended: bool = True
    resets_some: bool = True
    resets_ended: bool = True
    _closed: bool = False
    _running: BoolArray | None = None
    _everyone: BoolArray | None = None
    _own_attributes: dict[str, dict[int, Any]] | None = None

    @property
    def num_envs(self) -> int:
        """Number of copies."""
        return len(self.env_ids)

    @property
    def running(self) -> BoolArray:
        """``(num_envs,) bool``, true for copies with an active agent; read-only, and not changed by later steps."""
        running = self._running
        if running is None:
            for state in self.states.values():
                active = state.active
                some = active[:, 0].copy() if active.shape[1] == 1 else np.logical_or.reduce(active, axis=1)
                running = some if running is None else running | some
            running = np.asarray(running)
            running.setflags(write=False)
            self._running = running
        return running

    def check_reset(
        self,
        mask: BoolArray | None = None,
        seeds: Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Refuse a reset that the environment cannot do; arguments as for ``reset``.

        Raises:
            InvalidMaskError: If the mask is not ``(num_envs,) bool``.
            ConfigurationError: If ``seeds`` has the wrong length, or the environment cannot reset just these copies,
                or not with these seeds or options.
        """
        self._check_reset(checked_reset_mask(mask, seeds, self.env_ids), seeds, options)

    def reset(
        self,
        mask: BoolArray | None = None,
        seeds: Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Mapping[str, GroupState]:
        """Start a new episode in the masked copies, and touch no other.

        Args:
            mask: ``(num_envs,) bool``; all copies by default.
            seeds: One seed a copy; those outside the mask are unused. None continues a copy's random stream.
            options: Passed to each copy as a new dict.

        Returns:
            ``states``.

        Raises:
            EnvClosedError: After ``close()``.
            ConfigurationError: If ``check_reset`` refuses it; no copy was reset.
            EnvStepError: If a copy raised. It needs another reset; all others were reset.
            InvalidObservationError: If an observation is not in its space; the same holds.
        """
        self._check_open()
        self.check_reset(mask, seeds, options)
        mask = self._mask_of_all() if mask is None else mask
        if any_true(mask):
            try:
                self._reset(mask, seeds, options)
            finally:
                self._running = None
        return self.states

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
            EnvClosedError: After ``close()``.
            InvalidMaskError: If the mask is not ``(num_envs,) bool``.
            ResetRequiredError: If a masked copy is not running; no copy was stepped.
            InvalidActionError: If a group has no actions, or an unknown one has; no copy was stepped.
            ConfigurationError: If running copies are left out, and ``steps_some`` is False; no copy was stepped.
            EnvStepError: If a copy raised. Its agents are truncated, and it needs a reset; all others were stepped.
            InvalidObservationError: If an observation is not in its space; the same holds.
        """
        self._check_open()
        if mask is None:
            mask = self._mask_of_all()
        elif not any_true(checked_mask(mask, self.num_envs)):
            return self.states
        self._check_step(actions, mask)
        try:
            self._step(actions, mask)
        finally:
            self._running = None
        return self.states

    def get_attr(self, name: str, indices: Sequence[int]) -> list[Any]:
        """Return attribute ``name`` of the environments of these copies."""
        self._check_open()
        return self._get_attr(name, indices)

    def set_attr(self, name: str, values: Sequence[Any], indices: Sequence[int]) -> None:
        """Set attribute ``name`` of the environment of each of these copies to its value.

        Raises:
            ValueError: If there is not one value for each of these copies.
        """
        self._check_open()
        if len(values) != len(indices):
            raise ValueError(f"expected {len(indices)} values, one for each copy, got {len(values)}")
        self._set_attr(name, values, indices)

    def call(self, name: str, indices: Sequence[int], *args: Any, **kwargs: Any) -> list[Any]:
        """Call method ``name`` of the environments of these copies, and return the results."""
        self._check_open()
        return self._call(name, indices, *args, **kwargs)

    def close(self) -> None:
        """Close every copy. Closing twice is harmless."""
        if not self._closed:
            self._closed = True
            self._close()

    def use_states(self, states: Mapping[str, GroupState]) -> bool:
        """Write the results of later resets and steps into these arrays, if the environment can do so.

        Args:
            states: Group name -> arrays of this environment's size, such as views of shared memory.

        Returns:
            True if ``states`` of the environment are now the given ones. Otherwise the caller has to copy.
        """
        del states
        return False

    def describe(self) -> str:
        """Return in one line where and how the copies are stepped."""
        return f"{type(self).__name__} in this process"

    @abstractmethod
    def _reset(self, mask: BoolArray, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None) -> None:
        """Start new episodes in the masked copies, and write ``states`` and ``infos``; arguments were checked."""

    @abstractmethod
    def _step(self, actions: Mapping[str, npt.NDArray[Any]], mask: BoolArray) -> None:
        """Step the masked copies, all of which are running, and write ``states`` and ``infos``."""

    @abstractmethod
    def _close(self) -> None:
        """Close every copy; called once."""

    def _check_reset(
        self, mask: BoolArray, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None
    ) -> None:
        """Raise ``ConfigurationError`` for a reset that the environment cannot do; it can do any by default."""
        del mask, seeds, options

    def _get_attr(self, name: str, indices: Sequence[int]) -> list[Any]:
        """Return the attributes set for these copies, or by default that of this object, shared by all copies."""
        own = (self._own_attributes or {}).get(name, {})
        return [own[index] if index in own else getattr(self, name) for index in indices]

    def _set_attr(self, name: str, values: Sequence[Any], indices: Sequence[int]) -> None:
        """Keep an attribute for each of these copies, unless this object has one that is shared by all copies."""
        if hasattr(self, name):
            raise AttributeError(f"{name!r} is shared by all copies of {self.describe()}: set it there")
        if self._own_attributes is None:
            self._own_attributes = {}
        self._own_attributes.setdefault(name, {}).update(zip(indices, values, strict=True))

    def _call(self, name: str, indices: Sequence[int], *args: Any, **kwargs: Any) -> list[Any]:
        return [method(*args, **kwargs) for method in self._get_attr(name, indices)]

    def _check_open(self) -> None:
        if self._closed:
            raise EnvClosedError(f"the environments {shown(self.env_ids)} are closed: make new ones")

    def _check_step(self, actions: Mapping[str, npt.NDArray[Any]], mask: BoolArray) -> None:
        running = self.running
        stopped = mask > running
        if any_true(stopped):
            raise ResetRequiredError(f"no running episode in {self._names(stopped)}: reset these copies first")
        if actions.keys() != self.groups.keys():
            raise InvalidActionError(
                f"{shown(self.env_ids)}: expected actions of groups {list(self.groups)}, got {list(actions)}"
            )
        if not self.steps_some and any_true(left_out := running > mask):
            raise ConfigurationError(
                f"{self._names(left_out)} are running, but left out of a step, and all copies are stepped at once "
                f"({self.describe()}): step them as well, or use LoopEnv or ProcessEnv"
            )

    def _names(self, mask: BoolArray) -> str:
        """Return the names of the masked copies, for an error."""
        return shown([self.env_ids[index] for index in np.flatnonzero(mask)])

    def _mask_of_all(self) -> BoolArray:
        # Not a cached_property: one that has been read slows down every attribute of its object (Python 3.11).
        if self._everyone is None:
            self._everyone = np.ones(self.num_envs, dtype=bool)
            self._everyone.setflags(write=False)
        return self._everyone
