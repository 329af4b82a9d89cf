"""The tree of agents: commands, periods and command spaces."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from heron.agents.agent import check_agent_id
from heron.errors import HierarchyError, InvalidMessageError, checked_count
from heron.messaging import ChannelManager

FIELD_LEVEL = "field"
COORDINATOR_LEVEL = "coordinator"


class Hierarchy:
    """A tree of agents: coordinators above, field agents as its leaves.

    Several roots are several teams. A field agent without an upstream is a root without subordinates:
    ``{"coordinator": ["agent_0", "agent_1"], "agent_2": []}``.

    Args:
        subordinates: Agent id -> ids of its subordinates, in the order in which its actions list them.
        period: Environment steps between two decisions of a coordinator, one number for all or by coordinator id.
        command_space: The space of commands, one for all, or by id of the subordinate or else of its upstream: a
            ``Box`` of one dimension with a floating dtype, or a ``Discrete``. A hierarchy that drives a vector env
            needs a space for every subordinate.

    Attributes:
        subordinates: Coordinator id -> ids of its subordinates.
        upstream: Subordinate id -> id of its upstream.
        roots: Ids of the agents without an upstream.
        levels: Level name -> agent ids, from the top down: ``"coordinator"`` (or ``"coordinator_1"``,
            ``"coordinator_2"`` ... if there are several levels of them) and ``"field"``.

    Raises:
        HierarchyError: If an agent has two upstreams or is a duplicate, if there is a cycle, or if an id,
            period or command space is invalid.

    >>> Hierarchy({"system": ["area_1", "area_2"], "area_1": ["a", "b"], "area_2": ["c"]}).levels["field"]
    ('a', 'b', 'c')
    """

    def __init__(
        self,
        subordinates: Mapping[str, Sequence[str]],
        *,
        period: int | Mapping[str, int] = 1,
        command_space: Space[Any] | Mapping[str, Space[Any]] | None = None,
    ) -> None:
        children = _checked_children(subordinates)
        self.upstream: Mapping[str, str] = MappingProxyType(_upstreams(children))
        self.subordinates: Mapping[str, tuple[str, ...]] = MappingProxyType(
            {agent: below for agent, below in children.items() if below}
        )
        self.roots = tuple(agent for agent in children if agent not in self.upstream)
        self.levels: Mapping[str, tuple[str, ...]] = MappingProxyType(self._find_levels(children))
        self._periods = self._checked_periods(period)
        self._command_spaces = self._checked_command_spaces(command_space)

    @classmethod
    def star(
        cls,
        field_ids: Iterable[str],
        coordinator_id: str = "coordinator",
        *,
        period: int = 1,
        command_space: Space[Any] | None = None,
    ) -> Self:
        """Return a hierarchy of one coordinator above all field agents.

        >>> Hierarchy.star(["agent_0", "agent_1"]).edges
        (('coordinator', 'agent_0'), ('coordinator', 'agent_1'))
        """
        return cls({coordinator_id: list(field_ids)}, period=period, command_space=command_space)

    @property
    def coordinators(self) -> tuple[str, ...]:
        """All agents with subordinates, from the top down."""
        return tuple(agent for agent in self.agents if agent in self.subordinates)

    @property
    def field_agents(self) -> tuple[str, ...]:
        """All agents that act on the environment."""
        return self.levels[FIELD_LEVEL]

    @property
    def agents(self) -> tuple[str, ...]:
        """All agents, from the top down."""
        return tuple(agent for level in self.levels.values() for agent in level)

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """All pairs (upstream, subordinate), from the top down."""
        return tuple((agent, child) for agent in self.coordinators for child in self.subordinates[agent])

    def period(self, agent_id: str) -> int:
        """Return the environment steps between two decisions of the agent; 1 for a field agent.

        Raises:
            HierarchyError: If the hierarchy has no agent of this id.
        """
        self._check_known(agent_id)
        return self._periods.get(agent_id, 1)

    def command_space(self, agent_id: str) -> Space[Any] | None:
        """Return the space of the agent's commands, or None if it has no upstream or no space was given.

        Raises:
            HierarchyError: If the hierarchy has no agent of this id.
        """
        self._check_known(agent_id)
        return self._command_spaces.get(agent_id)

    def channels(self, env_id: str) -> tuple[str, ...]:
        """Return the names of the action and the info channel of every edge, in one environment copy."""
        return tuple(
            name
            for above, below in self.edges
            for name in (
                ChannelManager.action_channel(above, below, env_id),
                ChannelManager.info_channel(below, above, env_id),
            )
        )

    def check_matches(self, env_agents: Iterable[str]) -> None:
        """Check that the field agents are exactly the agents of an environment.

        Raises:
            HierarchyError: If a leaf is not an agent of the environment, an agent of the environment is not a leaf,
                or a coordinator has the id of one.
        """
        present = dict.fromkeys(env_agents)
        fields = dict.fromkeys(self.field_agents)
        if commanding := [agent for agent in present if agent in self.subordinates]:
            raise HierarchyError(f"{commanding} act in the environment, so they cannot be coordinators")
        if unknown := [agent for agent in fields if agent not in present]:
            raise HierarchyError(f"the environment has no agents {unknown}, only {list(present)}")
        if missing := [agent for agent in present if agent not in fields]:
            raise HierarchyError(
                f"the hierarchy lacks the environment's agents {missing}: put each under a coordinator, or "
                "add it with no subordinates, as in {'" + missing[0] + "': []}"
            )

    def __str__(self) -> str:
        return "\n".join(line for root in self.roots for line in self._draw(root, "", ""))

    def __repr__(self) -> str:
        return f"Hierarchy({dict(self.subordinates)})"

    def __getstate__(self) -> dict[str, Any]:
        # Read-only views cannot be copied or pickled.
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in vars(self).items()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self.upstream = MappingProxyType(state["upstream"])
        self.subordinates = MappingProxyType(state["subordinates"])
        self.levels = MappingProxyType(state["levels"])

    def _draw(self, agent: str, here: str, below: str) -> Iterator[str]:
        note = f"  (every {self.period(agent)} steps)" if self.period(agent) > 1 else ""
        yield f"{here}{agent}{note}"
        children = self.subordinates.get(agent, ())
        for place, child in enumerate(children, start=1):
            last = place == len(children)
            yield from self._draw(child, below + ("└── " if last else "├── "), below + ("    " if last else "│   "))

    def _check_known(self, agent_id: str) -> None:
        if agent_id not in self.upstream and agent_id not in self.roots:
            raise HierarchyError(f"the hierarchy has no agent {agent_id!r}, only {list(self.agents)}")

    def _find_levels(self, children: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        depths: list[list[str]] = []
        fields: list[str] = []
        row = list(self.roots)
        while row:
            depths.append([agent for agent in row if children.get(agent)])
            fields += [agent for agent in row if not children.get(agent)]
            row = [child for agent in row for child in children.get(agent, ())]
        reached = {agent for depth in depths for agent in depth}.union(fields)
        if cycle := [agent for agent in children if agent not in reached]:
            raise HierarchyError(f"agents {cycle} command each other in a cycle")
        above = [depth for depth in depths if depth]
        if len(above) == 1:
            return {COORDINATOR_LEVEL: tuple(above[0]), FIELD_LEVEL: tuple(fields)}
        named = {f"{COORDINATOR_LEVEL}_{place}": tuple(depth) for place, depth in enumerate(above, start=1)}
        return {**named, FIELD_LEVEL: tuple(fields)}

    def _checked_periods(self, period: int | Mapping[str, int]) -> dict[str, int]:
        if not isinstance(period, Mapping):
            period = dict.fromkeys(self.subordinates, period)
        if unknown := [agent for agent in period if agent not in self.subordinates]:
            raise HierarchyError(f"period is given for {unknown}, which are not coordinators")
        periods = {
            agent: checked_count(f"period of {agent!r}", steps, kind=HierarchyError) for agent, steps in period.items()
        }
        return {agent: periods.get(agent, 1) for agent in self.subordinates}

    def _checked_command_spaces(self, given: Space[Any] | Mapping[str, Space[Any]] | None) -> dict[str, Space[Any]]:
        if given is None:
            return {}
        if isinstance(given, Space) or not isinstance(given, Mapping):  # a Dict space is a Mapping, too
            given = dict.fromkeys(self.upstream, given)
        if unknown := [agent for agent in given if agent not in self.upstream and agent not in self.roots]:
            raise HierarchyError(f"command_space is given for {unknown}, which are not in the hierarchy")
        spaces = {}
        for agent, above in self.upstream.items():
            space = given.get(agent, given.get(above))
            if space is None:
                raise HierarchyError(f"command_space is given for some agents but not for {agent!r}")
            spaces[agent] = _checked_command_space(agent, space)
        return spaces


def _checked_children(given: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, Mapping) or not given:
        raise HierarchyError(f"expected a mapping of agent ids to lists of subordinates, got {given!r}")
    children = {}
    for agent, below in given.items():
        if isinstance(below, str) or not isinstance(below, Iterable):
            raise HierarchyError(f"subordinates of {agent!r} must be a list of ids, got {below!r}")
        try:
            children[check_agent_id(agent)] = tuple(map(check_agent_id, below))
        except InvalidMessageError as error:
            raise HierarchyError(str(error)) from error
    return children


def _upstreams(children: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    upstream: dict[str, str] = {}
    for agent, below in children.items():
        for child in below:
            if child in upstream:
                raise HierarchyError(
                    f"agent {child!r} has two upstreams, {upstream[child]!r} and {agent!r}: expected one"
                )
            upstream[child] = agent
    return upstream


def _checked_command_space(agent: str, space: Space[Any]) -> Space[Any]:
    flat_box = isinstance(space, Box) and len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating)
    if not flat_box and not isinstance(space, Discrete):
        raise HierarchyError(
            f"command_space of {agent!r} must be a Box of one dimension with a floating dtype, "
            f"or a Discrete, got {space!r}"
        )
    return space
