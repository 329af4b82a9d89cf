"""Resets and steps of some copies in Gymnasium's vector environments."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Dict, Space, Tuple
from gymnasium.vector import AutoresetMode, VectorEnv

from heron.batch.batch_env import BoolArray
from heron.errors import ConfigurationError

AnyVectorEnv: TypeAlias = VectorEnv[Any, Any, Any]
Seeds: TypeAlias = Sequence[int | None]
Info: TypeAlias = dict[str, Any]


class VectorResults(NamedTuple):
    """Results of a step in all copies; rows of copies that were not stepped are not used.

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
    """Driver of any vector environment through Gymnasium's interface, which steps all copies at once.

    Args:
        env: The vector environment.

    Attributes:
        steps_some: True if copies can be left out of a step without being changed.
        resets_some: True if some copies can be reset while others run on.
        autoreset_mode: Autoreset mode of all environments of this kind, if it is known.
    """

    steps_some = False
    resets_some = True
    autoreset_mode: AutoresetMode | None = None

    def __init__(self, env: AnyVectorEnv) -> None:
        self.env = env

    def check_reset(self, mask: BoolArray, seeds: Seeds, options: Mapping[str, Any] | None) -> None:
        """Refuse a reset of the masked copies that the environment cannot do.

        Raises:
            ConfigurationError: If it cannot reset just these, or not with these seeds or options.
        """

    def reset_all(self, seeds: Seeds, options: Mapping[str, Any] | None) -> tuple[Any, list[Info]]:
        """Reset every copy; return observations ``(N, ...)`` and infos, one a copy."""
        observations, infos = self.env.reset(seed=joint_seed(seeds), options=None if options is None else dict(options))
        return observations, split_infos(infos, self.env.num_envs)

    def reset_some(self, mask: BoolArray, seeds: Seeds, options: Mapping[str, Any] | None) -> tuple[Any, list[Info]]:
        """Reset the masked copies; return observations ``(N, ...)`` and infos, of which only those rows count."""
        seed: Any = None if all(one is None for one in seeds) else list(seeds)
        observations, infos = self.env.reset(seed=seed, options={**(options or {}), "reset_mask": mask.copy()})
        return observations, split_infos(infos, self.env.num_envs)

    def step(self, actions: Any, mask: BoolArray) -> VectorResults:
        """Step the masked copies, or all of them if it cannot step some.

        Args:
            actions: ``(N, ...)``, a tree for ``Dict`` and ``Tuple`` spaces.
            mask: ``(N,) bool``.
        """
        del mask
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        flags = np.asarray(terminated, dtype=bool), np.asarray(truncated, dtype=bool)
        return VectorResults(observations, np.asarray(rewards), *flags, split_infos(infos, self.env.num_envs))

    def to_blame(self, mask: BoolArray) -> BoolArray:
        """Return the masked copies that may have raised an error, ``(N,) bool``; all, if that is unknown."""
        return mask

    def render(self) -> Sequence[Any]:
        """Return one image a copy."""
        env: Any = self.env
        frames = env.render()
        return [None] * env.num_envs if frames is None else frames

    def get_attr(self, name: str, indices: Sequence[int]) -> list[Any]:
        """Return attribute ``name`` of these copies."""
        env: Any = self.env
        if hasattr(env, "get_attr"):
            values = env.get_attr(name)
            return [values[index] for index in indices]
        for candidate in (env, env.unwrapped):
            if hasattr(candidate, name):
                return [getattr(candidate, name)] * len(indices)
        raise AttributeError(f"{env} has no attribute {name!r}")

    def set_attr(self, name: str, values: Sequence[Any], indices: Sequence[int]) -> None:
        """Set attribute ``name`` of each of these copies to its value."""
        env: Any = self.env
        if hasattr(env, "set_attr"):
            wanted = dict(zip(indices, values, strict=True))
            if len(wanted) < env.num_envs:
                wanted = dict(enumerate(env.get_attr(name))) | wanted
            env.set_attr(name, [wanted[index] for index in range(env.num_envs)])
            return
        self._check_all(indices, f"setting {name!r}")
        if any(value is not values[0] and value != values[0] for value in values):
            raise ConfigurationError(f"{env} has one {name!r} for all copies, got {list(values)}")
        setattr(env.unwrapped, name, values[0])

    def call(self, name: str, indices: Sequence[int], *args: Any, **kwargs: Any) -> list[Any]:
        """Call method ``name`` of these copies, and return the results."""
        env: Any = self.env
        if name == "render" and not hasattr(env, "call"):
            frames = self.render()
            return [frames[index] for index in indices]
        if envs := getattr(env.unwrapped, "envs", None):  # those of a SyncVectorEnv, which can be called one by one
            return [envs[index].get_wrapper_attr(name)(*args, **kwargs) for index in indices]
        self._check_all(indices, f"calling {name!r}")
        if hasattr(env, "call"):
            values = env.call(name, *args, **kwargs)
            return [values[index] for index in indices]
        return [self.get_attr(name, [0])[0](*args, **kwargs)] * len(indices)

    def _check_all(self, indices: Sequence[int], what: str) -> None:
        if sorted(indices) != list(range(self.env.num_envs)):
            raise ConfigurationError(f"{what} is for all copies of {self.env} at once, got {list(indices)}")


