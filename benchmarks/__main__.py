"""Run the benchmarks and print their tables."""

import argparse
import platform

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.interleaved import time_interleaved
from benchmarks.stepping import ENV, contenders


def main() -> None:
    """Time stepping with and without HERON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--num-envs", type=int, default=16, help="copies (default 16)")
    parser.add_argument("--steps", type=int, default=50, help="steps of each copy in a round (default 50)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds that count (default 9)")
    options = parser.parse_args()
    timings = time_interleaved(contenders(options.num_envs, options.steps), options.rounds)
    bare = timings["bare loop"].median
    table = Table(title=f"Stepping {ENV}, {options.num_envs} copies, relative to a bare loop")
    for header in ("", "us per env step", "relative speed", "spread"):
        table.add_column(header, justify="left" if not header else "right")
    for label, timing in timings.items():
        per_step = timing.median / (options.steps * options.num_envs) * 1e6
        table.add_row(label, f"{per_step:.0f}", f"{bare / timing.median:.2f}", f"{timing.spread:.0%}")
    console = Console()
    console.print(table)
    console.print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}; medians")


if __name__ == "__main__":
    main()
