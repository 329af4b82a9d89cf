"""Does learning work? Learn environments of all families through HERON, and compare with random actions."""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.table import Table as RichTable

from benchmarks.arguments import positive, whole
from benchmarks.learning_task import EVALUATION_SEED, Outcome, Score, Task
from benchmarks.learning_tasks import all_tasks
from benchmarks.machine import describe_machine
from heron.cli.console import console, progress_bar

RESULTS = Path(__file__).parent / "results" / "learning.json"
HEADERS = ("family", "environment", "learner", "steps", "seed", "s", "random", "learned", "episodes", "separated")

EXAMPLES = """\
examples:
  python -m benchmarks.learning                           all of them, kept in benchmarks/results/learning.json
  python -m benchmarks.learning --only cartpole,lander    two of them
  python -m benchmarks.learning --steps-factor 2          learn for twice as long
  python -m benchmarks.learning --markdown docs/learning.md

Random and learned policies play the same episodes. Behind each mean stands its 95 % interval over these episodes; it
does not tell how much one training differs from the next.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn, print a table, and keep it."""
    tasks = all_tasks()
    options = _parser(list(tasks)).parse_args(arguments)
    torch.set_num_threads(1)  # networks as small as these only lose by more
    machine, start = describe_machine(), time.perf_counter()
    outcomes = [_run(tasks[name], options) for name in options.only]
    how = f"One torch thread, steps x {options.steps_factor:g}, {time.perf_counter() - start:.0f} s in all."
    table = RichTable(*HEADERS)
    for outcome in outcomes:
        table.add_row(*_cells(outcome))
    console.print(table)
    kept = {"machine": machine, "how": how, "outcomes": [outcome.to_mapping() for outcome in outcomes]}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(kept, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(_document(machine, how, outcomes))


def _run(task: Task, options: argparse.Namespace) -> Outcome:
    steps = max(int(task.steps * options.steps_factor), 1)
    with progress_bar("env steps") as progress:
        bar = progress.add_task(task.name, total=steps)
        return task.run(
            steps, options.episodes or task.episodes, options.seed, lambda done: progress.update(bar, completed=done)
        )


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.learning",
        description=__doc__,
        epilog=f"environments: {', '.join(names)}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def chosen(text: str) -> list[str]:
        if unknown := [name for name in text.split(",") if name not in names]:
            raise argparse.ArgumentTypeError(f"no environments {unknown}, only {', '.join(names)}")
        return text.split(",")

    parser.add_argument("--only", type=chosen, default=list(names), metavar="NAMES", help="some of them, by comma")
    parser.add_argument("--steps-factor", type=positive, default=1.0, metavar="X", help="learn for X times the steps")
    parser.add_argument("--episodes", type=whole(1), help="episodes to compare by; by default each environment's own")
    parser.add_argument("--seed", type=whole(0), default=0, help="of learners and environments (%(default)s)")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="where to keep the figures")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="where to write them as a document")
    return parser


def _cells(outcome: Outcome) -> list[str]:
    figures = [f"{outcome.steps:,}", str(outcome.seed), f"{outcome.seconds:.0f}"]
    scores = [_score(outcome.random), _score(outcome.learned)]
    return [
        outcome.family,
        outcome.env,
        outcome.learner,
        *figures,
        *scores,
        str(outcome.learned.episodes),
        "yes" if outcome.separated else "no",
    ]


def _score(score: Score) -> str:
    return f"{score.mean:.2f} ({score.low:.2f} to {score.high:.2f})"


def _document(machine: dict[str, Any], how: str, outcomes: Sequence[Outcome]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    lines = [
        "# Learning",
        "",
        "Written by `make bench-learning ARGS='--markdown docs/learning.md'`. Mean returns, 95 % intervals;",
        f"random and learned policies play the same episodes, from seed {EVALUATION_SEED:,} on.",
        "",
        f"{machine['date']}, {machine['processor']}, Python {machine['python']}, {packages}. {how}",
        "",
        *("| " + " | ".join(row) + " |" for row in (HEADERS, ["---"] * len(HEADERS), *map(_cells, outcomes))),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
