"""Environments of all makes, as copies of one batch."""

import gymnasium
import numpy as np
import pytest
from mpe2 import simple_spread_v3
from pettingzoo.classic.connect_four import connect_four
from pettingzoo.utils.conversions import turn_based_aec_to_parallel

import heron
from heron.batch.array_tree import row
from heron.errors import ConfigurationError, EnvCreationError
from heron.wrappers import LoopEnv, ProcessEnv, RandomPolicy
from heron.wrappers.sources.env_names import env_factory

from .test_loop_env import actions_for, assert_same


class TestParallelizable:
    def test_cycles_are_those_of_the_parallel_environment(self):
        ours, theirs = LoopEnv([simple_spread_v3.env] * 2), LoopEnv([simple_spread_v3.parallel_env] * 2)
        for env in (ours, theirs):
            env.reset(seeds=[4, 9])
        for step in range(25):
            for env in (ours, theirs):
                env.step(actions_for(env, step))
            for what in ("observations", "rewards", "terminated", "truncated", "active"):
                ours_now, theirs_now = (getattr(env.states["agent"], what) for env in (ours, theirs))
                np.testing.assert_array_equal(ours_now, theirs_now)
        assert not ours.running.any()

    def test_one_environment_for_two_copies_is_refused(self):
        env = simple_spread_v3.env()
        with pytest.raises(EnvCreationError, match=r"env_1.*another copy"):
            LoopEnv([lambda: env] * 2)


class TestTurnBased:
    @pytest.mark.parametrize("make_batch", [LoopEnv, ProcessEnv])
    def test_games_are_those_of_pettingzoo_move_by_move(self, make_batch):
        batch = make_batch([connect_four.env] * 2)
        state = batch.states["player"]
        policy = RandomPolicy(batch.groups["player"].action_space, seed=1)
        for game in range(3):
            plain = turn_based_aec_to_parallel(connect_four.env())
            batch.reset(seeds=[game, game])
            observations, _ = plain.reset(seed=game)
            assert batch.infos[1]["player_1"]["active_agent"] == "player_0"
            moves = 0
            while batch.running[1]:
                for k, agent in enumerate(observations):
                    assert_same(row(row(state.observations, 1), k), observations[agent])
                actions = np.stack([policy(row(state.observations, copy)) for copy in range(2)])
                batch.step({"player": actions}, np.array([False, True]))
                observations, rewards, terminated, _, infos = plain.step(
                    dict(zip(("player_0", "player_1"), actions[1], strict=True))
                )
                assert state.rewards[1].tolist() == list(rewards.values())
                assert state.terminated[1].tolist() == list(terminated.values())
                if batch.running[1]:
                    assert batch.infos[1]["player_0"]["active_agent"] == infos["player_0"]["active_agent"]
                moves += 1
            assert moves >= 7
            assert sorted(state.rewards[1]) in ([-1.0, 1.0], [0.0, 0.0])
            assert state.terminated[1].all()
        batch.close()

    def test_validated_games_end_by_the_rules(self):
        with heron.make_vec("pettingzoo.classic.connect_four.connect_four", 3, validate=True) as venv:
            policy = RandomPolicy(venv.groups["player"].action_space, seed=0)
            venv.reset(seed=0)
            while venv.running.any():
                seen = venv.observe("player")
                actions = np.stack([policy(row(seen, copy)) for copy in range(3)])
                venv.advance({"player": actions}, venv.running)
            assert (np.abs(venv.returns["player"]).sum(axis=1) % 2 == 0).all()
            assert (venv.steps >= 7).all()


class TestNames:
    @pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")
    def test_module_with_an_aec_environment_only(self):
        with heron.make_vec("pettingzoo.classic.connect_four_v3", 2) as venv:
            assert venv.groups["player"].agent_ids == ("player_0", "player_1")

    @pytest.mark.parametrize(
        ("name", "group"),
        [("classic/connect_four-v3", "player"), ("sisl/pursuit-v5", "pursuer"), ("CartPole-v1", "agent")],
    )
    def test_registered_ids(self, name, group):
        with heron.make_vec(name, 2) as venv:
            assert list(venv.groups) == [group]

    @pytest.mark.parametrize("backend", ["loop", "process"])
    def test_arguments_are_passed_on(self, backend):
        with heron.make_vec("Pendulum-v1", 3, env_kwargs={"g": 1.5, "max_episode_steps": 4}, backend=backend) as venv:
            assert venv.batch_env.get_attr("g", range(3)) == [1.5] * 3
            venv.reset(seed=0)
            for _ in range(4):
                venv.advance({"agent": np.zeros((3, 1, 1), np.float32)})
            assert venv.results["agent"].truncated.all()

    def test_ids_reach_workers_that_have_not_registered_them(self):
        gymnasium.register("heron-tests/Swing-v0", entry_point="gymnasium.envs.classic_control.pendulum:PendulumEnv")
        try:
            with heron.make_vec("heron-tests/Swing-v0", 2, backend="process", num_workers=1) as venv:
                venv.reset(seed=0)
                assert venv.running.all()
        finally:
            del gymnasium.registry["heron-tests/Swing-v0"]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("CartPool-v1", "CartPool.*registered with Gymnasium"),
            ("no_such_package:Thing-v0", "no_such_package"),
            ("heron.errors", "no function 'parallel_env' or 'env'"),
            ("heron.errors:nothing", "no function 'nothing'"),
            ("", "Empty module name"),
        ],
    )
    def test_names_that_stand_for_nothing(self, name, message):
        with pytest.raises(ConfigurationError, match=message):
            env_factory(name)
