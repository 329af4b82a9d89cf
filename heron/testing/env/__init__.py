"""Checks of an environment over whole random episodes.

PettingZoo's own tests compare a single step under one seed, and do not test whether the observations of a
``ParallelEnv`` are in their space. These checks examine every step, play the episodes again to compare them, and report
all findings::

    def test_my_env():
        check_parallel_env(MyEnv)
"""

from collections.abc import Callable
from typing import Any

import gymnasium
from pettingzoo import AECEnv, ParallelEnv

from heron.errors import EnvCreationError
from heron.testing.env.episodes import Limits
from heron.testing.env.inspection import ENV_CHECKS, env_section, inspect_env
from heron.testing.env.subjects import subject_of
from heron.testing.findings import raise_if_broken

__all__ = [
    "ENV_CHECKS",
    "Limits",
    "check_aec_env",
    "check_gymnasium_env",
    "check_parallel_env",
    "env_section",
    "inspect_env",
]


def check_parallel_env(
    make: Callable[[], ParallelEnv], *, episodes: int = 3, max_steps: int = 500, seed: int = 0
) -> None:
    """Check that a PettingZoo ``ParallelEnv`` keeps its promises over whole episodes.

    Args:
        make: Makes a new environment at each call.
        episodes: Number of whole episodes that are examined.
        max_steps: Longest episode, in steps; a longer one is truncated there.
        seed: Seed of the first episode; each further one has the next seed.

    Raises:
        ContractError: If promises are broken, with every finding and its agent, seed and step.
        EnvCreationError: If ``make`` makes something else.

    >>> from mpe2 import simple_spread_v3
    >>> check_parallel_env(simple_spread_v3.parallel_env)
    """
    _check(make, ParallelEnv, Limits(episodes, max_steps, seed))


def check_aec_env(make: Callable[[], AECEnv], *, episodes: int = 3, max_steps: int = 500, seed: int = 0) -> None:
    """Check that a PettingZoo ``AECEnv`` keeps its promises over whole episodes.

    Arguments and errors are those of ``check_parallel_env``; a step is that of a single agent.
    """
    _check(make, AECEnv, Limits(episodes, max_steps, seed))


def check_gymnasium_env(
    make: Callable[[], gymnasium.Env[Any, Any]], *, episodes: int = 3, max_steps: int = 500, seed: int = 0
) -> None:
    """Check that a Gymnasium ``Env`` keeps its promises over whole episodes, and passes Gymnasium's ``check_env``.

    Arguments and errors are those of ``check_parallel_env``.
    """
    _check(make, gymnasium.Env, Limits(episodes, max_steps, seed))


def _check(make: Callable[[], Any], kind: type, limits: Limits) -> None:
    env = make()
    if not isinstance(env, kind):
        raise EnvCreationError(f"expected a function that makes a {kind.__name__}, but it made {env!r}")
    subject_of(env).close()
    raise_if_broken(str(env), inspect_env(make, limits).all)
