"""All checks of one environment, over whole random episodes."""

from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from typing import Any, Final, TypeAlias

from heron.testing.env.episodes import Examiner, Limits, raised
from heron.testing.env.library_check import remarked_warnings, run_library_check
from heron.testing.env.seed_check import SeedCheck
from heron.testing.env.subjects import subject_of
from heron.testing.findings import Check, Finding, Findings, Where
from heron.testing.section import Section, promises_of

MakeEnv: TypeAlias = Callable[[], Any]
"""Makes a new PettingZoo ``ParallelEnv`` or ``AECEnv``, or a new Gymnasium ``Env``."""

_DEFAULT_LIMITS: Final = Limits()


def env_section(make: MakeEnv, limits: Limits) -> Section:
    """Return the checks of an environment of any kind.

    Args:
        make: Makes a new environment at each call.
        limits: Number and length of the episodes.

    Raises:
        EnvCreationError: If it makes something else.
    """
    subject_of(make()).close()
    findings = Findings()
    episodes = _examine_episodes(make, limits, findings)
    jobs: tuple[Callable[[], object], ...] = (
        partial(run_library_check, make, findings),
        *(partial(next, episodes) for _ in range(limits.episodes)),
        episodes.close,
        partial(_compare_seeds, make, limits, findings),
    )
    return Section("the environment", promises_of(ENV_CHECKS), jobs, findings)


def inspect_env(make: MakeEnv, limits: Limits | None = None) -> Findings:
    """Return all findings about an environment of any kind, including remarks.

    Args:
        make: Makes a new environment at each call: a PettingZoo ``ParallelEnv`` or ``AECEnv``, or a Gymnasium ``Env``.
        limits: Number and length of the episodes.

    Raises:
        EnvCreationError: If it makes something else.
    """
    return env_section(make, limits or _DEFAULT_LIMITS).run()


def _examine_episodes(make: MakeEnv, limits: Limits, findings: Findings) -> Generator[None]:
    """Play all episodes on one environment, one at each ``next``."""
    with closing(subject_of(make())) as subject:
        examiner = Examiner(subject, limits.max_steps, findings)
        for episode in range(limits.episodes):
            with remarked_warnings("warnings", findings):
                examiner.examine(limits.seed + episode)
            if episode + 1 == limits.episodes and not examiner.ends and not findings.of("returns"):
                detail = f"none of {limits.episodes} had ended after {limits.max_steps} steps"
                fix = "allow more steps"
                findings.add(Finding("ending", "no episode ends", detail, fix=fix, is_error=False))
            yield


def _compare_seeds(make: MakeEnv, limits: Limits, findings: Findings) -> None:
    if findings.of("returns"):
        return  # it cannot play an episode
    try:
        with remarked_warnings("warnings", Findings()):  # the same warnings as in the examined episodes
            SeedCheck(make, limits, findings).run()
    except Exception as error:  # noqa: BLE001 - an error of the user's environment is a finding
        findings.add(raised(error, Where(seed=limits.seed)))


def _env_check(name: str, promise: str) -> Check[MakeEnv, Limits]:
    def check(make: MakeEnv, limits: Limits = _DEFAULT_LIMITS, /) -> None:
        broken = [finding for finding in inspect_env(make, limits).of(name) if finding.is_error]
        assert not broken, "\n".join(map(str, broken))

    check.__name__ = check.__qualname__ = f"check_{name}"
    check.__doc__ = promise
    return check


_PROMISES: Final = {
    "returns": "reset and step raise no errors and return what their API says",
    "agents": "agents are strings from possible_agents, and do not come back after their end",
    "spaces": "spaces and possible_agents never change, and are the same objects at each call",
    "observations": "every observation of every step is in its space",
    "rewards": "every agent that acts gets a finite number",
    "flags": "terminations and truncations are bools, and agree with the list of agents",
    "infos": "every agent has an info dict",
    "arrays": "returned and given arrays are not changed later, and may be written to",
    "ending": "episodes end",
    "seeds": "the same seed gives the same whole episode, also after other episodes",
    "copies": "copies in one process do not disturb each other",
    "randomness": "different seeds give different episodes",
    "warnings": "no warnings are raised",
    "library": "the library's own parallel_api_test, api_test or check_env passes",
}

ENV_CHECKS: tuple[Check[MakeEnv, Limits], ...] = tuple(_env_check(*promise) for promise in _PROMISES.items())
"""All checks of an environment. Each one plays all episodes: to run them all, ``check_parallel_env`` is faster."""
