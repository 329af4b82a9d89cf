"""The comparison of learned with random actions still runs; its figures are for people to read."""

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.results import Report

# PettingZoo's modules warn about themselves.
pytestmark = pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")


def test_returns_are_kept_and_written(tmp_path):
    figures, document = tmp_path / "figures.json", tmp_path / "page.md"
    tiny = ["--steps-factor", "0.001", "--episodes", "2", "--json", str(figures)]
    result = CliRunner().invoke(app, ["learn", "connect_four", "cartpole_vector", *tiny], catch_exceptions=False)
    assert result.exit_code == 0
    (table,) = Report.load(figures).tables
    assert len(table.rows) == 2
    for row in table.rows:
        assert row.extra["env steps"] > 0
        assert row.extra["learned, from"] <= row.extra["learned"] <= row.extra["learned, to"]
    document.write_text("<!-- table learning -->\n<!-- end -->\n")
    assert CliRunner().invoke(app, ["report", str(document), "--figures", str(figures)]).exit_code == 0
    assert "| connect_four_v3, first player against a random second one |" in document.read_text()
