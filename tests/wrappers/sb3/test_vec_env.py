"""The SB3 view: slots, ends, decisions, seeds, and SB3 itself on top."""

from itertools import count

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecEnvWrapper, VecMonitor, VecNormalize

from heron.agents import Hierarchy
from heron.errors import ConfigurationError, EnvStepError, InvalidActionError, PolicyError
from heron.wrappers import make_vec
from heron.wrappers.policies import ModelPolicy, RandomPolicy
from heron.wrappers.sb3 import Sb3VecEnv
from heron.wrappers.views.learner_env import LearnerEnv

from ..small_envs import Life, Menagerie, Scripted

GOAL = Box(-1, 1, (2,), np.float32)
A, B = "agent_0", "agent_1"
SPREAD = "mpe2.simple_spread_v3"
FIELD, TOP = "agent", "coordinator"


def star(period=1):
    return lambda ids: Hierarchy.star(ids, period=period, command_space=GOAL)


def copies(*specs, hierarchy=None, **kwargs):
    """A vector env of one Scripted copy for each (lives, horizon)."""
    return make_vec([lambda lives=lives, horizon=horizon: Scripted(lives, horizon) for lives, horizon in specs],
                    hierarchy=hierarchy, **kwargs)  # fmt: skip


def plays(view, steps, action=0):
    """The outcome of each of some steps, with everything as lists."""
    space = view.action_space
    actions = np.broadcast_to(np.asarray(action, space.dtype), (view.num_envs, *space.shape))
    return [view.step(actions) for _ in range(steps)]


BOTH = {A: Life(), B: Life()}


class TestSlots:
    def test_go_copy_by_copy_and_agent_by_agent(self):
        view = Sb3VecEnv(copies((BOTH, 4), (BOTH, 4), (BOTH, 4)))
        assert view.num_envs == 6
        assert view.reset()[:, 1].tolist() == [0, 1] * 3
        _, rewards, _, _ = view.step(np.arange(6) % 5)
        assert rewards.tolist() == [1, 10] * 3
        assert rewards.dtype == np.float32
        assert [env.received[0] for env in view.venv.batch_env.envs] == [{A: 0, B: 1}, {A: 2, B: 3}, {A: 4, B: 0}]
        assert [view.learner.agent_id(slot) for slot in range(6)] == [A, B] * 3
        assert [view.learner.env_index(slot) for slot in range(6)] == [0, 0, 1, 1, 2, 2]

    def test_observations_given_are_not_changed_later(self):
        view = Sb3VecEnv(copies((BOTH, 4)))
        first = view.reset()
        kept = first.copy()
        second = plays(view, 1)[0][0]
        second_kept = second.copy()
        plays(view, 2)
        np.testing.assert_array_equal(first, kept)
        np.testing.assert_array_equal(second, second_kept)

    def test_choices_count_from_zero(self):
        space = MultiDiscrete([2, 3], start=[4, -1])
        view = Sb3VecEnv(make_vec(lambda: Scripted(action_space=space)))
        assert view.action_space == MultiDiscrete([2, 3])
        view.reset()
        view.step(np.array([[0, 0], [1, 2]]))
        assert {k: v.tolist() for k, v in view.venv.batch_env.envs[0].received[0].items()} == {A: [4, -1], B: [5, 1]}

    @pytest.mark.parametrize("agent", ["dict", "image", "choice", "bits"])
    def test_every_kind_of_observation(self, agent):
        others = {name: RandomPolicy(space, 0) for name, (_, space) in Menagerie.kinds.items() if name != agent}
        view = Sb3VecEnv(make_vec(Menagerie, 2), agent, others)
        view.seed(3)
        view.reset()
        for _ in range(3):
            observations, _, dones, infos = plays(view, 1)[0]
        assert dones.all()
        rows = observations if not isinstance(observations, dict) else observations["x"]
        assert len(rows) == 2
        assert view.observation_space.contains(infos[1]["terminal_observation"])


