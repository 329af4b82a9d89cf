"""Tasks to time, and the loop that everything is compared with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import numpy as np
import numpy.typing as npt
from pettingzoo import ParallelEnv

from benchmarks import trivial_env

BARE = "bare loop"
Actions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """Copies of an environment whose agents are alike and have discrete actions.

    Attributes:
        title: Name of the environment.
        make: Makes one copy; can be pickled.
        copies: Number of copies.
        agents: Number of agents of each copy.
        choices: Number of actions of each agent.
    """

    title: str
    make: Callable[[], ParallelEnv]
    copies: int
    agents: int
    choices: int

    @property
    def described(self) -> str:
        """The environment and its size, in words."""
        return f"{self.title}, {self.agents} agents x {self.copies} copies"

    def actions(self, steps: int) -> Actions:
        """Return random actions, ``(steps, copies, agents) int64``, the same for every contender."""
        return np.random.default_rng(0).integers(0, self.choices, (steps, self.copies, self.agents))


def bare_loop(task: Task, steps: int) -> Callable[[], None]:
    """Return a loop over all copies, with nothing around them."""
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


def simple_spread(copies: int) -> Task:
    """Return three agents that cover landmarks; a step costs a few hundred microseconds."""
    return Task("mpe2.simple_spread_v3", _parallel_env("mpe2.simple_spread_v3"), copies, agents=3, choices=5)


def trivial(copies: int, agents: int = 8) -> Task:
    """Return agents that do nothing; a step costs a few microseconds."""
    make = partial(trivial_env.TrivialEnv, agents)
    return Task("trivial environment", make, copies, agents, trivial_env.CHOICES)


TASKS: dict[str, Callable[[int], Task]] = {"simple_spread": simple_spread, "trivial": trivial}


def _parallel_env(module: str) -> Callable[[], ParallelEnv]:
    make: Callable[[], ParallelEnv] = import_module(module).parallel_env
    return make
