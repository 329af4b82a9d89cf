"""Training and evaluation in a terminal."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress

from heron import make_vec
from heron.cli import console as console_module
from heron.cli.console import evaluate_and_show, evaluation_table, train_and_save
from heron.errors import ConfigurationError, EnvStepError
from heron.training import (
    Evaluation,
    HierarchyConfig,
    HierarchyTrainer,
    LearnerConfig,
    TrainConfig,
    evaluate,
    load_run,
    random_policies,
)

TINY = LearnerConfig(options={"policy_kwargs": {"net_arch": [8]}, "n_steps": 4, "n_epochs": 1, "batch_size": 4})
CONFIG = TrainConfig(
    "mpe2.simple_spread_v3",
    {"max_cycles": 5},
    num_envs=2,
    steps=50,
    rounds=2,
    hierarchy=HierarchyConfig(period=2),
    learners={"field": TINY, "coordinator": TINY},
)


@pytest.fixture
def screen(monkeypatch):
    """A terminal of 80 columns, as text."""
    text = io.StringIO()
    terminal = Console(file=text, width=80, force_terminal=True, color_system=None, legacy_windows=False)
    monkeypatch.setattr(console_module, "console", terminal)
    return text


@pytest.fixture
def updates(monkeypatch):
    """The updates that progress bars received."""
    received = []
    real = Progress.update
    monkeypatch.setattr(
        Progress, "update", lambda self, *args, **kwargs: received.append(kwargs) or real(self, *args, **kwargs)
    )
    return received


def test_the_bar_shows_the_steps_that_were_taken_and_is_full_at_the_end_only(tmp_path, screen, updates):
    trainer = train_and_save(CONFIG, tmp_path)
    trainer.venv.close()

    done = [update["completed"] for update in updates]
    assert done == sorted(done)
    assert done[-1] == trainer.venv.total_steps == updates[-1]["total"] >= 50
    assert all(update["completed"] <= update["total"] for update in updates)
    assert all(update["total"] == max(50, update["completed"]) for update in updates)
    assert list(dict.fromkeys(update["description"] for update in updates)) == [
        "training agent, round 1/2",
        "training coordinator, round 1/2",
        "training agent, round 2/2",
        "training coordinator, round 2/2",
    ]
    shown = screen.getvalue()
    assert "…" not in shown  # nothing had to be cut off
    assert f"{done[-1]}/{done[-1]} env steps" in shown


def test_one_round_is_not_counted(tmp_path, screen, updates):
    train_and_save(replace(CONFIG, rounds=1), tmp_path).venv.close()

    assert list(dict.fromkeys(update["description"] for update in updates)) == [
        "training agent",
        "training coordinator",
    ]


def test_the_folder_holds_the_run_its_metrics_and_its_curves(tmp_path, screen):
    trainer = train_and_save(CONFIG, tmp_path / "deep" / "run")
    trainer.venv.close()

    folder = tmp_path / "deep" / "run"
    assert sorted(path.name for path in folder.iterdir()) == [
        "curves.png", "metrics.csv", "policies", "run.json", "tensorboard",
    ]  # fmt: skip
    assert load_run(folder).config == CONFIG
    assert len((folder / "metrics.csv").read_text().splitlines()) == 1 + len(trainer.progress.rows)


def test_what_cannot_be_saved_is_not_trained(tmp_path, screen, updates):
    learner = LearnerConfig(options={"learning_rate": lambda left: 1e-3 * left})

    with pytest.raises(ConfigurationError, match="function"):
        train_and_save(replace(CONFIG, learners={"field": learner}), tmp_path / "run")

    assert updates == []
    assert not (tmp_path / "run").exists()


@pytest.fixture
def interrupt(monkeypatch):
    """Interrupt a training at the start of its n-th turn."""

    def at(turn, error):
        turns = iter(range(1, turn + 1))
        real = HierarchyTrainer.take_turn

        def take_turn(*args):
            if next(turns) == turn:
                raise error
            real(*args)

        monkeypatch.setattr(HierarchyTrainer, "take_turn", take_turn)

    return at


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EnvStepError("boom")])
def test_a_training_that_is_interrupted_leaves_its_finished_turns(tmp_path, screen, interrupt, error):
    folder = tmp_path / "run"
    interrupt(3, error)

    with pytest.raises(type(error)):
        train_and_save(CONFIG, folder)

    assert f"interrupted; the run in {folder} is " in screen.getvalue()
    assert 0 < load_run(folder).details["env_steps"] < 50
    assert (folder / "curves.png").exists()
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EnvStepError("boom")])
def test_a_training_that_is_interrupted_in_its_first_turn_leaves_the_older_run(tmp_path, screen, interrupt, error):
    folder = tmp_path / "run"
    train_and_save(replace(CONFIG, seed=3), folder).venv.close()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    interrupt(1, error)

    with pytest.raises(type(error)):
        train_and_save(CONFIG, folder)

    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert list(tmp_path.iterdir()) == [folder]
    assert "interrupted; nothing was saved" in screen.getvalue()


def test_a_new_run_takes_the_place_of_an_older_one_and_of_what_is_left_of_another(tmp_path, screen):
    folder, part = tmp_path / "run", tmp_path / "run.part"
    for left_over in (folder / "policies" / "9_old.zip", part / "run.json"):
        left_over.parent.mkdir(parents=True)
        left_over.write_text("old")
    (folder / "notes.txt").write_text("mine")

    trainer = train_and_save(CONFIG, folder)
    trainer.train(8)  # writes no more
    trainer.venv.close()

    assert list(tmp_path.iterdir()) == [folder]
    assert sorted(path.name for path in folder.glob("policies/*")) == ["0_coordinator.zip", "1_agent.zip"]
    assert len(list(folder.glob("tensorboard/*/*"))) == 2
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_run_that_cannot_be_moved_stays_beside(tmp_path, screen, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("heron.training.run_folder.shutil.move", fail)

    with pytest.raises(ConfigurationError, match=r"run\.part to .*run: disk full"):
        train_and_save(CONFIG, tmp_path / "run")

    assert load_run(tmp_path / "run.part").config == CONFIG


def test_a_file_is_no_folder(tmp_path, screen):
    (tmp_path / "run").write_text("mine")

    with pytest.raises(ConfigurationError, match=r"into .*run: "):
        train_and_save(CONFIG, tmp_path / "run")

    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_bar_counts_episodes(screen):
    with CONFIG.make_venv() as venv:
        result = evaluate_and_show("random [1]", venv, random_policies(venv), 5, seed=0)

    assert result.episodes == 5
    assert "evaluating random [1]" in screen.getvalue()
    assert "5/5 episodes" in screen.getvalue()


def test_the_table_has_what_was_measured(screen):
    results = {
        "random [1]": Evaluation(np.array([1.0, 2, 4, 9]), np.array([5, 5, 5, 6]), {}),
        "flat PPO": Evaluation(np.array([-123.5]), np.array([25]), {}),
    }
    console_module.console.print(evaluation_table(results, "env [x]"))

    lines = screen.getvalue().splitlines()
    assert lines[0].strip() == "env [x]"
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert cells == [
        ["random [1]", "4.00", "-1.66 to 9.66", "4", "5.2"],
        ["flat PPO", "-123.50", "-123.50 to -123.50", "1", "25.0"],
    ]
    assert all(len(line) <= 80 for line in lines)
    assert not re.search("…", screen.getvalue())


def test_the_table_has_a_line_for_each_of_several_groups(screen):
    with make_vec("mpe2.simple_tag_v3") as venv:
        result = evaluate(venv, random_policies(venv), 3, seed=0)
    console_module.console.print(evaluation_table({"random": result}, "env"))

    lines = [line for line in screen.getvalue().splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    assert [row[0] for row in cells] == ["random", "adversary", "agent"]
    means = [float(row[1]) for row in cells]
    assert means[0] == pytest.approx(means[1] + means[2], abs=0.02)
    assert means[1] == pytest.approx(result.agent_returns["adversary"].sum(axis=1).mean(), abs=0.01)
    assert [row[3] for row in cells] == ["3", "", ""]
