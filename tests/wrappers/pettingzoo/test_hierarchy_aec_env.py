"""The AEC view: PettingZoo's own tests, stricter ones, and the content of each turn."""

from collections import Counter

import numpy as np
import pytest

from heron.agents import Hierarchy
from heron.errors import (
    ConfigurationError,
    EnvClosedError,
    EnvStepError,
    InvalidActionError,
    ResetRequiredError,
    UnknownEnvError,
)
from heron.wrappers import HierarchyAECEnv, make_vec

from ..hierarchies import GOAL, SPREAD, VIEWED, Turn, action, play_directly, spread, three_levels, zombies
from ..same import assert_same
from ..small_envs import Life, Menagerie, Scripted
from .pettingzoo_suite import api_test, seed_test, state_test, without_advice


@pytest.fixture(params=VIEWED)
def make(request):
    return lambda: HierarchyAECEnv(VIEWED[request.param]())


def play(env, seed=None, options=None):
    """Return all turns of one episode."""
    turns = []
    env.reset(seed, options)
    for agent in env.agent_iter():
        observation, reward, *ended, _ = env.last()
        turns.append(Turn(agent, observation, reward, tuple(ended)))
        env.step(None if any(ended) else action(env.action_space(agent), agent, env.turns.copy.steps))
    return turns


def scripted(lives=None, horizon=4, **kwargs):
    env_kwargs = {"lives": lives, "horizon": horizon, **kwargs}
    ids = list(lives or ["agent_0", "agent_1"])
    tree = Hierarchy.star(ids, period=2, command_space=GOAL)
    return HierarchyAECEnv(make_vec(Scripted, 1, tree, env_kwargs=env_kwargs))


def order(env):
    """Return one letter per turn: c for the coordinator, an agent's number, followed by a dash if it has ended."""
    return " ".join(turn.agent[0 if turn.agent == "coordinator" else -1] + "-" * any(turn.ended) for turn in play(env))


class TestPettingZoosOwnTests:
    def test_api(self, make):
        with without_advice():
            api_test(make(), num_cycles=300)

    def test_seeds(self, make):
        seed_test(make, num_cycles=20)


class TestWholeEpisodes:
    def test_every_observation_lies_in_its_space(self, make):
        env = make()
        seen = Counter()
        for seed in range(3):
            for turn in play(env, seed):
                assert env.observation_space(turn.agent).contains(turn.observation)
                seen[turn.agent] += 1
        assert set(seen) == set(env.possible_agents)

    def test_same_seeds_and_actions_give_the_same_episodes(self, make):
        one, other = make(), make()
        for seed in (5, None, None, 8):
            if seed is not None or one.venv.total_steps:
                assert_same(play(one, seed), play(other, seed))
        assert one.venv.total_steps == other.venv.total_steps > 40

    @pytest.mark.parametrize("name", VIEWED)
    def test_turns_are_those_of_the_vector_env(self, name):
        turns, _ = play_directly(VIEWED[name](), seed=3)

        assert_same(play(HierarchyAECEnv(VIEWED[name]()), seed=3), turns)

    def test_agents_die_one_by_one(self):
        turns = play(HierarchyAECEnv(zombies()), seed=1)

        deaths = [place for place, turn in enumerate(turns) if any(turn.ended)]
        assert len(deaths) == 6
        assert deaths[0] < len(turns) - 20


class TestTurns:
    def test_coordinators_come_first_and_only_when_due(self):
        assert order(scripted()) == "c 0 1 0 1 c 0 1 0 1 c- 0- 1-"

    def test_levels_come_from_the_top_down(self):
        env = HierarchyAECEnv(three_levels())
        names = [turn.agent.split("_")[0] for turn in play(env, 0)]
        fields = ["adversary"] * 3 + ["agent"]

        assert (
            names[:25]
            == [
                *("system", "hunters", "prey", *fields),
                *fields,
                *("prey", *fields),
                *("hunters", *fields),
                *("prey", *fields),
            ][:25]
        )

    def test_a_field_agent_sees_the_command_of_the_same_step(self):
        env = HierarchyAECEnv(spread())
        env.reset(seed=0)
        before = env.observe("agent_1")
        env.step(np.array([0, 0, 0.25, -0.5, 1, 1], np.float32))

        assert before[-2:].tolist() == [0, 0]
        assert env.observe("agent_1")[-2:].tolist() == [0.25, -0.5]
        assert env.agent_selection == "agent_0"

    def test_a_coordinator_gets_reward_and_length_of_its_decision(self):
        env = scripted(horizon=3)
        lengths = []
        env.reset()
        for agent in env.agent_iter():
            *_, info = env.last()
            if agent == "coordinator":
                lengths.append((env.last()[1], info["decision_length"]))
            env.step(None if agent in env.turns.ended else action(env.action_space(agent), agent, 0))

        assert lengths == [(0, 0), (11 + 22, 2), (33, 1)]

    def test_infos_of_field_agents_are_the_environments(self):
        env = scripted()
        env.reset()
        assert env.infos == {
            "coordinator": {"decision_length": 0},
            "agent_0": {"start": "agent_0"},
            "agent_1": {"start": "agent_1"},
        }
        for _ in range(3):
            env.step(action(env.action_space(env.agent_selection), "", 0))
        assert env.infos["agent_0"] == {"step": 1}


