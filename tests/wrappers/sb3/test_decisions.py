"""Decisions of coordinators as steps of the SB3 view."""

import numpy as np

from heron.agents import Hierarchy
from heron.wrappers.sb3 import Sb3VecEnv

from ..small_envs import Life
from .sb3_views import BOTH, FIELD, GOAL, TOP, A, B, copies, plays, star


class TestDecisions:
    """The length of a coordinator's step is its period, or shorter at the end of its episode."""

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


def test_a_coordinator_that_appears_in_a_period_takes_no_part_before_it_is_due():
    tree = Hierarchy({"red_0": [A], "red_1": [B]}, period=3, command_space=GOAL)
    view = Sb3VecEnv(copies(({A: Life(), B: Life(joins=1)}, 9), hierarchy=tree), "red", {FIELD: 0})
    view.reset()
    (_, first, _, before), (_, second, _, after) = plays(view, 2)
    assert (first.tolist(), second.tolist()) == ([6, 0], [15, 150])
    assert [info["decision_length"] for info in before] == [3, 0]
    assert ["inert" in info for info in before + after] == [False, True, False, False]


def test_a_coordinator_that_returns_in_a_decision_takes_no_part_in_the_rest_of_it():
    tree = Hierarchy({"red_0": [A], "red_1": [B]}, period=4, command_space=GOAL)
    view = Sb3VecEnv(copies(({A: Life(), B: Life(leaves=1, returns=2)}, 9), hierarchy=tree), "red", {FIELD: 0})
    view.reset()
    _, rewards, dones, infos = plays(view, 1)[0]
    assert (rewards.tolist(), dones.tolist()) == ([1 + 2 + 3 + 4, 10], [False, True])
    assert [info["decision_length"] for info in infos] == [4, 1]


def test_a_coordinator_that_returns_in_a_decision_ended_with_its_observation_then():
    lives = {A: Life(), B: Life(leaves=1, returns=2)}
    ends = []
    for period in (1, 4):
        tree = Hierarchy({"red_0": [A], "red_1": [B]}, period=period, command_space=GOAL)
        view = Sb3VecEnv(copies((lives, 9), hierarchy=tree), "red", {FIELD: 0})
        view.reset()
        observations, _, dones, infos = plays(view, 1)[0]
        assert dones.tolist() == [False, True]
        ends.append((infos[1]["terminal_observation"], observations[1]))
    (at_once, same), (midway, later) = ends
    np.testing.assert_array_equal(at_once, same)
    np.testing.assert_array_equal(midway, at_once)
    assert (later != midway).any()
