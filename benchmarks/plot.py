"""Scaling curves as a picture."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import Report, Table
from benchmarks.stepping import VIEW
from benchmarks.tasks import BARE

CURVES = ("copies", "agents")
"""Tables that the picture shows."""
COLOURS = {BARE: "0.45", VIEW: "tab:blue"}
STEPS, MESSAGES = "env steps/s", "messages, %"


def plot_scaling(report: Report, path: Path) -> None:
    """Draw env steps per second and the share of messages against copies and agents.

    Raises:
        ValueError: If the run did not measure both curves.
    """
    tables = {table.name: table for table in report.tables}
    if missing := [name for name in CURVES if name not in tables]:
        raise ValueError(f"the picture needs the tables {', '.join(CURVES)}, but the run has no {', '.join(missing)}")
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    places = figure.subplots(2, 2, height_ratios=(3, 2), sharex="col")
    for column, name in enumerate(CURVES):
        above, below = places[0][column], places[1][column]
        _draw(above, tables[name], STEPS)
        _draw(below, tables[name], MESSAGES)
        above.set_title("8 agents" if name == "copies" else "16 copies", fontsize="medium")
        above.set_yscale("log")
        below.set_xlabel(name)
        below.set_ylim(0, 1.2 * max(row.extra.get(MESSAGES, 0.0) for table in tables.values() for row in table.rows))
    places[0][0].set_ylabel("env steps per second")
    places[1][0].set_ylabel("time in the broker, %")
    places[0][0].legend(frameon=False)
    figure.suptitle("Trivial environment, on one core")
    figure.savefig(path, dpi=150)


def _draw(axes: Axes, table: Table, figure: str) -> None:
    for label, colour in COLOURS.items():
        rows = [row for row in table.rows if row.label == label and figure in row.extra]
        if sizes := [int(row.group.split()[0]) for row in rows]:
            axes.plot(sizes, [row.extra[figure] for row in rows], "o-", color=colour, label=label, markersize=4)
            axes.set_xscale("log", base=2)
            axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
