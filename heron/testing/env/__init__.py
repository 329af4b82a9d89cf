"""Is an environment sound? Whole random episodes, looked at turn by turn, and played again to be compared.

PettingZoo's own tests compare a single step under one seed and never look whether an observation lies in its
space. These checks do both at every step, and go on after what they find::

    def test_my_env():
        check_parallel_env(MyEnv)
"""

from collections.abc import Callable
from typing import Any

import gymnasium
from pettingzoo import AECEnv, ParallelEnv

from heron.errors import EnvCreationError
from heron.testing.env.inspection import ENV_CHECKS, env_section, inspect_env
from heron.testing.env.play import Limits
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
        episodes: Whole episodes that are looked at turn by turn.
        max_steps: Longest episode; one that goes on is broken off there.
        seed: Of the first episode; the following ones count on.

    Raises:
        ContractError: With every finding: what fails, how, for which agent, at which step of which seed.
        EnvCreationError: If ``make`` makes something else.

    >>> from mpe2 import simple_spread_v3
    >>> check_parallel_env(simple_spread_v3.parallel_env)
    """
    _check(make, ParallelEnv, Limits(episodes, max_steps, seed))


def check_aec_env(make: Callable[[], AECEnv], *, episodes: int = 3, max_steps: int = 500, seed: int = 0) -> None:
    """Check that a PettingZoo ``AECEnv`` keeps its promises over whole episodes.

    Args:
        make: Makes a new environment at each call.
        episodes: As for ``check_parallel_env``.
        max_steps: Longest episode in turns of single agents.
        seed: As there.

    Raises:
        ContractError: With every finding.
        EnvCreationError: If ``make`` makes something else.
    """
    _check(make, AECEnv, Limits(episodes, max_steps, seed))


def check_gymnasium_env(
    make: Callable[[], gymnasium.Env[Any, Any]], *, episodes: int = 3, max_steps: int = 500, seed: int = 0
) -> None:
    """Check that a Gymnasium ``Env`` keeps its promises over whole episodes, and passes Gymnasium's ``check_env``.

    Args:
        make: Makes a new environment at each call.
        episodes: As for ``check_parallel_env``.
        max_steps: As there.
        seed: As there.

    Raises:
        ContractError: With every finding.
        EnvCreationError: If ``make`` makes something else.
    """
    _check(make, gymnasium.Env, Limits(episodes, max_steps, seed))


def _check(make: Callable[[], Any], kind: type, limits: Limits) -> None:
    env = make()
    if not isinstance(env, kind):
        raise EnvCreationError(f"expected a function that makes a {kind.__name__}, it made {env!r}")
    subject_of(env).close()
    raise_if_broken(str(env), inspect_env(make, limits).all)
