"""Rules across steps: spaces and arrays that must not change, agents that must not come back."""

from collections import deque
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from gymnasium.spaces import Space

from heron.testing.comparison import difference, frozen
from heron.testing.env.step_record import StepRecord, Subject
from heron.testing.findings import Finding, Where

_KEPT_STEPS: Final = 2
"""Number of earlier steps whose results are examined again; two also reveal alternating buffers."""


class SpaceWatcher:
    """Watcher for spaces that change.

    Args:
        subject: The environment, before its first reset.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._possible = list(subject.possible_agents)
        self._given = {agent: self._spaces(agent) for agent in self._possible}
        self._copies = deepcopy(self._given)

    def examine(self, step: StepRecord) -> Iterator[Finding]:
        """Compare spaces and ``possible_agents`` with those before the first reset."""
        if list(self._subject.possible_agents) != self._possible:
            got = f"{self._possible} became {list(self._subject.possible_agents)}"
            yield Finding("spaces", "possible_agents changes", got, fix="list all ids from the start")
        for agent in step.after:
            if agent in self._given:
                yield from self._examine_agent(agent, step)

    def _examine_agent(self, agent: Any, step: StepRecord) -> Iterator[Finding]:
        where = Where(agent=str(agent))
        for kind, given, first, now in zip(
            ("observation_space", "action_space"),
            self._given[agent],
            self._copies[agent],
            self._spaces(agent),
            strict=True,
        ):
            is_new = now is not given
            # Comparing spaces of images is slow, so the same object is compared at resets only.
            if (is_new or step.step == 0) and now != first:
                detail = f"{first!r:.80} became {now!r:.80}"
                fix = "declare one space that holds all possible values"
                yield Finding("spaces", f"the {kind} changes", detail, where, fix)
            elif is_new:
                fix = "keep the space and return the same object, so that it can be seeded"
                yield Finding("spaces", f"{kind} returns a new object at each call", "", where, fix)

    def _spaces(self, agent: Any) -> tuple[Space[Any], Space[Any]]:
        return self._subject.observation_space(agent), self._subject.action_space(agent)


class ArrayWatcher:
    """Watcher for returned observations and given actions that are changed later."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, dict[Any, Any], Any]] = deque(maxlen=_KEPT_STEPS)
        self._actions: tuple[Any, Any] = ({}, {})

    def give(self, actions: Any) -> None:
        """Keep the actions of the next step."""
        self._actions = actions, frozen(actions)

    def examine(self, step: StepRecord) -> Iterator[Finding]:
        """Compare earlier observations and the actions of this step with their copies."""
        for number, returned, before in self._kept:
            for agent, observation in returned.items():
                if how := difference(before[agent], frozen(observation)):
                    problem, detail = "a returned observation is changed later", f"that of step {number} changed: {how}"
                    yield Finding("arrays", problem, detail, Where(agent=str(agent)), "return a copy")
        if how := difference(self._actions[1], frozen(self._actions[0])):
            yield Finding("arrays", "step changes the actions it is given", how, fix="work on a copy")
        kept = dict(step.observations)
        self._kept.append((step.step, kept, frozen(kept)))


class AgentWatcher:
    """Watcher for agents that come back in the same episode after their end."""

    def __init__(self) -> None:
        self._ended: set[Any] = set()

    def examine(self, step: StepRecord) -> Iterator[Finding]:
        """Compare the agents of this step with those that have ended."""
        if step.step == 0:
            self._ended.clear()
        for agent in step.after:
            if agent in self._ended and agent not in step.before:
                where = Where(agent=str(agent))
                fix = "keep the agent, or give the new one an id of its own, since PettingZoo lets no agent come back"
                yield Finding("agents", "an agent comes back after its end", "", where, fix)
        self._ended |= {agent for agent in step.before if agent not in step.after}