class TestEnds:
    def test_terminal_observation_is_the_last_one_and_the_new_episode_begins(self):
        view = Sb3VecEnv(copies((BOTH, 2), (BOTH, 3)))
        view.reset()
        *_, (observations, rewards, dones, infos) = plays(view, 2)

        assert dones.tolist() == [True, True, False, False]
        assert observations[:, 0].tolist() == [0, 0, 2, 2]
        assert rewards.tolist() == [2, 20, 2, 20]
        assert [info["terminal_observation"][:2].tolist() for info in infos[:2]] == [[2, 0], [2, 1]]
        assert [info["TimeLimit.truncated"] for info in infos[:2]] == [True, True]
        assert not any("terminal_observation" in info or "TimeLimit.truncated" in info for info in infos[2:])
        assert [info["step"] for info in infos] == [2] * 4
        assert view.reset_infos == [{"start": A}, {"start": B}] * 2

    def test_reset_infos_are_those_of_each_copys_last_reset(self):
        class Counts(Scripted):
            def reset(self, seed=None, options=None):
                observations, _ = super().reset(seed, options)
                return observations, {agent: {"episode": len(self.reset_calls)} for agent in observations}

        view = Sb3VecEnv(make_vec([lambda: Counts(BOTH, 2), lambda: Counts(BOTH, 5)]))
        view.reset()
        plays(view, 4)
        assert [info["episode"] for info in view.reset_infos] == [3, 3, 1, 1]
        view.reset_envs("env_1")
        assert [info["episode"] for info in view.reset_infos] == [3, 3, 2, 2]

    def test_terminal_observation_is_what_the_environment_said_to_the_bit(self):
        view = Sb3VecEnv(copies((BOTH, 2)))
        view.seed(9)
        view.reset()
        infos = plays(view, 2)[-1][3]
        plain = Scripted(BOTH, 2)
        plain.reset(seed=9)
        plain.step({A: 0, B: 0})
        last = plain.step({A: 0, B: 0})[0]
        for info, agent in zip(infos, (A, B), strict=True):
            np.testing.assert_array_equal(info["terminal_observation"], last[agent])

    @pytest.mark.parametrize(
        ("how", "truncated"), [("terminated", False), ("truncated", True), ("both", False), ("silent", True)]
    )
    def test_agent_that_ends_early_is_done_once_and_then_inert(self, how, truncated):
        view = Sb3VecEnv(copies(({A: Life(), B: Life(leaves=1, how=how)}, 4)))
        view.reset()
        history = plays(view, 5)

        assert [dones.tolist() for _, _, dones, _ in history] == [
            [False, True], [False, False], [False, False], [True, False], [False, True],
        ]  # fmt: skip
        assert [rewards.tolist() for _, rewards, _, _ in history] == [
            [1, 0 if how == "silent" else 10], [2, 0], [3, 0], [4, 0], [1, 0 if how == "silent" else 10],
        ]  # fmt: skip
        ended = history[0][3][1]
        assert ended["TimeLimit.truncated"] is truncated
        assert ended["terminal_observation"][0] == (0 if how == "silent" else 1)
        for observations, _, _, infos in history[1:3]:
            np.testing.assert_array_equal(observations[1], ended["terminal_observation"])
            assert infos[1]["inert"] is True
            assert "terminal_observation" not in infos[1]
        assert "inert" not in history[4][3][1]
        assert history[3][0][:, 0].tolist() == [0, 0]
        assert [("inert" in infos[0]) for _, _, _, infos in history] == [False] * 5

    def test_inert_slots_actions_do_not_count(self):
        view = Sb3VecEnv(copies(({A: Life(), B: Life(leaves=1)}, 4)))
        view.reset()
        plays(view, 1)
        view.step(np.array([1, 99]))
        assert view.venv.batch_env.envs[0].received[1] == {A: 1}

    def test_agent_that_joins_late_is_inert_before(self):
        view = Sb3VecEnv(copies(({A: Life(), B: Life(joins=1)}, 4)))
        view.reset()
        history = plays(view, 2)
        assert ["inert" in infos[1] for _, _, _, infos in history] == [True, False]
        assert [rewards.tolist() for _, rewards, _, _ in history] == [[1, 0], [2, 20]]

    def test_copies_of_different_length_are_reset_on_their_own(self):
        view = Sb3VecEnv(copies((BOTH, 2), (BOTH, 3)))
        view.reset()
        history = plays(view, 6)
        assert [dones[::2].tolist() for _, _, dones, _ in history] == [
            [False, False], [True, False], [False, True], [True, False], [False, False], [True, True],
        ]  # fmt: skip
        assert [len(env.reset_calls) for env in view.venv.batch_env.envs] == [4, 3]


