"""Options of ``ProcessEnv``, and the errors of its workers."""

import multiprocessing
import os
import threading

import numpy as np
import pytest

from heron.errors import ConfigurationError, EnvClosedError, EnvCreationError, EnvStepError
from heron.wrappers import ProcessEnv
from heron.wrappers.workers.sharding import split_rows

from ..small_envs import Scripted
from ..sources.test_loop_env import actions_for
from .kinds import is_running


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"num_workers": 3}, "num_workers must be from 0 to 2"),
            ({"num_workers": -1}, "num_workers must be from 0 to 2"),
            ({"num_workers": 1.5}, "num_workers must be from 0 to 2"),
            ({"start_method": "thread"}, "start_method must be one of"),
            ({"timeout": 0}, "timeout must be a positive number"),
            ({"timeout": float("nan")}, "timeout must be a positive number"),
        ],
    )
    def test_that_do_not_fit(self, options, message):
        with pytest.raises(ConfigurationError, match=message):
            ProcessEnv([Scripted] * 3, **options)

    def test_without_workers(self, process_env):
        env = process_env([Scripted] * 2, num_workers=0)
        env.reset()
        env.step(actions_for(env, 0))
        assert env.get_attr("steps", [0, 1]) == [1, 1]
        assert env.describe() == "env_0, env_1 by this process"

    def test_describe_says_who_steps_what(self, process_env):
        env = process_env([Scripted] * 3, num_workers=1)
        assert env.describe() == f"env_0 by this process; env_1, env_2 by worker 1 (process {env.workers[0].pid})"

    def test_unpicklable_factory_is_told_at_construction(self):
        lock = threading.Lock()

        def factory():
            with lock:
                return Scripted()

        with pytest.raises(ConfigurationError, match=r"^env_1: the factory cannot be sent to a worker .*lock.*LoopEnv"):
            ProcessEnv([factory] * 2, num_workers=1)

    def test_unpicklable_arguments_and_values_are_told(self, process_env):
        env = process_env([Scripted] * 2, num_workers=1)
        env.reset()
        with pytest.raises(ConfigurationError, match="the arguments of set_attr cannot be sent"):
            env.set_attr("horizon", [threading.Lock()], [1])
        with pytest.raises(ConfigurationError, match="options cannot be sent"):
            env.reset(options={"lock": threading.Lock()})
        env.set_attr("horizon", [3], [1])

        class Locked(Scripted):
            def lock(self):
                return threading.Lock()

        env = process_env([Locked] * 2, num_workers=1)
        with pytest.raises(ConfigurationError, match=r"lock.* cannot be sent from a worker process"):
            env.call("lock", [1])
        env.reset()

    def test_daemonic_process_is_told(self, monkeypatch):
        monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
        with pytest.raises(ConfigurationError, match="daemonic process"):
            ProcessEnv([Scripted] * 2, num_workers=1)

    def test_closed_one_is_told(self, process_env):
        env = process_env([Scripted] * 2, num_workers=1)
        env.close()
        for use in (env.reset, lambda: env.step({}), lambda: env.get_attr("x", [0]), lambda: env.restart_worker(1)):
            with pytest.raises(EnvClosedError):
                use()

    @pytest.mark.filterwarnings("ignore:.*use of fork.. may lead to deadlocks:DeprecationWarning")
    def test_forked_process_cannot_use_nor_close_its_parents_copies(self, process_env):
        env = process_env([Scripted] * 2, num_workers=1, restart_workers=True)
        env.reset()
        actions = {"agent": np.zeros((2, 2), int)}
        if not (child := os.fork()):
            try:
                for use in (env.reset, lambda: env.step(actions), lambda: env.restart_worker(1)):
                    with pytest.raises(EnvClosedError, match="belong to process"):
                        use()
                env.close()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert env.step(actions)["agent"].rewards.tolist() == [[1, 10], [1, 10]]
        assert env.call("observation_space", [1], "agent_0")

    def test_arrays_outlive_the_environment(self, process_env):
        env = process_env([Scripted] * 2, num_workers=1)
        rewards = env.reset()["agent"].rewards
        env.close()
        del env
        assert rewards.tolist() == [[0, 0], [0, 0]]

    @pytest.mark.parametrize(("rows", "parts"), [(1, 1), (5, 2), (16, 3), (7, 7)])
    def test_rows_are_shared_out_evenly(self, rows, parts):
        found = split_rows(rows, parts)
        assert [row for part in found for row in range(part.start, part.stop)] == list(range(rows))
        sizes = [part.stop - part.start for part in found]
        assert max(sizes) - min(sizes) <= 1


class TestErrorsOfWorkers:
    def test_carry_the_worker_and_its_traceback(self, process_env):
        env = process_env([Scripted, lambda: Scripted(fail_at=0)], num_workers=1)
        env.reset()
        with pytest.raises(EnvStepError, match=r"^env_1: step") as caught:
            env.step(actions_for(env, 0))
        (note,) = caught.value.__notes__
        assert f"raised in worker 1 (process {env.workers[0].pid}), which steps env_1:" in note
        assert 'raise RuntimeError("no power")' in note or "RuntimeError: no power" in note

    def test_factory_leaves_no_worker_behind(self):
        def broken():
            raise OSError("no licence")

        before = set(multiprocessing.active_children())
        with pytest.raises(EnvCreationError, match=r"^env_2") as caught:
            ProcessEnv([Scripted, Scripted, broken], num_workers=2)
        assert "raised in worker 2" in caught.value.__notes__[0]
        assert set(multiprocessing.active_children()) == before

    def test_error_that_cannot_be_pickled_is_told_in_words(self, process_env):
        class Odd(Scripted):
            def fail(self):
                error = ValueError("odd")
                error.lock = threading.Lock()
                raise error

        env = process_env([Odd] * 2, num_workers=1)
        with pytest.raises(Exception, match="ValueError: odd"):
            env.call("fail", [1])
        assert env.call("double", [1], 2) == [4]

    def test_error_while_closing_is_told_when_all_is_closed(self):
        class Sticky(Scripted):
            def close(self):
                raise RuntimeError("stuck")

        env = ProcessEnv([Scripted, Sticky, Scripted], num_workers=2)
        pids = [worker.pid for worker in env.workers]
        with pytest.raises(RuntimeError, match="stuck"):
            env.close()
        env.close()
        assert not any(is_running(pid) for pid in pids)
