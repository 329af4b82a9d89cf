"""What a step meant for each group, from the field agents up to the top."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from heron.batch.batch_env import BoolArray, GroupState

Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class GroupResult:
    """What a reset or step meant for the agents of one group. N copies, M agents; reused by the next step.

    Attributes:
        rewards: ``(N, M) float64``, what the group learns from: the intrinsic reward of its commands where
            there is one, else ``env_rewards``.
        env_rewards: ``(N, M) float64``, the environment's rewards; a coordinator's is the sum of its
            subordinates'.
        terminated: ``(N, M) bool``, true in the step in which an agent's task ended. A coordinator ends
            with its last subordinate, and is truncated if any of them was.
        truncated: ``(N, M) bool``, true in the step in which an agent was cut off.
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
        """Results of a group that acts on the environment: views of the environment's own arrays.

        Args:
            state: The group's state in the environment.
            intrinsic: Whether the rewards come from elsewhere.
        """
        rewards = np.zeros_like(state.rewards) if intrinsic else state.rewards
        flags = (state.terminated, state.truncated, state.active)
        return cls(rewards, state.rewards, *flags, np.zeros_like(state.active))

    @classmethod
    def of_coordinators(cls, num_envs: int, num_agents: int, *, intrinsic: bool) -> "GroupResult":
        """Results of a group of coordinators, before the first reset."""
        shape = (num_envs, num_agents)
        env_rewards = np.zeros(shape)
        rewards = np.zeros(shape) if intrinsic else env_rewards
        return cls(rewards, env_rewards, *(np.zeros(shape, dtype=bool) for _ in range(4)))

    def anyone_changed(self, was_active: BoolArray) -> bool:
        """Whether an agent has come, left or ended in the step.

        Args:
            was_active: ``(N, M) bool``, who was active before the step.
        """
        flags = (self.terminated, self.truncated, self.active != was_active)
        return any(np.count_nonzero(flag) for flag in flags)

    def sum_up_rewards(self, below: "Below", mask: BoolArray) -> None:
        """Set coordinators' rewards to the sums of their subordinates', and nobody's end.

        Args:
            below: For each group of subordinates who is whose, and the subordinates' results.
            mask: ``(N,) bool``, the copies that were stepped or reset.
        """
        rewards = np.zeros(self.active.shape)
        for families, result in below:
            rewards[:, families.parents] += families.sums(result.env_rewards)
        stepped = mask[:, None]
        np.copyto(self.env_rewards, rewards, where=stepped)
        np.copyto(self.terminated, False, where=stepped)
        np.copyto(self.truncated, False, where=stepped)

    def follow(self, below: "Below", mask: BoolArray, was_active: BoolArray | None) -> None:
        """Bring it up to date who of the coordinators is active, and who has ended, by their subordinates.

        Args:
            below: As for ``sum_up_rewards``.
            mask: As there.
            was_active: ``(N, M) bool``, who was active before the step; None after a reset.
        """
        active = np.zeros(self.active.shape, dtype=bool)
        cut = np.zeros(self.active.shape, dtype=bool)
        for families, result in below:
            active[:, families.parents] |= families.any_of(result.active)
            cut[:, families.parents] |= families.any_of(result.truncated)
        stepped = mask[:, None]
        if was_active is None:
            was_active = np.zeros_like(active)
            self._cut_below[mask] = False
        np.logical_or(self._cut_below, cut, out=self._cut_below, where=stepped)
        ended = was_active > active
        np.copyto(self.active, active, where=stepped)
        np.logical_and(ended, self._cut_below, out=self.truncated, where=stepped)
        np.greater(ended, self._cut_below, out=self.terminated, where=stepped)


class Families:
    """Subordinates of one group under their coordinators, for sums over each coordinator's own.

    Args:
        parents: ``(E,) int``, the place of each edge's coordinator; edges of one coordinator stand together.
        children: ``(E,) int``, the place of each edge's subordinate.

    Attributes:
        parents: ``(P,) int``, the coordinators, each once, or a slice where they are the first P.
    """

    def __init__(self, parents: Places, children: Places) -> None:
        places, self._starts = np.unique(parents, return_index=True)
        self.parents = as_slice(places)
        self._children = as_slice(children)

    def sums(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """``(N, P)`` sums of ``(N, M)`` values of the subordinates."""
        sums: npt.NDArray[np.float64] = np.add.reduceat(values[:, self._children], self._starts, axis=1)
        return sums

    def any_of(self, flags: BoolArray) -> BoolArray:
        """``(N, P)``, whether any of ``(N, M)`` flags of the subordinates is true."""
        found: BoolArray = np.logical_or.reduceat(flags[:, self._children], self._starts, axis=1)
        return found


def as_slice(places: Places) -> Places | slice:
    """The places, as a slice where they are 0, 1, 2 ..., since that gives views instead of copies."""
    return slice(0, len(places)) if np.array_equal(places, np.arange(len(places))) else places


Below = Sequence[tuple[Families, GroupResult]]
"""Groups of subordinates: who is whose, and their results."""
