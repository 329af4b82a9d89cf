"""The choice of ``make_vec`` between the loop and worker processes."""

import logging
import multiprocessing
import random
import threading
import time
from contextlib import closing
from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box

import heron
from heron.errors import ConfigurationError
from heron.wrappers import LoopEnv, ProcessEnv
from heron.wrappers.workers import backend
from heron.wrappers.workers.cores import usable_cores
from heron.wrappers.workers.trial import Gain, measure_step

from ..same import assert_same
from ..small_envs import Scripted
from .kinds import snapshot


class Slow(Scripted):
    """One whose steps are worth a process each, and which draws from global random numbers as well."""

    def step(self, actions):
        random.random()
        np.random.random()  # noqa: NPY002
        time.sleep(0.005)
        return super().step(actions)


class Sleeping(Scripted):
    """One whose steps last so long that no other load matters."""

    def step(self, actions):
        time.sleep(0.05)
        return super().step(actions)


class Guarded(Slow):
    """One whose factory cannot be pickled."""

    def __init__(self, lock):
        super().__init__()
        self.lock = lock


class Talkative(Scripted):
    """One that says so much that sending it costs more than stepping."""

    def step(self, actions):
        *results, infos = super().step(actions)
        return *results, {agent: {"log": [str(k) for k in range(20_000)]} for agent in infos}


@pytest.fixture
def chosen(monkeypatch, caplog):
    """Return the choice of "auto" on a machine of two cores, and its reason."""
    caplog.set_level(logging.INFO, logger="heron")
    made = []

    def choose(env, num_envs=4, cores=2, **options):
        monkeypatch.setattr(backend, "usable_cores", lambda: cores)
        venv = heron.make_vec(env, num_envs, backend="auto", **options)
        made.append(venv)
        assert venv.batch_env.remark in caplog.text
        assert f"  {venv.batch_env.remark}" in venv.describe().splitlines()
        return type(venv.batch_env), venv.batch_env.remark

    yield choose
    for venv in made:
        venv.close()


def test_slow_environments_get_processes(chosen):
    """Sleeping steps run side by side on any machine, but a busy one may let a trial end in doubt."""
    for _ in range(3):
        kind, why = chosen(Sleeping, num_workers=1)
        if kind is ProcessEnv:
            break
    assert kind is ProcessEnv
    assert why.startswith('backend="auto" chose worker processes: a step of one copy takes ')
    assert "times as fast in a trial" in why


@pytest.mark.parametrize(
    ("env", "options", "why"),
    [
        (Slow, {"num_envs": 1}, "there is only one copy"),
        (Slow, {"cores": 1}, "there is only one core"),
        (Slow, {"num_workers": 0}, "num_workers is 0"),
        (partial(Guarded, threading.Lock()), {}, "cannot be sent to a worker process"),
        (lambda: Scripted(fail_at=0), {}, "could not be measured"),
        (lambda: Scripted(action_space=Box(-np.inf, np.inf, (1,))), {}, "could not be measured"),
    ],
)
def test_others_get_the_loop(chosen, env, options, why):
    kind, remark = chosen(env, **options)
    assert kind is LoopEnv
    assert remark.startswith('backend="auto" chose the loop: ')
    assert why in remark


@pytest.mark.parametrize(
    ("step", "infos", "pays"),
    [(5e-3, 0.0, True), (5e-3, 1e-5, True), (1e-5, 0.0, False), (5e-3, 6e-3, False)],
    ids=["slow", "slow and quiet", "quick", "slow and talkative"],
)
def test_what_a_step_costs_decides(chosen, monkeypatch, step, infos, pays):
    """The times are given, for a busy machine may measure anything."""
    monkeypatch.setattr(backend, "measure_step", lambda _: (step, infos))
    monkeypatch.setattr(backend, "race", lambda *_: Gain(1.5, 1.4, 1.6))
    kind, remark = chosen(Scripted)
    assert kind is (ProcessEnv if pays else LoopEnv)
    assert ("times as fast at best" in remark) is not pays


