"""What the benchmarks have found, as tables that can be printed, kept and compared."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.interleaved import Timing

Contender = Callable[[], float | None]


@dataclass(frozen=True)
class Row:
    """One contender.

    Attributes:
        group: Rows of one group are compared with the group's first row; empty if there is one group only.
        label: The contender's name.
        seconds: Median time of one item, in s; None if there is none.
        spread: Half the interquartile range of that, relative to it.
        speed: How many times as fast as the group's first row; None if there is nothing to compare with.
        speed_spread: Half the interquartile range of ``speed``, relative to it.
        extra: Further figures, column -> value.
        note: Why there are no figures.
    """

    group: str
    label: str
    seconds: float | None = None
    spread: float = 0.0
    speed: float | None = None
    speed_spread: float = 0.0
    extra: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Contenders that were timed side by side.

    Attributes:
        name: What it is called on the command line.
        title: What was measured.
        item: What ``seconds`` is the time of, such as ``"env step"``; empty if nothing was timed.
        rows: The contenders; the first of each group is what the others are compared with.
    """

    name: str
    title: str
    item: str
    rows: tuple[Row, ...]

    @property
    def extra_columns(self) -> list[str]:
        """Names of further figures, in the order of their first appearance."""
        return list(dict.fromkeys(column for row in self.rows for column in row.extra))


@dataclass(frozen=True)
class Report:
    """All tables of a run, and what they were measured with and on."""

    machine: Mapping[str, Any]
    options: Mapping[str, Any]
    tables: tuple[Table, ...]

    def save(self, path: Path) -> None:
        """Write the report as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Report":
        """Read a report that ``save`` has written."""
        stored = json.loads(path.read_text())
        tables = [table | {"rows": tuple(Row(**row) for row in table["rows"])} for table in stored["tables"]]
        return cls(stored["machine"], stored["options"], tuple(Table(**table) for table in tables))


def rows_of(timings: Mapping[str, Timing], items: Mapping[str, int], group: str = "") -> list[Row]:
    """Rows of one group.

    Args:
        timings: Label -> its rounds; the first is what the others are compared with.
        items: Label -> how many items a round has.
        group: The group's name.
    """
    first = next(iter(timings))
    rows = []
    for label, timing in timings.items():
        speed, speed_spread = timing.speed_against(timings[first], items[label] / items[first])
        rows.append(Row(group, label, timing.median / items[label], timing.spread, speed, speed_spread))
    return rows
