"""Put the figures of a run into the documentation: as Markdown tables and as a picture."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.__main__ import RESULTS
from benchmarks.scaling_plot import plot_scaling
from benchmarks.tables import Report, Table
from benchmarks.text import cells, headers, machine_lines

BEGIN = "<!-- figures: written by python -m benchmarks.report -->"
END = "<!-- end of figures -->"
HEADING = "### "

EXAMPLES = """\
examples:
  python -m benchmarks.report                       print the latest figures as Markdown
  python -m benchmarks.report before.json           those of another run
  python -m benchmarks.report --update docs/performance.md --plot docs/scaling.png
                                                    renew a document between its marks, and draw the curves
  python -m benchmarks.report plain.json --update docs/performance.md --keep-others
                                                    renew the tables of a run of some, and leave the others
"""


def markdown(report: Report) -> str:
    """All tables of a run, under headings."""
    parts = [" ".join(machine_lines(report.machine, report.options))]
    parts += [f"{HEADING}{table.title}\n\n" + "\n".join(_lines(table)) for table in report.tables]
    return "\n\n".join(parts)


def update(document: str, report: Report, *, keep_others: bool = False) -> str:
    """The document with the figures between its marks renewed.

    Args:
        document: Has figures between two marks.
        report: The new figures.
        keep_others: Whether to leave tables that the report does not have. Each of its own then says when and on what
            it was measured; those that are new in the document come last.

    Raises:
        ValueError: If it does not have both marks.
    """
    before, begin, rest = document.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the lines {BEGIN!r} and {END!r} in the document")
    figures = _renewed(old.strip(), report) if keep_others else markdown(report)
    return f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}"


def _renewed(figures: str, report: Report) -> str:
    """Figures of an older run with the tables of this one."""
    machine, *parts = figures.split(f"\n\n{HEADING}")
    tables = {part.partition("\n")[0]: part for part in parts}
    measured = " ".join(machine_lines(report.machine, report.options))
    tables |= {table.title: "\n\n".join((table.title, measured, "\n".join(_lines(table)))) for table in report.tables}
    return f"\n\n{HEADING}".join((machine, *tables.values()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a run as Markdown, or write it into a document."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("figures", type=Path, nargs="?", default=RESULTS, help="a run's JSON (the latest)")
    parser.add_argument("--update", type=Path, metavar="FILE", help="a Markdown document with the two marks")
    parser.add_argument("--keep-others", action="store_true", help="leave tables there that this run has not measured")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="where to draw the curves")
    options = parser.parse_args(arguments)
    report = Report.load(options.figures)
    if options.update:
        options.update.write_text(update(options.update.read_text(), report, keep_others=options.keep_others))
    if options.plot:
        plot_scaling(report, options.plot)
    if not options.update and not options.plot:
        print(markdown(report))


def _lines(table: Table) -> Iterator[str]:
    names = headers(table)
    yield _line([name if name.strip() else " " for name in names])
    yield _line(["---" if name in {"", "remarks"} else "---:" for name in names])
    group = ""
    for row in table.rows:
        if row.group != group:
            yield _line([f"*{row.group}*", *[""] * (len(names) - 1)])
            group = row.group
        yield _line(cells(table, row))


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"


if __name__ == "__main__":
    main()
