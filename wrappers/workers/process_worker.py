"""Worker processes, seen from the driver: shared memory for arrays, a socket for everything else."""

import multiprocessing
import pickle
import signal
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from heron.batch.batch_env import AgentGroup
from heron.errors import shown
from heron.wrappers.workers.batch_arrays import BatchArrays
from heron.wrappers.workers.channel import KINDS, Channel
from heron.wrappers.workers.orders import NOTHING_TO_ADD, Answer, Order
from heron.wrappers.workers.shard import Job
from heron.wrappers.workers.sharding import packed
from heron.wrappers.workers.shared_memory import Memory, allocate, arrays_within
from heron.wrappers.workers.worker import Transport, Worker
from heron.wrappers.workers.worker_main import run_worker

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

_END_TIMEOUT = 5.0  # s
GUARD = (
    'A script that starts worker processes must do so under `if __name__ == "__main__":`, for each of them imports the '
    "script."
)


class SharedMemoryTransport(Transport):
    """Processes of this machine, which write their results into shared memory.

    Args:
        start_method: Starting method of ``multiprocessing``.
        timeout: Longest wait in s for an answer.

    Attributes:
        memory: The memory of all arrays, once ``allocate`` was called.
    """

    memory: Memory

    def __init__(self, start_method: str, timeout: float) -> None:
        self.context: BaseContext = multiprocessing.get_context(start_method)
        self.timeout = timeout
        self._workers: list[ProcessWorker] = []

    @property
    def forks(self) -> bool:
        """True if processes are started by forking this one."""
        return self.context.get_start_method() == "fork"

    def allocate(self, groups: Mapping[str, AgentGroup], num_envs: int) -> BatchArrays:
        self.memory = allocate(self.context, groups, num_envs)
        return arrays_within(self.memory, groups, num_envs)

    def make_worker(self, job: Job, arrays: BatchArrays) -> "ProcessWorker":
        del arrays  # the process makes its own views of the memory
        worker = ProcessWorker(job, self)
        self._workers.append(worker)
        return worker

    def open_sockets(self) -> list[socket.socket]:
        """Return the driver's ends of all connections."""
        return [worker.own_end for worker in self._workers if worker.own_end is not None]


class ProcessWorker(Worker):
    """One worker process.

    Args:
        job: Its copies.
        transport: Starts the process, and has the shared memory.

    Attributes:
        own_end: The driver's end of the connection, while there is one.
    """

    def __init__(self, job: Job, transport: SharedMemoryTransport) -> None:
        super().__init__(job, transport.timeout)
        self.own_end: socket.socket | None = None
        if not transport.forks:  # a forked process imports nothing
            self.start_advice = f"The likely reason is a missing guard: {GUARD}"
        self._pickled_job = packed(job, f"the shard of {shown(job.env_ids)}")
        self._transport = transport
        self._process: BaseProcess | None = None
        self._channel: Channel | None = None

    @property
    def pid(self) -> int | None:
        """Process id, once the process was started."""
        return None if self._process is None else self._process.pid

    def prepare(self, order: Order) -> Order:
        return Order(order.task, packed(order.arguments, _subject(order))) if order.arguments else order

    def _launch(self) -> None:
        ours, theirs = socket.socketpair()
        inherited = [ours, *self._transport.open_sockets()] if self._transport.forks else []
        args = (theirs, self._transport.memory, self._pickled_job, inherited)
        # typeshed does not know that every context has a Process.
        make = self._transport.context.Process  # type: ignore[attr-defined]
        process = cast("BaseProcess", make(target=run_worker, args=args, name=f"heron-{self.number}", daemon=True))
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._process, self.own_end, self._channel = process, ours, Channel(ours)

    def _send(self, order: Order, timeout: float) -> None:
        self._open_channel().send(KINDS[order.task], order.arguments or None, timeout)

    def _receive(self, timeout: float) -> Answer:
        _, body = self._open_channel().receive(timeout)
        return cast("Answer", pickle.loads(body)) if body else NOTHING_TO_ADD  # noqa: S301 -- our own process

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._channel = self.own_end = None

    def _kill(self, patience: float) -> None:
        if self._process is not None:
            self._process.join(patience)
            self._process.kill()
            self._process.join(_END_TIMEOUT)

    def _cause_of_loss(self) -> str:
        exit_code = None
        if self._process is not None:
            self._process.join(_END_TIMEOUT)
            exit_code = self._process.exitcode
        if exit_code is None:
            return "closed its connection"
        if exit_code < 0:
            return f"was killed by {signal.Signals(-exit_code).name}"
        return f"died with exit code {exit_code}"

    def _place(self) -> str:
        return "" if self._process is None else f" (process {self._process.pid})"

    def _open_channel(self) -> Channel:
        if self._channel is None:
            raise EOFError("the connection was closed")
        return self._channel


def _subject(order: Order) -> str:
    """Return the name of what an order carries, for the error if it cannot be pickled."""
    return f"the arguments of {order.arguments[0]}" if order.task == "call" else "seeds and options"
