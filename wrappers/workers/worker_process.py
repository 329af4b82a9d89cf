"""The driver's side of one worker process."""

import os
import pickle
import signal
import socket
from collections.abc import Iterable
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, cast

from heron.errors import WorkerError, WorkerTimeoutError, shown
from heron.wrappers.workers.env_worker import Job, run_worker
from heron.wrappers.workers.sharding import packed
from heron.wrappers.workers.shared_arrays import Memory
from heron.wrappers.workers.worker_channel import CLOSE, NOTHING_TO_ADD, START, Answer, Channel

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

_START_TIMEOUT = 60.0  # s; a fresh process imports a good deal
_END_TIMEOUT = 5.0  # s
GUARD = (
    'A script that starts worker processes must do so under `if __name__ == "__main__":`, for each of them imports the '
    "script."
)


class WorkerProcess:
    """One worker process, which can be started again when it is lost.

    Args:
        number: The worker's number; the first one is 1.
        job: What it has to do.
        memory: The shared arrays.
        context: Starts processes.
        timeout: Longest wait in s for an answer.

    Attributes:
        env_ids: The copies that it steps.
        rows: Their places in the shared arrays.
        lost: Why there is no such process any more; empty while there is one.
        pending: The kind of message to which it owes an answer, if any.
    """

    def __init__(
        self,
        number: int,
        job: Job,
        memory: Memory,
        context: BaseContext,
        timeout: float,
    ) -> None:
        self.number = number
        self.env_ids = job.env_ids
        self.rows = job.rows
        self.lost = "was never started"
        self.pending = b""
        self._pickled_job = packed(job, f"the shard of {shown(job.env_ids)}")
        self._memory = memory
        self._context = context
        self._timeout = timeout
        self._process: BaseProcess | None = None
        self._own_end: socket.socket | None = None
        self._channel: Channel | None = None
        self._creator = os.getpid()

    def __str__(self) -> str:
        pid = "" if self._process is None else f" (process {self._process.pid})"
        return f"worker {self.number}{pid}"

    @property
    def pid(self) -> int | None:
        """The process id, if it was started."""
        return None if self._process is None else self._process.pid

    def start(self, beside: Iterable["WorkerProcess"]) -> None:
        """Start the process. It owes an answer then, which says whether it could make its copies.

        Args:
            beside: The other workers, whose connections are none of its business.

        Raises:
            WorkerError: If it could not be started.
        """
        ours, theirs = socket.socketpair()
        inherited: list[socket.socket] = []
        if self._context.get_start_method() == "fork":
            inherited = [ours, *(other._own_end for other in beside if other._own_end is not None)]  # noqa: SLF001
        args = (theirs, self._memory, self._pickled_job, inherited)
        # typeshed does not know that every context has a Process.
        make = self._context.Process  # type: ignore[attr-defined]
        process = cast("BaseProcess", make(target=run_worker, args=args, name=f"heron-{self.number}", daemon=True))
        try:
            process.start()
        except (OSError, EOFError) as error:
            ours.close()
            what = f"could not be started ({type(error).__name__}: {error})"
            raise self._start_error(self._error(WorkerError, what)) from error
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._process, self._own_end = process, ours
        self._channel = Channel(ours, max(self._timeout, _START_TIMEOUT))
        self.lost, self.pending = "", START

    def await_start(self) -> None:
        """Wait until the process has made its copies.

        Raises:
            Exception: What went wrong there.
            WorkerError: If the process died of it.
        """
        try:
            answer = self.receive()
        except WorkerError as error:
            raise self._start_error(error) from None
        if answer.failure is not None:
            self.end("could not make its copies")
            raise answer.failure.unpack(self.where())
        self._live_channel().set_timeout(self._timeout)

    def send(self, kind: bytes, body: bytes | None = None) -> None:
        """Tell the process what to do; it owes an answer then.

        Raises:
            WorkerError: If it is lost.
        """
        try:
            self._live_channel().send(kind, body)
        except (EOFError, OSError) as error:
            raise self._lose(error) from None
        self.pending = kind

    def receive(self) -> Answer:
        """Wait for the answer.

        Raises:
            WorkerError: If the process is lost; ``WorkerTimeoutError`` if it gave no answer in time.
        """
        try:
            _, body = self._live_channel().receive()
        except (EOFError, OSError) as error:
            raise self._lose(error) from None
        self.pending = b""
        return cast("Answer", pickle.loads(body)) if body else NOTHING_TO_ADD  # noqa: S301 -- our own process

    def where(self) -> str:
        """The worker and its copies, for messages."""
        return f"{self}, which steps {', '.join(self.env_ids)}"

    def hang_up(self) -> None:
        """End the connection, so that the process closes its copies and ends as soon as it looks up."""
        # A process that was forked off the driver has this object, too, but must not speak for the driver.
        if self._channel is not None and os.getpid() == self._creator:
            self._channel.close()
        self._channel = self._own_end = None

    def end(self, reason: str, patience: float = _END_TIMEOUT) -> None:
        """Hang up, and kill the process if it does not end by itself.

        Args:
            reason: Why, for messages.
            patience: How long it may take to end by itself, in s.
        """
        self.lost, self.pending = self.lost or reason, b""
        self.hang_up()
        if self._process is not None and os.getpid() == self._creator:
            self._process.join(patience)
            self._process.kill()
            self._process.join(_END_TIMEOUT)

    def ask_to_close(self) -> None:
        """Let the process close its copies and end; it owes an answer then.

        Raises:
            WorkerError: If the process is lost.
        """
        if self.lost:
            return
        while self.pending:
            self.receive()
        self._live_channel().set_timeout(self._timeout)
        self.send(CLOSE)

    def await_close(self) -> None:
        """Wait until the process has ended, as was asked for.

        Raises:
            Exception: What its copies raised when they were closed.
            WorkerError: If the process is lost.
        """
        if self.lost:
            return
        answer = self.receive()
        self.end("was closed")
        if answer.failure is not None:
            raise answer.failure.unpack(self.where())

    def _live_channel(self) -> Channel:
        if self._channel is None:
            raise self._error(WorkerError, f"{self.lost}: call restart_worker({self.number})")
        if os.getpid() != self._creator:
            raise self._error(
                WorkerError, f"belongs to process {self._creator}; one that was forked off it must make its own"
            )
        return self._channel

    def _lose(self, error: Exception) -> WorkerError:
        """End a process that does not answer, and say what happened to it."""
        if isinstance(error, TimeoutError):
            self.end(f"gave no answer within {self._timeout:g} s, and was killed", patience=0)
            return self._error(WorkerTimeoutError, self.lost)
        if self._process is not None:
            self._process.join(_END_TIMEOUT)
        self.end(_cause_of_death(None if self._process is None else self._process.exitcode), patience=0)
        return self._error(WorkerError, self.lost)

    def _start_error(self, error: WorkerError) -> WorkerError:
        """The error of a process that did not come to life, with the likely reason."""
        reason = "What it printed may say why."
        if self._context.get_start_method() != "fork":  # a forked one imports nothing
            reason += f" The likely reason is a missing guard: {GUARD}"
        return type(error)(f"{error}, while it was being started. {reason}", error.worker, error.env_ids)

    def _error(self, kind: type[WorkerError], what: str) -> WorkerError:
        return kind(f"{self}, which steps {', '.join(self.env_ids)}, {what}", self.number, self.env_ids)


def _cause_of_death(exit_code: int | None) -> str:
    if exit_code is None:
        return "closed its connection"
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"died with exit code {exit_code}"
