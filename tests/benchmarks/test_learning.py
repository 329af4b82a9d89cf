"""The comparison of learned with random actions still runs; whether it learns is for people to read."""

import json

import pytest

from benchmarks import learning

# PettingZoo's modules say so of themselves.
pytestmark = pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")


def test_outcomes_are_shown_kept_and_written(tmp_path):
    figures, document = tmp_path / "figures.json", tmp_path / "page.md"
    tiny = ["--steps-factor", "0.001", "--episodes", "2", "--only", "connect_four,cartpole_vector"]
    learning.main([*tiny, "--json", str(figures), "--markdown", str(document)])
    outcomes = json.loads(figures.read_text())["outcomes"]
    assert [outcome["name"] for outcome in outcomes] == ["connect_four", "cartpole_vector"]
    for outcome in outcomes:
        assert outcome["steps"] > 0
        assert outcome["random"]["episodes"] == outcome["learned"]["episodes"] == 2
        assert f"| {outcome['env']} | {outcome['learner']} |" in document.read_text()
