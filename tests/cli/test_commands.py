"""The ``heron`` command, as typed by a user."""

import csv
import importlib
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import heron
from heron.cli import main
from heron.cli.flags import parse_command, parse_env_arg, parse_goal, read_config
from heron.errors import ConfigurationError
from heron.training import HierarchyTrainer, load_run

ENV = "mpe2.simple_spread_v3"
SHORT = ("-a", "max_cycles=5", "-n", "2", "--steps", "40", "--episodes", "3")

TOML = """
num_envs = 2
steps = 40
env_kwargs = { max_cycles = 5, N = 2 }

[hierarchy]
period = 2
goal = { position = [2, 4], measure = "distance" }

[learners.field]
share = 3.0
options = { n_steps = 4, n_epochs = 1, batch_size = 4, policy_kwargs = { net_arch = [8] } }

[learners.coordinator]
normalize_rewards = false
options = { n_steps = 4, n_epochs = 1, batch_size = 4, policy_kwargs = { net_arch = [8] } }
"""


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "short.toml"
    path.write_text(TOML)
    return path


@pytest.fixture
def call(monkeypatch, capsys):
    """Run ``heron`` in this process: return its exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "path", sys.path.copy())
        monkeypatch.setattr(sys, "argv", ["heron", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        return caught.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture
def refused(call):
    """Run ``heron``, which must fail with one line and exit code 2; return the line."""

    def run(*arguments):
        code, _, err = call(*arguments)
        assert code == 2
        assert err.startswith("heron: ")
        assert err.count("\n") == 1
        return err

    return run


def installed(*arguments, cwd):
    """Run ``heron`` in a process of its own."""
    script = Path(sys.executable).with_name("heron")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    return subprocess.run(
        [script, *map(str, arguments)], capture_output=True, text=True, timeout=120, cwd=cwd, env=environment,
        check=False,
    )  # fmt: skip


# -- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((), ["train", "evaluate", "describe", "--version"]),
        (
            ("train",),
            [
                "heron train mpe2.simple_spread_v3 --steps 50000",
                "--backend auto --workers 1",
                "--config",
                "--force",
                "--env-arg",
                "-n",
            ],
        ),
        (("evaluate",), ["heron evaluate runs/demo/hierarchy", "--stochastic", "RUN"]),
        (("describe",), ["heron describe mpe2.simple_tag_v3", "--period"]),
    ],
)
def test_help_has_examples(call, command, words):
    code, out, err = call(*command, "--help")

    assert (code, err) == (0, "")
    assert ("Examples" in out) == bool(command)
    for word in words:
        assert word in out
    assert max(map(len, out.splitlines())) <= 80


def test_examples_in_the_help_are_commands_that_parse():
    from heron.cli.commands import app  # noqa: PLC0415 -- not a part of what the others test

    for command in app.registered_commands:
        for line in command.epilog.split("\n\n")[1:]:
            words = line.split()
            assert words[:2] == ["heron", command.name or command.callback.__name__]
            flags = dict(pairwise(words))
            if "--command" in flags:
                parse_command(flags["--command"])
            if "--goal" in flags:
                parse_goal(flags["--goal"])
            if "-a" in flags:
                parse_env_arg(flags["-a"])


def test_defaults_in_the_help_are_those_of_the_config(call):
    _, out, _ = call("train", "--help")
    text = " ".join(out.replace("│", " ").split())
    config = read_config(ENV, None, None, {}, {}, {})

    for flag, default in (
        ("--num-envs", config.num_envs), ("--steps", config.steps), ("--rounds", config.rounds), ("--seed", config.seed)
    ):  # fmt: skip
        assert re.search(rf"{flag} [^-]*(-n)?[^-]*; {default} by default", text)


def test_version(call):
    assert call("--version") == (0, f"heron {heron.__version__}\n", "")


def test_no_arguments_show_the_help(call):
    _, out, err = call()

    assert "Train hierarchies of communicating agents" in out + err


# -- train, evaluate, describe ----------------------------------------------------------------------------------------


def test_installed_command_trains_what_can_then_be_evaluated(call, tmp_path, toml):
    done = installed("train", ENV, "-c", toml, "--episodes", 3, "--out", "run", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert "run/curves.png" in done.stdout
    folder = tmp_path / "run"
    assert sorted(path.name for path in folder.iterdir()) == [
        "curves.png", "evaluation.json", "metrics.csv", "policies", "run.json", "tensorboard",
    ]  # fmt: skip
    first = json.loads((folder / "evaluation.json").read_text())
    assert {label: result["episodes"] for label, result in first.items()} == {"random": 3, "trained": 3}
    assert f"{first['trained']['mean_return']:.2f}" in done.stdout
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["group"] for row in rows} == {"agent", "coordinator"}
    assert int(rows[-1]["env_steps"]) == load_run(folder).details["env_steps"]

    code, out, err = call("evaluate", folder, "--episodes", 3)

    assert (code, err) == (0, "")
    assert json.loads((folder / "evaluation.json").read_text())["trained"] == first["trained"]
    assert f"{first['trained']['mean_return']:.2f}" in out


def test_a_run_folder_is_named_after_the_environment_unless_told(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    code, out, _ = call("train", f"{ENV}:parallel_env", *SHORT)

    assert code == 0
    assert (tmp_path / "runs" / f"{ENV}-parallel_env" / "run.json").exists()
    assert f"{ENV}:parallel_env after " in out


def test_flags_override_the_file(call, tmp_path, toml):
    folder = tmp_path / "run"
    flags = ("--steps", 24, "-a", "N=1", "--seed", 8, "--rounds", 2, "--period", 3)
    code, *_ = call("train", ENV, "-c", toml, "--episodes", 2, *flags, "-o", folder)
    config = load_run(folder).config

    assert code == 0
    assert (config.steps, config.seed, config.rounds, config.num_envs) == (24, 8, 2, 2)
    assert config.env_kwargs == {"max_cycles": 5, "N": 1}
    assert config.hierarchy.period == 3
    assert config.hierarchy.goal == {"position": [2, 4], "measure": "distance"}


def test_environment_may_be_named_in_the_file(call, refused, toml):
    for where in ((), ("--config", toml)):
        assert "env is missing" in refused("describe", *where)

    toml.write_text(f'env = "{ENV}"\nnum_envs = 3\n')
    _, named, _ = call("describe", ENV, "-n", 3)

    assert call("describe", "-c", toml) == (0, named, "")
    assert "adversary" in call("describe", "mpe2.simple_tag_v3", "-c", toml)[1]


def test_algorithm_changes_nothing_else(call, tmp_path, toml):
    folder = tmp_path / "run"
    toml.write_text(TOML.replace("n_epochs = 1, batch_size = 4, ", ""))
    code, *_ = call("train", ENV, "-c", toml, "--algorithm", "A2C", "--episodes", 2, "-o", folder)
    run = load_run(folder)

    assert code == 0
    assert {type(model).__name__ for model in run.models.values()} == {"A2C"}
    assert run.config.learners["agent"].share == 3
    assert run.config.learners["agent"].options["n_steps"] == 4
    assert not run.config.learners["coordinator"].normalize_rewards


def test_backend_is_kept_with_the_run_and_can_be_changed_for_an_evaluation(call, refused, tmp_path, toml):
    folder = tmp_path / "run"
    toml.write_text('backend = "process"\nstart_method = "forkserver"\ntimeout = 50\n' + TOML)
    code, *_ = call("train", ENV, "-c", toml, "--workers", 1, "--episodes", 2, "-o", folder)
    config = load_run(folder).config

    assert code == 0
    assert (config.backend, config.num_workers, config.start_method, config.timeout) == ("process", 1, "forkserver", 50)
    trained = []
    for flags in [(), ("-n", 1), ("--backend", "loop"), ("--backend", "process", "--workers", 0)]:
        assert call("evaluate", folder, "--episodes", 2, *flags)[0] == 0
        trained.append(json.loads((folder / "evaluation.json").read_text())["trained"]["mean_return"])
    assert trained == pytest.approx(trained[:1] * 4)
    assert "num_workers" in refused("evaluate", folder, "--backend", "loop", "--workers", 1)
    assert "threads" in refused("evaluate", folder, "--backend", "threads")


def test_a_run_is_replaced_only_by_force_and_then_wholly(call, refused, tmp_path, toml):
    folder = tmp_path / "run"
    arguments = ("train", ENV, "-c", toml, "--episodes", 2, "-o", folder)
    call(*arguments)
    (folder / "notes.txt").write_text("mine")
    before = (folder / "run.json").read_bytes()

    refusal = refused(*arguments)
    assert str(folder) in refusal
    assert "--force" in refusal
    assert "'PP0'" in refused(*arguments, "--force", "--algorithm", "PP0")
    assert (folder / "run.json").read_bytes() == before

    code, *_ = call(*arguments, "--force", "--seed", 1)

    assert code == 0
    assert load_run(folder).config.seed == 1
    assert (folder / "notes.txt").read_text() == "mine"
    assert len(list((folder / "tensorboard" / "agent").iterdir())) == 1


def test_evaluate_takes_its_options(call, tmp_path, toml):
    folder = tmp_path / "run"
    call("train", ENV, "-c", toml, "--episodes", 2, "-o", folder)
    results = []
    for options in [(), ("--seed", 3), ("--seed", 3, "-n", 1), ("--stochastic",)]:
        assert call("evaluate", folder, "--episodes", 4, *options)[0] == 0
        results.append(json.loads((folder / "evaluation.json").read_text())["trained"])

    assert results[0]["episodes"] == 4
    assert results[0] != results[1]
    assert results[1]["mean_return"] == pytest.approx(results[2]["mean_return"])
    assert results[3] != results[0]


def test_the_evaluation_file_says_how_it_was_made(call, tmp_path, toml):
    folder = tmp_path / "run"
    call("train", ENV, "-c", toml, "--episodes", 2, "-o", folder)
    found = []
    for options in [None, ("--seed", 3), ("--stochastic",)]:
        if options is not None:
            call("evaluate", folder, "--episodes", 2, *options)
        results = json.loads((folder / "evaluation.json").read_text())
        found.append([(results[label]["seed"], results[label]["deterministic"]) for label in ("random", "trained")])

    assert found == [
        [(10_000, False), (10_000, True)],
        [(3, False), (3, True)],
        [(10_000, False), (10_000, False)],
    ]


def test_threads_are_torchs_for_both_commands(call, refused, tmp_path, toml):
    folder = tmp_path / "run"
    call("train", ENV, "-c", toml, "--episodes", 2, "-o", folder, "--threads", 2)
    assert torch.get_num_threads() == 2

    call("evaluate", folder, "--episodes", 2)
    assert torch.get_num_threads() == 1


def test_an_evaluation_that_cannot_be_written_is_one_line(call, refused, tmp_path, toml):
    folder = tmp_path / "run"
    call("train", ENV, "-c", toml, "--episodes", 2, "-o", folder)
    (folder / "evaluation.json").unlink()
    (folder / "evaluation.json").mkdir()

    assert f"{folder / 'evaluation.json'}: " in refused("evaluate", folder, "--episodes", 2)


def test_ctrl_c_keeps_complete_turns_and_exits_with_130(call, tmp_path, toml, monkeypatch):
    folder = tmp_path / "run"
    real = HierarchyTrainer.take_turn

    def take_turn(self, turn, *args):
        if turn.group == "coordinator":
            raise KeyboardInterrupt
        real(self, turn, *args)

    monkeypatch.setattr(HierarchyTrainer, "take_turn", take_turn)

    code, out, err = call("train", ENV, "-c", toml, "-o", folder)

    assert (code, err) == (130, "")
    assert f"interrupted; the run in {folder} is " in out
    assert load_run(folder).details["timesteps"]["agent"] > 0


def test_describe_says_who_is_who(call):
    code, out, err = call("describe", "mpe2.simple_tag_v3", "--period", 4, "--command", 3, "-n", 2)

    assert (code, err) == (0, "")
    for words in ["2 copies: env_0, env_1", "coordinator", "Group 'adversary'", "every 4 steps", "Discrete(3)"]:
        assert words in out
    assert "env_0__action__coordinator" in out


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "no.such.module"), "no.such.module"),
        (("train", ENV, "-a", "max_cycles"), "--env-arg must be KEY=VALUE, got 'max_cycles'"),
        (("train", ENV, "-a", "colour=3"), "colour"),
        (("train", ENV, "--command", "2,-1"), "--command must be SIZE,LOW,HIGH"),
        (("train", ENV, "--command", "2,1,-1"), "command must be"),
        (("train", ENV, "--command", "0"), "command must be"),
        (("train", ENV, "--goal", "2"), "--goal must be FIRST,LAST"),
        (("train", ENV, "--goal", "4,2"), "position"),
        (("train", ENV, "--goal", "2,5"), "goal is for 3"),
        (("train", ENV, "--algorithm", "PP0"), "'PP0'"),
        (("train", ENV, "--algorithm", "SAC"), "SAC"),
        (("train", ENV, "--config", "nowhere.toml"), "nowhere.toml"),
        (("train", ENV, "--backend", "threads"), "'threads'"),
        (("train", ENV, "--workers", "1"), "num_workers"),
        (("train", ENV, "--backend", "auto", "--workers", "16"), "num_workers must be from 0 to 15"),
        (("describe", ENV, "--command", "x"), "--command must be"),
        (("evaluate", "nowhere"), "nowhere holds no run"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(refused, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)

    assert words in refused(*arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [("evaluate",), ("train", ENV, "--steps", "0"), ("train", ENV, "--colour", "3"), ("fly",)]
)
def test_a_command_line_that_cannot_be_read_is_explained(call, arguments):
    code, _, err = call(*arguments)

    assert code == 2
    assert "Usage: heron" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("steps = ", "run.toml"),
        ("stepps = 3", "['stepps']"),
        ("env_kwargs = 3", "env_kwargs must be"),
        ("hierarchy = 3", "hierarchy must be"),
        ("learners = 3", "learners must be"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(refused, tmp_path, content, words):
    path = tmp_path / "run.toml"
    path.write_text(content)

    assert words in refused("train", ENV, "-c", path, "--period", 2, "-a", "N=2", "-o", tmp_path / "run")


def test_a_message_of_several_lines_is_shown_as_one(refused, monkeypatch):
    def fail(**kwargs):
        raise ConfigurationError("low is [-1\n -1]")

    monkeypatch.setattr("heron.cli.commands.app", fail)

    assert refused("train", ENV) == "heron: low is [-1 -1]\n"


def test_a_folder_that_cannot_be_made_is_named(refused, tmp_path):
    (tmp_path / "file").write_text("")

    assert f"into {tmp_path / 'file' / 'run'}: " in refused("train", ENV, *SHORT, "-o", tmp_path / "file" / "run")


def test_it_runs_in_a_folder_that_is_gone(refused, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert "No module named 'no_such_env'" in refused("train", "no_such_env:make")


@pytest.mark.parametrize("package", ["typer", "stable_baselines3", "matplotlib"])
def test_without_the_extra_it_says_how_to_get_it(monkeypatch, package):
    for name in list(sys.modules):
        if name.partition(".")[0] in {"heron", package}:
            monkeypatch.delitem(sys.modules, name)  # imported again here, and as before by all others
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(SystemExit) as caught:
        importlib.import_module("heron.cli").main()

    message = caught.value.code  # Python prints it as one line, and exits with 1
    assert "pip install 'heron-rl[train]'" in message
    assert package in message
    assert "\n" not in message
