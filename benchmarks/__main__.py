"""Time stepping, messages and training with and without HERON, side by side."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from benchmarks.arguments import whole
from benchmarks.machine import describe_machine
from benchmarks.peers.remote import VENVS
from benchmarks.suite import QUICK, QUICK_TABLES, SMOKE, TABLES, Sizes, Suite
from benchmarks.tables import Report, Table
from benchmarks.text import cells, headers, machine_lines

WIDTH = 140  # characters of a line in a file
RESULTS = Path(__file__).parent / "results" / "latest.json"

EXAMPLES = f"""\
tables: {", ".join(TABLES)}

examples:
  python -m benchmarks                              all tables, kept in benchmarks/results/latest.json
  python -m benchmarks stepping lanes               two of them
  python -m benchmarks --quick                      what matters most, in under a minute
  python -m benchmarks --json before.json           keep the figures ...
  python -m benchmarks.compare before.json benchmarks/results/latest.json
                                                    ... and compare them with a later run's
  python -m benchmarks.report --update docs/performance.md --plot docs/scaling.png
                                                    put the latest figures into the documentation

Speed is how many times as fast a contender is as the first one of its group, the median over rounds in which all
take turns; behind it and in "spread" stands half the interquartile range.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure tables, print them, and keep them."""
    options = _parser().parse_args(arguments)
    names = options.tables or (QUICK_TABLES if options.quick else TABLES)
    sizes = SMOKE if options.smoke else QUICK if options.quick else Sizes()
    given = {name: value for name in ("rounds", "steps") if (value := getattr(options, name)) is not None}
    sizes = replace(sizes, **given)
    machine = describe_machine()
    start = time.perf_counter()
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    tables = []
    for name in names:
        table = _measure(name, sizes, None if options.no_peers else options.peers)
        console.print(_rich(table))
        tables.append(table)
    how = asdict(sizes) | {"seconds": time.perf_counter() - start}
    report = Report(machine, how, tuple(tables))
    report.save(options.json)
    for line in (*machine_lines(machine, how), f"Kept in {options.json}."):
        console.print(line, highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tables", nargs="*", type=_name, metavar="TABLE", help="tables to measure (all)")
    parser.add_argument("--quick", action="store_true", help="only what matters most, with fewer rounds")
    parser.add_argument("--rounds", type=whole(2), help=f"rounds that count ({Sizes.rounds})")
    parser.add_argument("--steps", type=whole(1), help=f"steps of a copy in a round ({Sizes.steps})")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="where to keep the figures")
    parser.add_argument("--peers", type=Path, default=VENVS, metavar="DIR", help="where make bench-peers put them")
    parser.add_argument("--no-peers", action="store_true", help="leave other libraries out")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see whether everything runs")
    return parser


def _name(text: str) -> str:
    if text not in TABLES:
        raise argparse.ArgumentTypeError(f"no table {text!r}, only {', '.join(TABLES)}")
    return text


def _measure(name: str, sizes: Sizes, venvs: Path | None) -> Table:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(name, total=None)
        return Suite(sizes, venvs, lambda done, of: progress.update(bar, completed=done, total=of)).measure(name)


def _rich(table: Table) -> RichTable:
    names = headers(table)
    shown = RichTable(title=table.title, title_justify="left", title_style="bold")
    for name in names:
        shown.add_column(name, justify="left" if name in {"", "remarks"} else "right", overflow="fold")
    group = ""
    for row in table.rows:
        if row.group != group:
            shown.add_section()
            shown.add_row(f"[italic]{row.group}[/italic]")
            group = row.group
        shown.add_row(*cells(table, row))
    return shown


if __name__ == "__main__":
    main()
