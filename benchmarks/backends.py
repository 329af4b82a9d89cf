"""Environments on which ``backend="auto"`` must never be a bad choice, from microseconds to milliseconds a step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import heron
from benchmarks.stepping import CHOSE
from benchmarks.timing import Run
from benchmarks.trivial_env import TrivialEnv
from heron.play.policies import RandomPolicy
from heron.wrappers import HierarchicalVectorEnv
from heron.wrappers.workers.backend import Backend

TRIVIAL = "trivial environment"

CASES: Final = (
    (TRIVIAL, 64, 100),
    ("mpe2.simple_tag_v3", 16, 50),
    ("mpe2.simple_spread_v3", 16, 50),
    ("pettingzoo.sisl.pursuit_v5", 8, 10),
    ("pettingzoo.sisl.multiwalker_v9", 8, 50),
    ("pettingzoo.butterfly.knights_archers_zombies_v11", 4, 25),
    ("pettingzoo.butterfly.pistonball_v6", 4, 10),
)
"""Environment, copies and steps of a round."""


@contextmanager
def contenders(name: str, copies: int, steps: int) -> Iterator[tuple[dict[str, Run], str]]:
    """Give runs with each backend, by label, and the reason for the choice of auto."""

    def made(backend: Backend) -> HierarchicalVectorEnv:
        return heron.make_vec(TrivialEnv if name == TRIVIAL else name, copies, backend=backend)

    with made("loop") as loop, made("auto") as auto:
        runs: dict[str, Run] = {"loop": _steps(loop, steps), 'backend="auto"': _steps(auto, steps)}
        yield runs, auto.batch_env.remark.removeprefix(CHOSE)


def _steps(venv: HierarchicalVectorEnv, steps: int) -> Run:
    policies = {name: RandomPolicy(group.action_space, 0) for name, group in venv.groups.items()}
    rows = [{name: _actions(venv, name, policy) for name, policy in policies.items()} for _ in range(steps)]

    def run() -> None:
        venv.reset(seed=0)
        for row in rows:
            venv.advance(row)
            if not venv.running.all():
                venv.reset_envs(~venv.running)

    return run


def _actions(venv: HierarchicalVectorEnv, group: str, policy: RandomPolicy) -> npt.NDArray[Any]:
    shape = (venv.num_envs, venv.groups[group].num_agents)
    drawn = np.asarray(policy(np.zeros((shape[0] * shape[1], 1))))
    return drawn.reshape(*shape, *drawn.shape[1:])
