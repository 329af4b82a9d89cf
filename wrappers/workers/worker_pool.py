"""The workers of one batch of environments, and the copies of a worker that is lost."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from heron.batch.batch_env import AgentGroup
from heron.errors import HeronError, WorkerError, raise_first
from heron.wrappers.workers.batch_arrays import BatchArrays
from heron.wrappers.workers.orders import Infos, Order
from heron.wrappers.workers.worker import Worker

_logger = logging.getLogger("heron")


class WorkerPool:
    """Workers of any kind, which are given orders together.

    Args:
        workers: The workers, not started yet.
        groups: Group name -> agents.
        arrays: The driver's arrays, of all copies.
        restart_lost: Restart a lost worker at once, instead of reporting an error.

    Attributes:
        infos: For each copy, agent id -> the info dict of the last reset or step, where it was not empty.
    """

    def __init__(
        self, workers: Sequence[Worker], groups: Mapping[str, AgentGroup], arrays: BatchArrays, *, restart_lost: bool
    ) -> None:
        self.workers = tuple(workers)
        self.infos: list[Infos] = [{} for _ in arrays.mask]
        self._groups = groups
        self._arrays = arrays
        self._restart_lost = restart_lost
        self._was_active = {name: state.active.copy() for name, state in arrays.states.items()}

    def start(self) -> None:
        """Start all workers at once, and wait until each has made its copies.

        Raises:
            Exception: The first error of a worker that could not make its copies.
        """
        for worker in self.workers:
            worker.start()
        for worker in self.workers:
            worker.await_start()

    def restart(self, worker: Worker) -> None:
        """Truncate a worker's copies, and start it again with new ones.

        Raises:
            Exception: The error of a copy that could not be made.
            WorkerError: If the worker could not be started.
        """
        self.remember_active()
        worker.end("was restarted on request")
        self._truncate(worker)
        _start_again(worker)

    def concerned(self) -> list[Worker]:
        """Return the workers that have masked copies."""
        return [worker for worker in self.workers if self._arrays.mask[worker.rows].any()]

    def remember_active(self, *, is_reset: bool = False) -> None:
        """Remember the active agents, since a worker that is lost may have written anything.

        Args:
            is_reset: The masked copies are about to leave their episodes anyway.
        """
        for name, state in self._arrays.states.items():
            was_active = self._was_active[name]
            np.copyto(was_active, state.active)
            if is_reset:
                was_active[self._arrays.mask] = False

    def settle(self) -> None:
        """Take the answers that are due since an interrupt, such as Ctrl-C, ended the wait for them."""
        errors: list[Exception] = []
        for worker in self.workers:
            if worker.pending == "call":
                with suppress(WorkerError):  # the next order finds it out again
                    worker.receive()
            elif worker.pending:
                self._take(worker, errors)
        raise_first(errors)

    def run(
        self, orders: Mapping[Worker, Order], own_share: Callable[[list[Exception]], None], errors: list[Exception]
    ) -> list[Worker]:
        """Step or reset the masked copies of workers, while this process does its own share.

        Args:
            orders: The workers concerned, and a prepared order for each.
            own_share: Called meanwhile; it adds its errors to the list.
            errors: Receives the errors of all copies, in the copies' order.

        Returns:
            The workers that were lost and restarted.
        """
        lost: dict[Worker, WorkerError] = {}
        for worker, order in orders.items():
            try:
                worker.send(order)
            except WorkerError as error:
                lost[worker] = error
        own_share(errors)
        restarted = []
        for worker in orders:
            known = lost.get(worker)
            if self._take(worker, errors) if known is None else self._handle_loss(worker, known, errors):
                restarted.append(worker)
        return restarted

    def receive_value(self, worker: Worker) -> Any:
        """Wait for the return value of a call.

        Raises:
            Exception: The error of the call.
            WorkerError: If the worker is lost, restarted or not.
        """
        try:
            answer = worker.receive()
        except WorkerError as error:
            self._handle_loss(worker, error, [])
            raise
        if answer.failure is not None:
            raise answer.failure.unpack(worker.where())
        return answer.value

    def take_infos(self, rows: slice, infos: Mapping[int, Infos]) -> None:
        """Set the infos of the masked copies among these rows.

        Args:
            rows: The rows of a shard.
            infos: Row in the shard -> infos that are not empty.
        """
        for local, masked in enumerate(self._arrays.mask[rows].tolist()):
            if masked:
                self.infos[rows.start + local] = infos.get(local, {})

    def _take(self, worker: Worker, errors: list[Exception]) -> bool:
        """Take a worker's answer to a step or reset; returns True if it was lost and restarted."""
        try:
            answer = worker.receive()
        except WorkerError as error:
            return self._handle_loss(worker, error, errors)
        self.take_infos(worker.rows, answer.infos)
        if answer.failure is not None:
            errors.append(answer.failure.unpack(worker.where()))
        return False

    def _handle_loss(self, worker: Worker, error: WorkerError, errors: list[Exception]) -> bool:
        """Truncate the copies of a lost worker, and restart it on request; returns True if it was restarted."""
        self._truncate(worker)
        if not self._restart_lost:
            errors.append(error)
            return False
        _logger.warning("%s: it is restarted, and its copies need a reset", error)
        try:
            _start_again(worker)
        except HeronError as failure:
            failure.add_note(f"it was restarted because {error}")
            errors.append(failure)
            return False
        return True

    def _truncate(self, worker: Worker) -> None:
        """Truncate the agents of a worker that is lost, and put the reason into their infos."""
        rows, reason = worker.rows, f"{worker} {worker.lost}"
        infos: list[dict[str, Mapping[str, Any]]] = [{} for _ in worker.env_ids]
        for name, state in self._arrays.states.items():
            was_active = self._was_active[name][rows]
            state.cut_off(rows, was_active)
            for local, place in np.argwhere(was_active).tolist():
                infos[local][self._groups[name].agent_ids[place]] = {"worker_lost": reason}
        self.infos[rows] = infos


def close_all(workers: Sequence[Worker], own_share: Callable[[], None]) -> None:
    """Let all workers close their copies and end while this process closes its own.

    Raises:
        Exception: The first error of a copy, once everything is closed.
    """
    errors: list[Exception] = []
    acts: list[Callable[[], None]] = [worker.ask_to_close for worker in workers]
    for act in (*acts, own_share, *(worker.await_close for worker in workers)):
        try:
            act()
        except WorkerError as error:  # it is gone, which is all that closing is for
            _logger.info("while closing: %s", error)
        except Exception as error:  # noqa: BLE001 -- raised below, when everything is closed
            errors.append(error)
    raise_first(errors)


def end_all(workers: Sequence[Worker]) -> None:
    """Let all workers close their copies and end, without waiting for errors of the copies."""
    for worker in workers:
        worker.hang_up()
    for worker in workers:
        worker.end("was closed")


def _start_again(worker: Worker) -> None:
    worker.start()
    worker.await_start()