class TestComingAndGoing:
    def test_an_agent_that_ends_gets_a_last_turn_before_all_others(self):
        env = scripted({"agent_0": Life(leaves=1), "agent_1": Life()})

        assert order(env) == "c 0 1 0- 1 c 1 1 c- 1-"

    def test_terminated_and_truncated_are_distinguished(self):
        lives = {
            "agent_0": Life(leaves=1),
            "agent_1": Life(leaves=2, how="truncated"),
            "agent_2": Life(leaves=3, how="silent"),
            "agent_3": Life(),
        }
        ends = {turn.agent: turn.ended for turn in play(scripted(lives)) if any(turn.ended)}

        assert ends == {
            "agent_0": (True, False),
            "agent_1": (False, True),
            "agent_2": (False, True),
            "agent_3": (False, True),
            "coordinator": (False, True),
        }

    def test_an_agent_that_appears_later_has_turns_from_then_on(self):
        env = scripted({"agent_0": Life(), "agent_1": Life(joins=1)})

        assert order(env) == "c 0 0 1 c 0 1 0 1 c- 0- 1-"

    def test_a_coordinator_that_comes_between_decisions_waits_and_is_not_credited(self):
        lives = {"agent_0": Life(), "agent_1": Life(joins=1)}
        tree = Hierarchy({"left": ["agent_0"], "right": ["agent_1"]}, period=2, command_space=GOAL)
        env = HierarchyAECEnv(make_vec(Scripted, 1, tree, env_kwargs={"lives": lives}))
        turns = play(env)

        right = [turn.reward for turn in turns if turn.agent == "right"]
        assert right == [0, 10 * (3 + 4)]

    def test_agents_may_return(self):
        env = HierarchyAECEnv(
            make_vec(Blinking, 1, Hierarchy.star(["agent_0", "agent_1"], period=3, command_space=GOAL))
        )

        assert order(env) == "c 0 1 0- 1 0 1 c 0 1 0- 1 0 1 c- 0- 1-"


class Blinking(Scripted):
    """An environment whose agent 0 ends in steps 1 and 4, and returns one step later."""

    def __init__(self):
        super().__init__(horizon=6)

    def step(self, actions):
        observations, rewards, terminations, truncations, infos = super().step(actions)
        if self.steps in (1, 4):
            self.agents.remove("agent_0")
            terminations["agent_0"] = True
        if self.steps in (2, 5):
            self.agents.insert(0, "agent_0")
            observations["agent_0"] = np.zeros(4, np.float32)
        return observations, rewards, terminations, truncations, infos


class TestOneCopyOfSeveral:
    def test_other_copies_stay_unchanged(self):
        venv = spread(3)
        venv.reset(seed=10)
        before = [venv.observe(name)[[0, 2]] for name in venv.groups]
        env = HierarchyAECEnv(venv, "env_1")
        turns = play(env, seed=4)
        env.reset()

        assert_same([venv.observe(name)[[0, 2]] for name in venv.groups], before)
        assert venv.steps.tolist() == [0, 0, 0]
        assert venv.due("coordinator").tolist() == [[True], [True], [True]]
        assert_same(turns, play(HierarchyAECEnv(spread()), seed=4))

    def test_views_of_two_copies_are_independent(self):
        venv = three_levels(2)
        views = [HierarchyAECEnv(venv, env_id) for env_id in venv.env_ids]
        turns = [[], []]
        for seed, view in enumerate(views):
            view.reset(seed)
        while views[0].agents or views[1].agents:
            for view, seen in zip(views, turns, strict=True):
                if view.agents:
                    agent = view.agent_selection
                    observation, reward, *ended, _ = view.last()
                    seen.append(Turn(agent, observation, reward, tuple(ended)))
                    step = view.turns.copy.steps
                    view.step(None if any(ended) else action(view.action_space(agent), agent, step))

        for seed in range(2):
            assert_same(turns[seed], play(HierarchyAECEnv(three_levels()), seed))

    def test_close_leaves_the_others_open(self):
        venv = spread(2)
        HierarchyAECEnv(venv, "env_0").close()
        venv.reset()
        single = HierarchyAECEnv(spread())
        single.close()
        single.close()
        with pytest.raises(EnvClosedError):
            single.reset()

    def test_the_copy_must_be_named_and_exist(self):
        with pytest.raises(ConfigurationError, match=r"env_id .*2 copies"):
            HierarchyAECEnv(spread(2))
        with pytest.raises(UnknownEnvError, match="env_7"):
            HierarchyAECEnv(spread(2), "env_7")
        with pytest.raises(UnknownEnvError, match=r"\['env_0', 'env_1'\]"):
            HierarchyAECEnv(spread(2), ["env_0", "env_1"])


