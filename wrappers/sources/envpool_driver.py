"""Resets and steps of some copies in EnvPool."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from heron.batch.array_tree import ArrayTree, map_arrays
from heron.batch.batch_env import BoolArray
from heron.errors import ConfigurationError
from heron.wrappers.sources.vector_drivers import (
    AnyVectorEnv,
    Info,
    Seeds,
    VectorDriver,
    VectorResults,
    no_infos,
    split_infos,
)


class EnvPoolDriver(VectorDriver):
    """Drives EnvPool, whose resets and steps take the ids of copies and answer for those only.

    EnvPool is seeded when it is made; seeds of resets are passed on, and it warns that it does not use them.

    Raises:
        ConfigurationError: If the pool answers for some copies before it has stepped all, or has several players.
    """

    steps_some = True
    autoreset_mode = AutoresetMode.NEXT_STEP

    def __init__(self, env: AnyVectorEnv) -> None:
        super().__init__(env)
        pool: Any = env
        if pool.is_async:
            raise ConfigurationError(
                f"{env} answers for batch_size={pool.config['batch_size']} copies at a time, but copies are stepped "
                "together: make it without batch_size, or with that of num_envs"
            )
        if (players := pool.config.get("max_num_players", 1)) > 1:
            raise ConfigurationError(
                f"{env} has max_num_players={players}, but one agent acts in each copy of a Gymnasium VectorEnv: make "
                "it with max_num_players=1"
            )

    @staticmethod
    def drives(env: AnyVectorEnv) -> bool:
        """Return True for an EnvPool environment, without importing EnvPool."""
        return all(hasattr(env, name) for name in ("all_env_ids", "async_reset", "recv", "send"))

    def check_reset(self, mask: BoolArray, seeds: Seeds, options: Mapping[str, Any] | None) -> None:
        del mask, seeds
        if options:
            raise ConfigurationError(f"EnvPool takes options when it is made, not at a reset, got {dict(options)}")

    def reset_all(self, seeds: Seeds, options: Mapping[str, Any] | None) -> tuple[Any, list[Info]]:
        return self.reset_some(np.ones(self.env.num_envs, dtype=bool), seeds, options)

    def reset_some(self, mask: BoolArray, seeds: Seeds, options: Mapping[str, Any] | None) -> tuple[Any, list[Info]]:
        del options
        env: Any = self.env
        seed = {} if all(one is None for one in seeds) else {"seed": list(seeds)}
        observations, infos = env.reset(_ids(mask), **seed)
        rows = infos["env_id"]
        return self._spread(observations, rows), self._spread_infos(infos, rows)

    def step(self, actions: Any, mask: BoolArray) -> VectorResults:
        env: Any = self.env
        ids = _ids(mask)
        *results, infos = env.step(map_arrays(lambda array: array[ids], actions), ids)
        rows = infos["env_id"]
        observations, rewards, terminated, truncated = (self._spread(result, rows) for result in results)
        return VectorResults(observations, rewards, terminated, truncated, self._spread_infos(infos, rows))

    def render(self) -> Sequence[Any]:
        env: Any = self.env
        if env.render_mode is None:
            return [None] * env.num_envs
        return list(env.render(env.all_env_ids))

    def _spread(self, tree: ArrayTree, rows: npt.NDArray[Any]) -> Any:
        """Return the tree with a row for every copy."""

        def spread(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
            whole = np.zeros((self.env.num_envs, *array.shape[1:]), dtype=array.dtype)
            whole[rows] = array
            return whole

        return map_arrays(spread, tree)

    def _spread_infos(self, infos: Mapping[str, Any], rows: npt.NDArray[Any]) -> list[Info]:
        whole = no_infos(self.env)
        for row, info in zip(rows.tolist(), split_infos(infos, len(rows)), strict=True):
            whole[row] = info
        return whole


def _ids(mask: BoolArray) -> npt.NDArray[np.int32]:
    return np.flatnonzero(mask).astype(np.int32)
