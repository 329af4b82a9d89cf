"""Actions of every kind reach the environment as they were chosen, through every view and from every kind of policy."""

from copy import deepcopy
from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
from gymnasium.vector import SyncVectorEnv

from heron import Hierarchy, make_vec
from heron.errors import ConfigurationError, HierarchyError
from heron.wrappers import GymEnv, GymVectorEnv, HierarchyAECEnv, HierarchyParallelEnv, RandomPolicy
from heron.wrappers.sb3 import Sb3VecEnv

from ..single_envs import Sampled
from ..small_envs import Life, Scripted

SPACES = {
    "choice": Discrete(3, start=1),
    "choices": MultiDiscrete([2, 3], start=[-1, 4]),
    "table of choices": MultiDiscrete([[2, 3], [4, 5]]),
    "bits": MultiBinary(3),
    "table of bits": MultiBinary((2, 2)),
    "image": Box(0, 255, (4, 5, 3), np.uint8),
    "whole numbers": Box(-5, 5, (2,), np.int32),
    "number": Box(-1, 1, (), np.float64),
    "matrix": Box(-1, 1, (2, 3), np.float32),
}
NO_ARRAYS = {"dict": Dict(a=Discrete(2)), "tuple": Tuple((Discrete(2), MultiBinary(2))), "text": Text(3)}


@pytest.fixture(params=SPACES.values(), ids=SPACES)
def space(request):
    """Of its own, with a seed."""
    space = deepcopy(request.param)
    space.seed(0)
    return space


def fits(space, action):
    """Whether an action is in its space; a number may come as NumPy's scalar."""
    return space.contains(np.asarray(action))


def same(received, chosen):
    """Whether what an environment received is what was chosen for it, in the space's dtype."""
    return [np.asarray(action).tobytes() for action in received] == [np.asarray(action).tobytes() for action in chosen]


def played(view_of, space, lives=None):
    """An environment that was played for an episode through a view, and the view."""
    env = Scripted(lives, 4, action_space=space)
    env._observe = lambda agents, actions: Scripted._observe(env, agents, {})
    view = view_of(make_vec([lambda: env], groups=None if lives else {"one": ["agent_0"], "two": ["agent_1"]}))
    return env, view


def test_one_agent(space):
    env, view = played(GymEnv, space, {"agent_0": Life()})
    view.reset(seed=0)
    chosen = [space.sample() for _ in range(4)]
    for action in chosen:
        view.step(action)
    assert all(fits(space, actions["agent_0"]) for actions in env.received)
    assert same([actions["agent_0"] for actions in env.received], chosen)


@pytest.mark.parametrize("kind", ["random", "constant", "function"])
def test_slots_beside_policies(space, kind):
    constant = space.sample()
    given = [space.sample() for _ in range(4)]
    queue = iter(given)
    policy = {
        "random": RandomPolicy(space, 0),
        "constant": constant,
        "function": lambda observations: np.array([next(queue) for _ in observations], space.dtype),
    }[kind]
    env, view = played(lambda venv: GymVectorEnv(venv, "one", {"two": policy}), space)
    view.action_space.seed(0)
    view.reset(seed=0)
    chosen = [view.action_space.sample() for _ in range(4)]
    for actions in chosen:
        view.step(actions)
    assert all(fits(space, action) for actions in env.received for action in actions.values())
    assert same([actions["agent_0"] for actions in env.received], [actions[0] for actions in chosen])
    others = [actions["agent_1"] for actions in env.received]
    again = RandomPolicy(space, 0)
    expected = {
        "random": lambda: [again(np.zeros((1, 4)))[0].astype(space.dtype) for _ in range(4)],
        "constant": lambda: [constant] * 4,
        "function": lambda: given,
    }
    assert same(others, expected[kind]())


@pytest.mark.parametrize("view_of", [HierarchyAECEnv, HierarchyParallelEnv])
def test_pettingzoo(space, view_of):
    env, view = played(view_of, space)
    view.reset(seed=0)
    chosen = []
    while view.agents:
        chosen.append({agent: space.sample() for agent in view.agents})
        if view_of is HierarchyParallelEnv:
            view.step(chosen[-1])
        else:
            for agent in list(view.agents):
                view.step(chosen[-1][agent])
            while view.agents and view.terminations[view.agent_selection] | view.truncations[view.agent_selection]:
                view.step(None)
    assert len(env.received) == 4
    for received, actions in zip(env.received, chosen, strict=True):
        assert same([received[agent] for agent in actions], actions.values())
        assert all(fits(space, action) for action in received.values())


def test_sb3_counts_from_zero(space):
    env, view = played(lambda venv: Sb3VecEnv(venv, "one", {"two": space.sample()}), space)
    view.action_space.seed(0)
    view.reset()
    chosen = [view.action_space.sample() for _ in range(4)]
    for action in chosen:
        view.step(np.array([action]))
    start = getattr(space, "start", 0)
    assert same(
        [actions["agent_0"] for actions in env.received], [(action + start).astype(space.dtype) for action in chosen]
    )


@pytest.mark.parametrize("space", NO_ARRAYS.values(), ids=NO_ARRAYS)
def test_actions_that_are_no_arrays_are_refused_at_once(space):
    one = partial(Sampled, action_space=space)
    for make, whose in (
        (lambda: make_vec(partial(Scripted, action_space=space), 2), r"action_space of 'agent_0', in group 'agent',"),
        (lambda: GymVectorEnv([one] * 2), r"action_space of 'agent', in group 'agent',"),
        (lambda: Sb3VecEnv([one] * 2), r"action_space of 'agent', in group 'agent',"),
        (lambda: Sb3VecEnv(SyncVectorEnv([one] * 2)), "single_action_space of SyncVectorEnv"),
    ):
        with pytest.raises(ConfigurationError, match=rf"{whose}.* is {type(space).__name__}.* must be one array"):
            make()
    with pytest.raises(HierarchyError, match="command_space of 'agent_0' must be a Box of one dimension"):
        make_vec(Scripted, 1, lambda ids: Hierarchy.star(ids, command_space=space))


@pytest.mark.parametrize("name", ["choices", "bits", "image", "whole numbers", "number", "matrix"])
def test_commands_that_cannot_be_joined_are_refused(name):
    with pytest.raises(
        HierarchyError, match=r"command_space of 'agent_0' must be a Box of one dimension.*or a Discrete"
    ):
        make_vec(Scripted, 1, lambda ids: Hierarchy.star(ids, command_space=SPACES[name]))
