"""Rules for a single step of an environment. Each rule examines one part of the step and yields all problems."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import numpy as np

from heron.batch.space_fit import misfit, wrong_dtypes
from heron.testing.env.step_record import StepRecord, Subject
from heron.testing.findings import Finding, Where

Rule: TypeAlias = Callable[[Subject, StepRecord], Iterator[Finding]]

_FLAG_TYPES: Final = (bool, np.bool_)
_NUMBER_TYPES: Final = (int, float, np.integer, np.floating)


def observation_findings(subject: Subject, step: StepRecord) -> Iterator[Finding]:
    """Yield observations that are missing or outside their space, including an agent's last one."""
    for agent in _expected(subject, step):
        if agent not in step.observations:
            yield _about(
                agent,
                "observations",
                "an agent has no observation",
                f"only {list(step.observations)} have one",
                "return one for each agent that acted or is in agents",
            )
    for agent, observation in step.observations.items():
        if agent not in subject.possible_agents:
            continue
        space = subject.observation_space(agent)
        if why := misfit(space, observation):
            fix = "find out where it becomes NaN" if " is nan" in why else "widen the space, or clip and cast"
            yield _about(agent, "observations", "an observation is outside its space", why, fix)
        elif why := next(wrong_dtypes(space, observation), None):
            problem = "an observation has a different dtype than its space"
            fix = "cast it, because buffers store it in the dtype of the space"
            yield _about(agent, "observations", problem, why, fix, is_error=False)


def reward_findings(subject: Subject, step: StepRecord) -> Iterator[Finding]:
    """Yield rewards that are missing or not finite numbers."""
    if step.step == 0:
        return
    if subject.every_agent_each_step:
        yield from _missing(step, "rewards", step.rewards, step.actions)
    for agent, reward in step.rewards.items():
        if isinstance(reward, bool) or not isinstance(reward, _NUMBER_TYPES):
            kind = f"{type(reward).__name__} {reward!r:.60}"
            yield _about(agent, "rewards", "a reward is not a number", f"got {kind}", "return float(reward)")
        elif not np.isfinite(reward):
            yield _about(agent, "rewards", "a reward is not finite", f"got {reward}", "look for a division by zero")


def flag_findings(subject: Subject, step: StepRecord) -> Iterator[Finding]:
    """Yield terminations and truncations that are missing, not bools, or contradict the list of agents."""
    if step.step == 0:
        return
    for name, flags in (("terminations", step.terminations), ("truncations", step.truncations)):
        if subject.every_agent_each_step:
            yield from _missing(step, "flags", flags, step.actions, name)
        for agent, flag in flags.items():
            if not isinstance(flag, _FLAG_TYPES):
                got = f"{name} has {type(flag).__name__} {flag!r:.40}"
                yield _about(agent, "flags", "a flag is not a bool", got, "return bool(flag)")
    if subject.every_agent_each_step:
        yield from _flags_against_agents(step)


def _flags_against_agents(step: StepRecord) -> Iterator[Finding]:
    for agent in step.actions:
        present = agent in step.after
        if present and step.ended(agent):
            fix = "remove it from agents in the step in which its flag is true"
            yield _about(agent, "flags", "an agent has ended, but is still in agents", "", fix)
        if not present and not step.ended(agent):
            fix = "set its termination or truncation in its last step"
            yield _about(agent, "flags", "an agent left without being terminated or truncated", "", fix)


def agent_findings(subject: Subject, step: StepRecord) -> Iterator[Finding]:
    """Yield entries of ``agents`` that are duplicate, not strings, or not in ``possible_agents``."""
    if odd := [agent for agent in step.after if not isinstance(agent, str)]:
        yield _about(None, "agents", "an agent id is not a string", f"got {odd}", "use strings as ids")
    if unknown := [agent for agent in step.after if agent not in subject.possible_agents]:
        fix = "list every id that may ever appear in possible_agents"
        yield _about(None, "agents", "an agent is not in possible_agents", f"got {unknown}", fix)
    if len(set(step.after)) != len(step.after):
        yield _about(None, "agents", "agents contains duplicate ids", f"got {list(step.after)}", "list each agent once")
    if step.step == 0 and not step.after:
        yield _about(None, "agents", "an episode begins without agents", "", "fill agents in reset")


def info_findings(subject: Subject, step: StepRecord) -> Iterator[Finding]:
    """Yield infos that are missing or not dicts."""
    if subject.every_agent_each_step:
        yield from _missing(step, "infos", step.infos, _expected(subject, step))
    for agent, info in step.infos.items():
        if agent in subject.possible_agents and not isinstance(info, Mapping):
            yield _about(agent, "infos", "an info is not a dict", f"got {info!r:.80}", "return {} if it is empty")


RULES: Final[tuple[Rule, ...]] = (observation_findings, reward_findings, flag_findings, agent_findings, info_findings)


def _expected(subject: Subject, step: StepRecord) -> list[Any]:
    """Return the agents that a step must have results for: those that acted and those in ``agents`` now."""
    if not subject.every_agent_each_step:
        return list(step.observations)
    return list(dict.fromkeys((*step.actions, *step.after)))


def _missing(step: StepRecord, check: str, given: Any, agents: Any, name: str | None = None) -> Iterator[Finding]:
    for agent in agents:
        if agent not in given:
            yield _about(
                agent,
                check,
                f"an agent is missing in {name or check}",
                f"only {list(given)} are present, but it {'acted' if agent in step.actions else 'is in agents'}",
                "return a value for each agent that acted, also in the step in which it ends",
            )


def _about(agent: Any, check: str, problem: str, detail: str, fix: str, *, is_error: bool = True) -> Finding:
    where = Where(agent=None if agent is None else str(agent))
    return Finding(check, problem, detail, where, fix, is_error=is_error)
