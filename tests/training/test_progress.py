import csv
from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Discrete

from heron.agents import Hierarchy
from heron.training import HierarchyTrainer, LearnerConfig
from heron.wrappers import make_vec

from .learners import BOTH, PPO, relay
from .tiny_envs import TINY, Steady


def test_metrics_add_up(tmp_path):
    envs = [Steady(horizon=4) for _ in range(4)]
    venv = make_vec(
        [lambda env=env: env for env in envs],
        hierarchy=lambda ids: Hierarchy.star(ids, period=2, command_space=Discrete(2)),
    )
    long = LearnerConfig(options=TINY | {"n_steps": 16, "batch_size": 64})
    trainer = HierarchyTrainer(venv, {"field": long, "coordinator": long}, folder=tmp_path / "run")
    trainer.train(2400, rounds=2)
    rows = trainer.progress.rows

    assert [row.env_steps for row in rows] == sorted({row.env_steps for row in rows})
    assert rows[-1].env_steps == venv.total_steps
    assert [row.seconds for row in rows] == sorted(row.seconds for row in rows)
    assert [(row.round, row.group) for row in rows] == sorted((row.round, row.group) for row in rows)
    assert len(rows) >= 8  # each turn is of 600 steps, with a row after 500 or so and one at its end
    assert all(row.team_return == (1 + 2 + 3 + 4) * (1 + 10) for row in rows)
    of_coordinator = {row.learner_return for row in rows if row.group == "coordinator"}
    assert list(of_coordinator) == [pytest.approx(11 * (1 + 0.99 * 2 + 3 + 0.99 * 4), rel=1e-6)]
    assert all(abs(row.learner_return - 55) < 1 for row in rows if row.group == "agent")
    starts = 4 * 4  # one a turn and copy is a learner's first reset
    assert sum(row.episodes for row in rows) == sum(env.resets for env in envs) - starts
    for name, model in trainer.models.items():
        assert [row.timesteps for row in rows if row.group == name][-1] == model.num_timesteps

    with (tmp_path / "run" / "metrics.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [int(row["env_steps"]) for row in written] == [row.env_steps for row in rows]
    assert [row["group"] for row in written] == [row.group for row in rows]
    for name in trainer.models:
        assert list((tmp_path / "run" / "tensorboard" / name).glob("events.out.tfevents.*"))


def test_rows_without_an_episode_say_nan():
    venv = make_vec(partial(Steady, horizon=100_000), 1)
    trainer = HierarchyTrainer(venv, {"field": PPO})

    trainer.train(8)

    assert [row.episodes for row in trainer.progress.rows] == [0]
    assert np.isnan(trainer.progress.rows[0].team_return)
    assert np.isnan(trainer.progress.rows[0].learner_return)


def test_progress_counts_the_turns_environment_steps():
    venv, _ = relay(num_envs=2, period=4)
    seen = []

    HierarchyTrainer(venv, BOTH).train(64, rounds=1, on_progress=lambda turn, steps: seen.append((turn.group, steps)))

    assert [steps for group, steps in seen if group == "agent"] == list(range(2, 33, 2))
    assert [steps for group, steps in seen if group == "coordinator"] == list(range(8, 33, 8))


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    venv, _ = relay()

    HierarchyTrainer(venv, BOTH).train(16)

    assert list(tmp_path.iterdir()) == []
