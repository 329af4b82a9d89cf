"""``ProcessEnv`` does what ``LoopEnv`` does, and survives what can happen to processes."""

import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.spaces import Box, Discrete
from pettingzoo.utils import BaseParallelWrapper

import heron
from heron.batch.array_tree import map_arrays
from heron.errors import (
    ConfigurationError,
    EnvClosedError,
    EnvCreationError,
    EnvStepError,
    InvalidObservationError,
    ResetRequiredError,
    UnknownEnvError,
    WorkerError,
    WorkerTimeoutError,
)
from heron.wrappers import LoopEnv, ProcessEnv, VectorEnvSource
from heron.wrappers.sb3 import Sb3VecEnv
from heron.wrappers.workers.env_worker import Shard
from heron.wrappers.workers.sharding import split_rows

from .. import small_envs
from ..same import assert_same
from ..small_envs import Life, Menagerie, Scripted
from ..sources.test_loop_env import FACTORIES, LIVES, actions_for

# The workers cannot import the tests.
for module in (sys.modules[__name__], small_envs, sys.modules[FACTORIES["scripted"].__module__]):
    cloudpickle.register_pickle_by_value(module)
multiprocessing.set_forkserver_preload(["heron.wrappers.workers.process_env", "mpe2.simple_spread_v3"])

FIELDS = ("observations", "rewards", "terminated", "truncated", "active")
KINDS = [LoopEnv, partial(ProcessEnv, num_workers=1), partial(ProcessEnv, num_workers=2)]
KIND_IDS = ["loop", "one worker", "two workers"]


@pytest.fixture(params=KINDS, ids=KIND_IDS)
def make(request):
    """Makes environments of each kind, and closes them."""
    made = []

    def make_env(*args, **kwargs):
        made.append(request.param(*args, **kwargs))
        return made[-1]

    yield make_env
    for env in made:
        env.close()


@pytest.fixture
def process_env():
    made = []

    def make_env(*args, **kwargs):
        made.append(ProcessEnv(*args, **kwargs))
        return made[-1]

    yield make_env
    for env in made:
        env.close()


