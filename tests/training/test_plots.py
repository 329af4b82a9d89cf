from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure

from heron.training import Metrics, plot_curves
from heron.training.plots import Level, smooth

ROW = Metrics(1.0, 0, 1, "agent", 100, 3, 0.0, 1.0)


def run(groups=("agent",), rounds=1, rows=6, episodes=3):
    kinds = [(round_, group) for round_, group in product(range(1, rounds + 1), groups) for _ in range(rows)]
    return [
        replace(ROW, env_steps=500 * place, round=round_, group=group, episodes=episodes, team_return=float(place))
        for place, (round_, group) in enumerate(kinds, start=1)
    ]


@pytest.fixture
def axes(monkeypatch):
    """The axes of the plots that are drawn."""
    drawn = []
    real = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **kwargs: drawn.extend(self.axes) or real(self, *args, **kwargs)
    )
    return drawn


@pytest.mark.parametrize(
    "runs",
    [
        {"training": run()},
        {"training": run(("agent", "coordinator"), rounds=2)},
        {"hierarchy": run(("adversary", "agent", "coordinator"), rounds=3), "flat PPO": run(rows=20)},
        {str(number): run(rows=3 + number) for number in range(8)},
        {"one row": run(rows=1)},
        {"no episode": run(episodes=0)},
        {"no row": []},
        {},
    ],
)
def test_a_picture_is_written(tmp_path, runs):
    path = tmp_path / "curves.png"

    plot_curves(path, runs, title="a title")

    height, width, _ = image.imread(path).shape
    assert (width, height) == (960, 540)
    assert len(np.unique(image.imread(path))) > 10


def test_each_run_and_level_is_in_the_legend(tmp_path, axes):
    runs = {"hierarchy": run(("agent", "coordinator")), "flat": run()}
    levels = {str(number): Level(number, number - 1, number + 1) for number in range(5)}

    plot_curves(tmp_path / "curves.png", runs, levels, title="title")

    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == [*runs, *levels]
    assert axes[0].get_title() == "title"
    assert axes[0].get_xlabel() == "environment steps"


def test_the_curve_is_the_mean_over_episodes_at_its_environment_steps(tmp_path, axes):
    rows = run(rows=4)
    rows[2] = replace(rows[2], episodes=0, team_return=float("nan"))

    plot_curves(tmp_path / "curves.png", {"training": rows})

    faint, bold = axes[0].lines
    assert faint.get_xdata().tolist() == bold.get_xdata().tolist() == [500, 1000, 2000]
    assert faint.get_ydata().tolist() == [1, 2, 4]


def test_where_a_turn_begins_there_is_a_line_that_says_who_learns(tmp_path, axes):
    plot_curves(tmp_path / "curves.png", {"training": run(("agent", "coordinator"), rounds=2, rows=2)})

    upright = [line.get_xdata()[0] for line in axes[0].lines if line.get_linestyle() == ":"]
    assert upright == [0, 1000, 2000, 3000]
    assert [text.get_text() for text in axes[0].texts] == ["agent learns", "coordinator learns"] * 2


def test_a_single_turn_needs_no_line(tmp_path, axes):
    plot_curves(tmp_path / "curves.png", {"training": run()})

    assert len(axes[0].lines) == 2
    assert not axes[0].texts


def test_smooth_is_a_running_mean():
    values = np.array([1.0, 5.0, 3.0, 7.0, 4.0])

    assert smooth(values, 1).tolist() == values.tolist()
    assert smooth(values, 3).tolist() == pytest.approx([3, 3, 5, 14 / 3, 5.5])
    assert smooth(values, 99).tolist() == pytest.approx([3, 4, 4, 4.75, 14 / 3])
    assert smooth(np.array([2.0]), 5).tolist() == [2]
