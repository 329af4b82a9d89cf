"""Edges between groups of agents: who commands whom, and the place of each edge in the groups' arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box

from heron.agents import Hierarchy
from heron.batch.array_tree import flat_size
from heron.batch.batch_env import BoolArray
from heron.vector.vec_group import INFO_EXTRAS, VecGroup

Places = npt.NDArray[np.intp]


class Edges:
    """All edges from one group to another in one copy. E is their number.

    Args:
        above: The commanding group.
        below: The group of the subordinates.
        hierarchy: The tree of both.
        info_sizes: Agent id -> number of values of its flat own observation, of all agents.

    Attributes:
        pairs: Coordinator id and subordinate id of each edge; the edges of one coordinator are adjacent.
        parents: ``(E,) int``, the place of each edge's coordinator in its group.
        children: ``(E,) int``, the place of each edge's subordinate in its group.
        families: Reductions over the subordinates of each coordinator.
        covers_below: True if the edges lead to all agents of ``below``, in their order.
        info_size: Number of values of a subordinate's flat own observation.
        command_parts: The part of each command in the coordinators' actions.
        info_parts: The part of each info in the coordinators' own observations.
    """

    def __init__(self, above: VecGroup, below: VecGroup, hierarchy: Hierarchy, info_sizes: Mapping[str, int]) -> None:
        self.above = above
        self.below = below
        place_above = {agent: place for place, agent in enumerate(above.agent_ids)}
        place_below = {agent: place for place, agent in enumerate(below.agent_ids)}
        self.pairs = [
            (parent, child)
            for parent in above.agent_ids
            for child in hierarchy.subordinates[parent]
            if child in place_below
        ]
        self.parents = np.array([place_above[parent] for parent, _ in self.pairs])
        self.children = np.array([place_below[child] for _, child in self.pairs])
        self.families = Families(self.parents, self.children)
        self.covers_below = np.array_equal(self.children, np.arange(below.num_agents))
        self.info_size = info_sizes[below.agent_ids[0]]
        command_widths = {child: _command_width(hierarchy, child) for child in hierarchy.upstream}
        info_widths = {agent: size + INFO_EXTRAS for agent, size in info_sizes.items()}
        self.command_parts = self._parts(hierarchy, command_widths)
        self.info_parts = self._parts(hierarchy, info_widths)

    def _parts(self, hierarchy: Hierarchy, widths: Mapping[str, int]) -> "Parts":
        """Return the part of each edge in rows that hold one part per subordinate, in the hierarchy's order."""
        starts, row_width = {}, 0
        for parent in dict.fromkeys(parent for parent, _ in self.pairs):
            row_width = 0
            for child in hierarchy.subordinates[parent]:
                starts[child] = row_width
                row_width += widths[child]
        width = widths[self.pairs[0][1]]
        columns = np.array([starts[child] + np.arange(width) for _, child in self.pairs])
        return Parts(self.parents, columns, (self.above.num_agents, row_width))


class Families:
    """Subordinates of one group by coordinator, for reductions over those of each coordinator.

    Args:
        parents: ``(E,) int``, the place of each edge's coordinator; edges of one coordinator are adjacent.
        children: ``(E,) int``, the place of each edge's subordinate.

    Attributes:
        parents: ``(P,) int``, the distinct coordinators, or a slice where they are the first P.
    """

    def __init__(self, parents: Places, children: Places) -> None:
        places, self._starts = np.unique(parents, return_index=True)
        self.parents = _as_slice(places)
        self._children = _as_slice(children)

    def sums(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the ``(N, P)`` sums of the subordinates' ``(N, M)`` values."""
        sums: npt.NDArray[np.float64] = np.add.reduceat(values[:, self._children], self._starts, axis=1)
        return sums

    def any_of(self, flags: BoolArray) -> BoolArray:
        """Reduce the subordinates' ``(N, M)`` flags to ``(N, P)``, true where any of a coordinator's is true."""
        return self.any_edge(flags[:, self._children])

    def any_edge(self, flags: BoolArray) -> BoolArray:
        """Reduce the edges' ``(N, E)`` flags to ``(N, P)``, true where any of a coordinator's is true."""
        found: BoolArray = np.logical_or.reduceat(flags, self._starts, axis=1)
        return found


class Parts:
    """The part of each edge in the rows of the coordinators, such as its command in the joint action.

    Args:
        parents: ``(E,) int``, the row of each edge.
        columns: ``(E, width) int``, the columns of each edge.
        shape: Number and width of the rows.
    """

    def __init__(self, parents: Places, columns: Places, shape: tuple[int, int]) -> None:
        self._index = (slice(None), parents[:, None], columns)
        self._shape = columns.shape
        # Parts that follow one another without a gap are all of the rows, in another shape.
        self._fill_rows = np.array_equal(
            (parents[:, None] * shape[1] + columns).ravel(), np.arange(shape[0] * shape[1])
        )

    def read(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the ``(N, E, width)`` parts of ``(N, num_rows, row_width)`` rows."""
        return rows.reshape(-1, *self._shape) if self._fill_rows else rows[self._index]

    def write(self, rows: npt.NDArray[Any], parts: npt.NDArray[Any]) -> None:
        """Set the ``(N, E, width)`` parts of contiguous ``(N, num_rows, row_width)`` rows."""
        if self._fill_rows:
            rows.reshape(parts.shape)[...] = parts
        else:
            rows[self._index] = parts


def find_edges(groups: Mapping[str, VecGroup], hierarchy: Hierarchy) -> list[Edges]:
    """Return the edges between each two groups that have any, from the top of the hierarchy down."""
    if not hierarchy.edges:
        return []
    sizes = {agent: flat_size(group.own_space) for group in groups.values() for agent in group.agent_ids}
    return [
        Edges(above, below, hierarchy, sizes)
        for above in groups.values()
        for below in groups.values()
        if not {hierarchy.upstream.get(agent) for agent in below.agent_ids}.isdisjoint(above.agent_ids)
    ]


def _as_slice(places: Places) -> Places | slice:
    """Return places 0, 1, 2 ... as a slice, since that gives views instead of copies."""
    return slice(0, len(places)) if np.array_equal(places, np.arange(len(places))) else places


def _command_width(hierarchy: Hierarchy, agent: str) -> int:
    """Return the number of entries of a command in its coordinator's action: a choice is one."""
    space = hierarchy.command_space(agent)
    return space.shape[0] if isinstance(space, Box) else 1
