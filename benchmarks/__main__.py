"""Command line of the benchmarks."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.compare import only_in_one, rich_changes
from benchmarks.render import machine_line, rich_table, update
from benchmarks.results import FOLDER, LATEST, Report, Table, describe_machine

WIDTH = 140  # characters of a line that goes to a file
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
console = Console()
if not console.is_terminal:
    console = Console(width=WIDTH)


@app.command()
def run(
    tables: Annotated[list[str] | None, typer.Argument(help="Tables to measure; all but peers by default.")] = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Measure the essential rows, in CPU time.")] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="Take tiny sizes, to see that everything runs.")] = False,
    rounds: Annotated[int | None, typer.Option(min=2, help="Rounds that count.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of each copy in a round.")] = None,
    json: Annotated[
        Path, typer.Option(metavar="FILE", help="File for the results, written after each table.")
    ] = LATEST,
) -> None:
    """Time stepping, messages and training with and without HERON.

    "speed" is relative to the first row of a group: the median over rounds in which all contenders take turns. Half the
    interquartile range follows it, and is the "spread" of the times.
    """
    from benchmarks.peers.table import peers_table  # noqa: PLC0415 -- slow
    from benchmarks.suite import QUICK, QUICK_TABLES, SMOKE, TABLES, Sizes, Suite  # noqa: PLC0415 -- slow

    known = {**TABLES, "peers": peers_table}
    if unknown := set(tables or ()) - known.keys():
        raise typer.BadParameter(f"unknown table {min(unknown)!r}, expected one of {', '.join(known)}")
    names = tables or (QUICK_TABLES if quick else TABLES)
    sizes = SMOKE if smoke else QUICK if quick else Sizes()
    sizes = replace(sizes, rounds=rounds or sizes.rounds, steps=steps or sizes.steps)
    clock = "CPU time" if sizes.cpu_time else "wall time"
    _warn_if_busy()
    measured: list[Table] = []
    for place, name in enumerate(names, 1):
        conditions = f"{_now()}, {clock}."
        with _progress(f"{place}/{len(names)} {name}") as progress:
            table = known[name](Suite(sizes, progress))
        _keep(replace(table, measured=conditions), measured, json)


@app.command()
def compare(old: Path, new: Annotated[Path, typer.Argument()] = LATEST) -> None:
    """Show the changes between two runs that are larger than their spread."""
    before, after = Report.load(old), Report.load(new)
    tables = {table.name: table for table in before.tables}
    for table in after.tables:
        if table.name in tables and table.item:
            console.print(rich_changes(tables[table.name], table))
    for line in only_in_one(before, after):
        console.print(line, highlight=False, markup=False)
    for name in sorted(before.machine.keys() | after.machine.keys()):
        if before.machine.get(name) != after.machine.get(name):
            line = f"{name}: {before.machine.get(name)} -> {after.machine.get(name)}"
            console.print(line, highlight=False, markup=False)


@app.command()
def report(
    document: Annotated[Path, typer.Argument(help="Markdown with a marker for each table.")],
    figures: Annotated[Path, typer.Option(metavar="FILE", help="Results of a run.")] = LATEST,
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="File for the scaling curves.")] = None,
) -> None:
    """Write the tables of a run into a document; tables of other runs stay as they are."""
    kept = Report.load(figures)
    document.write_text(update(document.read_text(), kept))
    if plot:
        from benchmarks.plot import plot_scaling  # noqa: PLC0415 -- slow

        plot_scaling(kept, plot)


@app.command()
def learn(
    tasks: Annotated[list[str] | None, typer.Argument(help="Environments to learn; all by default.")] = None,
    *,
    factor: Annotated[float, typer.Option("--steps-factor", min=1e-6, help="Factor for the steps.")] = 1.0,
    episodes: Annotated[int | None, typer.Option(min=1, help="Episodes to compare by.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of learners and environments.")] = 0,
    json: Annotated[Path, typer.Option(metavar="FILE", help="File for the results.")] = FOLDER / "learning.json",
) -> None:
    """Learn one environment of each family, and compare the policies with random actions.

    Random and learned policies play the same episodes. The 95 % interval of the mean covers these episodes, not the
    differences between one training and the next.
    """
    import torch  # noqa: PLC0415 -- slow

    from benchmarks.learning import compared, learning_table  # noqa: PLC0415 -- slow
    from benchmarks.learning_tasks import all_tasks  # noqa: PLC0415 -- slow

    known = all_tasks()
    if unknown := set(tasks or ()) - known.keys():
        raise typer.BadParameter(f"unknown environment {min(unknown)!r}, expected one of {', '.join(known)}")
    torch.set_num_threads(1)  # networks as small as these lose by more
    rows, conditions = [], f"{_now()}, one torch thread, seed {seed}, steps x {factor:g}."
    for name in tasks or known:
        with _progress(name) as progress:
            rows.append(compared(known[name], factor, episodes, seed, progress))
        Report(describe_machine(), (learning_table(rows, conditions),)).save(json)
    console.print(rich_table(learning_table(rows, conditions)))


def _keep(table: Table, measured: list[Table], path: Path) -> None:
    """Save all tables measured so far, and print the last one."""
    measured.append(table)
    machine = describe_machine()
    Report(machine, tuple(measured)).save(path)
    console.print(rich_table(table))
    console.print(f"{machine_line(machine)} Results: {path}", highlight=False)


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, and give a function that takes the completed part and the total."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(line, completed=done, total=total)


def _warn_if_busy() -> None:
    load = os.getloadavg()[0]
    if load > 0.5:  # noqa: PLR2004 -- half a core
        console.print(f"The machine is busy (load {load:.1f}): compare speeds rather than times.", highlight=False)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
