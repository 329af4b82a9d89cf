"""PufferLib's emulation of PettingZoo environments on its vector backends."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pufferlib import vector
from pufferlib.emulation import PettingZooPufferEnv

from benchmarks.tasks import Actions, Task


def make(task: Task, actions: Actions, num_workers: int) -> Callable[[], float]:
    """The serial backend, or with workers the one with processes."""

    def one(buf: Any = None, seed: int = 0) -> PettingZooPufferEnv:
        return PettingZooPufferEnv(env_creator=task.make, buf=buf, seed=seed)

    if num_workers:
        vec = vector.make(one, num_envs=task.copies, num_workers=num_workers, backend=vector.Multiprocessing)
    else:
        vec = vector.make(one, num_envs=task.copies, backend=vector.Serial)
    rows = actions.reshape(len(actions), -1).astype(np.int32)
    vec.reset(0)  # once: a second reset waits forever for a worker whose last step had infos

    def run() -> float:
        vec.step(rows[0])  # workers that have idled for 0.5 s sleep for up to 10 ms before they wake up
        start = time.perf_counter()
        for row in rows:
            vec.step(row)
        return time.perf_counter() - start

    return run