class TestDecisions:
    """A coordinator's step is as long as its period, or as its episode lasts."""

    def view(self, *specs, period=3, learn=TOP, policies=None, **kwargs):
        venv = copies(*specs, hierarchy=star(period))
        view = Sb3VecEnv(venv, learn, {FIELD: 0} if policies is None else policies, **kwargs)
        view.reset()
        return view

    def test_rewards_are_summed_over_it(self):
        history = plays(self.view((BOTH, 9)), 3)
        assert [rewards.tolist() for _, rewards, _, _ in history] == [[11 * 6], [11 * 15], [11 * 24]]
        assert [infos[0]["decision_length"] for *_, infos in history] == [3, 3, 3]
        assert [dones.tolist() for _, _, dones, _ in history] == [[False], [False], [True]]

    def test_and_discounted(self):
        history = plays(self.view((BOTH, 9), discount=0.5), 2)
        assert [rewards.tolist() for _, rewards, _, _ in history] == [
            [11 * (1 + 2 / 2 + 3 / 4)], [11 * (4 + 5 / 2 + 6 / 4)],
        ]  # fmt: skip

    def test_an_episode_may_end_in_the_middle(self):
        view = self.view((BOTH, 4))
        (_, _, _, first), (observations, rewards, dones, infos) = plays(view, 2)
        assert first[0]["decision_length"] == 3
        assert (rewards.tolist(), dones.tolist(), infos[0]["decision_length"]) == ([44], [True], 1)
        assert infos[0]["TimeLimit.truncated"] is True
        assert infos[0]["terminal_observation"][[0, 4, 5]].tolist() == [4, 4, 0]
        assert observations[0, [0, 4, 5]].tolist() == [0, 0, 0]
        assert plays(view, 1)[0][3][0]["decision_length"] == 3

    def test_copies_of_different_length_do_not_wait_for_each_other(self):
        view = self.view((BOTH, 4), (BOTH, 5), (BOTH, 9))
        lengths = [[info["decision_length"] for info in infos] for *_, infos in plays(view, 4)]
        assert lengths == [[3, 3, 3], [1, 2, 3], [3, 3, 3], [1, 2, 3]]
        assert view.venv.steps.tolist() == [0, 0, 3]
        given = [[sorted(step) for step in env.received] for env in view.venv.batch_env.envs]
        assert [len(steps) for steps in given] == [8, 10, 12]

    def test_coordinator_that_ends_before_its_copy(self):
        lives = {A: Life(leaves=2), B: Life()}
        tree = Hierarchy({"red_0": [A], "red_1": [B]}, period=3, command_space=GOAL)
        view = Sb3VecEnv(copies((lives, 7), hierarchy=tree), "red", {FIELD: 0})
        assert view.num_envs == 2
        view.reset()
        history = plays(view, 3)
        assert [dones.tolist() for _, _, dones, _ in history] == [[True, False], [False, False], [False, True]]
        assert [rewards.tolist() for _, rewards, _, _ in history] == [[3, 60], [0, 150], [0, 70]]
        assert [[i["decision_length"] for i in infos] for *_, infos in history] == [[2, 3], [0, 3], [0, 1]]
        # Its last observation is of step 2, though the copy went on to step 3 in the same decision.
        last = history[0][3][0]["terminal_observation"]
        assert last[[0, 4, 5]].tolist() == [2, 2, 0]
        np.testing.assert_array_equal(history[1][0][0], last)
        assert history[1][3][0]["inert"] is True

    def test_its_action_is_held_over_the_decision(self):
        seen = []

        def field(observations):
            seen.append(observations[:, 4:].tolist())
            return np.zeros(len(observations), int)

        view = self.view((BOTH, 9), policies={FIELD: field})
        view.step(np.array([[0.5, 0, 0, 0.25]], np.float32))
        view.step(np.array([[1, 1, 1, 1]], np.float32))
        assert seen == [[[0.5, 0], [0, 0.25]]] * 3 + [[[1, 1], [1, 1]]] * 3

    def test_learning_fields_see_the_command_that_holds_for_their_next_step(self):
        numbers = iter(range(99))
        top = lambda observations: np.full((len(observations), 4), next(numbers) / 99, np.float32)  # noqa: E731
        view = Sb3VecEnv(copies((BOTH, 5), hierarchy=star(2)), "field", {TOP: top})
        assert (view.reset()[0, 4:] * 99).round().tolist() == [0, 0]
        history = plays(view, 5)
        assert [(99 * observations[0, 4]).round() for observations, *_ in history] == [0, 1, 1, 2, 3]
        last = history[-1][3][0]["terminal_observation"]
        assert (99 * last[4]).round() == 2
        assert "decision_length" not in history[0][3][0]

    def test_middle_level_learns_below_a_slower_top(self):
        tree = Hierarchy({"top": ["mid"], "mid": [A, B]}, period={"top": 3, "mid": 2}, command_space=GOAL)
        asked = []

        def top(observations):
            asked.append(observations[0, 0])
            return np.full((len(observations), 2), len(asked) / 10, np.float32)

        view = Sb3VecEnv(copies((BOTH, 6), hierarchy=tree), "mid", {"top": top, FIELD: 0})
        first = view.reset()
        history = plays(view, 3, 0.5)
        commands = [first[0, 12], *(observations[0, 12] for observations, *_ in history)]
        assert np.round(10 * np.array(commands)).tolist() == [1, 1, 2, 3]
        assert [rewards.item() for _, rewards, _, _ in history] == [33, 77, 121]
        assert np.round(10 * history[-1][3][0]["terminal_observation"][12]) == 2
        assert asked == [0, 3, 0]

    def test_top_level_learns_above_a_faster_middle(self):
        tree = Hierarchy({"top": ["mid"], "mid": [A, B]}, period={"top": 4, "mid": 2}, command_space=GOAL)
        asked = []

        def middle(observations):
            asked.append(observations[0, [0, 12]].tolist())
            return np.zeros((len(observations), 4), np.float32)

        view = Sb3VecEnv(copies((BOTH, 8), hierarchy=tree), "top", {"mid": middle, FIELD: 0})
        view.reset()
        history = plays(view, 1, 0.5) + plays(view, 1, 0.25)
        assert asked == [[0, 0.5], [2, 0.5], [4, 0.25], [6, 0.25]]
        assert [rewards.item() for _, rewards, _, _ in history] == [110, 11 * 26]
        assert [infos[0]["decision_length"] for *_, infos in history] == [4, 4]


class TestEpisodes:
    def test_are_reported_with_the_environments_rewards(self):
        found = []
        one = lambda observations, commands, after, rewards: np.ones(rewards.shape)  # noqa: E731
        venv = copies((BOTH, 2), (BOTH, 3), hierarchy=star(2), intrinsic_reward=one)
        view = Sb3VecEnv(venv, FIELD, {TOP: np.zeros(4)}, on_episode=found.append)
        view.reset()
        history = plays(view, 4)
        assert [rewards.tolist() for _, rewards, _, _ in history] == [[1] * 4] * 4
        assert [(episode.env_id, episode.length) for episode in found] == [("env_0", 2), ("env_1", 3), ("env_0", 2)]
        assert found[0].returns[FIELD].tolist() == [3, 30]
        assert found[1].returns[FIELD].tolist() == [6, 60]
        assert found[1].returns[TOP].tolist() == [66]