def snapshot(env):
    """Everything that an environment says, as copies."""
    states = {
        name: [map_arrays(np.copy, getattr(state, field)) for field in FIELDS] for name, state in env.states.items()
    }
    return states, [dict(infos) for infos in env.infos]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class TestSameAsTheLoop:
    """Over whole episodes with random masks and resets of single copies, to the bit."""

    @pytest.mark.parametrize("name", ["simple_spread", "knights_archers_zombies", "scripted", "talkative", "menagerie"])
    @pytest.mark.parametrize("num_workers", [1, 2])
    def test_trajectories(self, name, num_workers, process_env):
        num_envs = 5
        loop, processes = LoopEnv([FACTORIES[name]] * num_envs), process_env([FACTORIES[name]] * num_envs,
                                                                            num_workers=num_workers)  # fmt: skip
        seeds = [7, None, 3, 11, 2] if name == "scripted" else [7, 1, 3, 11, 2]
        for env in (loop, processes):
            env.reset(seeds=seeds, options={"wind": 3})
        chance = np.random.default_rng(0)
        resets = 0
        for step in range(40):
            assert_same(snapshot(loop), snapshot(processes))
            ended = ~loop.running
            if ended.any():
                resets += 1
                for env in (loop, processes):
                    env.reset(ended, seeds=[step] * num_envs)
            mask = chance.random(num_envs) < 0.7
            actions = actions_for(loop, step)
            for env in (loop, processes):
                env.step(actions, mask)
        assert resets > 2 or name in ("simple_spread", "knights_archers_zombies")
        assert_same(snapshot(loop), snapshot(processes))
        loop.close()

    @pytest.mark.parametrize("start_method", ["fork", "spawn"])
    @pytest.mark.filterwarnings("ignore:.*use of fork.. may lead to deadlocks:DeprecationWarning")
    def test_start_methods(self, start_method, process_env):
        loop, processes = LoopEnv([Scripted] * 3), process_env([Scripted] * 3, num_workers=2, start_method=start_method)
        for env in (loop, processes):
            env.reset(seeds=[1, 2, 3])
            env.step(actions_for(loop, 0))
        assert_same(snapshot(loop), snapshot(processes))

    def test_shards_of_any_batch_env(self):
        class Native(LoopEnv):
            """One that cannot write into given arrays."""

            def use_states(self, states):
                return False

        def make_shard(env_ids):
            return Native([Menagerie] * len(env_ids), env_ids)

        processes = ProcessEnv.of_shards(make_shard, ["a", "b", "c"], num_workers=1)
        loop = make_shard(["a", "b", "c"])
        for env in (loop, processes):
            env.reset(seeds=[4, 5, 6])
            env.step(actions_for(loop, 0), np.array([True, False, True]))
        assert_same(snapshot(loop), snapshot(processes))
        processes.close()

    def test_a_reset_that_a_shard_refuses_resets_none(self):
        def make_shard(env_ids):
            return VectorEnvSource(CartPoleVectorEnv(len(env_ids)), env_ids)

        with heron.make_vec(ProcessEnv.of_shards(make_shard, ["a", "b", "c", "d"], num_workers=1)) as venv:
            venv.reset(seed=0)
            actions = {"agent": np.ones((4, 1), int)}
            venv.advance(actions)
            for which in (["a"], ["d"], ["a", "c"]):
                with pytest.raises(ConfigurationError, match="seeds and options are for resets of all copies"):
                    venv.reset_envs(which, seed=3)
                venv.advance(actions)
            assert venv.steps.tolist() == [4] * 4
            venv.reset_envs(["a", "d"])
            venv.reset_envs(["a", "b"], seed=3)  # all that one shard has
            assert venv.steps.tolist() == [0, 0, 4, 0]
            np.testing.assert_array_equal(venv.observe("agent")[:2, 0], CartPoleVectorEnv(2).reset(seed=3)[0])

    def test_a_shard_must_have_the_copies_asked_for(self):
        with pytest.raises(ConfigurationError, match=r"expected a shard with the copies \['a'\], got \['env_0'\]"):
            ProcessEnv.of_shards(lambda _: LoopEnv([Scripted]), ["a", "b"], num_workers=1)


