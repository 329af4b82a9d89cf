"""TorchRL's PettingZoo wrapper, one copy after the other."""

from collections.abc import Callable

import torch
from torchrl.envs import SerialEnv
from torchrl.envs.libs.pettingzoo import PettingZooWrapper

from benchmarks.tasks import Actions, Task


def make(task: Task, actions: Actions) -> Callable[[], None]:
    """All agents in one group, which is what they form in HERON too."""
    group_map = {"agents": list(task.make().possible_agents)}
    env = SerialEnv(task.copies, lambda: PettingZooWrapper(task.make(), group_map=group_map))
    rows = torch.as_tensor(actions)

    def run() -> None:
        state = env.reset()
        for row in rows:
            state["agents", "action"] = row
            _, state = env.step_and_maybe_reset(state)

    return run
