"""The least that two worker processes can cost: shared memory, and one semaphore each way and worker."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.synchronize import Semaphore
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.packed import PackedArrays, PackedCopies
from benchmarks.tasks import Actions, Task

WORKERS = 2


def make(task: Task, actions: Actions) -> Callable[[], None]:
    """Two workers step half of the copies each, while this process waits; nothing guards against errors."""
    context = multiprocessing.get_context("fork")
    chosen = _shared((task.copies, task.agents), np.int64)
    arrays = PackedArrays.make(task.copies, task.agents, task.size, _shared)
    go = [context.Semaphore(0) for _ in range(WORKERS)]
    done = [context.Semaphore(0) for _ in range(WORKERS)]
    for number in range(WORKERS):
        rows = slice(number * task.copies // WORKERS, (number + 1) * task.copies // WORKERS)
        arguments = (task, arrays.rows(rows), chosen[rows], go[number], done[number])
        context.Process(target=_work, args=arguments, daemon=True).start()

    def run() -> None:
        for row in actions:
            chosen[:] = row
            for semaphore in go:
                semaphore.release()
            for semaphore in done:
                semaphore.acquire()

    return run


def _work(task: Task, arrays: PackedArrays, chosen: npt.NDArray[np.int64], go: Semaphore, done: Semaphore) -> None:
    copies = PackedCopies([task.make() for _ in range(len(chosen))], arrays)
    copies.reset()
    while True:
        go.acquire()
        copies.step(chosen)
        done.release()


def _shared(shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
    """Zeros in memory that forked processes share."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(multiprocessing.RawArray("b", size), dtype=dtype).reshape(shape)
