"""Observations of the agents of a vector env."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from gymnasium.spaces import Dict as DictSpace

from heron.agents import Hierarchy
from heron.errors import ConfigurationError
from heron.wrappers import make_vec

from ..wrappers.small_envs import Menagerie, Scripted
from .vec_envs import commands, scripted, star, step, still


class TestObservations:
    def test_coordinator_sees_flat_observation_reward_and_age_of_each_subordinate(self):
        venv = scripted(1, star(period=5))
        venv.reset(seed=0)
        noise = venv.observe("agent")[0, 0, 2]
        assert venv.observe("coordinator").tolist() == [[[0, 0, noise, 0, 0, 0, 0, 1, noise, 0, 0, 0]]]
        step(venv)
        noise = venv.observe("agent")[0, 0, 2]
        assert venv.observe("coordinator").tolist() == [[[1, 0, noise, 0, 1, 0, 1, 1, noise, 0, 10, 0]]]
        assert venv.groups["coordinator"].observation_space.shape == (12,)
        assert venv.groups["coordinator"].observation_space.contains(venv.observe("coordinator")[0, 0])

    def test_heterogeneous_subordinates_stand_side_by_side_in_the_order_of_the_hierarchy(self):
        order = ["choice", "dict", "vector", "image", "bits", "tuple", "choices"]
        sizes = {"choice": 5, "dict": 7, "vector": 3, "image": 60, "bits": 6, "tuple": 6, "choices": 9}
        venv = make_vec(Menagerie, 2, Hierarchy({"top": order}, command_space=Discrete(3)))
        venv.reset(seed=0)
        assert venv.groups["top"].action_space == MultiDiscrete([3] * 7)
        action = np.array([[[0, 1, 2, 0, 1, 2, 0]], [[2, 1, 0, 2, 1, 0, 2]]])
        venv.decide({"top": action})
        venv.advance({name: np.ones_like(array) for name, array in still(venv).items()})

        seen = venv.observe("top")[1, 0]
        for k, agent in enumerate(order):
            size = sizes[agent]
            part, seen = seen[: size + 2], seen[size + 2 :]
            own = venv.batch_env.states[agent].observations
            np.testing.assert_array_equal(part[:size], flat_by_hand(agent, own, 1))
            actions = venv.batch_env.envs[1].action_space(agent)
            assert part[size] == int(np.prod(actions.shape, dtype=int))  # reward: sum of ones
            assert part[size + 1] == 0
            assert venv.commands(agent).tolist() == action[:, 0, k].reshape(2, 1).tolist()
        assert seen.size == 0

    def test_field_agents_see_their_command_as_their_space_says(self):
        venv = make_vec(Menagerie, 1, Hierarchy.star(Menagerie.kinds, command_space=Discrete(3, start=5)))
        before = venv.reset(seed=0)
        assert venv.groups["coordinator"].action_space == MultiDiscrete([3] * 7, start=[5] * 7)
        assert before["vector"][0, 0, 3:].tolist() == [0, 0, 0]
        venv.decide({"coordinator": np.full((1, 1, 7), 6)})

        assert venv.observe("vector")[0, 0, 3:].tolist() == [0, 1, 0]
        assert venv.observe("vector").dtype == np.float64
        assert venv.observe("dict")["command"].tolist() == [[[0, 1, 0]]]
        assert venv.observe("image")["command"].tolist() == [[[0, 1, 0]]]
        assert venv.observe("image")["observation"].dtype == np.uint8
        for name, group in venv.groups.items():
            seen = venv.observe(name)
            assert group.observation_space.contains(first(seen)), name

    def test_box_commands_are_seen_in_a_space_that_holds_zero(self):
        space = Box(np.array([1, -3], np.float32), np.array([2, -2], np.float32))
        venv = scripted(1, star(command_space=space))
        seen = venv.reset()["agent"][0, 0]
        assert venv.groups["agent"].observation_space.contains(seen)
        assert venv.groups["agent"].observation_space.low[4:].tolist() == [0, -3]
        assert venv.groups["agent"].observation_space.high[4:].tolist() == [2, 0]

    def test_a_key_called_command_is_refused(self):
        factory = lambda: Scripted(observation_space=DictSpace(command=Discrete(2)))  # noqa: E731
        with pytest.raises(ConfigurationError, match=r"group 'agent'.*'command'"):
            make_vec(factory, 1, star())

    def test_observations_given_are_valid_until_the_next_step(self):
        venv = scripted(1, star())
        venv.reset()
        venv.decide(commands(venv))
        seen, copy = venv.observe("agent"), venv.observe("agent").copy()
        venv.decide()
        np.testing.assert_array_equal(seen, copy)


def flat_by_hand(agent, tree, copy):
    one_hot = np.eye(9)
    match agent:
        case "choice":
            return one_hot[tree[copy, 0] + 2][:5]
        case "dict":
            parts = {
                "x": tree["x"][copy, 0],
                "deep": np.append(one_hot[tree["deep"]["y"][copy, 0]][:3], tree["deep"]["z"][copy, 0]),
            }
            return np.concatenate([parts[key] for key in Menagerie.kinds["dict"][0]]).astype(np.float32)
        case "tuple":
            return np.concatenate([one_hot[tree[0][copy, 0]][:2], tree[1][copy, 0].ravel()]).astype(np.float32)
        case "choices":
            return np.concatenate([one_hot[value][:n] for value, n in zip(tree[copy, 0], [2, 3, 4], strict=True)])
    return tree[copy, 0].ravel().astype(np.float32)


def first(tree):
    if isinstance(tree, dict):
        return {key: first(part) for key, part in tree.items()}
    if isinstance(tree, tuple):
        return tuple(first(part) for part in tree)
    return tree[0, 0]


@pytest.mark.parametrize("start", [0, -1, 5])
def test_a_choice_that_has_not_come_is_seen_as_zeros(start):
    venv = scripted(2, star(command_space=Discrete(3, start=start)))
    assert venv.reset()["agent"][:, :, 4:].tolist() == [[[0, 0, 0]] * 2] * 2
    venv.decide(commands(venv, start), np.array([True, False]))
    assert venv.observe("agent")[:, :, 4:].tolist() == [[[1, 0, 0]] * 2, [[0, 0, 0]] * 2]
