from itertools import pairwise

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from heron.agents import Hierarchy
from heron.errors import ConfigurationError
from heron.vector.intrinsic import GoalReward
from heron.wrappers import make_vec

BEFORE = np.array([[[9, 1, 1, 9], [9, 0, 0, 9]], [[9, -3, 2, 9], [9, 6, 8, 9]]], dtype=np.float32)
AFTER = np.array([[[7, 4, 5, 7], [7, 0, 0, 7]], [[7, 0, 0, 7], [7, 6, 8, 7]]], dtype=np.float32)
GOALS = np.array([[[1, 1], [3, 4]], [[0, 0], [0, 0]]], dtype=np.float32)
REWARDS = np.full((2, 2), 99.0)


def test_distance_is_how_far_the_goal_is_after_the_step():
    result = GoalReward((1, 3), "distance")(BEFORE, GOALS, AFTER, REWARDS)

    assert result.tolist() == [[-5.0, -5.0], [0.0, -10.0]]
    assert result.dtype == np.float64


def test_progress_is_how_much_nearer_the_step_came():
    result = GoalReward((1, 3))(BEFORE, GOALS, AFTER, REWARDS)

    np.testing.assert_allclose(result, [[-5.0, 0.0], [np.sqrt(13), 0.0]])


def test_progress_adds_up_to_the_way_covered_whatever_the_path():
    reward = GoalReward((0, 2))
    path = np.random.default_rng(0).normal(size=(20, 1, 1, 2))
    goal = np.array([[[0.5, -0.5]]])

    total = sum(reward(one, goal, other, np.zeros((1, 1))).item() for one, other in pairwise(path))

    distance = np.linalg.norm(path[[0, -1], 0, 0] - goal[0, 0], axis=1)
    assert total == pytest.approx(distance[0] - distance[1])


def test_integer_observations_do_not_wrap_round():
    before, after = np.array([[[250]]], np.uint8), np.array([[[3]]], np.uint8)

    assert GoalReward((0, 1))(before, np.array([[[10.0]]]), after, np.zeros((1, 1))).tolist() == [[240.0 - 7.0]]


def test_nothing_that_is_given_is_changed():
    given = [BEFORE.copy(), GOALS.copy(), AFTER.copy(), REWARDS.copy()]

    GoalReward((1, 3))(*given)

    for array, expected in zip(given, [BEFORE, GOALS, AFTER, REWARDS], strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("position", [3, (3,), (1, 2, 3), (2, 2), (4, 2), (-1, 2), (0.0, 2.0), "ab", None])
def test_a_position_that_is_no_slice_is_refused(position):
    with pytest.raises(ConfigurationError, match="position"):
        GoalReward(position)


def test_an_unknown_measure_is_refused():
    with pytest.raises(ConfigurationError, match=r"measure.*'speed'"):
        GoalReward((0, 2), "speed")


@pytest.mark.parametrize(
    ("entries", "command_space"),
    [((2, 4), Box(-1, 1, (3,), np.float32)), ((17, 19), Box(-1, 1, (2,), np.float32)), ((2, 4), Discrete(2))],
)
def test_a_goal_that_does_not_fit_is_refused_when_the_vector_env_is_built(entries, command_space):
    with pytest.raises(ConfigurationError, match="group 'agent'"):
        make_vec(
            "mpe2.simple_spread_v3",
            1,
            lambda ids: Hierarchy.star(ids, command_space=command_space),
            intrinsic_reward=GoalReward(entries),
        )


def test_in_a_vector_env_agents_earn_it_for_the_command_they_follow():
    goal = np.array([0.5, -0.25], np.float32)
    with make_vec(
        "mpe2.simple_spread_v3",
        2,
        lambda ids: Hierarchy.star(ids, period=2, command_space=Box(-1, 1, (2,), np.float32)),
        intrinsic_reward=GoalReward((2, 4)),
    ) as venv:
        venv.reset(seed=0)
        for step in range(5):
            if step % 2 == 0:
                venv.decide({"coordinator": np.tile(goal, (2, 1, 3))})
            before = np.array(venv.observe("agent"))[..., 2:4]
            result = venv.advance({"agent": np.full((2, 3), 1 + step % 4)})["agent"]
            after = venv.observe("agent")[..., 2:4]
            expected = np.linalg.norm(before - goal, axis=-1) - np.linalg.norm(after - goal, axis=-1)
            np.testing.assert_allclose(result.rewards, expected, atol=1e-6)
            assert not np.allclose(result.rewards, result.env_rewards)
