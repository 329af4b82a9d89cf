"""What outlasts a single turn: spaces that stay, arrays that stay, agents that do not come back."""

from collections import deque
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from gymnasium.spaces import Space

from heron.testing.env.env_step import Subject, Turn
from heron.testing.findings import Finding, Where
from heron.testing.sameness import difference, frozen

_KEPT_TURNS: Final = 2
"""So many turns back what was handed out is looked at again; with two, buffers used in turn are found too."""


class SpaceWatch:
    """Whether an environment gives the same spaces all the time.

    Args:
        subject: The environment, before its first reset.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._possible = list(subject.possible_agents)
        self._given = {agent: self._ask(agent) for agent in self._possible}
        self._copies = deepcopy(self._given)

    def look(self, turn: Turn) -> Iterator[Finding]:
        """Compare what the environment says now with what it said at first."""
        if list(self._subject.possible_agents) != self._possible:
            got = f"{self._possible} have become {list(self._subject.possible_agents)}"
            yield Finding("spaces", "possible_agents changes", got, fix="list all ids once and for all")
        for agent in turn.after:
            if agent in self._given:
                yield from self._look_at(agent, turn)

    def _look_at(self, agent: Any, turn: Turn) -> Iterator[Finding]:
        where = Where(agent=str(agent))
        for kind, given, first, now in zip(
            ("observation_space", "action_space"),
            self._given[agent],
            self._copies[agent],
            self._ask(agent),
            strict=True,
        ):
            is_new = now is not given
            # Comparing is slow for images, so unless there is a new object it is done at the reset alone.
            if (is_new or turn.step == 0) and now != first:
                detail = f"{first!r:.80} has become {now!r:.80}"
                fix = "declare one space that holds all that may come"
                yield Finding("spaces", f"the {kind} changes", detail, where, fix)
            elif is_new:
                fix = "keep the space and return the same object, so that it can be seeded"
                yield Finding("spaces", f"{kind} gives a new object at each call", "", where, fix)

    def _ask(self, agent: Any) -> tuple[Space[Any], Space[Any]]:
        return self._subject.observation_space(agent), self._subject.action_space(agent)


class ArrayWatch:
    """Whether what was handed out, or handed in, stays as it was."""

    def __init__(self) -> None:
        self._turns: deque[tuple[int, dict[Any, Any], Any]] = deque(maxlen=_KEPT_TURNS)
        self._actions: tuple[Any, Any] = ({}, {})

    def give(self, actions: Any) -> None:
        """Note the actions that go into the next step."""
        self._actions = actions, frozen(actions)

    def look(self, turn: Turn) -> Iterator[Finding]:
        """Look again at what earlier turns handed out, and at what this one was given."""
        for step, handed_out, before in self._turns:
            for agent, observation in handed_out.items():
                if how := difference(before[agent], frozen(observation)):
                    detail = f"that of step {step} changed later: {how}"
                    fix = "return a copy"
                    yield Finding(
                        "arrays", "an observation handed out before is changed", detail, Where(agent=str(agent)), fix
                    )
        if how := difference(self._actions[1], frozen(self._actions[0])):
            yield Finding("arrays", "step changes the actions it is given", how, fix="work on a copy")
        kept = dict(turn.observations)
        self._turns.append((turn.step, kept, frozen(kept)))


class LifeWatch:
    """Whether agents that have ended stay away until the next reset."""

    def __init__(self) -> None:
        self._ended: set[Any] = set()

    def look(self, turn: Turn) -> Iterator[Finding]:
        """Look who is there."""
        if turn.step == 0:
            self._ended.clear()
        for agent in turn.after:
            if agent in self._ended and agent not in turn.before:
                where = Where(agent=str(agent))
                fix = "PettingZoo lets no agent come back: keep it, or give the newcomer an id of its own"
                yield Finding("agents", "an agent comes back after its end", "", where, fix)
        self._ended |= {agent for agent in turn.before if agent not in turn.after}
