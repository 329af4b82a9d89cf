"""Creation of copies as PettingZoo ``ParallelEnv``s."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import gymnasium
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import aec_to_parallel, turn_based_aec_to_parallel_wrapper

from heron.errors import EnvCreationError, summary
from heron.play.waiting import ACTIVE_AGENT
from heron.wrappers.sources.gym_parallel_env import GymParallelEnv, SingleAgentEnv

EnvFactory: TypeAlias = Callable[[], ParallelEnv | AECEnv | gymnasium.Env[Any, Any]]
"""Makes one environment copy; each call must make a new one."""


class TurnBasedEnv(turn_based_aec_to_parallel_wrapper):  # type: ignore[misc]  # PettingZoo ships no types
    """A turn-based AEC environment in which all agents give an action each step, and one action counts.

    It is PettingZoo's own conversion, which names the agent whose turn it is as ``"active_agent"`` in all infos
    after a step; here it is in the infos after a reset, too.

    Args:
        aec_env: The environment, which belongs to this one from now on.
    """

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        observations, infos = super().reset(seed=seed, options=options)
        return observations, {
            agent: {**info, ACTIVE_AGENT: self.aec_env.agent_selection} for agent, info in infos.items()
        }


def make_envs(factories: Sequence[EnvFactory], env_ids: Sequence[str]) -> Iterator[ParallelEnv]:
    """Make the copies one by one, and check that each is a new one.

    Raises:
        EnvCreationError: As by ``make_env``, or if a factory returns an environment that another copy uses already.
    """
    known: set[int] = set()
    for factory, env_id in zip(factories, env_ids, strict=True):
        env = make_env(factory, env_id)
        if id(_inner(env)) in known:
            raise EnvCreationError(
                f"{env_id}: the factory returned an environment that another copy uses already; "
                "it must make a new one at each call"
            )
        known.add(id(_inner(env)))
        yield env


def make_env(factory: EnvFactory, env_id: str) -> ParallelEnv:
    """Make a copy, converted if it is not a ``ParallelEnv``.

    Args:
        factory: Makes it.
        env_id: Its name.

    Raises:
        EnvCreationError: If the factory raises, or makes something that cannot be used.
    """
    if not callable(factory):
        raise EnvCreationError(f"{env_id}: expected a function that makes an environment, got {factory!r}")
    try:
        env = as_parallel(factory())
    except Exception as error:
        raise EnvCreationError(f"{env_id}: the factory raised {summary(error)}") from error
    if not isinstance(env, ParallelEnv):
        raise EnvCreationError(
            f"{env_id}: the factory made {env!r}; expected a PettingZoo ParallelEnv or AECEnv, or a Gymnasium Env"
        )
    return env


def as_parallel(env: Any) -> Any:
    """Convert a Gymnasium ``Env`` or a PettingZoo ``AECEnv`` to a ``ParallelEnv``; return anything else unchanged.

    An AEC environment whose metadata say that it is parallelizable is stepped a whole cycle at once, any other one
    turn by turn.
    """
    if isinstance(env, gymnasium.Env):
        return SingleAgentEnv(env)
    if isinstance(env, AECEnv):
        return aec_to_parallel(env) if env.metadata.get("is_parallelizable", False) else TurnBasedEnv(env)
    return env


def _inner(env: ParallelEnv) -> Any:
    """Return the environment that was converted, or the environment itself."""
    return env.env if isinstance(env, GymParallelEnv) else getattr(env, "aec_env", env)
