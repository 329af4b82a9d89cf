"""Figures as text, for the terminal and for Markdown alike."""

from collections.abc import Mapping
from typing import Any

from benchmarks.tables import Row, Table


def headers(table: Table) -> list[str]:
    """The columns of a table."""
    times = [f"us per {table.item}", "spread", "speed"] if table.item else []
    columns = ["", *times, *table.extra_columns]
    return [*columns, "remarks"] if any(row.note for row in table.rows) else columns


def cells(table: Table, row: Row) -> list[str]:
    """One row under these headers."""
    times = _figures(row) if table.item else []
    texts = [row.label, *times, *(number(row.extra.get(column)) for column in table.extra_columns)]
    return [*texts, row.note] if any(other.note for other in table.rows) else texts


def number(value: float | None) -> str:
    """Three significant digits, and never an exponent."""
    if value is None:
        return ""
    if abs(value) >= 100:  # noqa: PLR2004 -- no digits after the point
        return f"{value:,.0f}"
    return f"{value:.3g}"


def machine_lines(machine: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    """What was measured on and how, in sentences."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    load, counts = machine["load before"], (options["training_rounds"], options["scaling_rounds"])
    return [
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores (load before: {load}).",
        f"{machine['system']}, Python {machine['python']}, {packages}.",
        f"Medians of {options['rounds']} rounds ({counts[0]} of training, {counts[1]} of backends, copies and agents).",
        f"{'CPU' if options.get('cpu_time') else 'Wall'} time. Took {options['seconds']:.0f} s.",
    ]


def _figures(row: Row) -> list[str]:
    if row.seconds is None:
        return ["", "", ""]
    speed = "" if row.speed is None else f"{row.speed:.2f} ± {row.speed * row.speed_spread:.2f}"
    return [number(row.seconds * 1e6), f"{row.spread:.0%}", speed]
