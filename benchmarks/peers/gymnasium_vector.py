"""Gymnasium's own vector environments."""

from collections.abc import Callable
from functools import partial

from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from benchmarks.flat_env import FlatEnv
from benchmarks.tasks import Actions, Task


def make(task: Task, actions: Actions, processes: int) -> Callable[[], None]:
    """All in this process, or as many processes as copies."""
    factories = [partial(FlatEnv, task)] * task.copies
    vec = AsyncVectorEnv(factories) if processes else SyncVectorEnv(factories)

    def run() -> None:
        vec.reset(seed=0)
        for row in actions:
            vec.step(row)

    return run
