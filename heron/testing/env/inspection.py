"""All that is checked of an environment."""

from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from typing import Any, Final

from heron.testing.env.play import Limits, Watcher, raised
from heron.testing.env.seeds import SeedCheck
from heron.testing.env.subjects import subject_of
from heron.testing.env.third_party import library_check_name, remarked_warnings, run_library_check
from heron.testing.findings import Finding, Findings, Where
from heron.testing.section import Section

ENV_CHECKS: Final = {
    "returns": "reset and step raise nothing, and return what their API says",
    "agents": "agents are strings out of possible_agents, and none comes back after its end",
    "spaces": "spaces and possible_agents never change, and are the same objects at each call",
    "observations": "every observation of every step is in its space",
    "rewards": "every agent that acts gets a finite number",
    "flags": "terminations and truncations are bools, and agree with the list of agents",
    "infos": "every agent has an info dict",
    "arrays": "what was handed out or in is not changed later, and may be written to",
    "ending": "episodes end",
    "seeds": "the same seed gives the same whole episode, also after others",
    "copies": "copies in one process do not disturb each other",
    "randomness": "different seeds give different episodes",
    "warnings": "nothing is warned of",
}
"""The name of every check of whole episodes, and what it checks."""


def env_section(make: Callable[[], Any], limits: Limits) -> Section:
    """What is checked of an environment of any kind.

    Args:
        make: Makes a new environment at each call: a PettingZoo ``ParallelEnv`` or ``AECEnv``, or a Gymnasium ``Env``.
        limits: How much to play.

    Raises:
        EnvCreationError: If it makes something else.
    """
    env = make()
    subject_of(env)
    library = library_check_name(env)
    env.close()
    findings = Findings()
    episodes = _watch_episodes(make, limits, findings)
    jobs: tuple[Callable[[], object], ...] = (
        partial(run_library_check, make, findings),
        *(partial(next, episodes) for _ in range(limits.episodes)),
        episodes.close,
        partial(_compare_seeds, make, limits, findings),
    )
    return Section("the environment", {**ENV_CHECKS, library: "the library's own check passes"}, jobs, findings)


def inspect_env(make: Callable[[], Any], limits: Limits | None = None) -> Findings:
    """Find out whether an environment of any kind keeps its promises.

    Args:
        make: Makes a new environment at each call: a PettingZoo ``ParallelEnv`` or ``AECEnv``, or a Gymnasium ``Env``.
        limits: How much to play.

    Returns:
        What was found, remarks included.

    Raises:
        EnvCreationError: If ``make`` makes something else.
    """
    return env_section(make, limits or Limits()).run()


def _watch_episodes(make: Callable[[], Any], limits: Limits, findings: Findings) -> Generator[None]:
    """Play all episodes on one environment; each ``next`` plays one."""
    with closing(subject_of(make())) as subject:
        watcher = Watcher(subject, limits.max_steps, findings)
        for episode in range(limits.episodes):
            with remarked_warnings("warnings", findings):
                watcher.watch(limits.seed + episode)
            if episode + 1 == limits.episodes and not watcher.ends and not findings.of("returns"):
                detail = f"none of {limits.episodes} had ended after {limits.max_steps} steps"
                fix = "raise the limit of steps"
                findings.add(Finding("ending", "no episode ends", detail, fix=fix, is_error=False))
            yield


def _compare_seeds(make: Callable[[], Any], limits: Limits, findings: Findings) -> None:
    if findings.of("returns"):
        return  # it does not get through an episode
    try:
        with remarked_warnings("warnings", Findings()):  # which have been heard before
            SeedCheck(make, limits, findings).run()
    except Exception as error:  # noqa: BLE001 - whatever a user's environment raises is what was found
        findings.add(raised(error, Where(seed=limits.seed)))
