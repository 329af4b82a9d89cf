"""The least that stepping copies can cost: what everything else is compared with."""

from collections.abc import Callable

from benchmarks.packed import PackedArrays, PackedCopies
from benchmarks.tasks import Task


def bare_loop(task: Task, steps: int) -> Callable[[], None]:
    """Step copies as anybody would, with nothing around them."""
    envs = [task.make() for _ in range(task.copies)]
    actions = task.actions(steps)

    def run() -> None:
        for env in envs:
            env.reset(seed=0)
        for row in actions:
            for env, chosen in zip(envs, row, strict=True):
                env.step(dict(zip(env.agents, chosen, strict=True)))
                if not env.agents:
                    env.reset()

    return run


def packing_loop(task: Task, steps: int) -> Callable[[], None]:
    """The same, and write what the environments return into arrays, as every learner needs it."""
    copies = PackedCopies(
        [task.make() for _ in range(task.copies)], PackedArrays.make(task.copies, task.agents, task.size)
    )
    actions = task.actions(steps)

    def run() -> None:
        copies.reset()
        for row in actions:
            copies.step(row)

    return run
