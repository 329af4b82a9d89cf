"""Results of a run: tables of contenders, kept as JSON."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.timing import Timing

FOLDER = Path(__file__).parent / "results"
LATEST = FOLDER / "latest.json"
PACKAGES = ("heron-rl", "numpy", "gymnasium", "pettingzoo", "mpe2", "stable_baselines3", "torch")


@dataclass(frozen=True)
class Row:
    """One contender.

    Attributes:
        group: Rows of one group are compared with its first row; empty if the table has one group.
        label: Name of the contender.
        seconds: Median time of one item, in s; None without a measurement.
        spread: Half the interquartile range of ``seconds``, relative to it.
        speed: Speed relative to the first row of the group; None if there is nothing to compare with.
        speed_spread: Half the interquartile range of ``speed``, relative to it.
        extra: Column -> further figure.
        note: Remark, such as the reason why there are no figures.
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
        name: Name on the command line.
        title: Heading.
        item: Unit of ``seconds``, such as ``"env step"``; empty if nothing was timed.
        rows: The contenders; the others of a group are compared with its first row.
        measured: Date and conditions.
    """

    name: str
    title: str
    item: str
    rows: tuple[Row, ...]
    measured: str = ""

    @property
    def extra_columns(self) -> list[str]:
        """Names of further figures, in order of first appearance."""
        return list(dict.fromkeys(column for row in self.rows for column in row.extra))


@dataclass(frozen=True)
class Report:
    """Tables of a run, and the machine that they were measured on."""

    machine: Mapping[str, str]
    tables: tuple[Table, ...]

    def save(self, path: Path) -> None:
        """Write the report as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Report":
        """Read a report that ``save`` has written."""
        stored: dict[str, Any] = json.loads(path.read_text())
        tables = [table | {"rows": tuple(Row(**row) for row in table["rows"])} for table in stored["tables"]]
        return cls(stored["machine"], tuple(Table(**table) for table in tables))


def rows_of(timings: Mapping[str, Timing], items: Mapping[str, int] | int, group: str = "") -> list[Row]:
    """Return the rows of one group.

    Args:
        timings: Label -> timing; the others are compared with the first.
        items: Number of items of a round, by label if they differ.
        group: Name of the group.
    """
    counts = dict.fromkeys(timings, items) if isinstance(items, int) else items
    first = next(iter(timings))
    rows = []
    for label, timing in timings.items():
        speed, speed_spread = timing.speed_against(timings[first], counts[label] / counts[first])
        rows.append(Row(group, label, timing.median / counts[label], timing.spread, speed, speed_spread))
    return rows


def describe_machine() -> dict[str, str]:
    """Return the processor, the system and the versions of all packages that matter."""
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
