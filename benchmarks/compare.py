"""What has changed between two runs, and whether that is more than noise.

Machines and loads differ, so what is compared is the speed relative to the first contender of each group, where there
is one, and the time itself elsewhere.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.tables import Report, Row, Table

EXAMPLES = """\
example:
  python -m benchmarks --json before.json
  python -m benchmarks.compare before.json benchmarks/results/latest.json
"""


@dataclass(frozen=True)
class Change:
    """One contender in both runs.

    Attributes:
        group: Its group.
        label: Its name.
        old: Its speed in the older run: relative to the first of the group, or items per s.
        new: The same in the newer run.
        noise: What the spreads of both together explain, relative to ``old``.
    """

    group: str
    label: str
    old: float
    new: float
    noise: float

    @property
    def gain(self) -> float:
        """How much faster the newer run is, relative to the older; negative if slower."""
        return self.new / self.old - 1

    @property
    def beyond_spread(self) -> bool:
        """Whether the spreads of both do not explain the change."""
        return abs(self.gain) > self.noise


def changes(old: Table, new: Table) -> Iterator[Change]:
    """What both tables have a figure for, but for the contenders that others are compared with."""
    before = {(row.group, row.label): row for row in old.rows}
    for row in new.rows:
        other = before.get((row.group, row.label))
        if other is None or row.seconds is None or other.seconds is None or _is_reference(new, row):
            continue
        if row.speed is not None and other.speed is not None:
            noise = other.speed_spread + row.speed_spread * row.speed / other.speed
            yield Change(row.group, row.label, other.speed, row.speed, noise)
        else:
            speeds = 1 / other.seconds, 1 / row.seconds
            yield Change(row.group, row.label, *speeds, other.spread + row.spread * speeds[1] / speeds[0])


def unmatched(old: Report, new: Report) -> list[str]:
    """What one run has measured and the other has not, as lines."""
    measured = [
        {(table.name, row.group, row.label) for table in report.tables for row in table.rows if row.seconds is not None}
        for report in (old, new)
    ]
    lines = [f"only in the older run: {_named(key)}" for key in sorted(measured[0] - measured[1])]
    return lines + [f"only in the newer run: {_named(key)}" for key in sorted(measured[1] - measured[0])]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what has changed from one run to another."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("old", type=Path, help="figures of the older run")
    parser.add_argument("new", type=Path, help="figures of the newer run")
    options = parser.parse_args(arguments)
    old, new = Report.load(options.old), Report.load(options.new)
    console = Console()
    tables = {table.name: table for table in old.tables}
    for table in new.tables:
        if table.name in tables and table.item:
            console.print(_rich(table, list(changes(tables[table.name], table))))
    for line in unmatched(old, new):
        console.print(line, highlight=False, markup=False)
    for name in sorted(old.machine):
        if name not in {"date", "load before"} and old.machine[name] != new.machine.get(name):
            console.print(f"{name}: {old.machine[name]} -> {new.machine.get(name)}", highlight=False, markup=False)


def _rich(table: Table, found: Sequence[Change]) -> RichTable:
    shown = RichTable(title=table.title, title_justify="left", title_style="bold")
    for name in ("", "old speed", "new speed", "change", "beyond the spread"):
        shown.add_column(name, justify="right" if name else "left")
    for change in found:
        label = f"{change.group}: {change.label}" if change.group else change.label
        verdict = ("faster" if change.gain > 0 else "SLOWER") if change.beyond_spread else ""
        shown.add_row(label, f"{change.old:,.2f}", f"{change.new:,.2f}", f"{change.gain:+.0%}", verdict)
    return shown


def _is_reference(table: Table, row: Row) -> bool:
    """Whether the others of its group are compared with this row."""
    return row.speed is not None and row is next(other for other in table.rows if other.group == row.group)


def _named(key: tuple[str, str, str]) -> str:
    return ": ".join(part for part in key if part)


if __name__ == "__main__":
    main()
