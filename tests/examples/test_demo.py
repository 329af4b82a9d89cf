"""The demo, with too few steps and episodes to learn anything."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib import image

from heron.training import LearnerConfig, evaluate, load_run

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.fixture
def demo():
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shortened(config):
    """The same learners on fewer steps and copies, with smaller networks and rollouts."""
    small = {"policy_kwargs": {"net_arch": [8]}}
    options = {"PPO": small | {"n_steps": 4, "n_epochs": 1}, "SAC": small | {"learning_starts": 5, "buffer_size": 500}}
    learners = {
        name: LearnerConfig(learner.algorithm, share=learner.share, options=options[learner.algorithm])
        for name, learner in config.learners.items()
    }
    return replace(config, num_envs=2, steps=60, env_kwargs={"max_cycles": 10}, learners=learners)


def test_the_demo_writes_what_it_says(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "FOLDER", tmp_path / "demo")
    monkeypatch.setattr(demo, "EPISODES", 3)
    for name in ("FLAT", "HIERARCHY"):
        monkeypatch.setattr(demo, name, shortened(getattr(demo, name)))

    demo.main()

    folder = tmp_path / "demo"
    results = json.loads((folder / "evaluation.json").read_text())
    assert [result["episodes"] for result in results.values()] == [3, 3, 3]
    assert image.imread(folder / "curves.png").shape[:2] == (540, 960)
    printed = capsys.readouterr().out
    for result in results.values():
        assert f"{result['mean_return']:.2f}" in printed

    runs = {name: load_run(folder / name) for name in ("hierarchy", "flat")}
    assert set(runs["hierarchy"].models) == {"coordinator", "agent"}
    assert set(runs["flat"].models) == {"agent"}
    assert runs["flat"].details["env_steps"] >= runs["hierarchy"].details["env_steps"] >= 60
    assert runs["hierarchy"].config.hierarchy.period == 5
    for name, result in zip(["flat", "hierarchy"], list(results.values())[1:], strict=True):
        run = runs[name]
        with run.make_venv() as venv:
            again = evaluate(venv, run.policies(), 3, demo.EVALUATION_SEED)
        assert again.to_mapping() == result
        last_row = (folder / name / "metrics.csv").read_text().splitlines()[-1]
        assert int(last_row.split(",")[1]) == run.details["env_steps"]


def test_the_demo_compares_like_with_like(demo):
    assert demo.FLAT.env == demo.HIERARCHY.env
    assert demo.FLAT.env_kwargs == demo.HIERARCHY.env_kwargs
    assert demo.FLAT.num_envs == demo.HIERARCHY.num_envs
    assert demo.FLAT.steps >= demo.HIERARCHY.steps
    assert demo.FLAT.hierarchy is None
