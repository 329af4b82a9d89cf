"""Plain Gymnasium environments under HERON's views and under the vector envs that people know."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv, VectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from heron.wrappers import GymVectorEnv
from heron.wrappers.sb3 import Sb3VecEnv

Run = Callable[[], None]
ENV_ID = "CartPole-v1"
make_one = partial(gymnasium.make, ENV_ID)


@dataclass(frozen=True)
class Rivals:
    """Two vector envs over the same copies that must give equal results.

    Attributes:
        group: What the rows of the two stand under.
        copies: How many copies.
        steps: Steps of each copy in a round.
        make: Label -> what makes a vector env of factories and steps it; the known one first.
    """

    group: str
    copies: int
    steps: int
    make: Mapping[str, Callable[[list[Any]], Any]]

    @contextmanager
    def contenders(self) -> Iterator[dict[str, Run]]:
        """Label -> a function that steps all copies; episodes end and begin on the way."""
        envs = {label: make([make_one] * self.copies) for label, make in self.make.items()}
        actions = np.random.default_rng(0).integers(0, 2, (self.steps, self.copies))
        try:
            yield {label: _gym_steps(env, actions) if isinstance(env, VectorEnv) else _sb3_steps(env, actions)
                   for label, env in envs.items()}  # fmt: skip
        finally:
            for env in envs.values():
                env.close()


def rivals(copies: tuple[int, ...], sb3_copies: int, steps: int) -> list[Rivals]:
    """Gymnasium's view for some numbers of copies, and SB3's for one; few copies take more steps in a round."""
    gym = {"Gymnasium SyncVectorEnv": SyncVectorEnv, "heron GymVectorEnv": GymVectorEnv}
    sb3 = {"SB3 DummyVecEnv": DummyVecEnv, "heron Sb3VecEnv": Sb3VecEnv}
    most = max(copies)
    found = [Rivals(f"Gymnasium, {_counted(count)}", count, steps * most // count, gym) for count in copies]
    return [*found, Rivals(f"SB3, {_counted(sb3_copies)}", sb3_copies, steps * most // sb3_copies, sb3)]


@contextmanager
def single_contenders(steps: int) -> Iterator[dict[str, Run]]:
    """Label -> a function that steps one copy, with nothing around it and through SB3's environments."""
    pair = Rivals("", 1, steps, {"SB3 DummyVecEnv": DummyVecEnv, "heron flat + SB3 view": Sb3VecEnv})
    env = make_one()

    def bare() -> None:
        env.reset(seed=0)
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    actions = np.random.default_rng(0).integers(0, 2, steps)
    with pair.contenders() as runs:
        yield {"bare loop": bare, **runs}
    env.close()


def _gym_steps(env: VectorEnv[Any, Any, Any], actions: Any) -> Run:
    def run() -> None:
        env.reset(seed=0)
        for row in actions:
            env.step(row)

    return run


def _sb3_steps(env: VecEnv, actions: Any) -> Run:
    def run() -> None:
        env.seed(0)
        env.reset()
        for row in actions:
            env.step(row)

    return run


def _counted(copies: int) -> str:
    return "1 copy" if copies == 1 else f"{copies} copies"
