"""Sharded environments do what ``LoopEnv`` does, whatever kind of worker steps the shards."""

import time
from functools import partial

import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.spaces import Box, Discrete
from pettingzoo.utils import BaseParallelWrapper

import heron
from heron.errors import (
    ConfigurationError,
    EnvCreationError,
    EnvStepError,
    InvalidObservationError,
    ResetRequiredError,
)
from heron.testing import BATCH_ENV_CHECKS
from heron.wrappers import LoopEnv, ProcessEnv, VectorEnvSource

from ..same import assert_same
from ..small_envs import Life, Menagerie, Scripted
from ..sources.test_loop_env import FACTORIES, LIVES, actions_for
from .kinds import KINDS, snapshot
from .thread_env import ThreadEnv


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def make(request, closing_env):
    """Make environments of each kind, and close them."""
    return partial(closing_env, request.param)


@pytest.mark.parametrize("check", BATCH_ENV_CHECKS, ids=lambda check: check.__name__)
def test_threads_keep_the_contract(check):
    """Processes do so in the tests of the suite itself."""
    check(partial(ThreadEnv, [partial(Scripted, LIVES, horizon=6)] * 3), 20)


class TestSameAsTheLoop:
    """Over whole episodes with random masks and resets of single copies, to the bit."""

    @pytest.mark.parametrize("name", ["simple_spread", "knights_archers_zombies", "scripted", "talkative", "menagerie"])
    @pytest.mark.parametrize("kind", ["one worker", "two workers", "threads"])
    def test_trajectories(self, name, kind, closing_env):
        num_envs = 5
        loop, processes = LoopEnv([FACTORIES[name]] * num_envs), closing_env(KINDS[kind], [FACTORIES[name]] * num_envs)
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

    @pytest.mark.parametrize("kind", [ProcessEnv, ThreadEnv])
    def test_shards_of_any_batch_env(self, kind):
        class Native(LoopEnv):
            """One that cannot write into given arrays."""

            def use_states(self, states):
                return False

        def make_shard(env_ids):
            return Native([Menagerie] * len(env_ids), env_ids)

        processes = kind.of_shards(make_shard, ["a", "b", "c"], num_workers=1)
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
    """Promises of every kind; the details are in the tests of ``LoopEnv``."""

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
        assert all(f"env_{k}" in notes for k in range(1, 5))

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