class TestResets:
    def test_seed_and_options_reach_the_copies(self):
        view = Sb3VecEnv(copies((BOTH, 4), (BOTH, 4)))
        assert view.seed(5) == [5, 5, 6, 6]
        options = {"wind": 1}
        view.set_options(options)
        view.reset()
        view.reset()
        calls = [env.reset_calls for env in view.venv.batch_env.envs]
        seen = {"wind": 1, "seen": True}
        assert calls == [[(5, seen), (None, None)], [(6, seen), (None, None)]]
        assert options == {"wind": 1}

    def test_options_may_differ_by_copy(self):
        view = Sb3VecEnv(copies((BOTH, 4), (BOTH, 4)))
        view.set_options([{"wind": 1}, {"wind": 1}, {}, {}])
        view.reset()
        assert [env.reset_calls for env in view.venv.batch_env.envs] == [
            [(None, {"wind": 1, "seen": True})], [(None, None)],
        ]  # fmt: skip
        assert view.venv.running.all()

    def test_a_seed_holds_for_one_reset_only(self):
        view = Sb3VecEnv(copies((BOTH, 1)))
        view.seed(5)
        view.reset()
        plays(view, 2)
        assert [seed for seed, _ in view.venv.batch_env.envs[0].reset_calls] == [5, None, None]

    def test_some_seed_is_chosen_if_none_is_given(self):
        view = Sb3VecEnv(copies((BOTH, 1), (BOTH, 1)))
        seeds = view.seed()
        assert seeds[2] == seeds[0] + 1 >= 1

    def test_reset_of_one_copy_leaves_the_others_alone(self):
        view = Sb3VecEnv(copies((BOTH, 4), (BOTH, 4), hierarchy=star()), FIELD, {TOP: np.full(4, 0.5)})
        view.reset()
        before = plays(view, 1)[0][0]
        observations = view.reset_envs("env_0", seed=3)
        assert observations[:, 0].tolist() == [0, 0, 1, 1]
        np.testing.assert_array_equal(observations[2:], before[2:])
        assert observations[0, 4:].tolist() == [0.5, 0.5]

    def test_reset_before_the_episode_ends(self):
        view = Sb3VecEnv(copies((BOTH, 4), hierarchy=star(3)), TOP, {FIELD: 0})
        view.reset()
        plays(view, 1)
        assert view.reset()[0, [0, 4, 5]].tolist() == [0, 0, 0]
        assert plays(view, 1)[0][1].tolist() == [66]


class TestAttributes:
    @pytest.fixture
    def view(self):
        return Sb3VecEnv(copies((BOTH, 4), (BOTH, 6)))

    def test_get_is_by_slot(self, view):
        assert view.get_attr("horizon") == [4, 4, 6, 6]
        assert view.get_attr("horizon", 2) == [6]
        assert view.get_attr("horizon", [3, 0]) == [6, 4]
        assert view.get_attr("render_mode") == [None] * 4
        with pytest.raises(AttributeError, match="env_1"):
            view.get_attr("colour", 3)
        assert view.has_attr("horizon")
        assert not view.has_attr("colour")

    def test_render_mode_may_be_missing(self):
        assert Sb3VecEnv(make_vec(Menagerie), "bits", {name: RandomPolicy(space, 0) for name, (_, space)
                         in Menagerie.kinds.items() if name != "bits"}).get_attr("render_mode") == [None]  # fmt: skip

    def test_set_is_by_copy(self, view):
        view.set_attr("horizon", 9, [2])
        assert view.get_attr("horizon") == [4, 4, 9, 9]

    def test_method_is_called_once_a_copy(self, view):
        calls = []
        for env in view.venv.batch_env.envs:
            env.note = lambda *args, env=env, **kwargs: calls.append((env, args, kwargs)) or len(calls)
        assert view.env_method("note", 1, x=2) == [1, 1, 2, 2]
        assert len(calls) == 2
        assert calls[0][1:] == ((1,), {"x": 2})
        assert view.env_method("double", 4, indices=[3], plus=1) == [9]

    def test_wrapped_is_no_slot(self, view):
        assert view.env_is_wrapped(VecEnvWrapper, [0, 1]) == [False, False]

    def test_close_closes_all(self, view):
        envs = list(view.venv.batch_env.envs)
        view.close()
        assert [env.closed for env in envs] == [1, 1]

    def test_describe(self):
        view = Sb3VecEnv(copies((BOTH, 4), (BOTH, 4), hierarchy=star()), FIELD, {TOP: np.zeros(4)})
        assert "  driven by the learner: 4 slots (2 copies x 2 agents), all with the same parameters" in view.describe()
        assert "  driven by constant [0. 0. 0. 0.]" in view.describe()


