"""The RLlib view, and the episodes that RLlib builds from it."""

import pickle

import numpy as np
import pytest
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.utils.pre_checks.env import check_multiagent_environments

from heron.agents import Hierarchy
from heron.errors import ConfigurationError, EnvStepError, InvalidActionError, ResetRequiredError, UnknownEnvError
from heron.wrappers import make_vec
from heron.wrappers.rllib import HierarchyMultiAgentEnv, one_module_per

from ..hierarchies import (
    GOAL,
    VIEWED,
    Turn,
    action,
    play_directly,
    spread,
    star,
    tag,
    three_levels,
    zombies,
)
from ..same import assert_same
from ..small_envs import Handy, Life, Scripted


@pytest.fixture(params=VIEWED)
def name(request):
    return request.param


def scripted(lives=None, horizon=4, **kwargs):
    tree = Hierarchy.star(list(lives or ["agent_0", "agent_1"]), period=3, command_space=GOAL)
    env_kwargs = {"lives": lives, "horizon": horizon, **kwargs}
    return HierarchyMultiAgentEnv(make_vec(Scripted, 1, tree, env_kwargs=env_kwargs))


def actions_for(env, observations):
    """Return the actions of the agents whose turn it is, and their step."""
    step = env._copy.steps
    return {agent: action(env.action_spaces[agent], agent, step) for agent in observations}


def play(env, seed=None, listen=lambda *_: None):
    """Return all turns of one episode; ``listen`` gets the results of reset and step, and the actions."""
    observations, infos = env.reset(seed=seed)
    listen(None, observations, infos)
    turns = [Turn(agent, observation, 0.0) for agent, observation in observations.items()]
    acting = observations
    while True:
        actions = actions_for(env, acting)
        said = env.step(actions)
        listen(actions, *said)
        observations, rewards, terminateds, truncateds, _ = said
        over = terminateds["__all__"] or truncateds["__all__"]
        acting = {}
        for agent, observation in observations.items():
            terminated = terminateds.get(agent, False)
            truncated = truncateds.get(agent, False) or (truncateds["__all__"] and not terminated)
            turns.append(Turn(agent, observation, rewards[agent], (terminated, truncated)))
            if not (terminated or truncated):
                acting[agent] = observation
        if over:
            return turns


def recorded(env, seed=None):
    """Return the episode as RLlib stores it."""
    episode = MultiAgentEpisode(
        observation_space=env.observation_spaces,
        action_space=env.action_spaces,
        agent_to_module_mapping_fn=lambda agent, _: agent,
    )

    def listen(actions, *said):
        if actions is None:
            episode.add_env_reset(observations=said[0], infos=said[1])
        else:
            observations, rewards, terminateds, truncateds, infos = said
            episode.add_env_step(observations, actions, rewards, infos, terminateds=terminateds, truncateds=truncateds)

    turns = play(env, seed, listen)
    return episode, turns


class TestWholeEpisodes:
    def test_rllibs_own_check(self, name):
        check_multiagent_environments(HierarchyMultiAgentEnv(VIEWED[name]()))

    def test_turns_are_those_of_the_vector_env(self, name):
        turns, _ = play_directly(VIEWED[name](), seed=3)

        assert_same(sorted_ends(play(HierarchyMultiAgentEnv(VIEWED[name]()), seed=3)), sorted_ends(turns))

    def test_every_observation_lies_in_its_space(self, name):
        env = HierarchyMultiAgentEnv(VIEWED[name]())
        for turn in play(env, seed=1):
            assert env.observation_spaces[turn.agent].contains(turn.observation)

    def test_same_seeds_and_actions_give_the_same_episodes(self, name):
        one, other = (HierarchyMultiAgentEnv(VIEWED[name]()) for _ in range(2))
        for seed in (5, None, 8):
            assert_same(play(one, seed), play(other, seed))

    def test_rllib_credits_each_decision_with_its_rewards(self, name):
        episode, turns = recorded(HierarchyMultiAgentEnv(VIEWED[name]()), seed=2)

        assert set(episode.agent_episodes) == {turn.agent for turn in turns}
        for agent, single in episode.agent_episodes.items():
            own = [turn for turn in turns if turn.agent == agent]
            assert list(single.get_rewards()) == [turn.reward for turn in own[1:]]
            assert_same(list(single.get_observations()), [turn.observation for turn in own])


def sorted_ends(turns):
    """Return the turns with the agents that end in the same step sorted by id, as their order is not specified."""
    return [turn for turn in turns if not any(turn.ended)] + sorted(
        (turn for turn in turns if any(turn.ended)), key=lambda turn: turn.agent
    )


