"""Plain Gymnasium environments in HERON's views and in the vector envs that users know."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv, VectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from benchmarks.stepping import sb3_steps
from benchmarks.tasks import BARE
from benchmarks.timing import Run
from heron.wrappers import GymVectorEnv
from heron.wrappers.sb3 import Sb3VecEnv

ENV_ID = "CartPole-v1"
make_one = partial(gymnasium.make, ENV_ID)

Makers = Mapping[str, Callable[[list[Any]], Any]]
"""Label -> function that makes a vector env of factories; the known one first."""
GYM: Final[Makers] = {"Gymnasium SyncVectorEnv": SyncVectorEnv, "heron GymVectorEnv": GymVectorEnv}
SB3: Final[Makers] = {"SB3 DummyVecEnv": DummyVecEnv, "heron Sb3VecEnv": Sb3VecEnv}


@contextmanager
def rivals(makers: Makers, copies: int, steps: int) -> Iterator[dict[str, Run]]:
    """Give runs of ``steps`` steps of all copies; episodes end and begin on the way."""
    actions = np.random.default_rng(0).integers(0, 2, (steps, copies))
    envs = {label: make([make_one] * copies) for label, make in makers.items()}
    try:
        yield {
            label: _gym_steps(env, actions) if isinstance(env, VectorEnv) else sb3_steps(env, actions)
            for label, env in envs.items()
        }
    finally:
        for env in envs.values():
            env.close()


@contextmanager
def fixed_costs(steps: int) -> Iterator[dict[str, Run]]:
    """Give runs over one copy: alone, and in SB3's environments."""
    env = make_one()
    actions = np.random.default_rng(0).integers(0, 2, steps)

    def bare() -> None:
        env.reset(seed=0)
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    with rivals(SB3, 1, steps) as runs:
        yield {BARE: bare, **runs}
    env.close()


def _gym_steps(env: VectorEnv[Any, Any, Any], actions: Any) -> Run:
    def run() -> None:
        env.reset(seed=0)
        for row in actions:
            env.step(row)

    return run
