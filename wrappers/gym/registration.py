"""Registration with Gymnasium, for ``gymnasium.make_vec``."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode

from heron.batch.array_env import ArrayEnv
from heron.batch.batch_env import BatchEnv
from heron.play.policies import PolicyLike
from heron.wrappers.gym.gym_env import GymEnv
from heron.wrappers.gym.gym_vector_env import GymVectorEnv
from heron.wrappers.make_vec import make_vec
from heron.wrappers.sources.env_creation import EnvFactory

PARALLEL_ENV_ID = "heron/ParallelEnv-v0"
"""Gymnasium id, as in ``gymnasium.make_vec("heron/ParallelEnv-v0", num_envs=8, env="mpe2.simple_spread_v3")``."""


def make_gym_vec(
    env: str | EnvFactory | Sequence[EnvFactory] | type[ArrayEnv[Any]] | BatchEnv,
    num_envs: int | None = None,
    learn: str | None = None,
    policies: Mapping[str, PolicyLike] | None = None,
    *,
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    copy: bool = True,
    discount: float | None = None,
    **options: Any,
) -> GymVectorEnv:
    """Make copies of an environment as a Gymnasium ``VectorEnv`` in which one group learns.

    Args:
        env: As for ``heron.make_vec``.
        num_envs: Number of copies. Each has one slot per learning agent.
        learn: As for ``GymVectorEnv``.
        policies: As for ``GymVectorEnv``.
        autoreset_mode: As for ``GymVectorEnv``.
        copy: As for ``GymVectorEnv``.
        discount: As for ``GymVectorEnv``.
        **options: Other options of ``heron.make_vec``.

    Raises:
        ConfigurationError: If an option is invalid.
        EnvCreationError: If a copy could not be made.
    """
    venv = make_vec(env, num_envs, **options)
    try:
        return GymVectorEnv(venv, learn, policies, autoreset_mode=autoreset_mode, copy=copy, discount=discount)
    except BaseException:
        venv.close()
        raise


def make_gym_env(
    env: str | EnvFactory | type[ArrayEnv[Any]],
    learn: str | None = None,
    policies: Mapping[str, PolicyLike] | None = None,
    *,
    discount: float | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> GymEnv:
    """Make one copy of an environment as a Gymnasium ``Env`` in which one agent learns.

    Args:
        env: As for ``heron.make_vec``.
        learn: As for ``GymEnv``.
        policies: As for ``GymEnv``.
        discount: As for ``GymEnv``.
        env_kwargs: As for ``heron.make_vec``.
        **options: More keyword arguments for the environment, such as the ``render_mode`` of ``gymnasium.make``.

    Raises:
        ConfigurationError: If an option is invalid, or there is not exactly one learning agent.
        EnvCreationError: If the copy could not be made.
    """
    venv = make_vec(env, 1, env_kwargs={**(env_kwargs or {}), **options})
    try:
        return GymEnv(venv, learn, policies, discount=discount)
    except BaseException:
        venv.close()
        raise


def register_envs() -> None:
    """Register the environment ids with Gymnasium, once."""
    if PARALLEL_ENV_ID not in gymnasium.registry:
        gymnasium.register(PARALLEL_ENV_ID, vector_entry_point=f"{__name__}:make_gym_vec")