class TestEnds:
    def test_rllib_sees_a_truncated_episode_as_truncated(self):
        episode, _ = recorded(HierarchyMultiAgentEnv(spread()))

        assert episode.is_truncated
        for single in episode.agent_episodes.values():
            assert (single.is_terminated, single.is_truncated) == (False, True)

    def test_rllib_sees_a_terminated_episode_as_terminated(self):
        episode, _ = recorded(scripted({"agent_0": Life(leaves=1), "agent_1": Life(leaves=3)}))

        assert episode.is_terminated
        for single in episode.agent_episodes.values():
            assert (single.is_terminated, single.is_truncated) == (True, False)

    def test_rllib_distinguishes_terminated_and_truncated_agents(self):
        lives = {"agent_0": Life(leaves=4), "agent_1": Life(leaves=2, how="truncated"), "agent_2": Life()}
        episode, _ = recorded(scripted(lives))

        assert {agent: single.is_terminated for agent, single in episode.agent_episodes.items()} == {
            "coordinator": False,
            "agent_0": True,
            "agent_1": False,
            "agent_2": False,
        }

    def test_ended_agents_get_no_more_observations(self):
        turns = play(HierarchyMultiAgentEnv(zombies()), seed=1)
        last = {turn.agent: place for place, turn in enumerate(turns)}

        assert len([turn for turn in turns if any(turn.ended)]) == len(last) == 6
        assert all(any(turns[place].ended) for place in last.values())
        assert min(last.values()) < len(turns) - 20

    def test_a_coordinators_info_has_the_length_of_its_decision(self):
        heard = []
        play(scripted(horizon=4), listen=lambda *said: heard.append(said[-1]))

        lengths = [infos["coordinator"]["decision_length"] for infos in heard if "coordinator" in infos]
        assert lengths == [0, 3, 1]


def test_choices_count_from_zero_for_rllib():
    env = HierarchyMultiAgentEnv(three_levels())
    env.reset()
    assert env.action_spaces["system_0"].start.tolist() == [0, 0]
    env.step({"system_0": np.array([2, 0])})

    assert env.venv.commands("hunters").tolist() == [[2]]
    assert env.venv.commands("prey").tolist() == [[1]]


class TestModules:
    def test_one_for_each_level(self):
        with spread() as venv:
            settings = pickle.loads(pickle.dumps(one_module_per("level", venv)))

        assert settings["policies"] == {"coordinator", "field"}
        of = settings["policy_mapping_fn"]
        assert [of("coordinator_0", None), of("agent_2", episode=None)] == ["coordinator", "field"]

    def test_one_for_each_group(self):
        with three_levels() as venv:
            settings = one_module_per("group", venv)

            assert settings["policies"] == set(venv.groups)
            assert settings["policy_mapping_fn"]("adversary_1", None) == "adversary"

    def test_a_level_of_different_spaces_cannot_share_one(self):
        with tag() as venv, pytest.raises(ConfigurationError, match=r"\['adversary', 'agent'\].*'field'.*'group'"):
            one_module_per("level", venv)
        with spread() as venv, pytest.raises(ConfigurationError, match="'team'"):
            one_module_per("team", venv)


class TestWrongUse:
    def test_a_step_before_the_reset_and_after_the_end(self):
        env = scripted()
        with pytest.raises(ResetRequiredError, match="env_0"):
            env.step({})
        play(env)
        with pytest.raises(ResetRequiredError, match="env_0"):
            env.step({})

    def test_a_bad_or_missing_action_changes_nothing(self):
        env = scripted()
        observations, _ = env.reset()
        for wrong in ({}, {"coordinator": np.full(4, 3, np.float32)}, {"nobody": 0}, None):
            with pytest.raises(InvalidActionError):
                env.step(wrong)
        observations, *_ = env.step(actions_for(env, observations))
        assert list(observations) == ["agent_0", "agent_1"]

    def test_an_environment_that_raises_has_ended(self):
        env = scripted(fail_at=0)
        observations, _ = env.reset()
        observations, *_ = env.step(actions_for(env, observations))
        with pytest.raises(EnvStepError, match="no power"):
            env.step(actions_for(env, observations))
        with pytest.raises(ResetRequiredError):
            env.step(actions_for(env, observations))

    def test_one_copy_of_several(self):
        venv = make_vec(Scripted, 2, star)
        venv.reset(seed=1)
        play(HierarchyMultiAgentEnv(venv, "env_1"))

        assert venv.steps.tolist() == [0, 4]
        with pytest.raises(ConfigurationError, match="2 copies"):
            HierarchyMultiAgentEnv(venv)
        with pytest.raises(UnknownEnvError, match="env_9"):
            HierarchyMultiAgentEnv(venv, "env_9")


def test_choices_within_an_action_are_counted_from_zero():
    env = HierarchyMultiAgentEnv(make_vec(Handy, 1))
    env.reset(seed=0)
    arm = env.action_spaces["arm_0"]
    assert (arm["grip"].start, arm["grip"].n, list(arm.spaces)) == (0, 3, ["grip", "arm"])
    arms = {"grip": 0, "arm": np.zeros(2, np.float32)}
    pair = (np.zeros(3, np.int8), {"x": 0.0, "y": np.zeros(2, int)})
    env.step({"arm_0": arms, "arm_1": arms, "pair_0": pair, "wheel_0": 0})
    (received,) = env.venv.batch_env.envs[0].received
    assert received["arm_0"]["grip"] == -1
    assert received["pair_0"][1]["y"].tolist() == [4, -2]
    with pytest.raises(InvalidActionError, match="'arm_0'"):
        env.step({"arm_0": {"grip": 0}, "arm_1": arms, "pair_0": pair, "wheel_0": 0})
