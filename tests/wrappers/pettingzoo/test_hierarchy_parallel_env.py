"""The parallel view: PettingZoo's own tests, stricter ones, and its infos of decisions."""

from collections import Counter

import numpy as np
import pytest
from gymnasium.spaces import Box

from heron.agents import Hierarchy
from heron.errors import EnvStepError, InvalidActionError, ResetRequiredError
from heron.wrappers import HierarchyParallelEnv, make_vec

from ..hierarchies import GOAL, VIEWED, Step, action, play_directly, spread, star, zombies
from ..same import assert_same
from ..small_envs import Life, Scripted
from .pettingzoo_suite import parallel_api_test, parallel_seed_test


@pytest.fixture(params=VIEWED)
def make(request):
    return lambda: HierarchyParallelEnv(VIEWED[request.param]())


def actions(env, step):
    return {agent: action(env.action_space(agent), agent, step) for agent in env.agents}


def play(env, seed=None):
    """Return all results of one episode."""
    said = [env.reset(seed)]
    while env.agents:
        said.append(env.step(actions(env, env.turns.copy.steps)))
    return said


def scripted(lives=None, horizon=4, period=2, **kwargs):
    env_kwargs = {"lives": lives, "horizon": horizon, **kwargs}
    tree = Hierarchy.star(list(lives or ["agent_0", "agent_1"]), period=period, command_space=GOAL)
    return HierarchyParallelEnv(make_vec(Scripted, 1, tree, env_kwargs=env_kwargs))


class TestPettingZoosOwnTests:
    def test_api(self, make):
        parallel_api_test(make(), num_cycles=300)

    def test_seeds(self, make):
        parallel_seed_test(make, num_cycles=20)


class TestWholeEpisodes:
    def test_every_observation_lies_in_its_space(self, make):
        env = make()
        seen = Counter()
        for seed in range(3):
            for observations, *_ in play(env, seed):
                for agent, observation in observations.items():
                    assert env.observation_space(agent).contains(observation)
                    seen[agent] += 1
        assert set(seen) == set(env.possible_agents)

    def test_same_seeds_and_actions_give_the_same_episodes(self, make):
        one, other = make(), make()
        for seed in (5, None, 8):
            assert_same(play(one, seed), play(other, seed))
        assert one.venv.total_steps == other.venv.total_steps > 30

    @pytest.mark.parametrize("name", VIEWED)
    def test_steps_are_those_of_the_vector_env(self, name):
        _, steps = play_directly(VIEWED[name](), seed=3)
        said = play(HierarchyParallelEnv(VIEWED[name]()), seed=3)[1:]

        assert_same([Step(observations, rewards) for observations, rewards, *_ in said], steps)

    def test_agents_die_one_by_one(self):
        ends = [
            [agent for agent in terminated if terminated[agent] or truncated[agent]]
            for _, _, terminated, truncated, _ in play(HierarchyParallelEnv(zombies()), seed=1)[1:]
        ]
        assert sum(map(len, ends)) == 6
        assert len([agents for agents in ends if agents]) > 2


class TestDecisions:
    def test_infos_say_whether_the_next_action_of_a_coordinator_counts(self):
        env = scripted(horizon=5)
        due = [said[-1]["coordinator"]["due"] for said in play(env)]

        assert due == [True, False, True, False, True, False]

    def test_rewards_are_of_each_step_and_infos_sum_them_over_the_decision(self):
        said = play(scripted(horizon=3))[1:]

        assert [rewards["coordinator"] for _, rewards, *_ in said] == [11, 22, 33]
        infos = [infos["coordinator"] for *_, infos in said]
        assert [(info["decision_reward"], info["decision_length"]) for info in infos] == [(11, 1), (33, 2), (33, 1)]

    def test_an_action_that_is_not_due_is_optional_and_ignored(self):
        env = scripted()
        env.reset()
        env.step({"coordinator": np.full(4, 0.5, np.float32), "agent_0": 0, "agent_1": 0})
        env.step({"agent_0": 0, "agent_1": 0, "coordinator": "nonsense"})

        assert env.venv.commands("agent").tolist() == [[[0.5, 0.5], [0.5, 0.5]]]

    def test_a_field_agent_sees_a_command_from_the_next_step_on(self):
        env = HierarchyParallelEnv(spread())
        before, _ = env.reset(seed=0)
        chosen = actions(env, 0)
        after, *_ = env.step(chosen)

        assert before["agent_1"][-2:].tolist() == [0, 0]
        assert np.array_equal(after["agent_1"][-2:], chosen["coordinator_0"][2:4])

    def test_an_intrinsic_reward_already_follows_the_new_command(self):
        tree = Hierarchy.star(["agent_0", "agent_1"], period=2, command_space=Box(-9, 9, (1,), np.float32))
        venv = make_vec(Scripted, 1, tree, intrinsic_reward=lambda _, commands, *__: commands[..., 0].astype(float))
        env = HierarchyParallelEnv(venv)
        seen, _ = env.reset()
        _, rewards, *_ = env.step({"coordinator": np.array([3, 1], np.float32), "agent_0": 0, "agent_1": 0})

        assert [seen["agent_0"][-1], seen["agent_1"][-1]] == [0, 0]
        assert rewards == {"coordinator": 11, "agent_0": 3, "agent_1": 1}