class CartPoleDriver(VectorDriver):
    """Driver of Gymnasium's ``CartPoleVectorEnv``, which ignores ``reset_mask``, through its state."""

    steps_some = True

    def check_reset(self, mask: BoolArray, seeds: Seeds, options: Mapping[str, Any] | None) -> None:
        if (options or any(seed is not None for seed in seeds)) and not mask.all():
            raise ConfigurationError(
                "the copies of CartPoleVectorEnv share one random stream and one pair of bounds, so seeds and options "
                "are for resets of all copies only"
            )

    def reset_some(self, mask: BoolArray, seeds: Seeds, options: Mapping[str, Any] | None) -> tuple[Any, list[Info]]:
        del seeds, options
        env: Any = self.env
        env.state[:, mask] = env.np_random.uniform(env.low, env.high, (4, int(mask.sum())))
        env.steps[mask] = 0
        env.prev_done[mask] = False
        return env.state.T.astype(np.float32), no_infos(env)

    def step(self, actions: Any, mask: BoolArray) -> VectorResults:
        env: Any = self.env
        kept = ~mask
        before = env.state[:, kept].copy(), env.steps[kept].copy()
        env.prev_done[:] = False  # or else it would reset copies that ended in the last step
        results = super().step(actions, mask)
        env.state[:, kept], env.steps[kept] = before
        return results


def split_infos(infos: Mapping[str, Any] | Sequence[Mapping[str, Any]], count: int) -> list[Info]:
    """Split the infos of a vector environment into a new dict for each of ``count`` copies.

    Args:
        infos: As ``VectorEnv.step`` gives them: arrays by name, and under ``"_name"`` which copies have one, or all
            where that is missing; or one dict a copy already, as ``DictInfoToList`` makes them.
        count: Number of copies.

    >>> split_infos({"lives": np.array([3, 0]), "_lives": np.array([True, False])}, 2)
    [{'lives': 3}, {}]
    """
    if not isinstance(infos, Mapping):
        return [dict(info) for info in infos]
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


def no_infos(env: AnyVectorEnv) -> list[Info]:
    """Return an empty info for every copy."""
    return [{} for _ in range(env.num_envs)]


def joint_seed(seeds: Seeds) -> Any:
    """Return the first of consecutive seeds, for environments that take no list; otherwise all seeds."""
    first = seeds[0]
    if first is None:
        return None if all(seed is None for seed in seeds) else list(seeds)
    return first if list(seeds) == list(range(first, first + len(seeds))) else list(seeds)


def placeholder_action(space: Space[Any]) -> Any:
    """Return a valid action, for copies whose action does not matter."""
    if isinstance(space, Dict):
        return {key: placeholder_action(part) for key, part in space.spaces.items()}
    if isinstance(space, Tuple):
        return tuple(map(placeholder_action, space.spaces))
    if isinstance(space, Box):
        return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
    return getattr(space, "start", 0)
