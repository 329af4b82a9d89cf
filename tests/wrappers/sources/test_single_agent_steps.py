"""The short way through copies of one agent each, beside the way that takes any agents."""

from copy import deepcopy

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

from heron.agents import Hierarchy
from heron.batch.array_tree import equal
from heron.errors import EnvError
from heron.wrappers import HierarchicalVectorEnv, LoopEnv
from heron.wrappers.sources.gym_parallel_env import SingleAgentEnv
from heron.wrappers.sources.single_agent_steps import SingleAgentSteps

from ..single_envs import ACTIONS, OBSERVATIONS, Sampled


class Roundabout(SingleAgentEnv):
    """Takes the long way, as an environment must that has a step of its own."""

    def step(self, actions):
        return super().step(actions)


def both(*factories):
    """The same copies stepped in either way."""
    short = LoopEnv(factories)
    long = LoopEnv([lambda make=make: Roundabout(make()) for make in factories])
    assert SingleAgentSteps.fit(short.envs)
    assert not SingleAgentSteps.fit(long.envs)
    return short, long


def outcome(call, *args, **kwargs):
    """Return type, text, notes and cause of a call's error, or None."""
    try:
        call(*args, **kwargs)
    except EnvError as error:
        return type(error), str(error), getattr(error, "__notes__", []), repr(error.__cause__)
    return None


def assert_alike(short, long):
    one, other = short.states["agent"], long.states["agent"]
    for what in ("observations", "rewards", "terminated", "truncated", "active"):
        assert equal(getattr(one, what), getattr(other, what)), what
    assert [env.agents for env in short.envs] == [env.agents for env in long.envs] or not short.running.all()
    assert repr(short.infos) == repr(long.infos)


def play(short, long, steps, seed=0):
    """Step those that run, all or some, and reset the others now and then; what went wrong on the way."""
    rng = np.random.default_rng(seed)
    space = deepcopy(short.groups["agent"].action_space)
    space.seed(seed)
    seeds = list(range(short.num_envs))
    problems = [outcome(batch.reset, seeds=seeds, options={"take_notes": 1}) for batch in (short, long)]
    told = problems[:1]
    for _ in range(steps):
        assert problems[0] == problems[1]
        assert_alike(short, long)
        actions = {"agent": np.stack([[space.sample()] for _ in seeds])}
        over = ~short.running
        if over.any() and rng.random() < 0.7:
            problems = [outcome(batch.reset, over) for batch in (short, long)]
        else:
            mask = short.running & (rng.random(len(seeds)) < 0.8)
            mask = None if short.running.all() and rng.random() < 0.5 else mask
            problems = [outcome(batch.step, actions, mask) for batch in (short, long)]
        told += problems[:1]
    assert problems[0] == problems[1]
    assert_alike(short, long)
    return [problem for problem in told if problem]


@pytest.mark.parametrize("kind", OBSERVATIONS)
def test_every_kind_of_observation(kind):
    assert not play(*both(*[lambda: Sampled(deepcopy(OBSERVATIONS[kind]))] * 3), steps=40)


@pytest.mark.parametrize("kind", ACTIONS)
def test_every_kind_of_action(kind):
    short, long = both(*[lambda: Sampled(action_space=ACTIONS[kind])] * 2)
    assert not play(short, long, steps=25)
    for one, other in zip(short.envs, long.envs, strict=True):
        assert repr(one.env.received) == repr(other.env.received)


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "FrozenLake-v1"])
def test_environments_of_gymnasium(name):
    assert not play(*both(*[lambda: gymnasium.make(name, max_episode_steps=12)] * 3), steps=60)


class Faulty(Sampled):
    """Does something wrong in every third step."""

    def __init__(self, fault, kind="vector"):
        super().__init__(deepcopy(OBSERVATIONS[kind]), ends=0)
        self.fault = fault

    def step(self, action):
        results = list(super().step(action))
        return self.fault(results) if self.steps == 3 else results


def raises(results):
    raise RuntimeError("no power")


def instead(place, value):
    def fault(results):
        results[place] = value
        return results

    return fault


