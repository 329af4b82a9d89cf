"""Trials of the loop against worker processes: a vector env as it will run, stepped with random actions."""

import pickle
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from statistics import median
from time import perf_counter as clock
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from heron.batch.action_records import as_actions
from heron.batch.array_tree import map_arrays
from heron.batch.batch_env import BatchEnv
from heron.errors import ConfigurationError
from heron.play.policies import RandomPolicy
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.vector.vec_group import VecGroup

Actions: TypeAlias = npt.NDArray[Any]
VectorEnvMaker: TypeAlias = Callable[[BatchEnv], HierarchicalVectorEnv]
"""Makes the vector env that is to run on a batch of copies."""

_BUDGET = 0.05  # s
_TRIAL_BUDGET = 0.5  # s
_ROUND = 0.01  # s; longer than the scheduler's time slices, of which a busy core takes away some
_FEWEST = 5
_WORTHWHILE = 1.1


@dataclass(frozen=True)
class Gain:
    """Speed of worker processes relative to that of the loop.

    Attributes:
        total: Ratio of the total times.
        low: First decile of the rounds' ratios.
        high: Last decile of them.
    """

    total: float
    low: float
    high: float

    @property
    def is_certain(self) -> bool:
        """True if worker processes are faster by more than the trial's spread, and enough to be worth their trouble."""
        return self.total >= _WORTHWHILE and self.low > 1.0

    def __str__(self) -> str:
        return f"{self.total:.2f} times as fast in a trial ({self.low:.2f} to {self.high:.2f})"


def race(loop: Callable[[int], float], processes: Callable[[int], float]) -> Gain:
    """Compare the loop with worker processes, which take turns so that both see the same machine.

    A round lasts several steps. Ratios of single steps would hide that a worker is sometimes late, since on a machine
    with a busy core it is late rarely, but then by far.

    Args:
        loop: Plays a number of steps in this process, and returns their time in s.
        processes: Plays them with worker processes.
    """
    for play in (loop, processes):  # the first steps warm up
        play(1)
    count = max(1, ceil(_ROUND * _FEWEST / loop(_FEWEST)))
    rounds: list[tuple[float, float]] = []
    end = clock() + _TRIAL_BUDGET
    while len(rounds) < _FEWEST or clock() < end:
        if len(rounds) % 2:
            second, first = processes(count), loop(count)
        else:
            first, second = loop(count), processes(count)
        rounds.append((first, second))
    ratios = [first / second for first, second in rounds]
    low, high = np.quantile(ratios, (0.1, 0.9)).tolist()
    return Gain(sum(first for first, _ in rounds) / sum(second for _, second in rounds), low, high)


def measure_step(env: BatchEnv) -> tuple[float, float]:
    """Measure the cost of a step with random actions.

    Args:
        env: A batch of one copy, which is left in the middle of an episode.

    Returns:
        Median time of a step in s, and of sending its infos between processes.
    """
    steps: list[float] = []
    infos: list[float] = []
    end = clock() + _BUDGET
    play = RandomPlay(HierarchicalVectorEnv(env))
    while len(steps) < _FEWEST or clock() < end:
        steps.append(play(1))
        infos.append(_time_of_sending(env.infos[0]))
    return median(steps), median(infos)


class RandomPlay:
    """Random actions for all groups of a vector env. Drawing them is not timed, as a learner's decisions are not.

    Args:
        venv: The vector env.
    """

    def __init__(self, venv: HierarchicalVectorEnv) -> None:
        self._venv = venv
        self._policies = {name: RandomPolicy(group.action_space, 0) for name, group in venv.groups.items()}
        venv.reset(seed=0)

    def __call__(self, count: int) -> float:
        """Play a number of steps, resets included, and return their time in s."""
        seconds = 0.0
        for _ in range(count):
            seconds += self._prepare()
            actions, commands = self._actions(self._venv.field_groups), self._actions(self._venv.coordinator_groups)
            start = clock()
            self._step(actions, commands)
            seconds += clock() - start
        return seconds

    def _prepare(self) -> float:
        """Reset the copies that have ended, and return the time in s.

        Raises:
            ConfigurationError: If a copy has no agents after its reset.
        """
        start = clock()
        ended = ~self._venv.running
        if np.count_nonzero(ended):
            self._venv.reset_envs(ended)
        seconds = clock() - start
        if not self._venv.running.all():
            raise ConfigurationError("a copy has no agents after a reset")
        return seconds

    def _actions(self, groups: list[VecGroup]) -> dict[str, Actions]:
        """Draw actions: group name -> ``(num_envs, num_agents, ...)``, records in some spaces."""
        return {group.name: self._drawn(group) for group in groups}

    def _drawn(self, group: VecGroup) -> Actions:
        num_envs, num_agents, own = self._venv.num_envs, group.num_agents, group.action_space.shape or ()
        seen = map_arrays(lambda array: array.reshape(-1, *array.shape[2:]), self._venv.observe(group.name))
        drawn = as_actions(group.action_space, self._policies[group.name](seen), (num_envs * num_agents,))
        return drawn.reshape(num_envs, num_agents, *own)

    def _step(self, actions: Mapping[str, Actions], commands: Mapping[str, Actions]) -> None:
        venv = self._venv
        if np.count_nonzero(venv.undecided):
            for name, command in commands.items():
                venv.decide({name: command})
        venv.advance(actions)
        for name in venv.groups:
            venv.observe(name)


def _time_of_sending(infos: Mapping[str, Any]) -> float:
    if not infos:
        return 0.0
    start = clock()
    try:
        pickle.loads(pickle.dumps(infos))  # noqa: S301 -- pickled right here
    except Exception as error:
        raise ConfigurationError(f"its infos cannot be pickled: {error}") from error
    return clock() - start


@contextmanager
def global_randomness_kept() -> Iterator[None]:
    """Restore the global random number generators afterwards; some environments draw from them."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
