"""Losing a worker costs the episodes of its copies, and nothing else, whatever kind of worker it was."""

import os
import re
import signal
import time
from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box

import heron
from heron.errors import ResetRequiredError, UnknownEnvError, WorkerError, WorkerTimeoutError
from heron.wrappers import LoopEnv, ProcessEnv
from heron.wrappers.sb3 import Sb3VecEnv

from ..same import assert_same
from ..small_envs import Scripted
from ..sources.test_loop_env import actions_for
from .kinds import MORTALS, Deadly, is_running, snapshot


@pytest.fixture(params=MORTALS.values(), ids=MORTALS)
def mortal(request):
    """A kind of worker that can be killed."""
    return request.param


@pytest.fixture
def make(mortal, closing_env):
    """Make an environment of that kind, and close it."""
    return partial(closing_env, mortal.make)


class TestLostWorkers:
    @pytest.fixture
    def env(self, make):
        env = make([Deadly] * 5, num_workers=2, timeout=1.0)  # worker 1: 1, 2; worker 2: 3, 4
        env.reset(seeds=range(5))
        return env

    def assert_second_worker_is_cut_off(self, env, reason):
        state = env.states["agent"]
        assert env.running.tolist() == [True, True, True, False, False]
        assert state.truncated.tolist() == [[False] * 2] * 3 + [[True] * 2] * 2
        assert not state.terminated.any()
        assert state.rewards[3:].tolist() == [[0, 0]] * 2
        for infos in env.infos[3:]:
            assert infos.keys() == {"agent_0", "agent_1"}
            assert re.search(reason, infos["agent_0"]["worker_lost"])
        assert all("worker_lost" not in infos["agent_0"] for infos in env.infos[:3])

    def assert_all_is_well_after_a_restart(self, env):
        env.step(actions_for(env, 0), env.running)
        with pytest.raises(ResetRequiredError, match="env_3, env_4"):
            env.step(actions_for(env, 0))
        with pytest.raises(WorkerError, match=r"call restart_worker\(2\)"):
            env.reset(~env.running)
        env.restart_worker(2)
        assert env.running.tolist() == [True, True, True, False, False]
        env.reset(~env.running, seeds=[0] * 5)
        env.step(actions_for(env, 0))
        assert env.get_attr("steps", range(5))[3:] == [1, 1]

    def test_killed_while_idle(self, env, mortal):
        mortal.kill(env.workers[1])
        with pytest.raises(
            WorkerError, match=rf"^worker 2 \((process \d+|thread)\), which steps env_3, env_4, {mortal.killed}"
        ):
            env.step(actions_for(env, 0))
        self.assert_second_worker_is_cut_off(env, f"worker 2 .* {mortal.killed}")
        assert env.get_attr("steps", [0, 1, 2]) == [1, 1, 1]
        self.assert_all_is_well_after_a_restart(env)

    def test_dies_in_a_step(self, env, mortal):
        env.set_attr("fate", ["exit"], [4])
        with pytest.raises(WorkerError, match=mortal.died) as caught:
            env.step(actions_for(env, 0))
        assert (caught.value.worker, caught.value.env_ids) == (2, ("env_3", "env_4"))
        self.assert_second_worker_is_cut_off(env, mortal.died)
        self.assert_all_is_well_after_a_restart(env)

    def test_hangs_in_a_step(self, env):
        env.set_attr("fate", ["hang"], [3])
        start = time.monotonic()
        with pytest.raises(WorkerTimeoutError, match=r"worker 2 .* gave no answer within 1 s, and was killed"):
            env.step(actions_for(env, 0))
        assert time.monotonic() - start < 10
        self.assert_second_worker_is_cut_off(env, "gave no answer within 1 s")
        self.assert_all_is_well_after_a_restart(env)

    def test_hangs_in_a_call(self, env):
        with pytest.raises(WorkerTimeoutError, match="gave no answer"):
            env.call("hang", [3])
        self.assert_second_worker_is_cut_off(env, "gave no answer")
        assert env.get_attr("horizon", range(3)) == [4] * 3

    def test_process_that_is_stopped_is_killed(self, closing_env):
        env = closing_env(ProcessEnv, [Deadly] * 2, num_workers=1, timeout=1.0)
        pid = env.workers[0].pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(WorkerTimeoutError, match="gave no answer"):
            env.get_attr("horizon", range(2))
        assert not is_running(pid)

    def test_dies_in_a_reset(self, env, mortal):
        mask = np.array([False, False, False, True, False])
        with pytest.raises(WorkerError, match=mortal.died):
            env.reset(mask, options={"fate": "exit"})
        assert env.running.tolist() == [True, True, True, False, False]
        assert env.states["agent"].truncated.tolist() == [[False] * 2] * 4 + [[True] * 2]
        assert (env.infos[3], list(env.infos[4])) == ({}, ["agent_0", "agent_1"])

    def test_is_restarted_at_once_if_wanted(self, make, mortal, caplog):
        env = make([Deadly] * 5, num_workers=2, restart_workers=True)
        env.reset(seeds=range(5))
        env.set_attr("fate", ["exit"], [4])
        env.step(actions_for(env, 0))
        self.assert_second_worker_is_cut_off(env, mortal.died)
        assert f"{mortal.died}: it is restarted" in caplog.text
        env.reset(~env.running)
        env.step(actions_for(env, 0))
        mortal.kill(env.workers[1])
        env.reset(seeds=range(5))
        assert env.running.all()
        env.step(actions_for(env, 0))

    def test_restart_of_a_healthy_one(self, env):
        old = getattr(env.workers[0], "pid", None)
        env.restart_worker(1)
        assert old is None or not is_running(old)
        assert env.running.tolist() == [True, False, False, True, True]
        assert "was restarted on request" in env.infos[1]["agent_0"]["worker_lost"]
        for number in (0, 3):
            with pytest.raises(UnknownEnvError, match=f"no worker {number}, only 1 to 2"):
                env.restart_worker(number)

    def test_that_dies_while_starting(self):
        with pytest.raises(WorkerError, match="died with exit code 3") as caught:
            ProcessEnv([Scripted, partial(os._exit, 3)], num_workers=1)
        assert (
            'a missing guard: A script that starts worker processes must do so under `if __name__ == "__main__":`'
            in str(caught.value)
        )

    def test_close_beside_a_dead_one(self, env, mortal):
        mortal.kill(env.workers[0])
        env.close()

    def test_answers_of_an_interrupted_step_are_taken_later(self, env, monkeypatch):
        def interrupt():
            raise KeyboardInterrupt

        loop = LoopEnv([Deadly] * 5)
        loop.reset(seeds=range(5))
        with monkeypatch.context() as patch:
            patch.setattr(env._shard, "step", interrupt)
            with pytest.raises(KeyboardInterrupt):
                env.step(actions_for(env, 0))
        workers = np.array([False, True, True, True, True])
        loop.step(actions_for(loop, 0), workers)
        for both in (loop, env):
            both.step(actions_for(loop, 1), workers)
        assert_same(snapshot(loop), snapshot(env))

    def test_answer_of_an_interrupted_call_is_dropped_later(self, env, monkeypatch):
        def interrupt(*_):
            raise KeyboardInterrupt

        before = snapshot(env)
        with monkeypatch.context() as patch:
            patch.setattr(env._shard.env, "get_attr", interrupt)
            with pytest.raises(KeyboardInterrupt):
                env.get_attr("steps", range(5))
        assert env.get_attr("horizon", range(5)) == [4] * 5
        assert_same(snapshot(env), before)

    def test_view_goes_on_with_a_restarted_one(self, make, mortal):
        """To the learner it is an episode that was cut off, like any other."""
        venv = heron.make_vec(make([Deadly] * 3, num_workers=1, restart_workers=True))
        view = Sb3VecEnv(venv)
        view.reset()
        mortal.kill(venv.batch_env.workers[0])
        _, _, dones, infos = view.step(np.zeros(6, int))
        assert dones.tolist() == [False, False, True, True, True, True]
        assert [info.get("TimeLimit.truncated") for info in infos] == [None, None, True, True, True, True]
        _, rewards, dones, _ = view.step(np.zeros(6, int))
        assert not dones.any()
        assert rewards.tolist() == [2, 20, 1, 10, 1, 10]
        venv.close()

    def test_killed_in_a_hierarchys_decision_leaves_the_other_copies_usable(self, make, mortal):
        batch = make([Deadly] * 3, num_workers=1)
        space = Box(-1, 1, (2,), np.float32)
        venv = heron.make_vec(batch, hierarchy=lambda ids: heron.Hierarchy.star(ids, period=3, command_space=space))
        view = Sb3VecEnv(venv, "coordinator", {"field": 0})
        view.reset()
        mortal.kill(batch.workers[0])
        still = np.zeros((3, 4), np.float32)
        with pytest.raises(WorkerError, match=f"worker 1 .* env_1, env_2, {mortal.killed}"):
            view.step(still)
        assert venv.running.tolist() == [True, False, False]
        assert mortal.killed in venv.infos[1]["agent_0"]["worker_lost"]
        batch.restart_worker(1)
        # The first one plays the decision that was interrupted to its end, and its episode has one more step.
        _, _, dones, infos = view.step(still)
        assert dones.tolist() == [True, True, True]
        assert [info["decision_length"] for info in infos] == [1, 0, 0]
        assert [info["TimeLimit.truncated"] for info in infos[1:]] == [True, True]
        _, _, dones, infos = view.step(still)
        assert [info["decision_length"] for info in infos] == [3, 3, 3]
        assert not dones.any()
        venv.close()
