"""Results of a step for every group: the environment's for field agents, sums and ends of them for coordinators."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from heron.batch.array_tree import any_true
from heron.batch.batch_env import BoolArray, GroupState
from heron.vector.edges import Edges, Families
from heron.vector.vec_group import ByGroup, VecGroup


@dataclass(frozen=True)
class GroupResult:
    """Result of a reset or step for the agents of one group. N copies, M agents; reused by the next step.

    Attributes:
        rewards: ``(N, M) float64``, what the group learns from: the intrinsic reward of its commands where
            there is one, else ``env_rewards``.
        env_rewards: ``(N, M) float64``, the environment's rewards; a coordinator's is the sum of its
            subordinates'.
        terminated: ``(N, M) bool``, true in the step in which an agent's task ended. A coordinator ends
            with its last subordinate, and is truncated if any of them was.
        truncated: ``(N, M) bool``, true in the step in which an agent was truncated.
        active: ``(N, M) bool``, true for agents that take part in the next step.
    """

    rewards: npt.NDArray[np.float64]
    env_rewards: npt.NDArray[np.float64]
    terminated: BoolArray
    truncated: BoolArray
    active: BoolArray
    _cut_below: BoolArray = field(repr=False)

    @classmethod
    def of_field_agents(cls, state: GroupState, *, intrinsic: bool) -> "GroupResult":
        """Return the result of a group that acts on the environment: views of the environment's own arrays.

        Args:
            state: The group's state in the environment.
            intrinsic: True if the rewards come from elsewhere.
        """
        rewards = np.zeros_like(state.rewards) if intrinsic else state.rewards
        flags = (state.terminated, state.truncated, state.active)
        return cls(rewards, state.rewards, *flags, np.zeros_like(state.active))

    @classmethod
    def of_coordinators(cls, num_envs: int, num_agents: int, *, intrinsic: bool) -> "GroupResult":
        """Return the result of a group of coordinators before the first reset."""
        shape = (num_envs, num_agents)
        env_rewards = np.zeros(shape)
        rewards = np.zeros(shape) if intrinsic else env_rewards
        return cls(rewards, env_rewards, *(np.zeros(shape, dtype=bool) for _ in range(4)))

    def sum_up_rewards(self, below: "Below", mask: BoolArray | None) -> None:
        """Set coordinators' rewards to the sums of their subordinates', and clear the ends of the last step.

        Args:
            below: For each group of subordinates the families and the subordinates' result.
            mask: ``(N,) bool``, the copies that were stepped or reset; None for all.
        """
        rewards = np.zeros(self.active.shape)
        for families, result in below:
            rewards[:, families.parents] += families.sums(result.env_rewards)
        if mask is None:
            self.env_rewards[...] = rewards
            self.terminated[...] = self.truncated[...] = False
        else:
            self.env_rewards[mask] = rewards[mask]
            self.terminated[mask] = self.truncated[mask] = False

    def follow(self, below: "Below", mask: BoolArray | None, was_active: BoolArray | None) -> None:
        """Derive from the subordinates which coordinators are active, and which have ended.

        Args:
            below: As for ``sum_up_rewards``.
            mask: As there.
            was_active: ``(N, M) bool``, the agents that were active before the step; None after a reset.
        """
        active = np.zeros(self.active.shape, dtype=bool)
        cut = np.zeros(self.active.shape, dtype=bool)
        for families, result in below:
            active[:, families.parents] |= families.any_of(result.active)
            cut[:, families.parents] |= families.any_of(result.truncated)
        stepped = True if mask is None else mask[:, None]
        if was_active is None:
            was_active = np.zeros_like(active)
            np.copyto(self._cut_below, False, where=stepped)
        np.logical_or(self._cut_below, cut, out=self._cut_below, where=stepped)
        ended = was_active > active
        np.copyto(self.active, active, where=stepped)
        np.logical_and(ended, self._cut_below, out=self.truncated, where=stepped)
        np.greater(ended, self._cut_below, out=self.terminated, where=stepped)


Below = Sequence[tuple[Families, GroupResult]]
"""For each group of subordinates the families and their result."""


class Results:
    """Results of all groups, kept up to date with the environment's states. N copies, M agents of a group.

    Args:
        states: Field group name -> the arrays that the environment writes into.
        groups: Group name -> its agents, from the top of the hierarchy down.
        edges: All edges between them.
        num_envs: Number of copies.
        intrinsic: Names of the groups whose rewards are not the environment's.

    Attributes:
        by_group: Group name -> the result of the last reset or step.
        returns: Group name -> ``(N, M) float64``, sums of ``env_rewards`` since the reset.
        lives: Group name -> ``(N, M) int64``, how often each agent has begun anew.
    """

    def __init__(
        self,
        states: Mapping[str, GroupState],
        groups: Mapping[str, VecGroup],
        edges: Sequence[Edges],
        num_envs: int,
        intrinsic: Collection[str],
    ) -> None:
        self.by_group: ByGroup[GroupResult] = ByGroup(
            (
                name,
                GroupResult.of_field_agents(states[name], intrinsic=name in intrinsic)
                if group.is_field
                else GroupResult.of_coordinators(num_envs, group.num_agents, intrinsic=name in intrinsic),
            )
            for name, group in groups.items()
        )
        self._intrinsic = [self.by_group[name].rewards for name in intrinsic]
        self._fields = {name: self.by_group[name] for name, group in groups.items() if group.is_field}
        # From the bottom up, since each coordinator sums the rewards of its subordinates.
        self._coordinators: list[tuple[str, GroupResult, Below]] = [
            (
                name,
                self.by_group[name],
                [(edge.families, self.by_group[edge.below.name]) for edge in edges if edge.above is group],
            )
            for name, group in reversed(list(groups.items()))
            if not group.is_field
        ]
        self.returns = {name: np.zeros_like(result.rewards) for name, result in self.by_group.items()}
        self.lives = {name: np.zeros(result.active.shape, dtype=np.int64) for name, result in self.by_group.items()}
        self._was_active = {name: np.zeros_like(result.active) for name, result in self.by_group.items()}
        self._earned = [(self.returns[name], result.env_rewards) for name, result in self.by_group.items()]

    def note_active(self) -> dict[str, BoolArray]:
        """Return group name -> ``(N, M) bool``, the agents that are active now; reused by the next call."""
        for name, was_active in self._was_active.items():
            was_active[...] = self.by_group[name].active
        return self._was_active

    def begin(self, mask: BoolArray) -> None:
        """Forget the last episode of the masked copies, which are about to be reset."""
        for name, returns in self.returns.items():
            returns[mask] = 0.0
            self.lives[name][mask] += 1

    def follow_reset(self, mask: BoolArray) -> None:
        """Update the results after a reset of the masked copies."""
        for rewards in self._intrinsic:
            rewards[mask] = 0.0
        for _, result, below in self._coordinators:
            result.sum_up_rewards(below, mask)
            result.follow(below, mask, None)

    def follow_step(self, mask: BoolArray | None, was_active: Mapping[str, BoolArray]) -> bool:
        """Update the results after a step.

        Args:
            mask: ``(N,) bool``, the copies that were stepped; None for all.
            was_active: Group name -> ``(N, M) bool``, the agents that were active before.

        Returns:
            True if an agent has appeared, left or ended.
        """
        for _, result, below in self._coordinators:
            result.sum_up_rewards(below, mask)
        changed = self._has_changed(was_active)
        if changed:
            for name, result, below in self._coordinators:
                result.follow(below, mask, was_active[name])
            for name, result in self.by_group.items():
                self.lives[name] += result.active > was_active[name]
        stepped = True if mask is None else mask[:, None]
        for returns, rewards in self._earned:
            np.add(returns, rewards, out=returns, where=stepped)
        return changed

    def _has_changed(self, was_active: Mapping[str, BoolArray]) -> bool:
        for name, result in self._fields.items():
            for flags in (result.active != was_active[name], result.terminated, result.truncated):
                if any_true(flags):
                    return True
        return False