class TestBadInput:
    @pytest.mark.parametrize("learn", [FIELD, TOP])
    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (np.nan, "env_1: action of '.*' must lie in"),
            (1.5, "env_1: action of '.*' must lie in"),
            (np.inf, "env_1: action of '.*' must lie in"),
        ],
    )
    def test_action_outside_its_space_changes_nothing(self, learn, bad, message):
        venv = make_vec(lambda: Scripted(action_space=GOAL), 2, star())
        view = Sb3VecEnv(venv, learn, {FIELD: np.zeros(2)} if learn == TOP else {TOP: np.zeros(4)})
        view.reset()
        actions = np.zeros((view.num_envs, *view.action_space.shape), np.float32)
        actions[-1, 1] = bad
        before = [venv.broker.statistics(), {name: venv.observe(name).tolist() for name in venv.groups}]
        with pytest.raises(InvalidActionError, match=message) as caught:
            view.step(actions)
        assert (B if learn == FIELD else TOP) in str(caught.value)
        assert [env.steps for env in venv.batch_env.envs] == [0, 0]
        assert venv.steps.tolist() == [0, 0]
        assert [venv.broker.statistics(), {name: venv.observe(name).tolist() for name in venv.groups}] == before
        actions[-1, 1] = 0
        view.step(actions)

    @pytest.mark.parametrize("actions", [np.zeros((2, 3), int), np.zeros(2), np.zeros(2, complex)])
    def test_action_of_wrong_shape_or_dtype(self, actions):
        view = Sb3VecEnv(copies((BOTH, 4)))
        view.reset()
        with pytest.raises(InvalidActionError, match=r"must have (shape|dtype)"):
            view.step(actions)
        assert view.venv.steps.tolist() == [0]

    @pytest.mark.parametrize("actions", [np.zeros(3, int), np.zeros((), int)])
    def test_wrong_number_of_actions(self, actions):
        view = Sb3VecEnv(copies((BOTH, 4)))
        view.reset()
        with pytest.raises((ConfigurationError, InvalidActionError), match="2 actions, one a slot"):
            view.step(actions)

    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            (np.zeros((3, 4)), r"policy of group 'coordinator' must return actions of shape \(1, 4\)"),
            (np.zeros(4), r"policy of group 'coordinator' must return actions of shape \(1, 4\)"),
            (None, r"policy of group 'coordinator' must return actions of shape"),
            (np.zeros((1, 4), complex), "dtype float32, got .* and complex128"),
        ],
    )
    def test_policy_that_returns_something_else(self, returned, message):
        view = Sb3VecEnv(copies((BOTH, 4), hierarchy=star()), FIELD, {TOP: lambda observations: returned})
        with pytest.raises(ConfigurationError, match=message):
            view.reset()

    def test_ragged_actions(self):
        learner = LearnerEnv(copies((BOTH, 4), hierarchy=star()), FIELD, {TOP: lambda seen: [[0.0], [0.0, 1.0]]})
        with pytest.raises(InvalidActionError, match="actions must make one array"):
            learner.step([[0, 1], [2]])
        with pytest.raises(ConfigurationError, match="policy of group 'coordinator' must return actions that make one"):
            learner.reset()

    def test_policy_that_returns_fractions_for_choices(self):
        view = Sb3VecEnv(copies((BOTH, 4), hierarchy=star()), TOP, {FIELD: lambda seen: np.full(len(seen), 0.7)})
        view.reset()
        with pytest.raises(ConfigurationError, match=r"dtype int64, got .* and float64"):
            plays(view, 1)

    def test_policy_outside_the_space(self):
        view = Sb3VecEnv(copies((BOTH, 4), hierarchy=star()), FIELD, {TOP: lambda seen: np.full((len(seen), 4), 2.0)})
        with pytest.raises(
            PolicyError, match=r"actions in .*, but got \[2\. 2\. 2\. 2\.\] for 'coordinator' of env_0 at"
        ):
            view.reset()

    @pytest.mark.parametrize("discount", [0, -0.5, 1.01, np.nan])
    def test_discount(self, discount):
        with pytest.raises(ConfigurationError, match="discount must lie in"):
            Sb3VecEnv(copies((BOTH, 4)), discount=discount)

    def test_learner(self):
        venv = copies((BOTH, 4), hierarchy=star())
        for learn, policies, message in (
            (None, {}, r"learn: say which group learns, one of \['coordinator', 'agent'\]"),
            ("nobody", {}, "learn: no group or level 'nobody'"),
            (FIELD, {}, r"groups \['coordinator'\] need one each"),
            (FIELD, {TOP: 3}, "policy of group 'coordinator'"),
        ):
            with pytest.raises(ConfigurationError, match=message):
                Sb3VecEnv(venv, learn, policies)
        with pytest.raises(ConfigurationError, match="level 'field' has groups with different spaces, name one of"):
            Sb3VecEnv(make_vec("mpe2.simple_tag_v3"), "field")

    def test_environment_that_raises(self):
        view = Sb3VecEnv(make_vec([Scripted, lambda: Scripted(fail_at=0)]))
        view.reset()
        with pytest.raises(EnvStepError, match="env_1"):
            plays(view, 1)


