"""What worker processes gain, and what waiting for them costs, without hierarchy and views."""

from collections.abc import Callable

import numpy as np

from benchmarks.stepping import AGENTS, CHOICES, ENV, bare_loop
from heron.envs.batch_env import BatchEnv
from heron.wrappers import LoopEnv, ProcessEnv
from heron.wrappers.make_vec import env_factory


def contenders(num_envs: int, steps: int) -> dict[str, Callable[[], None]]:
    """Label -> a function that steps ``num_envs`` copies ``steps`` times each, resetting where episodes end."""
    actions = np.random.default_rng(0).integers(0, CHOICES, (steps, num_envs, AGENTS))
    factories = [env_factory(ENV)] * num_envs
    return {
        "bare loop": bare_loop(actions),
        "LoopEnv": _batch(LoopEnv(factories), actions),
        "ProcessEnv, 1 worker": _batch(ProcessEnv(factories, num_workers=1), actions),
        "ProcessEnv, 2 workers": _batch(ProcessEnv(factories, num_workers=2), actions),
    }


def _batch(env: BatchEnv, actions: np.ndarray) -> Callable[[], None]:
    def run() -> None:
        env.reset(seeds=range(env.num_envs))
        for row in actions:
            env.step({"agent": row})
            if not env.running.all():
                env.reset(~env.running)

    return run
