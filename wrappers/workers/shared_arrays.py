"""The arrays of a batch of environments, in memory that several processes share."""

from collections.abc import Mapping
from ctypes import Array, c_byte
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from heron.batch.action_records import zero_actions
from heron.batch.array_tree import ArrayTree, map_arrays
from heron.batch.batch_env import AgentGroup, BoolArray, GroupState

Memory = Array[c_byte]
"""Bytes shared with child processes. They have no name in the file system, so nobody can leave them behind."""

_CACHE_LINE = 64


@dataclass(frozen=True)
class SharedArrays:
    """Everything that driver and workers tell each other as arrays. N copies, M agents of a group.

    Attributes:
        states: Group name -> what the last reset or step said.
        actions: Group name -> ``(N, M, ...)``, what to do in the next step.
        mask: ``(N,) bool``, the copies that the next step or reset concerns.
    """

    states: dict[str, GroupState]
    actions: dict[str, npt.NDArray[Any]]
    mask: BoolArray

    @classmethod
    def within(cls, memory: Memory, groups: Mapping[str, AgentGroup], num_envs: int) -> "SharedArrays":
        """Views of memory that ``allocate`` made for the same groups and number of copies."""
        whole = np.frombuffer(memoryview(memory).cast("B"), dtype=np.uint8)
        offset = 0

        def place(template: npt.NDArray[Any]) -> npt.NDArray[Any]:
            nonlocal offset
            start, offset = offset, offset + _room(template)
            return np.ndarray(template.shape, template.dtype, whole, start)

        mask, trees = cast("tuple[BoolArray, dict[str, Any]]", map_arrays(place, _templates(groups, num_envs)))
        states = {name: GroupState(*parts[:-1]) for name, parts in trees.items()}
        return cls(states, {name: parts[-1] for name, parts in trees.items()}, mask)

    def rows(self, rows: slice) -> "SharedArrays":
        """The part of some neighbouring copies, as views."""
        states = {name: GroupState(*_rows_of(state, rows)) for name, state in self.states.items()}
        return SharedArrays(states, {name: array[rows] for name, array in self.actions.items()}, self.mask[rows])

    def copy_states(self, states: Mapping[str, GroupState]) -> None:
        """Take over what ``states`` of the same shape say."""
        for name, own in self.states.items():
            for target, source in zip(_parts(own), _parts(states[name]), strict=True):
                _copy_tree(target, source)


def allocate(context: BaseContext, groups: Mapping[str, AgentGroup], num_envs: int) -> Memory:
    """Zeroed memory for all arrays of these groups, which the context's processes can be given when they start."""
    sizes: list[int] = []
    map_arrays(lambda template: sizes.append(_room(template)), _templates(groups, num_envs))
    return cast("Memory", context.RawArray(c_byte, sum(sizes)))


def _templates(groups: Mapping[str, AgentGroup], num_envs: int) -> ArrayTree:
    """One array of the right shape and dtype for each that is shared, in the order of the memory."""
    parts: dict[str, ArrayTree] = {}
    for name, group in groups.items():
        actions = zero_actions(group.action_space, (num_envs, len(group.agent_ids)))
        parts[name] = (*_parts(GroupState.empty(group, num_envs)), actions)
    return (np.zeros(num_envs, dtype=bool), parts)


def _parts(state: GroupState) -> tuple[ArrayTree, ...]:
    return (state.observations, state.rewards, state.terminated, state.truncated, state.active)


def _rows_of(state: GroupState, rows: slice) -> list[Any]:
    return [map_arrays(lambda array: array[rows], part) for part in _parts(state)]


def _room(array: npt.NDArray[Any]) -> int:
    """Bytes from one array to the next, so that each begins on a cache line of its own."""
    return -(-array.nbytes // _CACHE_LINE) * _CACHE_LINE


def _copy_tree(target: ArrayTree, source: ArrayTree) -> None:
    if isinstance(target, dict):
        for key, part in target.items():
            _copy_tree(part, cast("dict[str, ArrayTree]", source)[key])
    elif isinstance(target, tuple):
        for part, value in zip(target, cast("tuple[ArrayTree, ...]", source), strict=True):
            _copy_tree(part, value)
    else:
        np.copyto(target, cast("npt.NDArray[Any]", source))
