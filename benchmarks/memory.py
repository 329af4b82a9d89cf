"""What a hierarchy and its messages cost in memory, and whether a long run leaks; run by hand."""

import argparse
import gc
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from resource import getpagesize
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from pettingzoo import ParallelEnv
from rich.console import Console
from rich.table import Table

import heron
from heron import Hierarchy
from heron.wrappers import HierarchicalVectorEnv

AGENTS = tuple(f"agent_{number}" for number in range(8))
OBSERVATION_SPACE = Box(-1.0, 1.0, (4,), np.float32)
ACTION_SPACE = Box(-1.0, 1.0, (2,), np.float32)
OBSERVATIONS = {agent: np.zeros(4, np.float32) for agent in AGENTS}
REWARDS = dict.fromkeys(AGENTS, 0.0)
GOES_ON = dict.fromkeys(AGENTS, False)
NO_INFOS: dict[str, dict[str, Any]] = {agent: {} for agent in AGENTS}


class TrivialEnv(ParallelEnv):  # type: ignore[misc]  # PettingZoo ships no types
    """Eight agents to whom nothing ever happens, as cheap as an environment can be."""

    metadata = {"name": "trivial"}  # noqa: RUF012 -- PettingZoo's own convention

    def __init__(self) -> None:
        self.possible_agents = list(AGENTS)
        self.agents: list[str] = []

    def observation_space(self, agent: str) -> Box:  # noqa: ARG002 -- PettingZoo's signature
        """The same for all."""
        return OBSERVATION_SPACE

    def action_space(self, agent: str) -> Box:  # noqa: ARG002 -- PettingZoo's signature
        """The same for all."""
        return ACTION_SPACE

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:  # noqa: ARG002
        """Begin an episode that never ends."""
        self.agents = self.possible_agents[:]
        return OBSERVATIONS, NO_INFOS

    def step(self, actions: dict[str, Any]) -> tuple[Any, ...]:  # noqa: ARG002 -- PettingZoo's signature
        """Do nothing."""
        return OBSERVATIONS, REWARDS, GOES_ON, GOES_ON, NO_INFOS


def main() -> None:
    """Measure the memory of many copies, and of a long run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--num-envs", type=int, default=4_096, help="copies (default 4096)")
    parser.add_argument("--agent-steps", type=int, default=1_000_000, help="steps of the long run (default 1000000)")
    options = parser.parse_args()
    console = Console()
    console.print(size_table(options.num_envs))
    console.print(leak_table(options.agent_steps))


def size_table(num_envs: int) -> Table:
    """Copies with and without a coordinator and its two lanes."""
    table = Table(title=f"Memory of {num_envs:,} copies x {len(AGENTS)} agents", title_justify="left")
    for header in ("", "s to make", "MB resident", "MB traced"):
        table.add_column(header, justify="left" if not header else "right")
    for label, make in {
        "environments alone": lambda: [TrivialEnv() for _ in range(num_envs)],
        "flat vector env": lambda: _made(num_envs, None),
        "coordinator, both lanes": lambda: _made(num_envs, _star),
    }.items():
        seconds, resident = _resident(make)
        table.add_row(label, f"{seconds:.2f}", f"{resident:.1f}", f"{_traced(make):.1f}")
    return table


def leak_table(agent_steps: int) -> Table:
    """What a long run of 64 copies leaves behind, with a reset of one copy at each step."""
    venv = _made(64, _star)
    steps = -(-agent_steps // (venv.num_envs * len(AGENTS)))
    _run(venv, 100)
    tracemalloc.start()
    _run(venv, 100)
    gc.collect()
    resident, (traced, _) = _resident_bytes(), tracemalloc.get_traced_memory()
    _run(venv, steps)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - traced
    grown_resident = _resident_bytes() - resident
    tracemalloc.stop()
    done = steps * venv.num_envs * len(AGENTS)
    table = Table("", "bytes", title=f"What {done:,} agent steps leave behind", title_justify="left")
    table.add_row("traced", f"{grown:,}")
    table.add_row("resident", f"{grown_resident:,}")
    return table


def _star(agents: Any) -> Hierarchy:
    return Hierarchy.star(agents, period=5, command_space=ACTION_SPACE)


def _made(num_envs: int, hierarchy: Callable[[Any], Hierarchy] | None) -> HierarchicalVectorEnv:
    """A vector env that has been used, so that all its buffers exist."""
    venv = heron.make_vec([TrivialEnv] * num_envs, hierarchy=hierarchy)
    venv.reset(seed=0)
    _run(venv, 2)
    return venv


def _run(venv: HierarchicalVectorEnv, steps: int) -> None:
    field = {"agent": np.zeros((venv.num_envs, len(AGENTS), 2), np.float32)}
    commands = np.zeros((venv.num_envs, 1, 2 * len(AGENTS)), np.float32)
    for step in range(steps):
        for group in venv.coordinator_groups:
            if venv.due(group.name).any():
                venv.decide({group.name: commands})
        venv.advance(field)
        venv.reset_envs([step % venv.num_envs])


def _resident(make: Callable[[], object]) -> tuple[float, float]:
    """Seconds to make something, and MB by which the process grew."""
    gc.collect()
    before, start = _resident_bytes(), time.perf_counter()
    made = make()
    seconds = time.perf_counter() - start
    gc.collect()
    grown = (_resident_bytes() - before) / 1e6
    del made
    return seconds, grown


def _traced(make: Callable[[], object]) -> float:
    """MB that something holds."""
    gc.collect()
    tracemalloc.start()
    made = make()
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del made
    return held / 1e6


def _resident_bytes() -> int:
    """Memory of this process as the system counts it (Linux)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * getpagesize()


if __name__ == "__main__":
    main()
