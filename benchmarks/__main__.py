"""Run the benchmarks and print their tables."""

import argparse
import platform

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import processes
from benchmarks.interleaved import Timing, time_interleaved
from benchmarks.messaging import lanes, singles
from benchmarks.stepping import ENV, contenders

MESSAGES = 10_000


def main() -> None:
    """Time stepping and messages with and without HERON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--num-envs", type=int, default=16, help="copies, at least 3 (default 16)")
    parser.add_argument("--steps", type=int, default=50, help="steps of each copy in a round (default 50)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds that count (default 9)")
    options = parser.parse_args()
    console = Console()
    console.print(stepping_table(options.num_envs, options.steps, options.rounds))
    console.print(processes_table(options.num_envs, options.steps, options.rounds))
    console.print(singles_table(options.rounds))
    console.print(lanes_table(options.rounds))
    console.print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}; medians")


def stepping_table(num_envs: int, steps: int, rounds: int) -> Table:
    """Env steps against a bare loop."""
    timings = time_interleaved(contenders(num_envs, steps), rounds)
    return _against_first(f"Stepping {ENV}, {num_envs} copies", "us per env step", timings, steps * num_envs)


def processes_table(num_envs: int, steps: int, rounds: int) -> Table:
    """Worker processes against a bare loop."""
    timings = time_interleaved(processes.contenders(num_envs, steps), rounds)
    return _against_first(f"Processes for {ENV}, {num_envs} copies", "us per env step", timings, steps * num_envs)


def singles_table(rounds: int) -> Table:
    """Single messages against the least that Python can do."""
    timings = time_interleaved(singles(MESSAGES), rounds)
    return _against_first("Messages one by one", "us per message", timings, MESSAGES)


def lanes_table(rounds: int) -> Table:
    """Lanes of several sizes."""
    trips = 100
    table = _table(
        "Lanes of the in-memory broker", "rows x float32", "us per round trip", "million messages/s", "spread"
    )
    for (rows, values), timing in time_interleaved(lanes(trips), rounds).items():
        trip = timing.median / trips
        table.add_row(f"{rows} x {values}", f"{trip * 1e6:.1f}", f"{rows / trip / 1e6:.1f}", f"{timing.spread:.0%}")
    return table


def _against_first(title: str, unit: str, timings: dict[str, Timing], count: int) -> Table:
    table = _table(title, "", unit, "relative speed", "spread")
    first = next(iter(timings.values())).median
    for label, timing in timings.items():
        per_item = timing.median / count * 1e6
        table.add_row(label, f"{per_item:.2f}", f"{first / timing.median:.2f}", f"{timing.spread:.0%}")
    return table


def _table(title: str, *headers: str) -> Table:
    table = Table(title=title, title_justify="left")
    for place, header in enumerate(headers):
        table.add_column(header, justify="right" if place else "left")
    return table


if __name__ == "__main__":
    main()
