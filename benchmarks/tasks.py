"""What is stepped: an environment, how many copies of it, and which actions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import numpy as np
import numpy.typing as npt
from pettingzoo import ParallelEnv

from benchmarks import trivial_env

Actions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """Copies of an environment whose agents are alike and choose among a few actions.

    Attributes:
        title: What the environment is called.
        make: Makes one copy; can be pickled.
        copies: How many copies are stepped.
        agents: How many agents each of them has.
        choices: How many actions each agent can choose from.
        size: How many values each agent observes.
    """

    title: str
    make: Callable[[], ParallelEnv]
    copies: int
    agents: int
    choices: int
    size: int

    def actions(self, steps: int) -> Actions:
        """``(steps, copies, agents) int64``, the same ones for every contender."""
        return np.random.default_rng(0).integers(0, self.choices, (steps, self.copies, self.agents))


def simple_spread(copies: int) -> Task:
    """Three agents that cover landmarks; a step costs a few hundred microseconds."""
    return Task("mpe2.simple_spread_v3", _parallel_env("mpe2.simple_spread_v3"), copies, agents=3, choices=5, size=18)


def trivial(copies: int, agents: int = 8) -> Task:
    """Agents that do nothing; a step costs next to nothing."""
    make = partial(trivial_env.TrivialEnv, agents)
    return Task("a trivial environment", make, copies, agents, trivial_env.CHOICES, trivial_env.SIZE)


TASKS: dict[str, Callable[[int], Task]] = {"simple_spread": simple_spread, "trivial": trivial}


def _parallel_env(module: str) -> Callable[[], ParallelEnv]:
    make: Callable[[], ParallelEnv] = import_module(module).parallel_env
    return make
