"""Results of a world's functions, in the arrays of a batched environment."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from heron.batch.array_tree import ArrayTree, map_arrays, write
from heron.batch.batch_env import AgentGroup, BoolArray, GroupState
from heron.batch.counter_random import IndexArray, Rows
from heron.batch.nan_watch import NanWatch

GroupActions: TypeAlias = Mapping[str, Any]
"""Group name -> ``(n, num_agents, ...)``, an array or, for ``Dict`` and ``Tuple`` spaces, a tree of arrays."""

GroupValues: TypeAlias = Mapping[str, npt.ArrayLike]
"""Group name -> ``(n, num_agents)``, or something that broadcasts to it."""

GroupTrees: TypeAlias = Mapping[str, ArrayTree]
"""Group name -> ``(n, num_agents, ...)``, an array or a tree of arrays."""

GroupInfos: TypeAlias = Mapping[str, Mapping[str, npt.NDArray[Any]]]
"""Group name -> key -> ``(n, num_agents, ...)``."""


class WorldResults:
    """Results of a world's resets and steps.

    Args:
        groups: The world's groups.
        num_envs: Number of copies.

    Attributes:
        states: Group name -> results; see ``BatchEnv``.
        infos: For each copy, agent id -> info.
    """

    def __init__(self, groups: Mapping[str, AgentGroup], num_envs: int) -> None:
        self._groups = groups
        self.infos: list[dict[str, dict[str, Any]]] = [{} for _ in range(num_envs)]
        self.use({name: GroupState.empty(group, num_envs) for name, group in groups.items()})

    def use(self, states: Mapping[str, GroupState]) -> None:
        """Write later results into these arrays."""
        self.states = states
        self._nan = NanWatch(self._groups, states)

    def active(self, rows: Rows) -> dict[str, BoolArray]:
        """Return which agents of these copies are active, as new arrays."""
        return {name: np.array(state.active[rows]) for name, state in self.states.items()}

    def begin(self, rows: Rows) -> None:
        """Note that these copies begin an episode, in which all agents are active."""
        for state in self.states.values():
            state.rewards[rows] = 0.0
            state.terminated[rows] = state.truncated[rows] = False
            state.active[rows] = True

    def step(
        self,
        rows: Rows,
        acting: Mapping[str, BoolArray],
        rewards: GroupValues,
        terminated: GroupValues,
        is_over: BoolArray,
    ) -> None:
        """Note the results of a step.

        Args:
            rows: The n copies.
            acting: The agents that took part.
            rewards: Their rewards.
            terminated: The agents whose task has ended.
            is_over: ``(n,) bool``, true for copies that have reached the time limit.
        """
        for name, state in self.states.items():
            active = acting[name]
            ends = np.asarray(terminated[name], bool) & active
            cut = active & ~ends & is_over[:, None]
            state.rewards[rows] = np.where(active, rewards[name], 0.0)
            state.terminated[rows] = ends
            state.truncated[rows] = cut
            state.active[rows] = active & ~(ends | cut)

    def observe(
        self, rows: Rows, indices: IndexArray, taking_part: Mapping[str, BoolArray], observations: GroupTrees
    ) -> None:
        """Write the observations of the agents of these copies that take part; others keep their last one."""
        for name, some in taking_part.items():
            if some.all():
                write(self.states[name].observations, rows, observations[name])
                continue
            copies, places = where = np.nonzero(some)
            part = map_arrays(lambda array, where=where: array[where], observations[name])  # type: ignore[misc]
            write(self.states[name].observations, (indices[copies], places), part)

    def inform(
        self,
        indices: IndexArray,
        taking_part: Mapping[str, BoolArray],
        told: Mapping[str, Mapping[str, npt.NDArray[Any]]],
    ) -> None:
        """Write the infos of the agents of these copies that take part, a dict for each."""
        for index in indices.tolist() if told or any(self.infos) else ():
            self.infos[index] = {}
        for name, arrays in told.items():
            copies, places = np.nonzero(taking_part[name])
            agent_ids = self._groups[name].agent_ids
            of_agents = zip(*(array[copies, places] for array in arrays.values()), strict=True)
            for index, place, values in zip(indices[copies].tolist(), places.tolist(), of_agents, strict=True):
                self.infos[index][agent_ids[place]] = dict(zip(arrays, values, strict=True))

    def truncate(self, rows: Rows, acting: Mapping[str, BoolArray]) -> None:
        """Truncate the agents of these copies that took part in a step that failed, and drop their infos."""
        for name, state in self.states.items():
            state.cut_off(rows, acting.get(name, False))
        for index in np.arange(len(self.infos))[rows].tolist():
            self.infos[index] = {}

    def truncate_nan(self, indices: IndexArray, acting: Mapping[str, BoolArray]) -> dict[int, Sequence[str]]:
        """Truncate the copies with NaN among their results, and return what is NaN in words, by copy."""
        found: dict[int, Sequence[str]] = {}
        for place, index in enumerate(indices.tolist()) if self._nan.fires() else ():
            if what := self._nan.find(index):
                found[index] = what
                self.truncate(indices[[place]], {name: flags[[place]] for name, flags in acting.items()})
        return found
