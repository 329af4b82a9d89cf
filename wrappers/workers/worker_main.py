"""The main function of a worker process: it serves the driver, and does nothing else."""

import os
import pickle
import signal
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import connection, parent_process
from typing import Any

import cloudpickle

from heron.errors import ConfigurationError, summary
from heron.wrappers.workers.channel import ANSWER, DONE, KINDS, Channel
from heron.wrappers.workers.orders import CLOSE, NOTHING_TO_ADD, Answer, Failure, Order, Task
from heron.wrappers.workers.shard import Job, Shard
from heron.wrappers.workers.shared_memory import Memory, arrays_within

_POLL_INTERVAL = 1.0  # s
_GRACE = 2.0  # s
_TASKS: Mapping[bytes, Task] = {kind: task for task, kind in KINDS.items()}


def run_worker(
    own_end: socket.socket, memory: Memory, pickled_job: bytes, inherited: Sequence[socket.socket] = ()
) -> None:
    """Serve the driver until it closes the shard, or is gone.

    Args:
        own_end: The connection to the driver.
        memory: The shared arrays.
        pickled_job: A ``Job``.
        inherited: The driver's ends of connections, which a forked process has, but should not.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the driver decides what it means
    threading.Thread(target=_exit_with_driver, args=(os.getppid(),), daemon=True).start()
    for end in inherited:
        end.close()
    channel = Channel(own_end)
    with suppress(EOFError, ConnectionError):  # the driver is gone
        try:
            job: Job = cloudpickle.loads(pickled_job)
            shard = job.start(arrays_within(memory, job.groups, job.num_envs).rows(job.rows))
        except Exception as error:  # noqa: BLE001 -- raised again by the driver
            _send(channel, Answer(failure=Failure.of(error)))
        else:
            channel.send(DONE)
            _serve(channel, shard)
    channel.close()


def _exit_with_driver(parent: int) -> None:
    """End this process some time after the driver has ended, however busy the environment is."""
    driver = parent_process()
    if driver is None:
        return
    # A forked process may hold the other end of its own sentinel, through a sibling. Its parent's id changes anyway.
    while not connection.wait([driver.sentinel], _POLL_INTERVAL) and os.getppid() == parent:
        pass
    time.sleep(_GRACE)
    os._exit(1)


def _serve(channel: Channel, shard: Shard) -> None:
    try:
        while (order := _next_order(channel)).task != "close":
            _send(channel, shard.answer(order))
    finally:
        answer = shard.answer(CLOSE)
        with suppress(OSError):
            _send(channel, answer)


def _next_order(channel: Channel) -> Order:
    kind, body = channel.receive()
    arguments = pickle.loads(body) if body else ()  # noqa: S301 -- pickled by the driver
    return Order(_TASKS[kind], arguments)


def _send(channel: Channel, answer: Answer) -> None:
    if answer is NOTHING_TO_ADD:
        channel.send(DONE)
    else:
        channel.send(ANSWER, _packed(answer))


def _packed(answer: Answer) -> bytes:
    try:
        return _pickled(answer)
    except Exception as error:  # noqa: BLE001 -- raised again by the driver
        what = f"infos {dict(answer.infos)}" if answer.infos else f"{answer.value!r}"
        failure = ConfigurationError(f"{what} cannot be sent from a worker process ({summary(error)})")
        return _pickled(Answer(failure=Failure.of(failure)))


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001 -- functions and classes that cannot be imported by name
        return bytes(cloudpickle.dumps(value))