class TestContract:
    """What any kind must do; the details stand in the tests of ``LoopEnv``."""

    def test_masks(self, make):
        env = make([Scripted] * 4)
        env.reset(seeds=[1, 2, 3, 4])
        env.step(actions_for(env, 0), np.array([True, False, False, True]))
        assert env.get_attr("steps", range(4)) == [1, 0, 0, 1]
        assert env.infos[1] == {"agent_0": {"start": "agent_0"}, "agent_1": {"start": "agent_1"}}
        assert env.infos[3] == {"agent_0": {"step": 1}, "agent_1": {"step": 1}}
        env.reset(np.array([False, False, False, True]), seeds=[None, None, None, 9])
        calls = env.get_attr("reset_calls", range(4))
        assert calls == [[(1, None)], [(2, None)], [(3, None)], [(4, None), (9, None)]]
        assert env.get_attr("steps", range(4)) == [1, 0, 0, 0]

    def test_copy_that_is_over_does_not_stop_the_others_when_left_out(self, make):
        env = make([Scripted, Scripted, lambda: Scripted(horizon=1)])
        with pytest.raises(ResetRequiredError):
            env.step(actions_for(env, 0))
        env.reset()
        env.step(actions_for(env, 0))
        with pytest.raises(ResetRequiredError, match="env_2"):
            env.step(actions_for(env, 0))
        env.step(actions_for(env, 0), env.running)
        assert env.get_attr("steps", range(3)) == [2, 2, 1]

    def test_options_and_actions_stay_the_callers(self, make):
        env = make([lambda: Scripted(action_space=Box(-10, 10, (2,), np.float32))] * 3)
        options = {"wind": 3}
        env.reset(options=options)
        actions = {"agent": np.ones((3, 2, 2), np.float32)}
        env.step(actions)
        assert options == {"wind": 3}
        assert (actions["agent"] == 1).all()
        assert [calls[0][1] for calls in env.get_attr("reset_calls", range(3))] == [{"wind": 3, "seen": True}] * 3
        received = env.get_attr("received", [2])[0][0]
        assert received["agent_1"].dtype == np.float32

    def test_deaths_and_late_joins(self, make):
        env = make([lambda: Scripted(LIVES, horizon=5)] * 3)
        env.reset(seeds=[0, 0, 0])
        state = env.states["stays+dies+cut+mixed+late+silent"]
        history = []
        while env.running.any():
            env.step(actions_for(env, 0))
            np.testing.assert_array_equal(state.active[0], state.active[2])
            history.append((state.terminated[2].astype(int).tolist(), state.truncated[2].astype(int).tolist()))
        assert history == [
            ([0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]),
            ([0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]),
            ([0, 0, 0, 1, 0, 0], [0, 0, 0, 1, 0, 0]),
            ([0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0]),
            ([0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]),
        ]

    def test_attributes_and_calls_reach_the_right_copies(self, make):
        env = make([lambda: BaseParallelWrapper(Scripted())] * 5)
        env.set_attr("horizon", [7, 9, 8], [4, 0, 2])
        assert env.get_attr("horizon", [4, 3, 2, 1, 0, 4]) == [7, 4, 8, 4, 9, 7]
        assert env.call("double", [1, 4], 4, plus=1) == [9, 9]
        assert env.call("double", []) == []
        with pytest.raises(AttributeError, match=r"the environment of env_4, .* has no attribute 'colour'"):
            env.get_attr("colour", [4])
        with pytest.raises(IndexError):
            env.get_attr("horizon", [5])
        assert env.get_attr("horizon", [4]) == [7]

    def test_step_that_raises_names_the_copy_and_lets_the_others_step(self, make):
        env = make([Scripted, Scripted, lambda: Scripted(fail_at=1)], ["a", "b", "c"])
        env.reset(seeds=[0, 0, 0])
        env.step(actions_for(env, 0))
        with pytest.raises(EnvStepError, match=r"^c: step\(.*\) raised RuntimeError: no power") as caught:
            env.step(actions_for(env, 0))
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert env.get_attr("steps", range(3)) == [2, 2, 1]
        state = env.states["agent"]
        assert env.running.tolist() == [True, True, False]
        assert state.truncated.tolist() == [[False] * 2, [False] * 2, [True] * 2]
        assert state.rewards.tolist() == [[2, 20], [2, 20], [0, 0]]
        env.set_attr("fail_at", [None], [2])
        env.reset(~env.running)
        env.step(actions_for(env, 0))
        assert env.get_attr("steps", range(3)) == [3, 3, 1]

    def test_reset_that_raises_names_the_copy_and_lets_the_others_reset(self, make):
        env = make([Scripted, lambda: Scripted(fail_on_reset=True), Scripted])
        with pytest.raises(EnvStepError, match=r"^env_1: reset\(seed=4\) raised RuntimeError: no power at reset"):
            env.reset(seeds=[3, 4, 5])
        assert env.running.tolist() == [True, False, True]

    def test_all_failures_are_told(self, make):
        env = make([lambda: Scripted(fail_on_reset=True)] * 5)
        with pytest.raises(EnvStepError, match=r"^env_0") as caught:
            env.reset()
        notes = "\n".join(caught.value.__notes__)
        assert all(f"beside it, env_{k}" in notes for k in range(1, 5))

    def test_factory_that_raises_names_the_copy(self, make):
        def broken():
            raise OSError("no licence")

        with pytest.raises(EnvCreationError, match=r"^env_2: the factory raised OSError: no licence"):
            make([Scripted, Scripted, broken])

    def test_copies_that_differ(self, make):
        with pytest.raises(ConfigurationError, match=r"^env_2.*other"):
            make([Scripted, Scripted, lambda: Scripted({"other": Life()})])
        with pytest.raises(
            ConfigurationError, match=r"^env_2: the action_space .*Discrete\(7\).*: it has n 7, expected 5"
        ):
            make([Scripted, Scripted, lambda: Scripted(action_space=Discrete(7))])

    def test_validation(self, make):
        space = Box(0, 4, (4,), np.float32)
        env = make([lambda: Scripted(observation_space=space, horizon=9)] * 3, validate=True)
        env.reset()
        for _ in range(4):
            env.step({"agent": np.zeros((3, 2), int)})
        with pytest.raises(InvalidObservationError, match=r"^env_2: 'agent_0' observed .*5"):
            env.step({"agent": np.zeros((3, 2), int)}, np.array([False, False, True]))
        assert env.running.tolist() == [True, True, False]

    def test_groups_by_hand(self, make):
        groups = {"right": ["agent_1"], "left": ["agent_0"]}
        env = make([Scripted] * 3, groups=groups)
        assert {name: list(group.agent_ids) for name, group in env.groups.items()} == groups
        env.reset()
        env.step(actions_for(env, 0))
        assert env.states["right"].rewards.tolist() == [[10]] * 3

    @pytest.mark.parametrize("bad", [["a", "b"], ["a", "a", "b"], "abc"])
    def test_bad_ids(self, make, bad):
        with pytest.raises(ConfigurationError, match="env_ids"):
            make([Scripted] * 3, bad)

    def test_close_is_idempotent(self, make, tmp_path):
        class Closing(Scripted):
            def close(self):
                (tmp_path / str(time.monotonic_ns())).touch()

        env = make([Closing] * 3)
        env.close()
        env.close()
        assert len(list(tmp_path.iterdir())) == 3


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


