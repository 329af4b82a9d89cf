"""Memory of a hierarchy and its messages, and memory that a long run leaves behind; as Python and numpy allocate."""

import gc
import time
import tracemalloc
from collections.abc import Callable, Sequence

import numpy as np
from gymnasium.spaces import Box

import heron
from benchmarks.trivial_env import TrivialEnv
from heron import Hierarchy
from heron.wrappers import HierarchicalVectorEnv

AGENTS = 8
COMMAND = Box(-1.0, 1.0, (2,), np.float32)
LEAK_COPIES = 64


def sizes(num_envs: int) -> dict[str, tuple[float, int]]:
    """Return the seconds that it takes to make so many copies, and their bytes, by label."""
    makers: dict[str, Callable[[], object]] = {
        "environments alone": lambda: [TrivialEnv(AGENTS) for _ in range(num_envs)],
        "flat vector env": lambda: _made(num_envs, None),
        "coordinator, both lanes": lambda: _made(num_envs, _star),
    }
    return {label: (_seconds(make), _bytes(make)) for label, make in makers.items()}


def growth(agent_steps: int) -> int:
    """Return the bytes left behind by a run of 64 copies that resets ended copies and one more at each step."""
    venv = _made(LEAK_COPIES, _star)
    _run(venv, 100)
    tracemalloc.start()
    _run(venv, 100)
    before = _held()
    _run(venv, -(-agent_steps // (LEAK_COPIES * AGENTS)))
    left = _held() - before
    tracemalloc.stop()
    venv.close()
    return left


def _star(agents: Sequence[str]) -> Hierarchy:
    return Hierarchy.star(agents, period=5, command_space=COMMAND)


def _made(num_envs: int, hierarchy: Callable[[Sequence[str]], Hierarchy] | None) -> HierarchicalVectorEnv:
    """Return a vector env after two steps, with all its buffers allocated."""
    venv = heron.make_vec([TrivialEnv] * num_envs, hierarchy=hierarchy)
    venv.reset(seed=0)
    _run(venv, 2)
    return venv


def _run(venv: HierarchicalVectorEnv, steps: int) -> None:
    field = {"agent": np.zeros((venv.num_envs, AGENTS), np.int64)}
    commands = np.zeros((venv.num_envs, 1, 2 * AGENTS), np.float32)
    for step in range(steps):
        for group in venv.coordinator_groups:
            if venv.due(group.name).any():
                venv.decide({group.name: commands})
        venv.advance(field)
        over = ~venv.running
        over[step % venv.num_envs] = True
        venv.reset_envs(over)


def _seconds(make: Callable[[], object]) -> float:
    start = time.perf_counter()
    made = make()
    seconds = time.perf_counter() - start
    del made
    return seconds


def _bytes(make: Callable[[], object]) -> int:
    tracemalloc.start()
    made = make()
    held = _held()
    tracemalloc.stop()
    del made
    return held


def _held() -> int:
    """Return the bytes allocated since tracing began."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
