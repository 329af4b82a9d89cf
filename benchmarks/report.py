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

EXAMPLES = """\
examples:
  python -m benchmarks.report                       print the latest figures as Markdown
  python -m benchmarks.report before.json           those of another run
  python -m benchmarks.report --update docs/performance.md --plot docs/scaling.png
                                                    renew a document between its marks, and draw the curves
"""


def markdown(report: Report) -> str:
    """All tables of a run, under headings."""
    parts = [" ".join(machine_lines(report.machine, report.options))]
    parts += [f"### {table.title}\n\n" + "\n".join(_lines(table)) for table in report.tables]
    return "\n\n".join(parts)


def update(document: str, report: Report) -> str:
    """The document with the figures between its marks renewed.

    Raises:
        ValueError: If it does not have both marks.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the lines {BEGIN!r} and {END!r} in the document")
    return f"{before}{BEGIN}\n\n{markdown(report)}\n\n{END}{after}"


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
    parser.add_argument("--plot", type=Path, metavar="PNG", help="where to draw the curves")
    options = parser.parse_args(arguments)
    report = Report.load(options.figures)
    if options.update:
        options.update.write_text(update(options.update.read_text(), report))
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
