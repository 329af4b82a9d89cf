"""Copies of environments in several processes, with their results in shared memory."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Self, cast

from heron.batch.batch_env import BatchEnv
from heron.batch.copy_selection import check_env_ids
from heron.wrappers.sources.env_creation import EnvFactory
from heron.wrappers.sources.loop_env import LoopEnv
from heron.wrappers.workers.process_worker import ProcessWorker, SharedMemoryTransport
from heron.wrappers.workers.sharded_env import ShardedEnv
from heron.wrappers.workers.sharding import StartMethod, check_picklable, checked_num_workers, split_rows

if TYPE_CHECKING:
    from heron.wrappers.workers.shard import ShardMaker


class ProcessEnv(ShardedEnv):
    """Copies of a PettingZoo ``ParallelEnv``, sharded over worker processes; this process steps the first shard.

    Same seeds, same trajectories, to the bit, as with ``LoopEnv``, as long as the copies share nothing: each
    worker gets its own pickled copy of all objects that the factories refer to.

    Args:
        factories: One per copy. They are pickled with cloudpickle, so lambdas and local functions work.
        env_ids: Names of the copies; ``env_0``, ``env_1`` ... by default.
        groups: Group name -> agent ids, to arrange the agents by hand; see ``LoopEnv``.
        validate: Check every observation against its space and every reward for being finite.
        num_workers: Number of worker processes beside this one, at most one less than there are copies. By default,
            there is one process per core, including this one.
        start_method: Start method of the processes: ``"forkserver"``, ``"spawn"``, or ``"fork"``, which is quick but
            unsafe in a process that has threads.
        timeout: Longest wait in s for a worker, after this process has done its own share. A start may
            always take 60 s.
        restart_workers: Restart a lost worker at once, instead of raising. Its copies are truncated as well; in a
            reset they are reset.

    Raises:
        EnvCreationError: If a factory raises or returns something unusable; it names the copy.
        ConfigurationError: If an option does not fit, a factory cannot be pickled, ids are duplicate, or the copies
            differ in their agents or spaces.
        WorkerError: If a worker died while it was being started.
    """

    def __init__(
        self,
        factories: Sequence[EnvFactory],
        env_ids: Sequence[str] | None = None,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        validate: bool = False,
        num_workers: int | None = None,
        start_method: StartMethod = "forkserver",
        timeout: float = 60.0,
        restart_workers: bool = False,
    ) -> None:
        names = check_env_ids(env_ids, len(factories))
        num_workers = checked_num_workers(len(names), num_workers, start_method, timeout)

        def shard_of(rows: slice) -> "ShardMaker":
            for factory, env_id in zip(factories[rows], names[rows], strict=True):
                if rows.start:  # the first shard stays in this process
                    check_picklable(factory, f"{env_id}: the factory")
            return partial(LoopEnv, list(factories[rows]), names[rows], groups=groups, validate=validate)

        makers = [shard_of(rows) for rows in split_rows(len(names), num_workers + 1)]
        transport = SharedMemoryTransport(start_method, float(timeout))
        super().__init__(makers, names, transport, restart_workers=restart_workers)

    @classmethod
    def of_shards(
        cls,
        make_shard: Callable[[Sequence[str]], BatchEnv],
        env_ids: Sequence[str],
        *,
        num_workers: int | None = None,
        start_method: StartMethod = "forkserver",
        timeout: float = 60.0,
        restart_workers: bool = False,
    ) -> Self:
        """Make shards of any batched environment.

        Args:
            make_shard: Makes a ``BatchEnv`` of the copies with the given env_ids.
            env_ids: The names of all copies.
            num_workers: See the class, as for the other options.
            start_method: Start method of the processes.
            timeout: Longest wait in s for a worker.
            restart_workers: Restart a lost worker at once.
        """
        names = check_env_ids(env_ids, len(env_ids))
        check_picklable(make_shard, "make_shard")
        num_workers = checked_num_workers(len(names), num_workers, start_method, timeout)
        makers = [partial(make_shard, names[rows]) for rows in split_rows(len(names), num_workers + 1)]
        transport = SharedMemoryTransport(start_method, float(timeout))
        env = cls.__new__(cls)
        ShardedEnv.__init__(env, makers, names, transport, restart_workers=restart_workers)
        return env

    @property
    def workers(self) -> tuple[ProcessWorker, ...]:
        """The worker processes; number n is the n-th, counted from 1."""
        return cast("tuple[ProcessWorker, ...]", super().workers)
