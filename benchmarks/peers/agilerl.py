"""AgileRL's PettingZoo environments in one process each."""

from collections.abc import Callable

from agilerl.vector.pz_async_vec_env import AsyncPettingZooVecEnv

from benchmarks.tasks import Actions, Task


def make(task: Task, actions: Actions) -> Callable[[], None]:
    """As many processes as copies."""
    vec = AsyncPettingZooVecEnv([task.make] * task.copies)
    rows = [{agent: row[:, place] for place, agent in enumerate(vec.possible_agents)} for row in actions]

    def run() -> None:
        vec.reset(seed=0)
        for row in rows:
            vec.step(row)

    return run
