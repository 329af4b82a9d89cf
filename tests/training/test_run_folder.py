import json
import os
import re

import pytest

from heron.errors import ConfigurationError
from heron.training.run_folder import PARTS, RunFolder, file_names


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def fill(folder, text):
    """Write a whole run whose files all hold ``text``."""
    folder.start_run()
    for path in (*folder.policy_files(["a"]).values(), folder.metrics_file, folder.curves_file):
        path.write_text(text)
    for logs in folder.tensorboard_folders(["a"]).values():
        logs.mkdir(parents=True)
        (logs / text).write_text(text)
    folder.write_evaluation({"is": text})
    folder.write_run({"is": text})


def content(folder):
    return {str(path.relative_to(folder.path)): path.read_text() for path in folder.path.rglob("*") if path.is_file()}


def test_file_names_are_short_safe_and_unique():
    names = file_names(["agent", "x" * 500, "x" * 400, "A/b", "a_B", "é", ".."])

    assert names["agent"] == "agent"
    assert len({name.lower() for name in names.values()}) == len(names)
    assert all(re.fullmatch(r"[0-9A-Za-z_-]{1,64}", name) for name in names.values())


def test_a_folder_holds_a_run_from_its_last_file_on(folder):
    assert not folder.holds_run

    folder.start_run()
    assert not folder.holds_run
    folder.write_run({"seed": 3})
    assert folder.holds_run
    assert json.loads(folder.run_file.read_text()) == {"seed": 3}

    folder.start_run()
    assert not folder.holds_run


def test_a_partial_run_replaces_an_older_one_wholly(folder, tmp_path):
    fill(folder, "old")
    (folder.path / "notes.txt").write_text("mine")
    partial = folder.start_partial()
    fill(partial, "new")
    new = content(partial)

    folder.replace_with(partial)

    assert content(folder) == new | {"notes.txt": "mine"}
    assert {path.name for path in folder.path.iterdir()} == {*PARTS, "notes.txt"}
    assert list(partial.path.iterdir()) == []
    assert not partial.holds_run


def test_a_run_is_not_complete_before_all_else_was_moved(folder, monkeypatch):
    fill(folder, "old")
    partial = folder.start_partial()
    fill(partial, "new")
    monkeypatch.setattr("heron.training.run_folder.shutil.move", lambda path, _: fail_at(path))

    def fail_at(path):
        if path.name != "tensorboard":
            raise OSError("disk full")

    with pytest.raises(ConfigurationError, match=rf"{partial} to {folder}: disk full"):
        folder.replace_with(partial)

    assert not folder.holds_run
    assert partial.holds_run
    partial.discard_incomplete()
    assert partial.holds_run


def test_a_partial_folder_is_new_and_discarded_without_a_run(folder, tmp_path):
    left_over = RunFolder(tmp_path / "run.part")
    fill(left_over, "old")

    partial = folder.start_partial()

    assert partial.path == left_over.path
    assert list(partial.path.iterdir()) == []
    partial.discard_incomplete()
    assert list(tmp_path.iterdir()) == []


def test_the_partial_folder_of_a_relative_path_is_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    assert RunFolder(".").start_partial().path == tmp_path / "here.part"
    assert RunFolder("deep/er").start_partial().path == tmp_path / "here" / "deep" / "er.part"


def test_a_file_in_the_place_of_the_folder_is_an_error(folder, tmp_path):
    folder.path.write_text("mine")

    with pytest.raises(ConfigurationError, match=re.escape(str(folder))):
        folder.start_partial()

    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("closed", ["run", "."])
def test_a_folder_that_cannot_be_written_to_is_an_error_before_the_training(folder, tmp_path, closed):
    folder.path.mkdir()
    (tmp_path / closed).chmod(0o500)
    if os.access(tmp_path / closed, os.W_OK):
        pytest.skip("root may write everywhere")
    try:
        with pytest.raises(ConfigurationError, match=re.escape(str(folder))):
            folder.start_partial()
        assert [path.name for path in tmp_path.iterdir()] == ["run"]
    finally:
        (tmp_path / closed).chmod(0o700)


def test_an_evaluation_that_cannot_be_written_leaves_no_file_behind(folder):
    folder.evaluation_file.mkdir(parents=True)

    with pytest.raises(ConfigurationError, match=re.escape(str(folder.evaluation_file))):
        folder.write_evaluation({"mean": 3})

    assert [path.name for path in folder.path.iterdir()] == ["evaluation.json"]