class TestComingAndGoing:
    def test_ends_are_reported_once(self):
        env = scripted({"agent_0": Life(leaves=1), "agent_1": Life(leaves=2, how="truncated"), "agent_2": Life()})
        said = play(env)[1:]

        told = [
            {agent: (terminated[agent], truncated[agent]) for agent in terminated}
            for _, _, terminated, truncated, _ in said
        ]
        on, cut = (False, False), (False, True)
        assert told == [
            {"coordinator": on, "agent_0": (True, False), "agent_1": on, "agent_2": on},
            {"coordinator": on, "agent_1": cut, "agent_2": on},
            {"coordinator": on, "agent_2": on},
            {"coordinator": cut, "agent_2": cut},
        ]

    def test_an_agent_that_appears_later_gets_its_observation_at_once(self):
        env = scripted({"agent_0": Life(), "agent_1": Life(joins=1)})
        observations, _ = env.reset()
        assert list(observations) == env.agents == ["coordinator", "agent_0"]

        observations, rewards, *_ = env.step(actions(env, 0))
        assert env.agents == ["coordinator", "agent_0", "agent_1"]
        assert observations["agent_1"][:2].tolist() == [1, 1]
        assert rewards["agent_1"] == 0


class TestWrongUse:
    def test_a_step_before_the_reset_and_after_the_end(self):
        env = scripted()
        with pytest.raises(ResetRequiredError, match="env_0"):
            env.step({})
        play(env)
        with pytest.raises(ResetRequiredError, match="env_0"):
            env.step({})

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"agent_1": 5}, "agent_1"),
            ({"coordinator": np.full(4, np.nan, np.float32)}, "coordinator"),
            ({"agent_7": 0}, "agent_7"),
        ],
    )
    def test_a_bad_action_changes_nothing(self, change, match):
        env = scripted()
        env.reset()
        good = actions(env, 0)
        with pytest.raises(InvalidActionError, match=match):
            env.step(good | change)
        assert env.venv.commands("agent").any() == env.venv.steps.any() == False  # noqa: E712 -- of numpy
        env.step(good)

    @pytest.mark.parametrize("left_out", ["coordinator", "agent_0"])
    def test_a_missing_action_is_named(self, left_out):
        env = scripted()
        env.reset()
        given = actions(env, 0)
        del given[left_out]
        with pytest.raises(InvalidActionError, match=left_out):
            env.step(given)
        with pytest.raises(InvalidActionError, match="NoneType"):
            env.step(None)

    def test_an_environment_that_raises_has_ended(self):
        env = scripted(fail_at=0)
        env.reset()
        with pytest.raises(EnvStepError, match="no power"):
            env.step(actions(env, 0))
        assert env.agents == []


def test_one_copy_of_several_leaves_the_others_as_they_are():
    venv = make_vec(Scripted, 2, star)
    venv.reset(seed=1)
    before = venv.observe("agent")[0]
    env = HierarchyParallelEnv(venv, "env_1")
    play(env)

    assert_same(venv.observe("agent")[0], before)
    assert venv.steps.tolist() == [0, 4]
