"""Comparison of two runs, with noise told from change.

Machines and loads differ. The speed relative to the first contender of a group is compared where there is one, and the
time itself elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table as RichTable

from benchmarks.results import Report, Row, Table


@dataclass(frozen=True)
class Change:
    """One contender in both runs.

    Attributes:
        label: Its group and name.
        old: Its speed in the older run: relative to the first of the group, or items per s.
        new: The same in the newer run.
        noise: Relative change that the spreads of both runs explain.
    """

    label: str
    old: float
    new: float
    noise: float

    @property
    def gain(self) -> float:
        """Relative gain in speed; negative if the newer run is slower."""
        return self.new / self.old - 1

    @property
    def beyond_spread(self) -> bool:
        """True if the spreads of both runs do not explain the change."""
        return abs(self.gain) > self.noise


def changes(old: Table, new: Table) -> Iterator[Change]:
    """Yield the changes of all contenders of both tables, except those that others are compared with."""
    before = {(row.group, row.label): row for row in old.rows}
    for row in new.rows:
        other = before.get((row.group, row.label))
        if other is None or row.seconds is None or other.seconds is None or _is_reference(new, row):
            continue
        label = ": ".join(filter(None, (row.group, row.label)))
        if row.speed is not None and other.speed is not None:
            noise = other.speed_spread + row.speed_spread * row.speed / other.speed
            yield Change(label, other.speed, row.speed, noise)
        else:
            speeds = 1 / other.seconds, 1 / row.seconds
            yield Change(label, *speeds, other.spread + row.spread * speeds[1] / speeds[0])


def only_in_one(old: Report, new: Report) -> list[str]:
    """Return one line for each contender that only one of the runs has measured."""
    measured = [
        {(table.name, row.group, row.label) for table in report.tables for row in table.rows if row.seconds is not None}
        for report in (old, new)
    ]
    lines = [("older", key) for key in sorted(measured[0] - measured[1])]
    lines += [("newer", key) for key in sorted(measured[1] - measured[0])]
    return [f"only in the {run} run: {': '.join(filter(None, key))}" for run, key in lines]


def rich_changes(old: Table, new: Table) -> RichTable:
    """Return the changes as a table for the terminal."""
    shown = RichTable(title=new.title, title_justify="left", title_style="bold")
    for name in ("", "old speed", "new speed", "change", "beyond the spread"):
        shown.add_column(name, justify="right" if name else "left")
    for change in changes(old, new):
        verdict = ("faster" if change.gain > 0 else "SLOWER") if change.beyond_spread else ""
        shown.add_row(change.label, f"{change.old:,.2f}", f"{change.new:,.2f}", f"{change.gain:+.0%}", verdict)
    return shown


def _is_reference(table: Table, row: Row) -> bool:
    return row.speed is not None and row is next(other for other in table.rows if other.group == row.group)
