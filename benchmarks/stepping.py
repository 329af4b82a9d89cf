"""What HERON adds to an environment's own cost: env steps per second against a bare Python loop."""

from collections.abc import Callable

import numpy as np
from gymnasium.spaces import Box

import heron
from heron.wrappers.make_vec import env_factory
from heron.wrappers.policies import RandomPolicy
from heron.wrappers.sb3 import Sb3VecEnv

ENV = "mpe2.simple_spread_v3"
AGENTS = 3
CHOICES = 5


def contenders(num_envs: int, steps: int) -> dict[str, Callable[[], None]]:
    """Label -> a function that steps ``num_envs`` copies ``steps`` times each, resetting where episodes end."""
    actions = np.random.default_rng(0).integers(0, CHOICES, (steps, num_envs, AGENTS))
    return {
        "bare loop": bare_loop(actions),
        "heron, flat": _flat(actions),
        "heron, hierarchy": _hierarchy(actions),
        "heron, hierarchy, SB3 view": _sb3_view(actions),
    }


def bare_loop(actions: np.ndarray) -> Callable[[], None]:
    """Step copies as anybody would, with nothing around them.

    Args:
        actions: ``(steps, copies, agents)``.
    """
    envs = [env_factory(ENV)() for _ in range(actions.shape[1])]

    def run() -> None:
        for env in envs:
            env.reset(seed=0)
        for row in actions:
            for env, chosen in zip(envs, row, strict=True):
                env.step(dict(zip(env.agents, chosen, strict=True)))
                if not env.agents:
                    env.reset()

    return run


def _flat(actions: np.ndarray) -> Callable[[], None]:
    venv = heron.make_vec(ENV, actions.shape[1])

    def run() -> None:
        venv.reset(seed=0)
        for row in actions:
            venv.advance({"agent": row})
            if not venv.running.all():
                venv.reset_envs(~venv.running)

    return run


def _hierarchy(actions: np.ndarray) -> Callable[[], None]:
    venv = _make_hierarchy(actions.shape[1])
    goals = RandomPolicy(venv.groups["coordinator"].action_space, 0)

    def run() -> None:
        venv.reset(seed=0)
        for row in actions:
            if venv.due("coordinator").any():
                commands = goals(venv.observe("coordinator")[:, 0])
                venv.decide({"coordinator": commands[:, None]})
            venv.observe("agent")
            venv.advance({"agent": row})
            if not venv.running.all():
                venv.reset_envs(~venv.running)

    return run


def _sb3_view(actions: np.ndarray) -> Callable[[], None]:
    venv = _make_hierarchy(actions.shape[1])
    view = Sb3VecEnv(venv, "field", {"coordinator": RandomPolicy(venv.groups["coordinator"].action_space, 0)})

    def run() -> None:
        view.seed(0)
        view.reset()
        for row in actions:
            view.step(row.ravel())

    return run


def _make_hierarchy(num_envs: int) -> heron.HierarchicalVectorEnv:
    space = Box(-1.0, 1.0, (2,), dtype=np.float32)
    return heron.make_vec(ENV, num_envs, lambda ids: heron.Hierarchy.star(ids, period=5, command_space=space))
