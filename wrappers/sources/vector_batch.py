"""Choice of the source for a Gymnasium ``VectorEnv``."""

from collections.abc import Sequence

from gymnasium.vector import SyncVectorEnv

from heron.batch.batch_env import BatchEnv
from heron.wrappers.sources.loop_env import LoopEnv
from heron.wrappers.sources.vector_drivers import AnyVectorEnv
from heron.wrappers.sources.vector_source import VectorEnvSource


def batch_of_vector_env(
    env: AnyVectorEnv, env_ids: Sequence[str] | None = None, *, reset_mask: bool | None = None
) -> BatchEnv:
    """Return a source of a vector environment; copies of a ``SyncVectorEnv`` are taken out and stepped one by one."""
    if type(env) is SyncVectorEnv:
        return LoopEnv([lambda copy=copy: copy for copy in env.envs], env_ids)  # type: ignore[misc]
    return VectorEnvSource(env, env_ids, reset_mask=reset_mask)
