"""What a hierarchy and its messages cost in memory, and whether a long run leaves anything behind."""

import gc
import multiprocessing
import time
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from resource import getpagesize

import numpy as np
from gymnasium.spaces import Box

import heron
from benchmarks.trivial_env import TrivialEnv
from heron import Hierarchy
from heron.wrappers import HierarchicalVectorEnv

AGENTS = 8
COMMAND = Box(-1.0, 1.0, (2,), np.float32)
LEAK_COPIES = 64


@dataclass(frozen=True)
class Size:
    """What something holds.

    Attributes:
        seconds: How long it took to make, in s.
        resident: By how much the process grew, in bytes, as the system counts.
        traced: How much Python and numpy allocated for it, in bytes.
    """

    seconds: float
    resident: int
    traced: int


@dataclass(frozen=True)
class Growth:
    """By how much a process grew in a run, in bytes: as the system counts, and as Python and numpy allocate."""

    resident: int
    traced: int


def sizes(num_envs: int) -> dict[str, Size]:
    """Label -> what so many copies hold, measured in a new process, which has no free memory to use again."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        return alone.submit(_sizes, num_envs).result()


def growth(agent_steps: int) -> Growth:
    """What a run of 64 copies leaves behind, in which one copy more than have ended is reset at each step."""
    venv = _made(LEAK_COPIES, _star)
    _run(venv, 100)
    tracemalloc.start()
    _run(venv, 100)
    before = _held()
    _run(venv, -(-agent_steps // (LEAK_COPIES * AGENTS)))
    after = _held()
    tracemalloc.stop()
    venv.close()
    return Growth(after.resident - before.resident, after.traced - before.traced)


def _sizes(num_envs: int) -> dict[str, Size]:
    makers: dict[str, Callable[[], object]] = {
        "environments alone": lambda: [TrivialEnv(AGENTS) for _ in range(num_envs)],
        "flat vector env": lambda: _made(num_envs, None),
        "coordinator, both lanes": lambda: _made(num_envs, _star),
    }
    kept: list[object] = []  # so that nothing is made in memory that another has left
    grown = {label: _timed_growth(make, kept) for label, make in makers.items()}
    kept.clear()
    return {label: Size(*grown[label], _traced(make)) for label, make in makers.items()}


def _star(agents: Sequence[str]) -> Hierarchy:
    return Hierarchy.star(agents, period=5, command_space=COMMAND)


def _made(num_envs: int, hierarchy: Callable[[Sequence[str]], Hierarchy] | None) -> HierarchicalVectorEnv:
    """A vector env that has been used, so that all its buffers exist."""
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


def _timed_growth(make: Callable[[], object], kept: list[object]) -> tuple[float, int]:
    """Seconds to make something, and by how many bytes the process grew."""
    gc.collect()
    before, start = _resident(), time.perf_counter()
    kept.append(make())
    seconds = time.perf_counter() - start
    gc.collect()
    return seconds, _resident() - before


def _traced(make: Callable[[], object]) -> int:
    gc.collect()
    tracemalloc.start()
    made = make()
    traced = _held().traced
    tracemalloc.stop()
    del made
    return traced


def _held() -> Growth:
    """What this process holds now, and what has been allocated since tracing began."""
    gc.collect()
    return Growth(_resident(), tracemalloc.get_traced_memory()[0])


def _resident() -> int:
    """Memory of this process in bytes, as the system counts it (Linux)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * getpagesize()
