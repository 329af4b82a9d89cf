"""The benchmarks still run; their figures are for people to read."""

import io
import json
from contextlib import redirect_stdout
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from benchmarks import messaging
from benchmarks.__main__ import app
from benchmarks.compare import changes, only_in_one
from benchmarks.render import markdown, update
from benchmarks.results import Report, Row, Table, rows_of
from benchmarks.suite import TABLES
from benchmarks.timing import Timing, time_interleaved

# PettingZoo's modules warn about themselves.
pytestmark = pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")


def call(*arguments):
    """Exit code and output of the command line."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Output and file of all tables, measured with tiny sizes and without other libraries."""
    path = tmp_path_factory.mktemp("benchmarks") / "figures.json"
    with redirect_stdout(io.StringIO()) as output:
        app(["run", "--smoke", "--json", str(path)], standalone_mode=False)
    return output.getvalue(), path


def tables_of(path):
    return {table.name: table for table in Report.load(path).tables}


def test_all_tables_are_measured_and_kept(smoke):
    _, path = smoke
    tables = tables_of(path)
    assert list(tables) == list(TABLES)
    for table in tables.values():
        assert "UTC, load" in table.measured
        assert all(row.seconds > 0 for row in table.rows if table.item), table.name


def test_messages_take_a_share_of_the_time(smoke):
    _, path = smoke
    tables = tables_of(path)
    shares = [row.extra["messages, %"] for row in tables["copies"].rows if "messages, %" in row.extra]
    assert len(shares) == 2
    assert all(0 < share < 100 for share in shares)
    for row in tables["training"].rows:
        parts = [row.extra[f"{part}, %"] for part in ("environment", "view", "inference", "update")]
        assert min(parts) > 0
        assert sum(parts) < 100


def test_the_trainers_stack_is_compared_with_the_view(smoke):
    _, path = smoke
    tables = tables_of(path)
    for name, groups in (("stack", 2), ("stepping", 1), ("trivial", 1)):
        ratios = [row.extra["x view"] for row in tables[name].rows if "x view" in row.extra]
        assert len(ratios) == groups
        assert min(ratios) > 0


def test_memory_grows_with_copies_and_not_with_time(smoke):
    _, path = smoke
    tables = tables_of(path)
    alone, flat, hierarchy = (row.extra["MB"] for row in tables["memory"].rows)
    assert 0 < alone < flat < hierarchy < 10
    (left,) = tables["leak"].rows
    assert left.extra["bytes"] < 50_000


def test_cleared_messages_are_those_of_every_environment():
    broker, fill = messaging._waiting_rows()
    fill()
    assert broker.statistics().messages == 16 * len(messaging.ENV_IDS)
    for env_id in messaging.ENV_IDS:
        broker.clear_environment(env_id)
    assert broker.statistics().messages == 0


def test_tables_without_times_have_no_columns_for_them(smoke):
    _, path = smoke
    tables = tables_of(path)
    assert "|   | s to make | MB |" in markdown(tables["memory"])
    assert "|   | us per environment | spread | speed |" in markdown(tables["clearing"])


def test_tables_that_were_measured_are_kept_when_a_run_is_interrupted(tmp_path, monkeypatch):
    def interrupted(_suite):
        raise KeyboardInterrupt

    monkeypatch.setitem(TABLES, "copies", interrupted)
    path = tmp_path / "figures.json"
    code, _ = call("run", "lanes", "copies", "--smoke", "--json", path)
    assert code == 130
    assert list(tables_of(path)) == ["lanes"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--rounds", "1"],
        ["run", "--steps", "few"],
        ["run", "lane"],
        ["learn", "--steps-factor", "0"],
        ["learn", "--episodes", "0"],
        ["learn", "--seed=-1"],
        ["learn", "chess"],
    ],
)
def test_a_bad_argument_is_refused(arguments):
    code, output = call(*arguments)
    assert code == 2
    assert "nvalid value" in output


def test_tables_of_a_run_are_written_between_their_markers(smoke, tmp_path):
    _, path = smoke
    document, picture = tmp_path / "page.md", tmp_path / "curves.png"
    markers = "".join(f"## {name}\n<!-- table {name} -->\n<!-- end -->\nafter\n" for name in TABLES)
    document.write_text(markers)
    assert call("report", document, "--figures", path, "--plot", picture)[0] == 0
    text = document.read_text()
    assert text.count("\nafter\n") == len(TABLES)
    assert "| heron GymVectorEnv |" in text
    assert picture.stat().st_size > 10_000
    lanes = tables_of(path)["lanes"]
    later = Report({"processor": "", "system": ""}, (replace(lanes, measured="tomorrow"),))
    renewed = update(text, later)
    assert renewed.count("tomorrow") == 1
    assert "| heron GymVectorEnv |" in renewed
    with pytest.raises(ValueError, match="table lanes"):
        update("no marker", later)


def test_two_runs_are_compared(smoke, tmp_path):
    _, path = smoke
    stored = json.loads(path.read_text())
    for row in stored["tables"][0]["rows"]:
        row["speed"] *= 0.5
        row["speed_spread"] = 0.0
    older = tmp_path / "older.json"
    older.write_text(json.dumps(stored))
    with redirect_stdout(io.StringIO()):
        code, _ = call("compare", older, path)
    assert code == 0


def table_of(**speeds):
    rows = [Row("", label, 1 / speed, 0.0, speed, 0.05) for label, speed in speeds.items()]
    return Table("stepping", "Stepping", "env step", tuple(rows))


def test_only_changes_beyond_both_spreads_count():
    old, new = table_of(bare=1.0, same=0.5, slower=0.5, gone=0.5), table_of(bare=1.0, same=0.52, slower=0.4, come=0.5)
    same, slower = changes(old, new)
    assert (same.label, same.beyond_spread) == ("same", False)
    assert (slower.label, slower.beyond_spread) == ("slower", True)
    assert slower.gain == pytest.approx(-0.2)
    assert only_in_one(Report({}, (old,)), Report({}, (new,))) == [
        "only in the older run: stepping: gone",
        "only in the newer run: stepping: come",
    ]


def test_contenders_without_a_reference_are_compared_by_time():
    old = Table("lanes", "Lanes", "round trip", (Row("", "48 rows", 2e-6, 0.1),))
    (change,) = changes(old, replace(old, rows=(Row("", "48 rows", 1e-6, 0.1),)))
    assert change.gain == pytest.approx(1.0)
    assert change.noise == pytest.approx(0.3)


def test_a_peer_without_figures_is_a_line_with_the_reason():
    table = Table("peers", "Peers", "env step", (*table_of(bare=1.0).rows, Row("", "peer", note="not installed")))
    assert "| peer |  |  |  | not installed |" in markdown(table)
    assert list(changes(table, table)) == []


def test_contenders_take_turns_and_the_first_round_does_not_count():
    calls = []
    timings = time_interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b") or 2.0}, rounds=3)
    assert calls == ["a", "b"] * 4
    assert timings["b"].rounds == (2.0, 2.0, 2.0)


def test_rounds_are_compared_with_their_neighbours():
    slowing_down, always_twice_as_long = Timing((1.0, 2.0, 4.0)), Timing((2.0, 4.0, 8.0))
    assert always_twice_as_long.speed_against(slowing_down) == (0.5, 0.0)
    bare, tenth = rows_of({"bare": slowing_down, "tenth": always_twice_as_long}, {"bare": 100, "tenth": 10})
    assert (bare.speed, tenth.speed) == (1.0, pytest.approx(0.05))
    assert tenth.seconds == pytest.approx(0.4)
