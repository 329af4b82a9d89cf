"""The record of one step of every slot, from the turn engine to the views and their buffers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from heron.batch.array_tree import ArrayTree
from heron.batch.batch_env import BoolArray

Info = Mapping[str, Any]
InfosByAgent = Mapping[str, Info]


@dataclass(frozen=True, slots=True)
class End:
    """The end of one slot's episode.

    Attributes:
        observation: The last observation, a new array.
        terminated: True if the task ended.
        truncated: True if the episode was truncated.
    """

    observation: ArrayTree
    terminated: bool
    truncated: bool


@dataclass(slots=True)
class SlotStep:
    """One decision of every slot. S slots, new arrays.

    ``LearnerEnv`` makes the record; ``AutoresetLearner`` fills in the resets that follow.

    Attributes:
        observations: ``(S, ...)``, the current observation of each slot, after resets. A slot that has ended keeps
            its last one.
        rewards: ``(S,) float64``, the sum of the rewards over the environment steps of the decision, with the
            learner's discount.
        lengths: ``(S,) int64``, environment steps in which the agent took part; 0 for inert and stale slots.
        ends: Slot -> its end, for all slots that ended in this step, and for unreported ends.
        terminated: ``(S,) bool``, slots whose task ended.
        truncated: ``(S,) bool``, slots whose episode was truncated.
        finished: ``(num_envs,) bool``, copies that needed a reset after the step.
        waited: ``(S,) bool``, slots whose action was not used because it was another agent's turn.
        in_turn: ``(S,) bool``, slots of environments whose agents act in turn.
        infos: For each copy, agent id -> the environment's info of this step, before any reset.
        reset: ``(num_envs,) bool``, copies that began a new episode in this step.
        discount: Discount of each environment step within a decision; None where decisions last one step.
        stood_still: ``(num_envs,) bool``, copies that were not stepped, because a reset had interrupted their episode.
    """

    observations: ArrayTree
    rewards: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    ends: Mapping[int, End]
    terminated: BoolArray
    truncated: BoolArray
    finished: BoolArray
    waited: BoolArray
    in_turn: BoolArray
    infos: Sequence[InfosByAgent]
    reset: BoolArray
    stood_still: BoolArray
    discount: float | None = None

    @property
    def idle(self) -> BoolArray:
        """``(S,) bool``, slots that took no part, inert or stale."""
        idle: BoolArray = self.lengths == 0
        return idle

    @property
    def stale(self) -> BoolArray:
        """``(S,) bool``, slots whose action belonged to an episode that was over before the step."""
        slots_per_copy = len(self.lengths) // len(self.stood_still)
        stale: BoolArray = self.terminated | self.truncated | np.repeat(self.stood_still, slots_per_copy)
        stale &= self.idle
        return stale
