"""How to reset and step some of the copies in Gymnasium's and others' vector environments."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv

from heron.envs.array_tree import ArrayTree, map_arrays
from heron.envs.batch_env import BoolArray
from heron.errors import ConfigurationError

AnyVectorEnv: TypeAlias = VectorEnv[Any, Any, Any]
Seeds: TypeAlias = Sequence[int | None]
Info: TypeAlias = dict[str, Any]


class VectorResults(NamedTuple):
    """What a step said, in all copies; rows of copies that were not stepped are not used.

    Attributes:
        observations: ``(N, ...)``, a tree for ``Dict`` and ``Tuple`` spaces.
        rewards: ``(N,)``.
        terminated: ``(N,) bool``.
        truncated: ``(N,) bool``.
        infos: One a copy.
    """

    observations: Any
    rewards: npt.NDArray[Any]
    terminated: BoolArray
    truncated: BoolArray
    infos: list[Info]


class VectorDriver:
    """Drives a vector environment by what Gymnasium says of all of them: a step is one of all copies.

    Args:
        env: The vector environment.

    Attributes:
        steps_some: Whether copies can be left out of a step, and stay as they are then.
    """

    steps_some = False

    def __init__(self, env: AnyVectorEnv) -> None:
        self.env = env

    def reset_all(self, seeds: Seeds, options: Mapping[str, Any] | None) -> tuple[Any, list[Info]]:
        """Reset every copy; gives observations ``(N, ...)`` and infos, one a copy."""
        observations, infos = self.env.reset(
            seed=_joint_seed(seeds), options=None if options is None else dict(options)
        )
        return observations, split_infos(infos, self.env.num_envs)

    def reset_some(self, mask: BoolArray, seeds: Seeds, options: Mapping[str, Any] | None) -> tuple[Any, list[Info]]:
        """Reset the masked copies; gives observations ``(N, ...)`` and infos, of which those rows count."""
        seed: Any = None if all(one is None for one in seeds) else list(seeds)
        observations, infos = self.env.reset(seed=seed, options={**(options or {}), "reset_mask": mask.copy()})
        return observations, split_infos(infos, self.env.num_envs)

    def step(self, actions: npt.NDArray[Any], mask: BoolArray) -> VectorResults:
        """Step the masked copies, or all of them if it cannot step some."""
        del mask
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        flags = np.asarray(terminated), np.asarray(truncated)
        return VectorResults(observations, np.asarray(rewards), *flags, split_infos(infos, self.env.num_envs))


class CartPoleDriver(VectorDriver):
    """Drives Gymnasium's own ``CartPoleVectorEnv``, which knows no ``reset_mask``, by its state."""

    steps_some = True

    def reset_some(self, mask: BoolArray, seeds: Seeds, options: Mapping[str, Any] | None) -> tuple[Any, list[Info]]:
        env: Any = self.env
        if options or any(seed is not None for seed in seeds):
            raise ConfigurationError(
                "the copies of CartPoleVectorEnv share one random stream and one pair of bounds, so seeds and options "
                "are for resets of all copies only"
            )
        env.state[:, mask] = env.np_random.uniform(env.low, env.high, (4, int(mask.sum())))
        env.steps[mask] = 0
        env.prev_done[mask] = False
        return env.state.T.astype(np.float32), _no_infos(env)

    def step(self, actions: npt.NDArray[Any], mask: BoolArray) -> VectorResults:
        env: Any = self.env
        kept = ~mask
        before = env.state[:, kept].copy(), env.steps[kept].copy()
        env.prev_done[:] = False  # or else it would reset copies that ended in the last step
        results = super().step(actions, mask)
        env.state[:, kept], env.steps[kept] = before
        return results


class EnvPoolDriver(VectorDriver):
    """Drives EnvPool, whose resets and steps take the ids of copies and answer for those only.

    EnvPool is seeded when it is made; seeds of resets are passed on, and it warns that it does not use them.
    """

    steps_some = True

    def reset_all(self, seeds: Seeds, options: Mapping[str, Any] | None) -> tuple[Any, list[Info]]:
        return self.reset_some(np.ones(self.env.num_envs, dtype=bool), seeds, options)

    def reset_some(self, mask: BoolArray, seeds: Seeds, options: Mapping[str, Any] | None) -> tuple[Any, list[Info]]:
        env: Any = self.env
        ids = np.flatnonzero(mask).astype(np.int32)
        seed = {} if all(one is None for one in seeds) else {"seed": list(seeds)}
        observations, infos = env.reset(ids, **seed, options=None if options is None else dict(options))
        rows = infos["env_id"]
        return self._spread(observations, rows), self._spread_infos(infos, rows)

    def step(self, actions: npt.NDArray[Any], mask: BoolArray) -> VectorResults:
        env: Any = self.env
        ids = np.flatnonzero(mask).astype(np.int32)
        *results, infos = env.step(actions[ids], ids)
        rows = infos["env_id"]
        observations, rewards, terminated, truncated = (self._spread(result, rows) for result in results)
        return VectorResults(observations, rewards, terminated, truncated, self._spread_infos(infos, rows))

    def _spread(self, tree: ArrayTree, rows: npt.NDArray[Any]) -> Any:
        """The same with a row for every copy."""

        def spread(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
            whole = np.zeros((self.env.num_envs, *array.shape[1:]), dtype=array.dtype)
            whole[rows] = array
            return whole

        return map_arrays(spread, tree)

    def _spread_infos(self, infos: Mapping[str, Any], rows: npt.NDArray[Any]) -> list[Info]:
        whole = _no_infos(self.env)
        for row, info in zip(rows.tolist(), split_infos(infos, len(rows)), strict=True):
            whole[row] = info
        return whole


def driver_of(env: AnyVectorEnv) -> VectorDriver:
    """The driver that fits a vector environment."""
    from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv  # noqa: PLC0415 -- only where it may be used

    if isinstance(env, CartPoleVectorEnv):
        return CartPoleDriver(env)
    is_envpool = all(hasattr(env, name) for name in ("all_env_ids", "async_reset", "recv", "send"))
    return EnvPoolDriver(env) if is_envpool else VectorDriver(env)


def split_infos(infos: Mapping[str, Any], count: int) -> list[Info]:
    """The infos of a vector environment, one for each of ``count`` copies.

    An entry ``"_name"`` says which copies have ``"name"``; without it all of them do.

    >>> split_infos({"lives": np.array([3, 0]), "_lives": np.array([True, False])}, 2)
    [{'lives': 3}, {}]
    """
    split: list[Info] = [{} for _ in range(count)]
    for name, value in infos.items():
        if name.startswith("_") and name[1:] in infos:
            continue
        has = infos.get(f"_{name}")
        parts = split_infos(value, count) if isinstance(value, Mapping) else value
        is_batch = isinstance(parts, (list, tuple, np.ndarray)) and len(parts) == count
        for row, info in enumerate(split):
            if has is None or has[row]:
                part = parts[row] if is_batch else value
                info[name] = part.item() if isinstance(part, np.generic) else part
    return split


def _no_infos(env: AnyVectorEnv) -> list[Info]:
    return [{} for _ in range(env.num_envs)]


def _joint_seed(seeds: Seeds) -> Any:
    """One seed where copy k gets the k-th next one, for environments that take no list; otherwise all of them."""
    first = seeds[0]
    if first is None:
        return None if all(seed is None for seed in seeds) else list(seeds)
    return first if list(seeds) == list(range(first, first + len(seeds))) else list(seeds)
