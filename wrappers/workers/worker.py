"""The interface of workers: how the driver speaks to a shard that is stepped somewhere else."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import final

from heron.batch.batch_env import AgentGroup
from heron.errors import WorkerError, WorkerTimeoutError, summary
from heron.wrappers.workers.batch_arrays import BatchArrays
from heron.wrappers.workers.orders import CLOSE, Answer, Order, Task
from heron.wrappers.workers.shard import Job

_START_TIMEOUT = 60.0  # s; a new process has much to import
_END_TIMEOUT = 5.0  # s


class Worker(ABC):
    """A shard that is stepped in another process, in a thread, or by an actor on another machine.

    The driver sends one order at a time and collects its answer later. A worker that cannot be reached, or does not
    answer in time, is lost: it is ended, the driver gets a ``WorkerError``, and ``start`` makes it again.

    A transport implements the methods that begin with an underscore. It finds the actions and the mask of an order in
    the worker's part of the driver's arrays, and has written the states there when ``_receive`` returns: see
    ``Transport``. Errors of the transport are ``OSError`` or ``EOFError``, ``TimeoutError`` for no answer in time.

    Args:
        job: The copies, and how to make them.
        timeout: Longest wait for an answer in s. A start may always take 60 s.

    Attributes:
        number: The worker's number; the first one is 1.
        env_ids: The copies that it steps.
        rows: Their rows in the driver's arrays.
        lost: The reason why the worker is gone; empty while it is there.
        pending: The task whose answer has not been received, if any.
        start_advice: Added to the error of a worker that could not be started.
    """

    start_advice = ""

    def __init__(self, job: Job, timeout: float) -> None:
        self.number = job.number
        self.env_ids = job.env_ids
        self.rows = job.rows
        self.lost = "was never started"
        self.pending: Task | None = None
        self._timeout = timeout
        self._creator = os.getpid()

    def __str__(self) -> str:
        return f"worker {self.number}{self._place()}"

    @final
    def where(self) -> str:
        """Return the worker and its copies, for messages."""
        return f"{self}, which steps {', '.join(self.env_ids)}"

    @final
    def start(self) -> None:
        """Start the worker. Its first answer reports whether it could make its copies.

        Raises:
            WorkerError: If it could not be started.
        """
        try:
            self._launch()
        except (OSError, EOFError) as error:
            what = f"could not be started ({summary(error)})"
            raise self._start_error(self._error(WorkerError, what)) from error
        self.lost, self.pending = "", "start"

    @final
    def await_start(self) -> None:
        """Wait until the worker has made its copies.

        Raises:
            Exception: The error of a copy that could not be made.
            WorkerError: If the worker was lost.
        """
        try:
            answer = self.receive()
        except WorkerError as error:
            raise self._start_error(error) from None
        if answer.failure is not None:
            self.end("could not make its copies")
            raise answer.failure.unpack(self.where())

    def prepare(self, order: Order) -> Order:
        """Return the order in the form in which it travels, so that one that cannot travel is refused beforehand.

        Raises:
            ConfigurationError: If it cannot be sent.
        """
        return order

    @final
    def send(self, order: Order) -> None:
        """Send an order that was prepared; receive its answer later.

        Raises:
            WorkerError: If the worker is lost.
        """
        self._check_alive()
        try:
            self._send(order, self._timeout)
        except (EOFError, OSError) as error:
            raise self._lose(error) from None
        self.pending = order.task

    @final
    def receive(self) -> Answer:
        """Wait for the answer.

        Raises:
            WorkerError: If the worker is lost; ``WorkerTimeoutError`` if it gave no answer in time.
        """
        self._check_alive()
        try:
            answer = self._receive(max(self._timeout, _START_TIMEOUT) if self.pending == "start" else self._timeout)
        except (EOFError, OSError) as error:
            raise self._lose(error) from None
        self.pending = None
        return answer

    @final
    def hang_up(self) -> None:
        """End the connection, so that the worker closes its copies and ends by itself."""
        # A process that was forked off the driver has this object, too, but must not speak for the driver.
        if os.getpid() == self._creator:
            self._hang_up()

    @final
    def end(self, reason: str, patience: float = _END_TIMEOUT) -> None:
        """Hang up, and kill the worker if it does not end by itself.

        Args:
            reason: For messages.
            patience: Time in s that it may take to end by itself.
        """
        self.lost, self.pending = self.lost or reason, None
        self.hang_up()
        if os.getpid() == self._creator:
            self._kill(patience)

    @final
    def ask_to_close(self) -> None:
        """Tell the worker to close its copies and end; ``await_close`` receives its answer.

        Raises:
            WorkerError: If the worker is lost.
        """
        if self.lost:
            return
        while self.pending:
            self.receive()
        self.send(self.prepare(CLOSE))

    @final
    def await_close(self) -> None:
        """Wait until the worker has closed its copies and ended, after ``ask_to_close``.

        Raises:
            Exception: An error of the copies while they were closed.
            WorkerError: If the worker is lost.
        """
        if self.lost:
            return
        answer = self.receive()
        self.end("was closed")
        if answer.failure is not None:
            raise answer.failure.unpack(self.where())

    @abstractmethod
    def _launch(self) -> None:
        """Begin to make the shard; ``_receive`` gives the first answer when that is done."""

    @abstractmethod
    def _send(self, order: Order, timeout: float) -> None:
        """Pass an order on without waiting for its answer."""

    @abstractmethod
    def _receive(self, timeout: float) -> Answer:
        """Wait for the answer; an interrupted wait can be repeated."""

    @abstractmethod
    def _hang_up(self) -> None:
        """End the connection if there is one: the worker closes its copies and ends once it notices."""

    @abstractmethod
    def _kill(self, patience: float) -> None:
        """Wait until the worker has ended, and kill it after ``patience`` s; it may be gone already."""

    @abstractmethod
    def _cause_of_loss(self) -> str:
        """Return a predicate for a worker whose connection has ended, such as "died with exit code 3"."""

    def _place(self) -> str:
        """Return text for people after the worker's number, such as " (process 17)"."""
        return ""

    def _check_alive(self) -> None:
        if self.lost:
            raise self._error(WorkerError, f"{self.lost}: call restart_worker({self.number})")
        if os.getpid() != self._creator:
            raise self._error(
                WorkerError, f"belongs to process {self._creator}; a process forked off it must make its own workers"
            )

    def _lose(self, error: Exception) -> WorkerError:
        """End a worker that does not answer, and return the error that says what happened to it."""
        if isinstance(error, TimeoutError):
            self.end(f"gave no answer within {self._timeout:g} s, and was killed", patience=0)
            return self._error(WorkerTimeoutError, self.lost)
        self.end(self._cause_of_loss(), patience=0)
        return self._error(WorkerError, self.lost)

    def _start_error(self, error: WorkerError) -> WorkerError:
        """Return the error of a worker that was lost while it was being started, with the likely reason."""
        advice = f"What it printed may say why.{self.start_advice and ' '}{self.start_advice}"
        return type(error)(f"{error}, while it was being started. {advice}", error.worker, error.env_ids)

    def _error(self, kind: type[WorkerError], what: str) -> WorkerError:
        return kind(f"{self.where()}, {what}", self.number, self.env_ids)


class Transport(ABC):
    """Makes workers of one kind, and the arrays through which the driver and they exchange actions and states.

    A worker is given its part of the driver's arrays. If it shares their memory, it has nothing to do for that. If not,
    it sends the actions and the mask with an order, and copies the states that come back into its part.
    """

    def allocate(self, groups: Mapping[str, AgentGroup], num_envs: int) -> BatchArrays:
        """Return zeroed arrays of all copies for the driver."""
        return BatchArrays.of(groups, num_envs)

    @abstractmethod
    def make_worker(self, job: Job, arrays: BatchArrays) -> Worker:
        """Make a worker, which is not started yet.

        Args:
            job: Its copies.
            arrays: Its part of the driver's arrays.

        Raises:
            ConfigurationError: If the job cannot be sent to a worker.
        """
