"""SuperSuit's bridge from PettingZoo to SB3."""

from collections.abc import Callable

import supersuit

from benchmarks.tasks import Actions, Task


def make(task: Task, actions: Actions, num_cpus: int) -> Callable[[], None]:
    """As SuperSuit's own documentation trains with SB3."""
    one = supersuit.pettingzoo_env_to_vec_env_v1(task.make())
    view = supersuit.concat_vec_envs_v1(one, task.copies, num_cpus=num_cpus, base_class="stable_baselines3")

    def run() -> None:
        view.reset()
        for row in actions:
            view.step(row.ravel())

    return run
