"""The benchmarks still run; what they measure is for people to read."""

import io
import json
from contextlib import redirect_stdout
from dataclasses import replace

import pytest

from benchmarks import compare, learning, messaging, report
from benchmarks.__main__ import main as measure
from benchmarks.compare import changes, unmatched
from benchmarks.interleaved import Timing, time_interleaved
from benchmarks.report import BEGIN, END, markdown, update
from benchmarks.suite import TABLES
from benchmarks.tables import Report, Row, Table, rows_of

# PettingZoo's modules say so of themselves.
pytestmark = pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Output and figures of all tables, measured with tiny sizes and without other libraries."""
    path = tmp_path_factory.mktemp("benchmarks") / "figures.json"
    with redirect_stdout(io.StringIO()) as output:
        measure(["--smoke", "--no-peers", "--json", str(path)])
    return output.getvalue(), path


def test_all_tables_are_measured_printed_and_kept(smoke):
    output, path = smoke
    measured = Report.load(path)
    assert [table.name for table in measured.tables] == list(TABLES)
    for table in measured.tables:
        assert table.title in output
        assert all(row.seconds > 0 for row in table.rows if table.item), table.name
    assert measured.machine["packages"]["numpy"] in output


def test_messages_take_a_share_of_the_time(smoke):
    _, path = smoke
    tables = {table.name: table for table in Report.load(path).tables}
    shares = [row.extra["messages, %"] for row in tables["copies"].rows if "messages, %" in row.extra]
    assert len(shares) == 2
    assert all(0 < share < 100 for share in shares)
    for row in tables["training"].rows:
        parts = [row.extra[f"{part}, %"] for part in ("environment", "view", "inference", "update")]
        assert min(parts) > 0
        assert sum(parts) < 100


def test_memory_grows_with_what_there_is_and_not_with_time(smoke):
    _, path = smoke
    tables = {table.name: table for table in Report.load(path).tables}
    alone, flat, hierarchy = (row.extra["MB traced"] for row in tables["memory"].rows)
    assert 0 < alone < flat < hierarchy < 10
    (left,) = tables["leak"].rows
    assert left.extra["bytes traced"] < 50_000


def test_what_is_cleared_are_messages_of_every_environment():
    broker, fill = messaging._waiting_rows()
    fill()
    assert broker.statistics().messages == 16 * len(messaging.ENV_IDS)
    for env_id in messaging.ENV_IDS:
        broker.clear_environment(env_id)
    assert broker.statistics().messages == 0


def test_tables_that_time_nothing_have_no_columns_for_it(smoke):
    _, path = smoke
    text = markdown(Report.load(path))
    assert "|   | s to make | MB resident | MB traced |" in text
    assert "|   | us per environment | spread | speed |" in text


@pytest.mark.parametrize(
    ("main", "arguments", "message"),
    [
        (measure, ["--rounds", "1"], "argument --rounds: expected a whole number of at least 2, got '1'"),
        (measure, ["--steps", "few"], "argument --steps: expected a whole number of at least 1, got 'few'"),
        (measure, ["lane"], "argument TABLE: no table 'lane', only stepping"),
        (learning.main, ["--steps-factor", "0"], "argument --steps-factor: expected a positive number, got '0'"),
        (learning.main, ["--steps-factor", "nan"], "argument --steps-factor: expected a positive number, got 'nan'"),
        (learning.main, ["--steps-factor", "x"], "argument --steps-factor: expected a positive number, got 'x'"),
        (learning.main, ["--episodes", "0"], "argument --episodes: expected a whole number of at least 1, got '0'"),
        (learning.main, ["--episodes", "2.5"], "argument --episodes: expected a whole number of at least 1, got '2.5'"),
        (learning.main, ["--seed=-1"], "argument --seed: expected a whole number of at least 0, got '-1'"),
    ],
)
def test_a_bad_number_is_one_line(capsys, main, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_document_and_a_picture_are_made_of_the_figures(smoke, tmp_path):
    _, path = smoke
    document, picture = tmp_path / "page.md", tmp_path / "curves.png"
    document.write_text(f"before\n{BEGIN}\nold figures\n{END}\nafter\n")
    report.main([str(path), "--update", str(document), "--plot", str(picture)])
    text = document.read_text()
    assert text.startswith(f"before\n{BEGIN}")
    assert text.endswith(f"{END}\nafter\n")
    assert "| bare loop |" in text
    assert "old figures" not in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="end of figures"):
        update(f"{BEGIN} only", Report.load(path))


def test_tables_of_a_run_of_some_are_renewed_beside_the_others(smoke):
    _, path = smoke
    whole = Report.load(path)
    lanes, plain = (next(table for table in whole.tables if table.name == name) for name in ("lanes", "plain"))
    without_plain = replace(whole, tables=tuple(table for table in whole.tables if table is not plain))
    document = update(f"before\n{BEGIN}\n{END}\nafter\n", without_plain)
    slow = replace(lanes, rows=(replace(lanes.rows[0], label="slow"),))
    later = replace(whole, machine=whole.machine | {"date": "tomorrow"}, tables=(slow, plain))
    text = update(document, later, keep_others=True)
    titles = [line for line in text.splitlines() if line.startswith("### ")]
    assert titles == [f"### {table.title}" for table in (*without_plain.tables, plain)]
    assert text.count("tomorrow") == 2
    assert "| slow |" in text
    assert f"| {lanes.rows[1].label} |" not in text
    assert "| heron GymVectorEnv |" in text
    assert update(text, later, keep_others=True) == text


def test_two_runs_are_compared(smoke, tmp_path, capsys):
    _, path = smoke
    stored = json.loads(path.read_text())
    for row in stored["tables"][0]["rows"]:
        row["speed"] *= 0.5
        row["speed_spread"] = 0.0
    older = tmp_path / "older.json"
    older.write_text(json.dumps(stored))
    compare.main([str(older), str(path)])
    output = capsys.readouterr().out
    assert "+100%" in output
    assert "beyond the spread" in output


def table_of(**speeds):
    rows = [Row("", label, 1 / speed, 0.0, speed, 0.05) for label, speed in speeds.items()]
    return Table("stepping", "Stepping", "env step", tuple(rows))


def test_only_changes_beyond_both_spreads_count():
    old, new = table_of(bare=1.0, same=0.5, slower=0.5, gone=0.5), table_of(bare=1.0, same=0.52, slower=0.4, come=0.5)
    same, slower = changes(old, new)
    assert (same.label, same.beyond_spread) == ("same", False)
    assert (slower.label, slower.beyond_spread) == ("slower", True)
    assert slower.gain == pytest.approx(-0.2)
    assert unmatched(Report({}, {}, (old,)), Report({}, {}, (new,))) == [
        "only in the older run: stepping: gone",
        "only in the newer run: stepping: come",
    ]


def test_contenders_without_a_reference_are_compared_by_time():
    old = Table("lanes", "Lanes", "round trip", (Row("", "48 rows", 2e-6, 0.1),))
    (change,) = changes(old, replace(old, rows=(Row("", "48 rows", 1e-6, 0.1),)))
    assert change.gain == pytest.approx(1.0)
    assert change.noise == pytest.approx(0.3)


def test_a_peer_that_is_not_there_is_a_line_without_figures():
    table = Table("stepping", "Stepping", "env step", (*table_of(bare=1.0).rows, Row("", "peer", note="not installed")))
    options = {"rounds": 2, "training_rounds": 2, "scaling_rounds": 2, "seconds": 1.0}
    machine = {"date": "", "processor": "", "cores": 2, "load before": 0.0, "system": "", "python": "", "packages": {}}
    assert "| peer |  |  |  | not installed |" in markdown(Report(machine, options, (table,)))
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
