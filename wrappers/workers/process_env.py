"""Copies of environments in several processes, with their results in shared memory."""

import logging
import multiprocessing
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from heron.batch.batch_env import BatchEnv, BoolArray
from heron.batch.copy_selection import check_env_ids
from heron.errors import EnvClosedError, EnvError, UnknownEnvError, WorkerError, shown
from heron.wrappers.sources.env_creation import EnvFactory
from heron.wrappers.sources.loop_env import LoopEnv
from heron.wrappers.workers.env_worker import Job, Shard, ShardMaker, check_shard
from heron.wrappers.workers.sharding import StartMethod, check_picklable, checked_num_workers, packed, split_rows
from heron.wrappers.workers.shared_arrays import SharedArrays, allocate
from heron.wrappers.workers.worker_channel import RESET, STEP
from heron.wrappers.workers.worker_pool import WorkerPool, end_all, raise_first
from heron.wrappers.workers.worker_process import WorkerProcess

Places = list[tuple[int, int]]
"""Pairs of a place in the list of copies that a call is about, and of the copy's place in its shard."""

_logger = logging.getLogger("heron")


class ProcessEnv(BatchEnv):
    """Copies of a PettingZoo ``ParallelEnv``, sharded over worker processes; this process steps the first shard.

    Same seeds, same trajectories, to the bit, as with ``LoopEnv``, as long as the copies share nothing: each
    worker gets its own pickled copy of what the factories refer to.

    A worker that dies, or gives no answer in time, raises a ``WorkerError``. Its copies are cut off then: agents
    that were active are truncated and have the reason under ``"worker_lost"`` in their infos. All other copies
    stay usable, and ``restart_worker`` brings the lost ones back, in need of a reset.

    Args:
        factories: One a copy. They are pickled with cloudpickle, so lambdas and local functions will do.
        env_ids: The copies' names; ``env_0``, ``env_1`` ... by default.
        groups: Group name -> agent ids, to arrange the agents by hand; see ``LoopEnv``.
        validate: Check every observation against its space and every reward for being finite.
        num_workers: Worker processes beside this one, from 0 to one less than there are copies. By default as
            many as keep all cores busy, this process included.
        start_method: How processes are started: ``"forkserver"``, ``"spawn"``, or ``"fork"``, which is quick but
            unsafe in a process that has threads.
        timeout: Longest wait in s for a worker, after this process has done its own share. Starting may take
            60 s at least.
        restart_workers: Restart a lost worker at once, instead of raising. Its copies are cut off all the same; in a
            reset they are reset.

    Raises:
        EnvCreationError: If a factory raises or returns something that cannot be used; it says which.
        ConfigurationError: If an option does not fit, a factory cannot be pickled, ids stand twice, or the copies
            differ in their agents or spaces.
        WorkerError: If a worker died while starting.
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

        def shard_of(rows: slice) -> ShardMaker:
            for factory, env_id in zip(factories[rows], names[rows], strict=True):
                if rows.start:  # the first shard stays in this process
                    check_picklable(factory, f"{env_id}: the factory")
            return partial(LoopEnv, list(factories[rows]), names[rows], groups=groups, validate=validate)

        self._set_up(shard_of, names, num_workers, start_method, timeout, restart_workers)

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
        """Shards of any batched environment.

        Args:
            make_shard: Makes a ``BatchEnv`` of the copies with the given env_ids.
            env_ids: The names of all copies.
            num_workers: See the class, as for the other options.
            start_method: How processes are started.
            timeout: Longest wait in s for a worker.
            restart_workers: Restart a lost worker at once.
        """
        names = check_env_ids(env_ids, len(env_ids))
        check_picklable(make_shard, "make_shard")
        env = cls.__new__(cls)
        env._set_up(  # noqa: SLF001
            lambda rows: partial(make_shard, names[rows]), names, num_workers, start_method, timeout, restart_workers
        )
        return env

    def _set_up(
        self,
        shard_of: Callable[[slice], ShardMaker],
        env_ids: tuple[str, ...],
        num_workers: int | None,
        start_method: StartMethod,
        timeout: float,
        restart_workers: bool,
    ) -> None:
        num_workers = checked_num_workers(len(env_ids), num_workers, start_method, timeout)
        own_rows, *others = split_rows(len(env_ids), num_workers + 1)
        makers = [shard_of(rows) for rows in (own_rows, *others)]
        self.env_ids = env_ids
        self._creator = os.getpid()
        self._own_rows = own_rows
        own = makers[0]()
        workers: list[WorkerProcess] = []
        try:
            check_shard(own, env_ids[own_rows], own.groups)
            self.groups = dict(own.groups)
            self.steps_some, self.holds_ended = own.steps_some, own.holds_ended
            self.resets_some = own.resets_some
            context = multiprocessing.get_context(start_method)
            memory = allocate(context, self.groups, self.num_envs)
            for number, (rows, make) in enumerate(zip(others, makers[1:], strict=True), 1):
                job = Job(make, env_ids[rows], rows, self.groups, self.num_envs)
                workers.append(WorkerProcess(number, job, memory, context, float(timeout)))
            self._arrays = SharedArrays.within(memory, self.groups, self.num_envs)
            self._shard = Shard(own, self._arrays.rows(own_rows))
            self._pool = WorkerPool(workers, self.groups, self._arrays, restart_lost=restart_workers)
            self._pool.start()
        except BaseException:
            end_all(workers)
            own.close()
            raise
        self.states = self._arrays.states
        self.infos = self._pool.infos
        # Also when nobody calls close(), as after an exception.
        self._end_workers = weakref.finalize(self, end_all, workers)

    @property
    def workers(self) -> tuple[WorkerProcess, ...]:
        """The worker processes; number n is the n-th, counted from 1."""
        return self._pool.workers

    def _check_reset(
        self, mask: BoolArray, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None
    ) -> None:
        self._check_open()
        if type(self._shard.env)._check_reset is BatchEnv._check_reset:  # noqa: SLF001 -- as this one is
            return  # nor does any other shard refuse, and asking them takes time
        indices = np.flatnonzero(mask).tolist()
        shards = {rows.start: rows for rows in (self._own_rows, *(worker.rows for worker in self.workers))}

        def arguments(places: Places) -> tuple[Sequence[Any], Mapping[str, Any]]:
            place, local = places[0]
            rows = shards[indices[place] - local]
            return (mask[rows], None if seeds is None else list(seeds)[rows], options), {}

        with suppress(WorkerError):  # the reset tells of it, or makes it good
            self._ask_shards("check_reset", indices, arguments)

    def _reset(self, mask: BoolArray, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None) -> None:
        self._arrays.mask[:] = mask
        self._pool.remember_active(is_reset=True)

        def part(rows: slice) -> tuple[Sequence[int | None] | None, Mapping[str, Any] | None]:
            return None if seeds is None else list(seeds)[rows], options

        bodies = {worker: packed(part(worker.rows), "seeds and options") for worker in self._pool.concerned()}
        errors: list[Exception] = []
        own_share = partial(self._do_own_share, lambda: self._shard.reset(*part(self._own_rows)))
        if restarted := self._pool.run(RESET, bodies, own_share, errors):
            self._pool.run(RESET, {worker: bodies[worker] for worker in restarted}, lambda _: None, errors)
        raise_first(errors)

    def _step(self, actions: Mapping[str, npt.NDArray[Any]], mask: BoolArray) -> None:
        self._arrays.mask[:] = mask
        self._pool.remember_active()
        for name, shared in self._arrays.actions.items():
            np.copyto(shared, actions[name], casting="same_kind")
        errors: list[Exception] = []
        bodies = dict.fromkeys(self._pool.concerned())
        self._pool.run(STEP, bodies, partial(self._do_own_share, self._shard.step), errors)
        raise_first(errors)

    def _get_attr(self, name: str, indices: Sequence[int]) -> list[Any]:
        return self._ask_shards("get_attr", indices, lambda places: ((name, _in_shard(places)), {}))

    def _set_attr(self, name: str, values: Sequence[Any], indices: Sequence[int]) -> None:
        self._ask_shards(
            "set_attr",
            indices,
            lambda places: ((name, [values[place] for place, _ in places], _in_shard(places)), {}),
        )

    def _call(self, name: str, indices: Sequence[int], *args: Any, **kwargs: Any) -> list[Any]:
        return self._ask_shards("call", indices, lambda places: ((name, _in_shard(places), *args), kwargs))

    def restart_worker(self, number: int) -> None:
        """End a worker process, if it is there, and start it again with new copies, which need a reset.

        Copies whose episode was running are cut off, with the reason in their infos.

        Args:
            number: The worker's number; the first one is 1.

        Raises:
            UnknownEnvError: If there is no such worker.
            EnvCreationError: If a copy could not be made again.
            WorkerError: If the new process died while starting.
        """
        self._check_open()
        if not 1 <= number <= len(self.workers):
            raise UnknownEnvError(f"no worker {number}, only 1 to {len(self.workers)}")
        self._running = None
        self._pool.restart(self.workers[number - 1])

    def describe(self) -> str:
        shards = [f"{shown(self.env_ids[self._own_rows])} by this process"]
        shards += [f"{shown(worker.env_ids)} by {worker}" for worker in self.workers]
        return "; ".join(shards)

    def _close(self) -> None:
        errors: list[Exception] = []
        acts: list[Callable[[], None]] = [worker.ask_to_close for worker in self.workers]
        acts += [self._shard.env.close, *(worker.await_close for worker in self.workers)]
        for act in acts:
            try:
                act()
            except WorkerError as error:  # it is gone, which is all that closing is for
                _logger.info("while closing: %s", error)
            except Exception as error:  # noqa: BLE001 -- raised below, when everything is closed
                errors.append(error)
        self._end_workers()
        raise_first(errors)

    def _check_open(self) -> None:
        super()._check_open()
        if os.getpid() != self._creator:
            raise EnvClosedError(
                f"the environments {shown(self.env_ids)} belong to process {self._creator}: one that was forked off it "
                "must make its own"
            )
        self._running = None  # what is still to come from workers may change it
        self._pool.settle()

    def _do_own_share(self, act: Callable[[], None], errors: list[Exception]) -> None:
        """Step or reset the masked copies of this process."""
        if not self._arrays.mask[self._own_rows].any():
            return
        try:
            act()
        except EnvError as error:
            errors.append(error)
        finally:
            self._pool.take_infos(self._own_rows, self._shard.infos())

    def _ask_shards(
        self,
        method: str,
        indices: Sequence[int],
        arguments: Callable[[Places], tuple[Sequence[Any], Mapping[str, Any]]],
    ) -> list[Any]:
        """Call a method of each shard concerned, and put together what they return.

        Args:
            method: A method of ``BatchEnv``.
            indices: The copies concerned.
            arguments: Gives the arguments for one shard.
        """
        self._pool.remember_active()
        shards = dict(self._places(indices))
        bodies = {
            worker: packed((method, *arguments(places)), f"the arguments of {method}")
            for worker, places in shards.items()
            if worker is not None
        }
        for called, body in bodies.items():
            self._pool.send_call(called, body)
        values: dict[int, Any] = {}
        errors: list[Exception] = []
        for worker, places in shards.items():
            try:
                if worker is not None:
                    value = self._pool.receive_value(worker)
                else:
                    args, kwargs = arguments(places)
                    value = getattr(self._shard.env, method)(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 -- the first is raised when all have answered
                errors.append(error)
            else:
                values.update(zip([place for place, _ in places], value or [], strict=False))
        self._running = None  # a worker may have been lost
        raise_first(errors)
        return [values.get(place) for place in range(len(indices))]

    def _places(self, indices: Sequence[int]) -> Iterator[tuple[WorkerProcess | None, Places]]:
        """The shards concerned, None for that of this process, and which of their copies."""
        where = [range(self.num_envs)[index] for index in indices]
        for worker in (None, *self.workers):
            rows = self._own_rows if worker is None else worker.rows
            inside = range(rows.start, rows.stop)
            if places := [(place, inside.index(index)) for place, index in enumerate(where) if index in inside]:
                yield worker, places


def _in_shard(places: Places) -> list[int]:
    return [local for _, local in places]
