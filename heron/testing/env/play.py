"""Playing whole episodes: with eyes open, or to be compared."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from heron.testing.env.env_step import ActionSource, BadReturnError, Subject, Turn
from heron.testing.env.rules import RULES
from heron.testing.env.watch import ArrayWatch, LifeWatch, SpaceWatch
from heron.testing.findings import Finding, Findings, Where
from heron.testing.sameness import frozen

Trace = list[dict[str, Any]]
"""What one episode said, turn after turn, as copies."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is played.

    Attributes:
        episodes: Whole episodes that every rule looks at.
        max_steps: Longest episode; one that goes on is broken off there.
        seed: Of the first episode; the following ones count on.
    """

    episodes: int = 3
    max_steps: int = 500
    seed: int = 0


def play(
    subject: Subject,
    seed: int | None,
    action_seed: int,
    max_steps: int,
    before_step: Callable[[dict[Any, Any]], None] | None = None,
) -> Iterator[Turn]:
    """The turns of one episode under random actions.

    Args:
        subject: The environment.
        seed: For the reset; None lets the environment's own stream go on.
        action_seed: For the actions.
        max_steps: Where to break off.
        before_step: Called with the actions that the next step gets.
    """
    source = ActionSource(action_seed)
    turn = subject.reset(seed)
    while True:
        try:
            # Chosen before anybody else has the turn: who gets it may change its arrays, and the masks in them.
            actions = {agent: _action(subject, agent, turn, source) for agent in subject.agents}
        except BadReturnError:
            yield turn  # which may show why
            raise
        yield turn
        if not actions or turn.step >= max_steps:
            return
        if before_step is not None:
            before_step(actions)
        turn = subject.step(actions)


def _action(subject: Subject, agent: Any, turn: Turn, source: ActionSource) -> Any:
    try:
        space = subject.action_space(agent)
        return source.sample(agent, space, turn.observations.get(agent), turn.infos.get(agent))
    except Exception as error:
        detail = f"{agent!r}: {type(error).__name__}: {error}"
        raise BadReturnError("no action can be drawn for an agent that is there", detail) from error


def trace(subject: Subject, seed: int | None, action_seed: int, max_steps: int) -> Trace:
    """Play one episode and keep copies of everything that it said."""
    return [record(turn) for turn in play(subject, seed, action_seed, max_steps)]


def record(turn: Turn) -> dict[str, Any]:
    """Copies of all that one turn said."""
    return {
        "agents": list(turn.after),
        "observations": frozen(turn.observations),
        "rewards": frozen(turn.rewards),
        "terminations": frozen(turn.terminations),
        "truncations": frozen(turn.truncations),
        "infos": frozen(turn.infos),
    }


class Watcher:
    """Plays episodes of one environment and looks at every turn.

    Args:
        subject: The environment.
        max_steps: Longest episode.
        findings: Where to put what is found.
    """

    def __init__(self, subject: Subject, max_steps: int, findings: Findings) -> None:
        self.subject = subject
        self.ends = 0
        self._max_steps = max_steps
        self._findings = findings
        self._spaces = SpaceWatch(subject)
        self._arrays = ArrayWatch()
        self._lives = LifeWatch()

    def watch(self, seed: int) -> None:
        """Play one episode; whatever it raises or returns becomes a finding."""
        step = 0
        where = Where(seed=seed)
        try:
            for turn in play(self.subject, seed, seed, self._max_steps, self._arrays.give):
                step = turn.step + 1
                for finding in self._look(turn):
                    self._findings.add(
                        replace(finding, where=replace(where, agent=finding.where.agent, step=turn.step))
                    )
        except BadReturnError as error:
            self._findings.add(Finding("returns", error.problem, error.detail, replace(where, step=step)))
        except Exception as error:  # noqa: BLE001 - whatever a user's environment raises is what was found
            self._findings.add(raised(error, replace(where, step=step)))
        else:
            self.ends += not self.subject.agents

    def _look(self, turn: Turn) -> Iterator[Finding]:
        for rule in RULES:
            yield from rule(self.subject, turn)
        for watch in (self._spaces, self._arrays, self._lives):
            yield from watch.look(turn)


def raised(error: Exception, where: Where) -> Finding:
    """The finding that an environment raised."""
    call = "step" if where.step else "reset"
    detail = f"{type(error).__name__}: {error}"
    fix = f"let {call} take any action of the action space" if where.step else "let reset take seed and options"
    return Finding("returns", f"{call} raised", detail, where, fix)
