"""Plots of training runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heron.training.progress import Metrics

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Palette of Okabe and Ito, which most colour-blind people can distinguish."""
FEW = 10
"""Runs with fewer rows are drawn with markers, because a short line is hard to see."""
GREY = "#666666"


@dataclass(frozen=True)
class Level:
    """A horizontal line with a band, such as the mean and interval of an evaluation."""

    mean: float
    low: float
    high: float


def plot_curves(
    path: Path, runs: Mapping[str, Sequence[Metrics]], levels: Mapping[str, Level] | None = None, title: str = ""
) -> None:
    """Plot team returns over environment steps, and write the plot as a PNG.

    A run is drawn as the mean over the episodes of each rollout (faint) and smoothed (bold). If several groups
    learned in turns, a thin line marks the start of each turn.

    Args:
        path: The file to write.
        runs: Label -> metrics of the run.
        levels: Label -> level to compare with.
        title: Title of the plot.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for colour, (label, rows) in zip(cycle(COLOURS), runs.items(), strict=False):
        _draw_run(axes, label, rows, colour)
    for (label, level), style in zip((levels or {}).items(), cycle(("--", ":", "-.", "-")), strict=False):
        axes.axhline(level.mean, color=GREY, linestyle=style, label=label)
        axes.axhspan(level.low, level.high, color=GREY, alpha=0.15, linewidth=0)
    axes.set_xlabel("environment steps")
    axes.set_ylabel("team return per episode")
    axes.set_title(title)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value else "0")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, loc="best")
    figure.savefig(path, dpi=120)


def smooth(values: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """Return the running mean over ``width`` values, fewer at the ends.

    >>> smooth(np.array([0.0, 3.0, 6.0, 9.0]), 3).tolist()
    [1.5, 3.0, 6.0, 7.5]
    """
    window = np.ones(min(width, len(values)))
    sums: npt.NDArray[np.float64] = np.convolve(values, window, mode="same")
    counts = np.convolve(np.ones(len(values)), window, mode="same")
    return sums / counts


def _draw_run(axes: Axes, label: str, rows: Sequence[Metrics], colour: str) -> None:
    with_episodes = [row for row in rows if row.episodes]
    if not with_episodes:
        return
    steps = np.array([row.env_steps for row in with_episodes])
    returns = np.array([row.team_return for row in with_episodes])
    axes.plot(steps, returns, color=colour, alpha=0.25, linewidth=1, marker="o" if len(rows) < FEW else None)
    axes.plot(steps, smooth(returns, max(len(returns) // 15, 3)), color=colour, linewidth=2, label=label)
    turns = [list(turn) for _, turn in groupby(rows, key=lambda row: (row.round, row.group))]
    start = 0
    for turn in turns if len(turns) > 1 else ():
        axes.axvline(start, color=colour, linewidth=0.8, linestyle=":")
        axes.annotate(
            f"{turn[0].group} learns",
            (start, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(2, 0),
            textcoords="offset points",
            rotation=90,  # fits into short turns
            verticalalignment="bottom",
            color=colour,
            fontsize=8,
        )
        start = turn[-1].env_steps
