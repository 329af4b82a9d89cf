"""What must hold of every single turn. Each rule looks at one thing and says all that is wrong with it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import numpy as np

from heron.batch.space_fit import misfit, wrong_dtypes
from heron.testing.env.env_step import Subject, Turn
from heron.testing.findings import Finding, Where

Rule: TypeAlias = Callable[[Subject, Turn], Iterator[Finding]]

_FLAG_TYPES: Final = (bool, np.bool_)
_NUMBER_TYPES: Final = (int, float, np.integer, np.floating)


def check_observations(subject: Subject, turn: Turn) -> Iterator[Finding]:
    """Every observation lies in its space, at every step, the last one of an agent included."""
    for agent in _owed(subject, turn):
        if agent not in turn.observations:
            yield _about(
                agent,
                "observations",
                "an agent has no observation",
                f"only {list(turn.observations)} have one",
                "return one for each agent that acted or is there now",
            )
    for agent, observation in turn.observations.items():
        if agent not in subject.possible_agents:
            continue
        space = subject.observation_space(agent)
        if why := misfit(space, observation):
            mend = "find out where it becomes NaN" if " is nan" in why else "widen the space, or clip and cast"
            yield _about(agent, "observations", "an observation is outside its space", why, mend)
        elif why := next(wrong_dtypes(space, observation), None):
            yield _about(
                agent,
                "observations",
                "an observation is of another type than its space",
                why,
                "cast it, since whoever stores it will",
                is_error=False,
            )


def check_rewards(subject: Subject, turn: Turn) -> Iterator[Finding]:
    """Every agent that acted gets a finite number."""
    if turn.step == 0:
        return
    if subject.every_agent_each_turn:
        yield from _missing(turn, "rewards", turn.rewards, turn.actions)
    for agent, reward in turn.rewards.items():
        if isinstance(reward, bool) or not isinstance(reward, _NUMBER_TYPES):
            kind = f"{type(reward).__name__} {reward!r:.60}"
            yield _about(agent, "rewards", "a reward is no number", f"got {kind}", "return float(reward)")
        elif not np.isfinite(reward):
            yield _about(agent, "rewards", "a reward is not finite", f"got {reward}", "look for a division by zero")


def check_flags(subject: Subject, turn: Turn) -> Iterator[Finding]:
    """Terminations and truncations are bools, and agree with the list of agents."""
    if turn.step == 0:
        return
    for name, flags in (("terminations", turn.terminations), ("truncations", turn.truncations)):
        if subject.every_agent_each_turn:
            yield from _missing(turn, "flags", flags, turn.actions, name)
        for agent, flag in flags.items():
            if not isinstance(flag, _FLAG_TYPES):
                got = f"{name} has {type(flag).__name__} {flag!r:.40}"
                yield _about(agent, "flags", "a flag is no bool", got, "return bool(flag)")
    if subject.every_agent_each_turn:
        yield from _flags_against_agents(turn)


def _flags_against_agents(turn: Turn) -> Iterator[Finding]:
    for agent in turn.actions:
        there = agent in turn.after
        if there and turn.ended(agent):
            fix = "take it out of agents in the step in which its flag is true"
            yield _about(agent, "flags", "an agent has ended, but is still in agents", "", fix)
        if not there and not turn.ended(agent):
            fix = "set its termination or truncation in its last step"
            yield _about(agent, "flags", "an agent left without being terminated or truncated", "", fix)


def check_agents(subject: Subject, turn: Turn) -> Iterator[Finding]:
    """The list of agents holds ids out of ``possible_agents``, each once."""
    if odd := [agent for agent in turn.after if not isinstance(agent, str)]:
        yield _about(None, "agents", "an agent id is no string", f"got {odd}", "name the agents")
    if unknown := [agent for agent in turn.after if agent not in subject.possible_agents]:
        fix = "list in possible_agents every id that may ever appear"
        yield _about(None, "agents", "an agent is not in possible_agents", f"got {unknown}", fix)
    if len(set(turn.after)) != len(turn.after):
        yield _about(None, "agents", "an agent stands twice in agents", f"got {list(turn.after)}", "")
    if turn.step == 0 and not turn.after:
        yield _about(None, "agents", "an episode begins without agents", "", "fill agents in reset")


def check_infos(subject: Subject, turn: Turn) -> Iterator[Finding]:
    """Every agent's info is a dict."""
    if subject.every_agent_each_turn:
        yield from _missing(turn, "infos", turn.infos, _owed(subject, turn))
    for agent, info in turn.infos.items():
        if agent in subject.possible_agents and not isinstance(info, Mapping):
            yield _about(agent, "infos", "an info is no dict", f"got {info!r:.80}", "return {} where there is nothing")


RULES: Final[tuple[Rule, ...]] = (check_observations, check_rewards, check_flags, check_agents, check_infos)


def _owed(subject: Subject, turn: Turn) -> list[Any]:
    """The agents of whom a turn must say something: those that acted, and those that are there now."""
    if not subject.every_agent_each_turn:
        return list(turn.observations)
    return list(dict.fromkeys((*turn.actions, *turn.after)))


def _missing(turn: Turn, check: str, told: Any, agents: Any, name: str | None = None) -> Iterator[Finding]:
    for agent in agents:
        if agent not in told:
            yield _about(
                agent,
                check,
                f"an agent is missing in {name or check}",
                f"only {list(told)} are there, though it {'acted' if agent in turn.actions else 'is in agents'}",
                "say something of each agent that acted, also when it ends",
            )


def _about(agent: Any, check: str, problem: str, detail: str, fix: str, *, is_error: bool = True) -> Finding:
    where = Where(agent=None if agent is None else str(agent))
    return Finding(check, problem, detail, where, fix, is_error=is_error)