def test_what_an_environment_says_is_measured():
    times = {}
    for env in (Scripted, Talkative):
        with closing(LoopEnv([env])) as one:
            times[env] = measure_step(one)
    assert times[Talkative][1] > 10 * times[Scripted][1]


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(11, "no more processes"), EOFError()])
@pytest.mark.parametrize("trial", [True, False], ids=["in the trial", "afterwards"])
def test_workers_that_cannot_be_started_leave_the_loop(chosen, monkeypatch, error, trial):
    def fail(*_):
        raise error

    def trial_that_pays(*_):
        monkeypatch.setattr("multiprocessing.process.BaseProcess.start", fail)
        return Gain(1.5, 1.4, 1.6)

    monkeypatch.setattr(backend, "measure_step", lambda _: (5e-3, 0.0))
    monkeypatch.setattr(backend, "race", trial_that_pays)
    if trial:
        monkeypatch.setattr("multiprocessing.process.BaseProcess.start", fail)
    kind, remark = chosen(Scripted, num_workers=1)
    assert kind is LoopEnv
    assert f"could not be started ({type(error).__name__}: {error})" in remark
    assert "missing guard" in remark


def test_daemonic_process_gets_the_loop(chosen, monkeypatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    kind, remark = chosen(Slow)
    assert kind is LoopEnv
    assert "a daemonic process cannot start others" in remark


def test_measuring_disturbs_no_result(monkeypatch):
    monkeypatch.setattr(backend, "usable_cores", lambda: 2)
    trajectories = []
    for name in ("loop", "process", "auto"):
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        workers = None if name == "loop" else 1
        with heron.make_vec(Slow, 3, backend=name, num_workers=workers) as venv:
            # Python's and numpy's first numbers after seed 1.
            assert random.random() == 0.13436424411240122
            assert np.random.random() == 0.417022004702574  # noqa: NPY002
            venv.reset(seed=5)
            for step in range(4):
                venv.advance({"agent": np.full((3, 2), step)})
            trajectories.append(snapshot(venv.batch_env))
    assert_same(*trajectories[:2])
    assert_same(*trajectories[1:])


def test_backend_by_name():
    with heron.make_vec(Scripted, 2) as venv:
        assert type(venv.batch_env) is LoopEnv
        assert "Stepped: one after the other, in this process" in venv.describe().splitlines()
    with heron.make_vec(Scripted, 3, backend="process", num_workers=1, env_ids=["a", "b", "c"]) as venv:
        pid = venv.batch_env.workers[0].pid
        assert f"Stepped: a by this process; b, c by worker 1 (process {pid})" in venv.describe().splitlines()


def test_options_that_do_not_fit():
    with pytest.raises(ConfigurationError, match=r"backend must be one of .*, got 'threads'"):
        heron.make_vec(Scripted, 2, backend="threads")
    with pytest.raises(ConfigurationError, match=r'only for backend="process" .*"loop": num_workers'):
        heron.make_vec(Scripted, 2, num_workers=1)
    with pytest.raises(ConfigurationError, match=r'"loop": start_method, timeout, restart_workers'):
        heron.make_vec(Scripted, 2, start_method="spawn", timeout=5, restart_workers=True)
    for name in ("process", "auto"):
        with pytest.raises(ConfigurationError, match=r"start_method must be one of .*, got 'thread'"):
            heron.make_vec(Scripted, 2, backend=name, start_method="thread")
        with pytest.raises(ConfigurationError, match="timeout must be a positive number of seconds, got -1"):
            heron.make_vec(Scripted, 2, backend=name, timeout=-1)
        with pytest.raises(ConfigurationError, match=r"num_workers must be from 0 to 1, .* got 2"):
            heron.make_vec(Scripted, 2, backend=name, num_workers=2)
    batch_env = LoopEnv([Scripted])
    with pytest.raises(ConfigurationError, match="backend 'auto'"):
        heron.make_vec(batch_env, backend="auto")
    with pytest.raises(ConfigurationError, match="num_workers"):
        heron.make_vec(batch_env, num_workers=1)
    with pytest.raises(ConfigurationError, match="timeout"):
        heron.make_vec(batch_env, timeout=5)


def test_cores_are_counted():
    assert 1 <= usable_cores() <= multiprocessing.cpu_count()


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 3), ("150000 100000", 2), ("900000 100000", 3)])
def test_quota_of_a_container_counts(quota, cores, monkeypatch, tmp_path):
    path = tmp_path / "cpu.max"
    path.write_text(quota + "\n")
    monkeypatch.setattr("heron.wrappers.workers.cores._QUOTA", path)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert usable_cores() == cores
