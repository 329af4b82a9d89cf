"""Copies of environments in shards: this process steps the first, workers of any kind step the others."""

import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from heron.batch.batch_env import BatchEnv, BoolArray
from heron.errors import EnvClosedError, EnvError, UnknownEnvError, WorkerError, raise_first, shown
from heron.wrappers.workers.orders import STEP, Order
from heron.wrappers.workers.shard import Job, Shard, ShardMaker, check_shard
from heron.wrappers.workers.sharding import split_rows
from heron.wrappers.workers.worker import Transport, Worker
from heron.wrappers.workers.worker_pool import WorkerPool, close_all, end_all


@dataclass(frozen=True)
class Part:
    """The copies of one shard that a call concerns.

    Attributes:
        rows: The rows of the shard.
        places: Where these copies are in the call's list of copies.
        indices: Their indices in the shard.
    """

    rows: slice
    places: list[int]
    indices: list[int]


class ShardedEnv(BatchEnv):
    """Copies in shards, of which this process steps the first and workers step the others.

    A worker that dies, or gives no answer in time, raises a ``WorkerError``. Its copies are truncated,
    with the reason under ``"worker_lost"`` in the infos of the agents that were active. All other copies stay usable.
    ``restart_worker`` makes the lost ones again; they need a reset.

    Args:
        make_shards: A function for each shard, which makes a ``BatchEnv`` of its copies. Copies are distributed evenly,
            in their order; the last shards get the remainder, one more copy each.
        env_ids: The names of all copies, which are distinct.
        transport: Makes the workers.
        restart_workers: Restart a lost worker at once, instead of raising.

    Raises:
        ConfigurationError: If the shards differ in their agents or spaces, or a job cannot be sent to a worker.
        WorkerError: If a worker was lost while it was being started.
        Exception: Any error of ``make_shards``.
    """

    def __init__(
        self,
        make_shards: Sequence[ShardMaker],
        env_ids: tuple[str, ...],
        transport: Transport,
        *,
        restart_workers: bool = False,
    ) -> None:
        own_rows, *others = split_rows(len(env_ids), len(make_shards))
        self.env_ids = env_ids
        self._creator = os.getpid()
        self._own_rows = own_rows
        own = make_shards[0]()
        workers: list[Worker] = []
        try:
            check_shard(own, env_ids[own_rows], own.groups)
            self.groups = dict(own.groups)
            self.steps_some, self.holds_ended = own.steps_some, own.holds_ended
            self.resets_some, self.resets_ended = own.resets_some, own.resets_ended
            self._arrays = transport.allocate(self.groups, self.num_envs)
            for number, (rows, make) in enumerate(zip(others, make_shards[1:], strict=True), 1):
                job = Job(number, make, env_ids[rows], rows, self.groups, self.num_envs)
                workers.append(transport.make_worker(job, self._arrays.rows(rows)))
            self._shard = Shard(own, self._arrays.rows(own_rows))
            self._pool = WorkerPool(workers, self.groups, self._arrays, restart_lost=restart_workers)
            self._pool.start()
        except BaseException:
            end_all(workers)
            own.close()
            raise
        self.states = self._arrays.states
        self.infos = self._pool.infos
        # They also end without close(), for example after an exception.
        self._end_workers = weakref.finalize(self, end_all, workers)

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The workers; number n is the n-th, counted from 1."""
        return self._pool.workers

    def restart_worker(self, number: int) -> None:
        """End a worker, if it is there, and start it again with new copies, which need a reset.

        Copies whose episode was running are truncated, with the reason in their infos.

        Args:
            number: The worker's number; the first one is 1.

        Raises:
            UnknownEnvError: If there is no worker with this number.
            EnvCreationError: If a copy could not be made again.
            WorkerError: If the worker was lost while it was being started.
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

    def _check_reset(
        self, mask: BoolArray, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None
    ) -> None:
        if type(self._shard.env)._check_reset is BatchEnv._check_reset:  # noqa: SLF001 -- as this one is
            return  # no other shard refuses a reset either, and asking them takes time
        self._check_open()

        def arguments(part: Part) -> Sequence[Any]:
            return mask[part.rows], _seeds_of(part.rows, seeds), options

        with suppress(WorkerError):  # the reset reports it, or restarts the worker
            self._ask_shards("check_reset", np.flatnonzero(mask).tolist(), arguments)

    def _reset(self, mask: BoolArray, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None) -> None:
        self._arrays.mask[:] = mask
        self._pool.remember_active(is_reset=True)
        orders = {
            worker: worker.prepare(Order("reset", (_seeds_of(worker.rows, seeds), options)))
            for worker in self._pool.concerned()
        }
        own = partial(self._shard.reset, _seeds_of(self._own_rows, seeds), options)
        errors: list[Exception] = []
        if restarted := self._pool.run(orders, partial(self._do_own_share, own), errors):
            self._pool.run({worker: orders[worker] for worker in restarted}, lambda _: None, errors)
        raise_first(errors)

    def _step(self, actions: Mapping[str, npt.NDArray[Any]], mask: BoolArray) -> None:
        self._arrays.mask[:] = mask
        self._pool.remember_active()
        for name, own in self._arrays.actions.items():
            np.copyto(own, actions[name], casting="same_kind")
        orders = {worker: worker.prepare(STEP) for worker in self._pool.concerned()}
        errors: list[Exception] = []
        self._pool.run(orders, partial(self._do_own_share, self._shard.step), errors)
        raise_first(errors)

    def _get_attr(self, name: str, indices: Sequence[int]) -> list[Any]:
        return self._ask_shards("get_attr", indices, lambda part: (name, part.indices))

    def _set_attr(self, name: str, values: Sequence[Any], indices: Sequence[int]) -> None:
        self._ask_shards(
            "set_attr", indices, lambda part: (name, [values[place] for place in part.places], part.indices)
        )

    def _call(self, name: str, indices: Sequence[int], *args: Any, **kwargs: Any) -> list[Any]:
        return self._ask_shards("call", indices, lambda part: (name, part.indices, *args), kwargs)

    def _close(self) -> None:
        try:
            close_all(self.workers, self._shard.close)
        finally:
            self._end_workers()

    def _check_open(self) -> None:
        super()._check_open()
        if os.getpid() != self._creator:
            raise EnvClosedError(
                f"the environments {shown(self.env_ids)} belong to process {self._creator}: a process forked off it "
                "must make its own"
            )
        if any(worker.pending for worker in self.workers):
            self._running = None  # their late answers may change it
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
        arguments: Callable[[Part], Sequence[Any]],
        kwargs: Mapping[str, Any] | None = None,
    ) -> list[Any]:
        """Call a method of each shard concerned, and join the lists that they return.

        Args:
            method: A method of ``BatchEnv``.
            indices: The copies concerned.
            arguments: Returns the arguments for one shard.
            kwargs: Keyword arguments for all shards.
        """
        self._running = None  # a worker may be lost
        self._pool.remember_active()
        parts = dict(self._parts(indices))
        calls = {worker: (method, arguments(part), dict(kwargs or {})) for worker, part in parts.items()}
        orders = {worker: worker.prepare(Order("call", call)) for worker, call in calls.items() if worker is not None}
        for called, order in orders.items():
            with suppress(WorkerError):  # raised by receive_value
                called.send(order)
        values: dict[int, Any] = {}
        errors: list[Exception] = []
        for worker, part in parts.items():
            try:
                value = self._shard.call(*calls[None]) if worker is None else self._pool.receive_value(worker)
            except Exception as error:  # noqa: BLE001 -- the first is raised when all have answered
                errors.append(error)
            else:
                values.update(zip(part.places, value or [], strict=False))
        raise_first(errors)
        return [values.get(place) for place in range(len(indices))]

    def _parts(self, indices: Sequence[int]) -> Iterator[tuple[Worker | None, Part]]:
        """Return the shards concerned, None for that of this process, and the copies concerned of each."""
        where = [range(self.num_envs)[index] for index in indices]
        for worker in (None, *self.workers):
            rows = self._own_rows if worker is None else worker.rows
            places = [place for place, index in enumerate(where) if rows.start <= index < rows.stop]
            if places:
                yield worker, Part(rows, places, [where[place] - rows.start for place in places])


def _seeds_of(rows: slice, seeds: Sequence[int | None] | None) -> list[int | None] | None:
    return None if seeds is None else list(seeds)[rows]