class TestLearnerEnv:
    def test_copies_that_are_over_stay_over(self):
        learner = LearnerEnv(copies((BOTH, 1), (BOTH, 3)))
        learner.reset(seed=0)
        step = learner.step(np.zeros(4, int))
        assert step.finished.tolist() == [True, False]
        assert step.lengths.tolist() == [1, 1, 1, 1]
        step = learner.step(np.zeros(4, int))
        assert step.lengths.tolist() == [0, 0, 1, 1]
        assert step.rewards.tolist() == [0, 0, 2, 20]
        assert step.truncated.tolist() == [False] * 4
        assert step.finished.tolist() == [True, False]
        assert learner.reset([0])[:, 0].tolist() == [0, 0, 2, 2]

    @pytest.mark.parametrize("how", ["terminated", "truncated"])
    def test_ends_of_copies_that_are_over_are_not_told_again(self, how):
        over = {A: Life(leaves=1, how=how), B: Life(leaves=1, how=how)}
        learner = LearnerEnv(copies((over, 9), (BOTH, 9)))
        learner.reset()
        step = learner.step(np.zeros(4, int))
        assert getattr(step, how).tolist() == [True, True, False, False]
        step = learner.step(np.zeros(4, int))
        assert getattr(step, how).tolist() == [False] * 4

    def test_a_reset_of_some_copies_does_not_take_in_what_waits_in_others(self):
        learner = LearnerEnv(copies((BOTH, 9), (BOTH, 9), hierarchy=star(5)), FIELD, {TOP: np.zeros(4)})
        learner.reset()
        learner.venv.agents("env_1")[TOP].send_action_to_subordinate(A, [1.0, 1.0])
        before = learner.venv.broker.statistics().messages
        learner.reset([0])
        assert learner.venv.broker.statistics().messages == before == 1
        learner.step(np.zeros(4, int))
        assert learner.venv.commands(FIELD)[1, 0].tolist() == [1, 1]


class FailsOnce(Scripted):
    """Raises at one step, the first time only."""

    def step(self, actions):
        if self.fail_at == self.steps:
            self.fail_at = None
            raise RuntimeError("no power")
        return super().step(actions)


def raises_once(function, call):
    """The function, which raises at its n-th call."""
    calls = count(1)

    def wrapped(*args):
        if next(calls) == call:
            raise ZeroDivisionError
        return function(*args)

    return wrapped


class TestAfterAnError:
    """What a step that raised has done is told by the next one."""

    def failing(self, *specs, fail_at, **kwargs):
        factories = [
            lambda horizon=horizon, at=at: FailsOnce(BOTH, horizon, fail_at=at)
            for horizon, at in zip(specs, fail_at, strict=True)
        ]
        return make_vec(factories, **kwargs)

    def test_no_copy_waits_for_a_decision_for_ever(self):
        venv = self.failing(9, 9, fail_at=(1, None), hierarchy=star(2))
        view = Sb3VecEnv(venv, FIELD, {TOP: np.zeros(4)})
        view.reset()
        plays(view, 1)
        with pytest.raises(EnvStepError, match="env_0"):
            plays(view, 1)
        plays(view, 3)
        assert venv.steps.tolist() == [2, 5]

    def test_a_policy_that_raised_is_asked_again(self):
        top = raises_once(lambda seen: np.zeros((len(seen), 4), np.float32), 2)
        view = Sb3VecEnv(copies((BOTH, 9), hierarchy=star(2)), FIELD, {TOP: top})
        view.reset()
        plays(view, 1)
        with pytest.raises(PolicyError, match="raised ZeroDivisionError"):
            plays(view, 1)
        plays(view, 2)
        assert view.venv.steps.tolist() == [4]

    def test_ends_beside_a_copy_that_raised_are_told(self):
        episodes = []
        view = Sb3VecEnv(self.failing(2, 3, 9, fail_at=(None, 1, None)), on_episode=episodes.append)
        view.reset()
        plays(view, 1)
        with pytest.raises(EnvStepError, match="env_1"):
            plays(view, 1)
        assert [(episode.env_id, episode.length) for episode in episodes] == [("env_0", 2), ("env_1", 2)]
        observations, rewards, dones, infos = plays(view, 1)[0]
        assert dones[::2].tolist() == [True, True, False]
        assert rewards[::2].tolist() == [0, 0, 3]
        assert [info["terminal_observation"][0] for info in infos[:4:2]] == [2, 1]
        assert [info["TimeLimit.truncated"] for info in infos[:4]] == [True] * 4
        assert observations[::2, 0].tolist() == [0, 0, 3]
        assert plays(view, 1)[0][2].tolist() == [False] * 6

    def test_ends_are_told_though_a_callback_raised(self):
        told = []
        view = Sb3VecEnv(copies((BOTH, 1), (BOTH, 1)), on_episode=raises_once(told.append, 1))
        view.reset()
        with pytest.raises(ZeroDivisionError):
            plays(view, 1)
        assert plays(view, 1)[0][2].tolist() == [True] * 4
        assert [episode.env_id for episode in told] == ["env_1"]

    def test_ends_are_told_though_the_reset_after_them_raised(self):
        view = Sb3VecEnv(copies((BOTH, 2), (BOTH, 2)))
        view.reset()
        plays(view, 1)
        broken = view.venv.batch_env.envs[0]
        broken.fail_on_reset = True
        with pytest.raises(EnvStepError, match="env_0: reset"):
            plays(view, 1)
        broken.fail_on_reset = False
        _, _, dones, infos = plays(view, 1)[0]
        assert dones.tolist() == [True] * 4
        assert [info["terminal_observation"][0] for info in infos] == [2] * 4
        # The other copy has begun its episode with the reset that raised, and waits for the step that tells its end.
        assert [step[2].tolist() for step in plays(view, 2)] == [[False] * 4, [True] * 4]

    def test_an_interrupted_decision_is_played_to_its_end_unrewarded(self):
        venv = self.failing(20, 20, fail_at=(5, None), hierarchy=star(4))
        view = Sb3VecEnv(venv, TOP, {FIELD: 0})
        view.reset()
        plays(view, 1)
        with pytest.raises(EnvStepError, match="env_0"):
            plays(view, 1, 0.25)
        assert venv.steps.tolist() == [6, 6]
        _, rewards, dones, infos = plays(view, 1, 0.5)[0]
        assert dones.tolist() == [True, False]
        assert rewards.tolist() == [0, 11 * (9 + 10 + 11 + 12)]
        assert [info["decision_length"] for info in infos] == [0, 4]
        assert venv.commands(FIELD)[1].tolist() == [[0.5, 0.5]] * 2

    def test_a_decision_before_whose_first_step_a_policy_raised_is_played_first(self):
        field = raises_once(lambda seen: np.zeros(len(seen), int), 3)
        view = Sb3VecEnv(copies((BOTH, 20), hierarchy=star(2)), TOP, {FIELD: field})
        view.reset()
        plays(view, 1)
        with pytest.raises(PolicyError, match="raised ZeroDivisionError"):
            plays(view, 1, 0.25)
        assert plays(view, 1, 0.5)[0][1].tolist() == [11 * (5 + 6)]


