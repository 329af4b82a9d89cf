"""SB3's own vector environments."""

from collections.abc import Callable
from functools import partial

from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from benchmarks.flat_env import FlatEnv
from benchmarks.tasks import Actions, Task


def make(task: Task, actions: Actions, processes: int) -> Callable[[], None]:
    """All in this process, or as many processes as copies."""
    factories = [partial(FlatEnv, task)] * task.copies
    vec = SubprocVecEnv(factories) if processes else DummyVecEnv(factories)

    def run() -> None:
        vec.reset()
        for row in actions:
            vec.step(row)

    return run