class TestEnvironmentBelow:
    def test_state_and_renderings_are_of_its_own_copy(self):
        options = {"render_mode": "rgb_array"}
        env = HierarchyAECEnv(make_vec(SPREAD, 1, env_kwargs=options))
        env.reset(seed=0)
        inner = env.venv.batch_env.envs[0]

        state_test(env, inner)
        assert env.state_space == inner.state_space
        assert np.array_equal(env.state(), inner.state())
        assert env.render_mode == "rgb_array"
        assert env.render().shape == inner.render().shape
        assert str(env) == "simple_spread_v3"

    def test_an_environment_without_state_has_none(self):
        env = scripted()
        assert not hasattr(env, "state_space")
        with pytest.raises(NotImplementedError, match="scripted_v0"):
            env.state()

    def test_options_and_seeds_reach_it(self):
        env = scripted()
        options = {"map": 3}
        env.reset(seed=7, options=options)
        env.reset()

        assert options == {"map": 3}
        (inner,) = env.venv.batch_env.envs
        assert [(seed, None if given is None else given["map"]) for seed, given in inner.reset_calls] == [
            (7, 3),
            (None, None),
        ]

    def test_every_kind_of_observation_and_action(self):
        env = HierarchyAECEnv(make_vec(Menagerie))
        for turn in play(env, seed=0):
            assert env.observation_space(turn.agent).contains(turn.observation)

    def test_agents_have_spaces_of_their_own(self):
        env = HierarchyAECEnv(spread())
        first, second = (env.action_space(agent) for agent in ("agent_0", "agent_1"))
        assert first == second
        first.seed(1)
        expected = [first.sample() for _ in range(20)]
        first.seed(1)
        second.seed(2)
        assert [first.sample() for _ in range(20)] == expected


class TestWrongUse:
    def test_a_step_before_the_reset_and_after_the_end(self):
        env = scripted()
        with pytest.raises(ResetRequiredError, match="env_0"):
            env.step(0)
        with pytest.raises(ResetRequiredError):
            env.observe("agent_0")
        play(env)
        with pytest.raises(ResetRequiredError, match="env_0"):
            env.step(0)

    @pytest.mark.parametrize("wrong", [np.full(4, 2, np.float32), np.zeros(3, np.float32), None, "up"])
    def test_a_bad_action_names_the_agent_and_changes_nothing(self, wrong):
        env = scripted()
        env.reset()
        with pytest.raises(InvalidActionError, match="coordinator"):
            env.step(wrong)
        assert env.agent_selection == "coordinator"
        env.step(np.zeros(4, np.float32))
        env.step(1)
        with pytest.raises(InvalidActionError, match="agent_1"):
            env.step(5)
        assert env.agent_selection == "agent_1"
        env.step(2)
        (inner,) = env.venv.batch_env.envs
        assert inner.received == [{"agent_0": 1, "agent_1": 2}]

    def test_an_agent_that_has_ended_must_act_none(self):
        env = scripted({"agent_0": Life(leaves=1), "agent_1": Life()})
        env.reset()
        for _ in range(3):
            env.step(action(env.action_space(env.agent_selection), "", 0))
        with pytest.raises(ValueError, match="None"):
            env.step(0)
        env.step(None)
        assert env.agents == ["coordinator", "agent_1"]

    def test_an_environment_that_raises_in_step_has_ended(self):
        env = scripted(fail_at=0)
        env.reset()
        env.step(np.zeros(4, np.float32))
        env.step(0)
        with pytest.raises(EnvStepError, match="no power"):
            env.step(0)
        assert env.truncations == dict.fromkeys(env.possible_agents, True)
        for _ in env.agent_iter():
            env.step(None)
        assert env.agents == []

    def test_an_environment_that_raises_in_reset_needs_another(self):
        env = scripted()
        env.reset()
        (inner,) = env.venv.batch_env.envs
        inner.fail_on_reset = True
        with pytest.raises(EnvStepError, match="no power at reset"):
            env.reset()
        assert env.agents == []
        with pytest.raises(ResetRequiredError):
            env.step(0)
        inner.fail_on_reset = False
        assert play(env)

    def test_a_refused_reset_changes_nothing(self):
        env = scripted()
        env.reset()
        env.step(np.zeros(4, np.float32))
        with pytest.raises(ConfigurationError, match="seed"):
            env.reset(seed=-1)
        env.step(0)
        assert env.agent_selection == "agent_1"

    def test_a_step_outside_the_view_is_noticed(self):
        env = HierarchyAECEnv(make_vec(Scripted))
        env.reset()
        env.venv.advance({"agent": np.zeros((1, 2), np.int64)})
        with pytest.raises(ResetRequiredError, match=r"env_0 .*step 1.*step 0"):
            env.step(0)