class TestCutShort:
    def test_a_reset_amid_a_rollout_is_an_end(self):
        view = Sb3VecEnv(copies((BOTH, 9), ({A: Life(), B: Life(leaves=2)}, 9)))
        view.reset()
        plays(view, 2)
        view.reset_envs([0, 1])
        _, rewards, dones, infos = plays(view, 1)[0]
        assert dones.tolist() == [True, True, True, False]
        assert [info["terminal_observation"][0] for info in infos[:3]] == [2, 2, 2]
        assert [info["TimeLimit.truncated"] for info in infos[:3]] == [True] * 3
        assert [sorted({"stale", "inert"} & set(info)) for info in infos] == [["stale"]] * 4
        assert rewards.tolist() == [0] * 4
        assert view.venv.steps.tolist() == [0, 0]
        _, rewards, dones, _ = plays(view, 1)[0]
        assert rewards.tolist() == [1, 10, 1, 10]
        assert not dones.any()

    def test_a_reset_of_everything_is_none(self):
        view = Sb3VecEnv(copies((BOTH, 9)))
        view.reset()
        plays(view, 1)
        view.reset_envs(0)
        view.reset()
        assert plays(view, 1)[0][2].tolist() == [False, False]

    def test_a_reset_that_is_refused_ends_nothing(self):
        view = Sb3VecEnv(copies((BOTH, 9)))
        view.reset()
        plays(view, 1)
        with pytest.raises(ConfigurationError, match="seed"):
            view.reset_envs(0, seed=-1)
        assert plays(view, 1)[0][2].tolist() == [False, False]


class TestStaleSteps:
    """Actions that were chosen on what a slot saw before its copy was reset."""

    def flags(self, view, steps=1):
        return [[info.get("stale", False) for info in infos] for *_, infos in plays(view, steps)]

    def test_are_those_right_after_a_reset_by_hand_of_living_and_dead_slots(self):
        view = Sb3VecEnv(copies((BOTH, 9), ({A: Life(), B: Life(leaves=2)}, 9)))
        view.reset()
        assert not np.any(self.flags(view, 3))
        view.reset_envs(1)
        (_, _, dones, infos), after = plays(view, 2)
        assert [info.get("stale", False) for info in infos] == [False, False, True, True]
        assert [info["decision_length"] for info in infos[2:]] == [0, 0]
        assert dones.tolist() == [False, False, True, False]
        assert not any("stale" in info for info in after[3])

    def test_are_not_those_after_a_reset_of_its_own_or_of_everything(self):
        view = Sb3VecEnv(copies((BOTH, 2)))
        view.reset()
        assert not np.any(self.flags(view, 5))
        view.reset_envs(0)
        view.reset()
        assert not np.any(self.flags(view))

    def test_tell_one_end_and_the_step_that_makes_the_next_one_tells_that(self):
        view = Sb3VecEnv(copies((BOTH, 1), ({A: Life(), B: Life(leaves=1)}, 3)))
        view.reset()
        plays(view, 1)
        view.reset_envs([0, 1])
        first, second, third = plays(view, 3)
        assert [step[2].tolist() for step in (first, second, third)] == [
            [True, True, True, False], [True, True, False, True], [True, True, False, False],
        ]  # fmt: skip
        assert [[bool(info.get("stale")) for info in step[3]] for step in (first, second, third)] == [
            [True] * 4, [False] * 4, [False] * 4,
        ]  # fmt: skip

    def test_are_those_that_tell_of_a_step_that_raised(self):
        venv = make_vec([lambda: Scripted(BOTH, 1), lambda: Scripted(BOTH, 9, fail_at=0)])
        view = Sb3VecEnv(venv)
        view.reset()
        with pytest.raises(EnvStepError):
            plays(view, 1)
        _, _, dones, infos = plays(view, 1)[0]
        assert dones.all()
        assert [(info["stale"], info["decision_length"]) for info in infos] == [(True, 0)] * 4


