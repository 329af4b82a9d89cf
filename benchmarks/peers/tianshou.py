"""Tianshou's processes with observations in shared memory."""

from collections.abc import Callable
from functools import partial

import numpy as np
from tianshou.env import ShmemVectorEnv

from benchmarks.flat_env import FlatEnv
from benchmarks.tasks import Actions, Task


def make(task: Task, actions: Actions) -> Callable[[], None]:
    """As many processes as copies; whoever steps resets what has ended, as Tianshou's collector does."""
    vec = ShmemVectorEnv([partial(FlatEnv, task)] * task.copies)

    def run() -> None:
        vec.reset()
        for row in actions:
            _, _, terminated, truncated, _ = vec.step(row)
            if (ended := np.flatnonzero(terminated | truncated)).size:
                vec.reset(ended)

    return run
