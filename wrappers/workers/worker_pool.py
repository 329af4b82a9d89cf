"""All worker processes of one batch of environments, and what becomes of the copies of one that is lost."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from heron.batch.batch_env import AgentGroup
from heron.errors import HeronError, WorkerError
from heron.wrappers.workers.shared_arrays import SharedArrays
from heron.wrappers.workers.worker_channel import CALL, Infos
from heron.wrappers.workers.worker_process import WorkerProcess

_logger = logging.getLogger("heron")


class WorkerPool:
    """Worker processes that step their copies in shared arrays.

    Args:
        workers: The processes, not started yet.
        groups: Group name -> agents.
        arrays: The shared arrays of all copies.
        restart_lost: Restart a lost worker at once, instead of telling of it as an error.

    Attributes:
        infos: For each copy, agent id -> the info dict of the last reset or step, where it was not empty.
    """

    def __init__(
        self,
        workers: Sequence[WorkerProcess],
        groups: Mapping[str, AgentGroup],
        arrays: SharedArrays,
        *,
        restart_lost: bool,
    ) -> None:
        self.workers = tuple(workers)
        self.infos: list[Infos] = [{} for _ in arrays.mask]
        self._groups = groups
        self._arrays = arrays
        self._restart_lost = restart_lost
        self._was_active = {name: state.active.copy() for name, state in arrays.states.items()}

    def start(self) -> None:
        """Start all processes at once, and wait until each has made its copies.

        Raises:
            Exception: The first error of a process that has not.
        """
        for worker in self.workers:
            worker.start(self.workers)
        for worker in self.workers:
            worker.await_start()

    def restart(self, worker: WorkerProcess) -> None:
        """Cut off a worker's copies, and let a new process make new ones.

        Raises:
            Exception: The error of a process that could not make its copies.
        """
        self.remember_active()
        worker.end("was restarted on request")
        self._cut_off(worker)
        self._start_again(worker)

    def concerned(self) -> list[WorkerProcess]:
        """The workers that have copies in the shared mask."""
        return [worker for worker in self.workers if self._arrays.mask[worker.rows].any()]

    def remember_active(self, *, is_reset: bool = False) -> None:
        """Keep which agents a loss would cut off, for a worker that is lost may have written anything.

        Args:
            is_reset: Whether the masked copies are about to leave their episodes anyway.
        """
        for name, state in self._arrays.states.items():
            was_active = self._was_active[name]
            np.copyto(was_active, state.active)
            if is_reset:
                was_active[self._arrays.mask] = False

    def settle(self) -> None:
        """Take the answers that are due since something, such as Ctrl-C, interrupted the waiting for them."""
        errors: list[Exception] = []
        for worker in self.workers:
            if worker.pending == CALL:
                with suppress(WorkerError):  # found out again by the next message
                    worker.receive()
            elif worker.pending:
                self._take(worker, errors)
        raise_first(errors)

    def run(
        self,
        kind: bytes,
        bodies: Mapping[WorkerProcess, bytes | None],
        own_share: Callable[[list[Exception]], None],
        errors: list[Exception],
    ) -> list[WorkerProcess]:
        """Let workers step or reset their masked copies while this process does its own share.

        Args:
            kind: What to do.
            bodies: The workers concerned, and what to tell them.
            own_share: What this process does meanwhile; it adds its errors to the list.
            errors: Gets what went wrong in any copy, in the copies' order.

        Returns:
            The workers that were lost and restarted.
        """
        lost: dict[WorkerProcess, WorkerError] = {}
        for worker, body in bodies.items():
            try:
                worker.send(kind, body)
            except WorkerError as error:
                lost[worker] = error
        own_share(errors)
        restarted = []
        for worker in bodies:
            known = lost.get(worker)
            if self._take(worker, errors) if known is None else self._handle_loss(worker, known, errors):
                restarted.append(worker)
        return restarted

    def send_call(self, worker: WorkerProcess, body: bytes) -> None:
        """Let a worker call a method of its shard; a loss is told of by ``receive_value``."""
        with suppress(WorkerError):
            worker.send(CALL, body)

    def receive_value(self, worker: WorkerProcess) -> Any:
        """What the call returned.

        Raises:
            Exception: What it raised.
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

    def _take(self, worker: WorkerProcess, errors: list[Exception]) -> bool:
        """Take a worker's answer to a step or reset; returns whether it was lost and restarted."""
        try:
            answer = worker.receive()
        except WorkerError as error:
            return self._handle_loss(worker, error, errors)
        self.take_infos(worker.rows, answer.infos)
        if answer.failure is not None:
            errors.append(answer.failure.unpack(worker.where()))
        return False

    def _handle_loss(self, worker: WorkerProcess, error: WorkerError, errors: list[Exception]) -> bool:
        """Cut off the copies of a lost worker, and restart it if that is wanted; returns whether it was."""
        self._cut_off(worker)
        if not self._restart_lost:
            errors.append(error)
            return False
        _logger.warning("%s: it is restarted, and its copies need a reset", error)
        try:
            self._start_again(worker)
        except HeronError as failure:
            failure.add_note(f"it was restarted because {error}")
            errors.append(failure)
            return False
        return True

    def _cut_off(self, worker: WorkerProcess) -> None:
        """Truncate the agents of a worker that is lost, and say why in their infos."""
        rows, reason = worker.rows, f"{worker} {worker.lost}"
        infos: list[dict[str, Mapping[str, Any]]] = [{} for _ in worker.env_ids]
        for name, state in self._arrays.states.items():
            was_active = self._was_active[name][rows]
            state.rewards[rows] = 0.0
            state.terminated[rows] = state.active[rows] = False
            state.truncated[rows] = was_active
            for local, place in np.argwhere(was_active).tolist():
                infos[local][self._groups[name].agent_ids[place]] = {"worker_lost": reason}
        self.infos[rows] = infos

    def _start_again(self, worker: WorkerProcess) -> None:
        worker.start([other for other in self.workers if other is not worker])
        worker.await_start()


def end_all(workers: Sequence[WorkerProcess]) -> None:
    """Let all workers close their copies and end, without asking whether it went well."""
    for worker in workers:
        worker.hang_up()
    for worker in workers:
        worker.end("was closed")


def raise_first(errors: Sequence[Exception]) -> None:
    """Raise the first error, if any, with the others in its notes."""
    if not errors:
        return
    for other in errors[1:]:
        errors[0].add_note(f"beside it, {other}")
        for note in getattr(other, "__notes__", []):
            errors[0].add_note(note)
    raise errors[0]
