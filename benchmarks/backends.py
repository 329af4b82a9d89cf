"""Whether ``backend="auto"`` is ever a bad choice, on environments that cost microseconds to milliseconds a step."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.tasks import trivial
from heron.batch.batch_env import BatchEnv
from heron.play.policies import RandomPolicy
from heron.wrappers.sources.env_creation import EnvFactory
from heron.wrappers.sources.env_names import env_factory
from heron.wrappers.workers.backend import make_batch_env
from heron.wrappers.workers.sharding import WorkerOptions


@dataclass(frozen=True)
class Case:
    """Copies of an environment.

    Attributes:
        title: What the environment is called.
        make: Makes one copy.
        copies: How many copies.
        steps: Steps of each copy in a round.
    """

    title: str
    make: EnvFactory
    copies: int
    steps: int


_NAMED: Final = (
    ("mpe2.simple_tag_v3", 16, 50),
    ("mpe2.simple_spread_v3", 16, 50),
    ("pettingzoo.sisl.pursuit_v5", 8, 10),
    ("pettingzoo.sisl.multiwalker_v9", 8, 50),
    ("pettingzoo.butterfly.knights_archers_zombies_v11", 4, 25),
    ("pettingzoo.butterfly.pistonball_v6", 4, 10),
)
"""Environment, copies and steps, from the cheapest to the dearest."""

MOST_CASES: Final = 1 + len(_NAMED)


def cases(number: int) -> list[Case]:
    """The first ones, from the cheapest to the dearest; no other environment is imported."""
    named = [_case(*one) for one in _NAMED[: number - 1]]
    return [Case("trivial", trivial(64).make, 64, 100), *named]


def _case(name: str, copies: int, steps: int) -> Case:
    return Case(name, partial(env_factory(name)), copies, steps)


@contextmanager
def contenders(case: Case) -> Iterator[tuple[dict[str, Callable[[], None]], str]]:
    """Label -> a function that steps all copies with each backend, and why auto chose what it did."""
    factories = [case.make] * case.copies

    def batch(backend: str) -> BatchEnv:
        return make_batch_env(factories, None, backend, WorkerOptions(), groups=None, validate=False)

    with closing(batch("loop")) as loop, closing(batch("auto")) as auto:
        runs = {"LoopEnv": _steps(loop, case.steps), 'backend="auto"': _steps(auto, case.steps)}
        yield runs, auto.remark.removeprefix('backend="auto" chose ')


def _steps(env: BatchEnv, steps: int) -> Callable[[], None]:
    policies = {name: RandomPolicy(group.action_space, 0) for name, group in env.groups.items()}
    rows = [{name: _random_actions(env, name, policy) for name, policy in policies.items()} for _ in range(steps)]

    def run() -> None:
        env.reset(seeds=range(env.num_envs))
        for row in rows:
            env.step(row)
            if not env.running.all():
                env.reset(~env.running)

    return run


def _random_actions(env: BatchEnv, group: str, policy: RandomPolicy) -> npt.NDArray[Any]:
    agents = len(env.groups[group].agent_ids)
    return np.stack([policy(np.zeros((agents, 1))) for _ in env.env_ids])
