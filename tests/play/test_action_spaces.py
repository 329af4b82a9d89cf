"""Actions of every kind reach the environment as they were chosen, through every view and from every kind of policy."""

from copy import deepcopy
from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
from gymnasium.vector import SyncVectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array, iterate

from heron import Hierarchy, make_vec
from heron.batch.action_records import as_actions, is_record_space, samples_of
from heron.batch.array_tree import equal, map_arrays, rows
from heron.errors import ConfigurationError, HierarchyError
from heron.training import HierarchyTrainer
from heron.wrappers import GymEnv, GymVectorEnv, HierarchyAECEnv, HierarchyParallelEnv, RandomPolicy
from heron.wrappers.sb3 import Sb3VecEnv

from ..wrappers.single_envs import RECORDS, Sampled
from ..wrappers.small_envs import Life, Scripted

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
EVERY_SPACE = SPACES | {f"{name} of parts": space for name, space in RECORDS.items()}


@pytest.fixture(params=EVERY_SPACE.values(), ids=EVERY_SPACE)
def space(request):
    """A seeded copy of the space."""
    space = deepcopy(request.param)
    space.seed(0)
    return space


def fits(space, action):
    """Return True if an action is in its space; a number may be a NumPy scalar."""
    return space.contains(map_arrays(np.asarray, action))


def same(received, chosen):
    """Return True if an environment received the chosen actions, in the space's dtype."""
    return len(received) == len(chosen) and all(
        equal(*(map_arrays(np.asarray, action) for action in pair)) for pair in zip(received, chosen, strict=True)
    )


def stored(space, action):
    """Return an action in the dtype of its space, as the environment receives it."""
    return (
        samples_of(space, as_actions(space, action, ()))[()] if is_record_space(space) else action.astype(space.dtype)
    )


def batch(space, samples):
    return concatenate(space, samples, create_empty_array(space, len(samples)))


def played(view_of, space, lives=None):
    """Return an environment, and a view of it."""
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
        "function": lambda observations: batch(space, [next(queue) for _ in observations]),
    }[kind]
    env, view = played(lambda venv: GymVectorEnv(venv, "one", {"two": policy}), space)
    view.action_space.seed(0)
    view.reset(seed=0)
    chosen = [view.action_space.sample() for _ in range(4)]
    for actions in chosen:
        view.step(actions)
    assert all(fits(space, action) for actions in env.received for action in actions.values())
    own = [next(iter(iterate(view.action_space, actions))) for actions in chosen]
    assert same([actions["agent_0"] for actions in env.received], own)
    others = [actions["agent_1"] for actions in env.received]
    again = RandomPolicy(space, 0)
    expected = {
        "random": lambda: [stored(space, rows(again(np.zeros((1, 4))), [0])[0]) for _ in range(4)],
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
        assert same([received[agent] for agent in actions], list(actions.values()))
        assert all(fits(space, action) for action in received.values())


@pytest.mark.parametrize("name", SPACES)
def test_sb3_counts_from_zero(name):
    space = deepcopy(SPACES[name])
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


@pytest.mark.parametrize("space", RECORDS.values(), ids=RECORDS)
def test_sb3_has_no_algorithms_for_parts(space):
    made = []

    def one():
        made.append(Sampled(action_space=space))
        return made[-1]

    venv = make_vec(partial(Scripted, action_space=space), 2)
    for make, owner in (
        (lambda: Sb3VecEnv(venv), "action_space of group 'agent'"),
        (lambda: Sb3VecEnv(GymVectorEnv(venv)), "action_space of group 'agent'"),
        (lambda: Sb3VecEnv([one] * 2), "action_space of group 'agent'"),
        (lambda: Sb3VecEnv(SyncVectorEnv([partial(Sampled, action_space=space)])), "single_action_space of SyncVec"),
        (lambda: HierarchyTrainer(venv), "group 'agent': .*action_space"),
    ):
        kind = type(space).__name__
        with pytest.raises(ConfigurationError, match=rf"{owner}.* {kind}\("):
            make()
    assert [env.closed for env in made] == [1, 1]
    venv.reset()  # the caller's vector env is still open


def test_actions_that_make_no_arrays_are_refused():
    for space, path in ((Text(3), ""), (Dict(a=Tuple((Discrete(2), Text(3)))), r"\['a'\]\[1\]")):
        one = partial(Sampled, action_space=space)
        for make, agent in (
            (lambda space=space: make_vec(partial(Scripted, action_space=space), 2), "agent_0"),
            (lambda one=one: GymVectorEnv([one] * 2), "agent"),
            (lambda one=one: make_vec(SyncVectorEnv([one] * 2)), "agent"),
        ):
            with pytest.raises(ConfigurationError, match=rf"'agent': action_space of '{agent}'{path} .*Text"):
                make()


@pytest.mark.parametrize("space", [*RECORDS.values(), Text(3)], ids=[*RECORDS, "text"])
def test_commands_of_several_parts_are_refused(space):
    with pytest.raises(HierarchyError, match="command_space of 'agent_0'"):
        make_vec(Scripted, 1, lambda ids: Hierarchy.star(ids, command_space=space))


@pytest.mark.parametrize("name", ["choices", "bits", "image", "whole numbers", "number", "matrix"])
def test_commands_that_cannot_be_joined_are_refused(name):
    with pytest.raises(HierarchyError, match="command_space of 'agent_0'"):
        make_vec(Scripted, 1, lambda ids: Hierarchy.star(ids, command_space=SPACES[name]))