class Deadly(Scripted):
    """One that takes its process along, or never comes back, when it is told to."""

    fate = None

    def step(self, actions):
        if self.fate == "exit":
            os._exit(3)
        if self.fate == "hang":
            threading.Event().wait()
        return super().step(actions)

    def reset(self, seed=None, options=None):
        if options == {"fate": "exit"}:
            os._exit(3)
        return super().reset(seed, options)


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


class TestLostWorkers:
    @pytest.fixture
    def env(self, process_env):
        env = process_env([Deadly] * 5, num_workers=2, timeout=1.0)  # worker 1: 1, 2; worker 2: 3, 4
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

    def test_killed_while_idle(self, env):
        os.kill(env.workers[1].pid, signal.SIGKILL)
        with pytest.raises(
            WorkerError, match=r"^worker 2 \(process \d+\), which steps env_3, env_4, was killed by SIGK"
        ):
            env.step(actions_for(env, 0))
        self.assert_second_worker_is_cut_off(env, "worker 2 .* was killed by SIGKILL")
        assert env.get_attr("steps", [0, 1, 2]) == [1, 1, 1]
        self.assert_all_is_well_after_a_restart(env)

    def test_dies_in_a_step(self, env):
        env.set_attr("fate", ["exit"], [4])
        with pytest.raises(WorkerError, match=r"died with exit code 3") as caught:
            env.step(actions_for(env, 0))
        assert (caught.value.worker, caught.value.env_ids) == (2, ("env_3", "env_4"))
        self.assert_second_worker_is_cut_off(env, "died with exit code 3")
        self.assert_all_is_well_after_a_restart(env)

    def test_hangs_in_a_step(self, env):
        env.set_attr("fate", ["hang"], [3])
        pid = env.workers[1].pid
        start = time.monotonic()
        with pytest.raises(WorkerTimeoutError, match=r"worker 2 .* gave no answer within 1 s, and was killed"):
            env.step(actions_for(env, 0))
        assert time.monotonic() - start < 10
        assert not is_running(pid)
        self.assert_second_worker_is_cut_off(env, "gave no answer within 1 s")
        self.assert_all_is_well_after_a_restart(env)

    def test_is_stopped_in_a_call(self, env):
        os.kill(env.workers[1].pid, signal.SIGSTOP)
        with pytest.raises(WorkerTimeoutError, match="gave no answer"):
            env.get_attr("horizon", range(5))
        self.assert_second_worker_is_cut_off(env, "gave no answer")
        assert env.get_attr("horizon", range(3)) == [4] * 3

    def test_dies_in_a_reset(self, env):
        mask = np.array([False, False, False, True, False])
        with pytest.raises(WorkerError, match="died with exit code 3"):
            env.reset(mask, options={"fate": "exit"})
        assert env.running.tolist() == [True, True, True, False, False]
        assert env.states["agent"].truncated.tolist() == [[False] * 2] * 4 + [[True] * 2]
        assert (env.infos[3], list(env.infos[4])) == ({}, ["agent_0", "agent_1"])

    def test_is_restarted_at_once_if_wanted(self, process_env, caplog):
        env = process_env([Deadly] * 5, num_workers=2, restart_workers=True)
        env.reset(seeds=range(5))
        env.set_attr("fate", ["exit"], [4])
        env.step(actions_for(env, 0))
        self.assert_second_worker_is_cut_off(env, "died with exit code 3")
        assert "died with exit code 3: it is restarted" in caplog.text
        env.reset(~env.running)
        env.step(actions_for(env, 0))
        os.kill(env.workers[1].pid, signal.SIGKILL)
        env.reset(seeds=range(5))
        assert env.running.all()
        env.step(actions_for(env, 0))

    def test_restart_of_a_healthy_one(self, env):
        old = env.workers[0].pid
        env.restart_worker(1)
        assert env.running.tolist() == [True, False, False, True, True]
        assert "was restarted on request" in env.infos[1]["agent_0"]["worker_lost"]
        assert not is_running(old)
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

    def test_close_beside_a_dead_one(self, env):
        os.kill(env.workers[0].pid, signal.SIGKILL)
        env.close()

    def test_answers_of_an_interrupted_step_are_taken_later(self, env, monkeypatch):
        def interrupt(_):
            raise KeyboardInterrupt

        loop = LoopEnv([Deadly] * 5)
        loop.reset(seeds=range(5))
        with monkeypatch.context() as patch:
            patch.setattr(Shard, "step", interrupt)
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
            patch.setattr(LoopEnv, "get_attr", interrupt)
            with pytest.raises(KeyboardInterrupt):
                env.get_attr("steps", range(5))
        assert env.get_attr("horizon", range(5)) == [4] * 5
        assert_same(snapshot(env), before)

    def test_view_goes_on_with_a_restarted_one(self, process_env):
        """To the learner it is an episode that was cut off, like any other."""
        venv = heron.make_vec(process_env([Deadly] * 3, num_workers=1, restart_workers=True))
        view = Sb3VecEnv(venv)
        view.reset()
        os.kill(venv.batch_env.workers[0].pid, signal.SIGKILL)
        _, _, dones, infos = view.step(np.zeros(6, int))
        assert dones.tolist() == [False, False, True, True, True, True]
        assert [info.get("TimeLimit.truncated") for info in infos] == [None, None, True, True, True, True]
        _, rewards, dones, _ = view.step(np.zeros(6, int))
        assert not dones.any()
        assert rewards.tolist() == [2, 20, 1, 10, 1, 10]
        venv.close()

    def test_killed_amid_a_hierarchys_decision_leaves_the_other_copies_usable(self, process_env):
        batch = process_env([Deadly] * 3, num_workers=1)
        space = Box(-1, 1, (2,), np.float32)
        venv = heron.make_vec(batch, hierarchy=lambda ids: heron.Hierarchy.star(ids, period=3, command_space=space))
        view = Sb3VecEnv(venv, "coordinator", {"field": 0})
        view.reset()
        os.kill(batch.workers[0].pid, signal.SIGKILL)
        still = np.zeros((3, 4), np.float32)
        with pytest.raises(WorkerError, match=r"worker 1 .* env_1, env_2, was killed by SIGKILL"):
            view.step(still)
        assert venv.running.tolist() == [True, False, False]
        assert "killed" in venv.infos[1]["agent_0"]["worker_lost"]
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
