"""Whole random episodes of one environment: to examine each step, or to compare."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from heron.errors import summary
from heron.testing.action_sampler import ActionSampler
from heron.testing.comparison import frozen
from heron.testing.env.rules import RULES
from heron.testing.env.step_record import BadReturnError, StepRecord, Subject
from heron.testing.env.watchers import AgentWatcher, ArrayWatcher, SpaceWatcher
from heron.testing.findings import Finding, Findings, Where

Trajectory = list[dict[str, Any]]
"""Copies of everything that one episode returned, step by step."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Length of an examination.

    Attributes:
        episodes: Number of whole episodes that are examined.
        max_steps: Longest episode, in steps; a longer one is truncated there.
        seed: Seed of the first episode; each further one has the next seed.
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
) -> Iterator[StepRecord]:
    """Yield the steps of one episode under random actions, the reset first.

    Args:
        subject: The environment.
        seed: Seed of the reset; None continues the environment's own random stream.
        action_seed: Seed of the actions.
        max_steps: Number of steps after which to stop.
        before_step: Function to call with the actions of each step.
    """
    sampler = ActionSampler(action_seed)
    step = subject.reset(seed)
    while True:
        try:
            # Drawn before the caller gets the step, since the caller may change its arrays and the masks in them.
            actions = {agent: _action(subject, agent, step, sampler) for agent in subject.agents}
        except BadReturnError:
            yield step  # which may show why
            raise
        yield step
        if not actions or step.step >= max_steps:
            return
        if before_step is not None:
            before_step(actions)
        step = subject.step(actions)


def _action(subject: Subject, agent: Any, step: StepRecord, sampler: ActionSampler) -> Any:
    try:
        space = subject.action_space(agent)
        return sampler.sample(agent, space, step.observations.get(agent), step.infos.get(agent))
    except Exception as error:
        detail = f"{agent!r}: {summary(error)}"
        raise BadReturnError("no action can be drawn for an agent in agents", detail) from error


def trajectory(subject: Subject, seed: int | None, action_seed: int, max_steps: int) -> Trajectory:
    """Play one episode and return copies of everything that it returned."""
    return [frozen_step(step) for step in play(subject, seed, action_seed, max_steps)]


def frozen_step(step: StepRecord) -> dict[str, Any]:
    """Return copies of everything in one step."""
    parts = ("observations", "rewards", "terminations", "truncations", "infos")
    return {"agents": list(step.after), **{part: frozen(getattr(step, part)) for part in parts}}


class Examiner:
    """Player of episodes of one environment that examines every step.

    Args:
        subject: The environment.
        max_steps: Longest episode, in steps.
        findings: Collection to add findings to.

    Attributes:
        ends: Number of episodes that ended within ``max_steps``.
    """

    def __init__(self, subject: Subject, max_steps: int, findings: Findings) -> None:
        self.subject = subject
        self.ends = 0
        self._max_steps = max_steps
        self._findings = findings
        self._arrays = ArrayWatcher()
        self._watchers = (SpaceWatcher(subject), self._arrays, AgentWatcher())

    def examine(self, seed: int) -> None:
        """Play one episode; an error or a bad return value becomes a finding."""
        number = 0
        where = Where(seed=seed)
        try:
            for step in play(self.subject, seed, seed, self._max_steps, self._arrays.give):
                number = step.step + 1
                for finding in self._examine_step(step):
                    self._findings.add(
                        replace(finding, where=replace(where, agent=finding.where.agent, step=step.step))
                    )
        except BadReturnError as error:
            self._findings.add(Finding("returns", error.problem, error.detail, replace(where, step=number)))
        except Exception as error:  # noqa: BLE001 - an error of the user's environment is a finding
            self._findings.add(raised(error, replace(where, step=number)))
        else:
            self.ends += not self.subject.agents

    def _examine_step(self, step: StepRecord) -> Iterator[Finding]:
        for rule in RULES:
            yield from rule(self.subject, step)
        for watcher in self._watchers:
            yield from watcher.examine(step)


def raised(error: Exception, where: Where) -> Finding:
    """Return the finding that an environment raised an error."""
    call = "step" if where.step else "reset"
    fix = f"let {call} take any action of the action space" if where.step else "let reset take seed and options"
    return Finding("returns", f"{call} raised", summary(error), where, fix)