def test_a_coordinator_that_comes_amid_a_period_takes_no_part_before_it_is_due():
    tree = Hierarchy({"red_0": [A], "red_1": [B]}, period=3, command_space=GOAL)
    view = Sb3VecEnv(copies(({A: Life(), B: Life(joins=1)}, 9), hierarchy=tree), "red", {FIELD: 0})
    view.reset()
    (_, first, _, before), (_, second, _, after) = plays(view, 2)
    assert (first.tolist(), second.tolist()) == ([6, 0], [15, 150])
    assert [info["decision_length"] for info in before] == [3, 0]
    assert ["inert" in info for info in before + after] == [False, True, False, False]


def spread(num_envs=2, **kwargs):
    return make_vec(SPREAD, num_envs, star(5), env_kwargs={"max_cycles": 12}, **kwargs)


def tiny(kind, view, **kwargs):
    arguments = {"n_steps": 16, "batch_size": 16, "n_epochs": 2} if kind is PPO else {"learning_starts": 8}
    return kind("MlpPolicy", view, device="cpu", policy_kwargs={"net_arch": [8]}, **{**arguments, **kwargs})


def weights(model):
    return {name: value.numpy().tobytes() for name, value in model.policy.state_dict().items()}


class TestSb3Itself:
    @pytest.mark.parametrize("learn", [FIELD, TOP])
    def test_ppo_with_a_seed_gives_the_same_weights_twice(self, learn):
        def train(seed):
            given = {TOP: np.zeros(6)} if learn == FIELD else {FIELD: 1}
            model = tiny(PPO, Sb3VecEnv(spread(), learn, given), seed=seed)
            before = weights(model)
            model.learn(32 * model.env.num_envs)
            assert weights(model) != before
            return weights(model)

        assert train(3) == train(3)
        assert train(3) != train(4)

    def test_models_as_policies_for_each_other(self):
        venv = spread(2)
        top = tiny(PPO, Sb3VecEnv(venv, TOP, {FIELD: 0}), seed=1)
        field = tiny(PPO, Sb3VecEnv(venv, FIELD, {TOP: top}), seed=1)
        field.learn(96)
        top.set_env(Sb3VecEnv(venv, TOP, {FIELD: ModelPolicy(field, deterministic=True)}), force_reset=True)
        top.learn(32)
        assert top.num_timesteps == 32
        with pytest.raises(ConfigurationError, match="the model's observation_space is"):
            Sb3VecEnv(venv, FIELD, {TOP: field})

    def test_choices_that_do_not_start_at_zero_survive_the_way_there_and_back(self):
        venv = make_vec(lambda: Scripted(BOTH, 4, action_space=Discrete(1, start=7)), 1, star())
        field = tiny(PPO, Sb3VecEnv(venv, FIELD, {TOP: np.zeros(4)}))
        view = Sb3VecEnv(venv, TOP, {FIELD: field})
        view.reset()
        plays(view, 1)
        assert venv.batch_env.envs[0].received[-1] == {A: 7, B: 7}

    def test_sac_at_the_bounds(self):
        space = Box(np.float32([-0.1, -1.7]), np.float32([0.3, 0.6]), dtype=np.float32)
        view = Sb3VecEnv(make_vec(lambda: Scripted(BOTH, 4, action_space=space)))
        model = tiny(SAC, view)
        for scaled in (-1.0, 1.0):
            view.reset()
            view.step(model.policy.unscale_action(np.full((2, 2), scaled, np.float32)))
        model.learn(24)

    def test_monitor_sees_whole_episodes(self):
        view = VecMonitor(Sb3VecEnv(copies((BOTH, 3), (BOTH, 2))))
        view.reset()
        episodes = [(slot, info["episode"]["r"], info["episode"]["l"]) for *_, infos in plays(view, 3)
                    for slot, info in enumerate(infos) if "episode" in info]  # fmt: skip
        assert episodes == [(2, 3, 2), (3, 30, 2), (0, 6, 3), (1, 60, 3)]

    def test_normalize_keeps_the_true_terminal_observation(self):
        view = VecNormalize(Sb3VecEnv(copies((BOTH, 2))), norm_reward=False)
        view.reset()
        infos = plays(view, 2)[-1][3]
        last = view.unnormalize_obs(infos[0]["terminal_observation"])
        assert last[0] == pytest.approx(2, abs=1e-3)
        model = tiny(PPO, view, seed=3)
        model.learn(32)

    def test_trains_where_agents_die_early(self):
        lives = {A: Life(), B: Life(leaves=2)}
        model = tiny(PPO, VecMonitor(Sb3VecEnv(copies((lives, 5), (lives, 7)))), seed=0)
        model.learn(64)
        assert {episode["l"] for episode in model.ep_info_buffer} >= {2, 5, 7}