FAULTS = {
    "raises": (raises, "no power"),
    "short": (lambda results: results[:4], "step returned 4 values"),
    "none": (lambda results: None, "step returned None"),
    "reward": (instead(1, "much"), "expected one number"),
    "flag": (instead(2, np.zeros(2)), "ambiguous"),
    "shape": (instead(0, np.zeros(4)), "which is not in Box"),
    "single value": (instead(0, np.zeros(1)), "which is not in Box"),
    "text": (instead(0, "warm"), "which is not in Box"),
    "objects": (instead(0, np.array(["warm", 1, 2], dtype=object)), "which is not in Box"),
    "last": (lambda results: ["warm", 1.0, True, False, {}], "which is not in Box"),
    "nan seen": (instead(0, np.array([0, np.nan, 0])), "the observation of 'agent' is NaN at entries 1"),
    "nan earned": (instead(1, np.nan), "the reward of 'agent' is NaN"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_errors_and_what_they_leave_behind(fault):
    act, message = FAULTS[fault]
    told = play(*both(Sampled, lambda: Faulty(act), Sampled), steps=50)
    assert len(told) >= 2
    for _, text, *_ in told:
        assert text.startswith("env_1: ")
        assert message in text
        assert "in step 3 of the episode that began with reset(seed=1)" in text


def test_a_part_of_a_dict_is_missing():
    (_, text, *_), *_ = play(*both(lambda: Faulty(instead(0, {"x": np.zeros(2, np.float32)}), "dict")), steps=20)
    assert "'agent' observed {'x': array([0., 0.], dtype=float32)}, which is not in Dict" in text


class BadStart(Sampled):
    """Begins every second episode badly."""

    def __init__(self, start):
        super().__init__(ends=0.5)
        self.start = start

    def reset(self, *, seed=None, options=None):
        results = super().reset(seed=seed, options=options)
        return self.start(self, results) if len(self.resets) % 2 == 0 else results


def other_space(env, results):
    env.observation_space = Box(-1, 1, (4,))
    return results


STARTS = {
    "raises": (lambda env, results: raises(results), r"reset(seed=None) raised RuntimeError: no power"),
    "shape": (lambda env, results: (np.zeros(2), {}), "which is not in Box"),
    "nan": (lambda env, results: (np.full(3, np.nan), {}), "the observation of 'agent' is NaN"),
    "space": (other_space, "the observation_space of 'agent' has changed to Box"),
}


@pytest.mark.parametrize("start", STARTS)
def test_episodes_that_begin_badly(start):
    begin, message = STARTS[start]
    told = play(*both(Sampled, lambda: BadStart(begin)), steps=30)
    assert told
    assert all(message in text for _, text, *_ in told)


def test_an_interrupted_step_keeps_what_was_done():
    def interrupt(results):
        raise KeyboardInterrupt

    short, long = both(*[lambda fault=fault: Faulty(fault) for fault in (list, interrupt, list)])
    for batch in (short, long):
        batch.reset(seeds=[0, 1, 2])
        for _ in range(2):
            batch.step({"agent": np.ones((3, 1, 2), np.float32)})
        with pytest.raises(KeyboardInterrupt):
            batch.step({"agent": np.ones((3, 1, 2), np.float32)})
    assert_alike(short, long)
    assert short.states["agent"].rewards[:, 0].tolist() == [5.0, 4.0, 4.0]


def test_a_step_that_is_replaced_later_is_the_one_that_counts():
    short, _ = both(Sampled)
    short.reset(seeds=[0])
    short.envs[0].env.step = lambda action: (np.zeros(3), 7.0, False, False, {})
    assert short.step({"agent": np.zeros((1, 1, 2), np.float32)})["agent"].rewards.tolist() == [[7.0]]


def test_checked_copies_take_the_long_way():
    batch = LoopEnv([lambda: Faulty(instead(0, np.full(3, 9.0)))], validate=True)
    batch.reset()
    told = [outcome(batch.step, {"agent": np.zeros((1, 1, 2), np.float32)}) for _ in range(3)]
    assert told[:2] == [None, None]
    assert "which is not in Box" in told[2][1]


def test_under_a_hierarchy():
    goal = Box(-1, 1, (2,), np.float32)
    short, long = (
        HierarchicalVectorEnv(batch, Hierarchy.star(["agent"], period=2, command_space=goal))
        for batch in both(*[Sampled] * 2)
    )
    rng = np.random.default_rng(0)
    assert equal(*(venv.reset(seed=3)["coordinator"] for venv in (short, long)))
    for _ in range(30):
        commands = rng.uniform(-1, 1, (2, 1, 2)).astype(np.float32)
        seen = []
        for venv in (short, long):
            if venv.due("coordinator").any():
                venv.decide({"coordinator": commands})
            result = venv.advance({"agent": venv.observe("agent")[..., -2:].astype(np.float32)})["coordinator"]
            seen.append({"top": venv.observe("coordinator").copy(), "below": venv.observe("agent").copy(),
                         "rewards": result.rewards.copy(), "ended": result.terminated | result.truncated})  # fmt: skip
            venv.reset_envs(~venv.running)
        assert equal(*seen)
    assert short.broker.statistics().messages == long.broker.statistics().messages
