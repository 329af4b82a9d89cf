"""The arrays that a driver and its workers exchange."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from heron.batch.action_records import zero_actions
from heron.batch.array_tree import ArrayTree, map_arrays
from heron.batch.batch_env import AgentGroup, BoolArray, GroupState

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class BatchArrays:
    """Input and output of N copies as arrays. M is the number of agents of a group.

    Attributes:
        states: Group name -> the result of the last reset or step.
        actions: Group name -> ``(N, M, ...)``, the actions of the next step.
        mask: ``(N,) bool``, the copies of the next step or reset.
    """

    states: dict[str, GroupState]
    actions: dict[str, Array]
    mask: BoolArray

    @classmethod
    def of(
        cls, groups: Mapping[str, AgentGroup], num_envs: int, place: Callable[[Array], Array] = lambda array: array
    ) -> "BatchArrays":
        """Return zeroed arrays.

        Args:
            groups: Group name -> its agents and spaces.
            num_envs: Number of copies N.
            place: Returns the array to use instead of a template with its shape and dtype. It is called once for each
                array, always in the same order.
        """
        mask = place(np.zeros(num_envs, dtype=bool))
        states: dict[str, GroupState] = {}
        actions: dict[str, Array] = {}
        for name, group in groups.items():
            states[name] = GroupState(**map_arrays(place, vars(GroupState.empty(group, num_envs))))
            actions[name] = place(zero_actions(group.action_space, (num_envs, len(group.agent_ids))))
        return cls(states, actions, mask)

    def rows(self, rows: slice) -> "BatchArrays":
        """Return the part of some neighbouring copies, as views."""
        part = itemgetter(rows)
        states = {name: GroupState(**map_arrays(part, vars(state))) for name, state in self.states.items()}
        return BatchArrays(states, {name: array[rows] for name, array in self.actions.items()}, self.mask[rows])

    def copy_states(self, states: Mapping[str, GroupState]) -> None:
        """Copy the states of the masked copies from arrays of the same shape."""
        rows = np.flatnonzero(self.mask)
        for name, own in self.states.items():
            _copy_rows(vars(own), vars(states[name]), rows)


def _copy_rows(target: ArrayTree, source: ArrayTree, rows: npt.NDArray[np.intp]) -> None:
    if isinstance(target, dict):
        for key, part in target.items():
            _copy_rows(part, cast("dict[str, ArrayTree]", source)[key], rows)
    elif isinstance(target, tuple):
        for part, value in zip(target, cast("tuple[ArrayTree, ...]", source), strict=True):
            _copy_rows(part, value, rows)
    else:
        target[rows] = cast("Array", source)[rows]
