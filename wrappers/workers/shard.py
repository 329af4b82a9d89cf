"""A shard: some of the copies, and all that a worker does with them, wherever it runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from heron.batch.batch_env import AgentGroup, BatchEnv
from heron.batch.space_fit import space_difference
from heron.errors import ConfigurationError
from heron.wrappers.workers.batch_arrays import BatchArrays
from heron.wrappers.workers.orders import NOTHING_TO_ADD, Answer, Failure, Infos, Order

ShardMaker = Callable[[], BatchEnv]
"""Makes the copies of one shard."""


@dataclass(frozen=True)
class Job:
    """Everything that a worker needs to know.

    Attributes:
        number: The worker's number; the first one is 1.
        make_shard: Makes its copies.
        env_ids: Their names.
        rows: Their rows in the driver's arrays.
        groups: The groups of the driver's own copies, which the worker's copies must have as well.
        num_envs: Number of copies in the driver's arrays.
    """

    number: int
    make_shard: ShardMaker
    env_ids: tuple[str, ...]
    rows: slice
    groups: Mapping[str, AgentGroup]
    num_envs: int

    def start(self, arrays: BatchArrays) -> "Shard":
        """Make the copies.

        Args:
            arrays: Arrays of the size of the shard.

        Raises:
            ConfigurationError: If they differ from the driver's own copies.
            Exception: Any error of ``make_shard``.
        """
        env = self.make_shard()
        try:
            check_shard(env, self.env_ids, self.groups)
            return Shard(env, arrays)
        except BaseException:
            env.close()
            raise


class Shard:
    """Some of the copies, between the arrays from which they are stepped and into which they write.

    Args:
        env: The copies. The shard owns them from now on.
        arrays: Arrays of the same size.
    """

    def __init__(self, env: BatchEnv, arrays: BatchArrays) -> None:
        self.env = env
        self._arrays = arrays
        self._must_copy = not env.use_states(arrays.states)

    def answer(self, order: Order) -> Answer:
        """Carry out an order. Errors of the copies are part of the answer."""
        value, failure = None, None
        try:
            value = getattr(self, order.task)(*order.arguments)
        except Exception as error:  # noqa: BLE001 -- raised again by the driver
            failure = Failure.of(error)
        infos = self.infos() if order.task in ("step", "reset") else {}
        return NOTHING_TO_ADD if value is None and failure is None and not infos else Answer(value, infos, failure)

    def step(self) -> None:
        """Step the masked copies with the actions in the arrays; errors are those of the environment."""
        try:
            self.env.step(self._arrays.actions, self._arrays.mask)
        finally:
            self._show()

    def reset(self, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None) -> None:
        """Reset the masked copies; errors are those of the environment."""
        try:
            self.env.reset(self._arrays.mask, seeds, options)
        finally:
            self._show()

    def call(self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call a method of the ``BatchEnv``."""
        return getattr(self.env, method)(*args, **kwargs)

    def close(self) -> None:
        """Close the copies."""
        self.env.close()

    def infos(self) -> dict[int, Infos]:
        """Return row -> infos that are not empty, of the masked copies."""
        masked = self._arrays.mask.tolist()  # a list, because few copies are faster done in Python
        return {row: infos for row, infos in enumerate(self.env.infos) if infos and masked[row]}

    def _show(self) -> None:
        if self._must_copy:
            self._arrays.copy_states(self.env.states)


def check_shard(env: BatchEnv, env_ids: Sequence[str], groups: Mapping[str, AgentGroup]) -> None:
    """Check that a shard has these copies, with the same agents and spaces as all others.

    Raises:
        ConfigurationError: If the copies, agents or spaces differ.
    """
    if tuple(env.env_ids) != tuple(env_ids):
        raise ConfigurationError(f"expected a shard with the copies {list(env_ids)}, got {list(env.env_ids)}")
    for name, kind in product(groups.keys() & env.groups.keys(), ("observation_space", "action_space")):
        own, expected = getattr(env.groups[name], kind), getattr(groups[name], kind)
        if differs := space_difference(own, expected):
            raise ConfigurationError(
                f"{env_ids[0]}: the {kind} of group {name!r} is {own}, but that of the first copy is {expected}: "
                f"{differs}"
            )
    if dict(env.groups) != dict(groups):
        raise ConfigurationError(
            f"{env_ids[0]} has groups {list(env.groups.values())}, but the first copy has {list(groups.values())}"
        )
