"""Tables as text: for the terminal, and as Markdown between the markers of a document."""

import re
from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table as RichTable

from benchmarks.results import Report, Row, Table

MARKER = re.compile(r"<!-- table (?P<name>\S+) -->\n.*?<!-- end -->", re.DOTALL)
MACHINE = "machine"
"""Name of the marker for the machine of the latest run."""


def headers(table: Table) -> list[str]:
    """Return the columns of a table."""
    times = [f"us per {table.item}", "spread", "speed"] if table.item else []
    columns = ["", *times, *table.extra_columns]
    return [*columns, "remarks"] if any(row.note for row in table.rows) else columns


def cells(table: Table, row: Row) -> list[str]:
    """Return one row under the headers of its table."""
    times = _figures(row) if table.item else []
    texts = [row.label, *times, *(number(row.extra.get(column)) for column in table.extra_columns)]
    return [*texts, row.note] if any(other.note for other in table.rows) else texts


def number(value: float | None) -> str:
    """Format a figure with three significant digits and no exponent."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 -- no digits after the point


def rich_table(table: Table) -> RichTable:
    """Return the table for the terminal."""
    shown = RichTable(title=table.title, title_justify="left", title_style="bold", caption=table.measured)
    for name in headers(table):
        shown.add_column(name, justify="left" if name in {"", "remarks"} else "right", overflow="fold")
    group = ""
    for row in table.rows:
        if row.group != group:
            shown.add_section()
            shown.add_row(f"[italic]{row.group}[/italic]")
            group = row.group
        shown.add_row(*cells(table, row))
    return shown


def markdown(table: Table) -> str:
    """Return the table as Markdown, with its title and the conditions of its measurement."""
    return "\n".join([f"**{table.title}**", "", *_lines(table), "", table.measured])


def machine_line(machine: Mapping[str, str]) -> str:
    """Return processor, system and versions as one line."""
    versions = [f"{name} {found}" for name, found in machine.items() if name not in {"processor", "system"}]
    return f"{machine['processor']}; {machine['system']}; {', '.join(versions)}."


def update(document: str, report: Report) -> str:
    """Return the document with the tables of a report between its markers.

    Tables that the report does not have stay as they are.

    Raises:
        ValueError: If the document has no marker for a table.
    """
    texts = {table.name: markdown(table) for table in report.tables}
    if missing := texts.keys() - {match["name"] for match in MARKER.finditer(document)}:
        raise ValueError(f"expected a line '<!-- table {min(missing)} -->' and, below it, '<!-- end -->', found none")
    texts[MACHINE] = machine_line(report.machine)

    def renewed(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- table {name} -->\n{texts[name]}\n<!-- end -->" if name in texts else match[0]

    return MARKER.sub(renewed, document)


def _figures(row: Row) -> list[str]:
    if row.seconds is None:
        return ["", "", ""]
    speed = "" if row.speed is None else f"{row.speed:.2f} ± {row.speed * row.speed_spread:.2f}"
    return [number(row.seconds * 1e6), f"{row.spread:.0%}", speed]


def _lines(table: Table) -> Iterator[str]:
    names = headers(table)
    yield _line([name or " " for name in names])
    yield _line(["---" if name in {"", "remarks"} else "---:" for name in names])
    group = ""
    for row in table.rows:
        if row.group != group:
            yield _line([f"*{row.group}*", *[""] * (len(names) - 1)])
            group = row.group
        yield _line(cells(table, row))


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"
