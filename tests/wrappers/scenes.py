"""Environments, hierarchies and learners drawn by hypothesis, for a view and for its plain model."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete
from hypothesis import strategies as st

from heron.agents import Hierarchy
from heron.wrappers import make_vec

from .naive_copy import NaiveCopy, OneAgent, Tree
from .single_envs import ACTIONS, OBSERVATIONS, Sampled
from .small_envs import FailsOnce, Life

A, B, C = AGENTS = ("agent_0", "agent_1", "agent_2")
COMMANDS = (Box(-1, 1, (2,), np.float32), Discrete(3), Discrete(2, start=1))
SHAPES = {
    "star": {"boss_0": [A, B, C]},
    "pair": {"boss_0": [A, B], "boss_1": [C]},
    "tree": {"top_0": ["boss_0", "boss_1"], "boss_0": [A], "boss_1": [B, C]},
    "twins": {"boss_0": [A], "boss_1": [B]},
}

lives = st.builds(
    Life,
    joins=st.integers(0, 3),
    leaves=st.none() | st.integers(1, 5),
    how=st.sampled_from(["terminated", "truncated", "both", "silent"]),
    returns=st.none() | st.integers(2, 5),
)


class Fragile(Sampled):
    """An environment that raises once, at a given step."""

    fail_at = None

    def step(self, action):
        if self.fail_at == self.steps:
            self.fail_at = None
            raise RuntimeError("no power")
        return super().step(action)

    double = Sampled.twice


class Scene(NamedTuple):
    """The vector env of a view, and separate copies for the model. `learner` is one of the learning agents."""

    venv: Any
    learn: str
    policies: dict[str, Any]
    copies: list[NaiveCopy]
    discount: float

    def __repr__(self):
        lives = [(copy.env.lives, copy.env.horizon, copy.env.talkative) for copy in self.copies]
        return f"{self.learn} learn in {lives} under {self.copies[0].tree}, discount {self.discount}"


@st.composite
def casts(draw, agents):
    """Draw the lives of one copy's agents and their horizon. The first agent is present from the beginning."""
    drawn = {agent: draw(lives) for agent in agents}
    return drawn | {agents[0]: drawn[agents[0]]._replace(joins=0)}, draw(st.integers(1, 7))


def command_of(space, count, seen):
    """Return a coordinator's action, which depends only on its observation."""
    if isinstance(space, Box):
        return np.resize(seen, 2 * count).astype(np.float32) % 1
    return np.resize(seen, count).astype(int) % space.n + space.start


def act_of(seen):
    return int(abs(seen[2]) * 10 + abs(seen[-1]) * 10 + seen[0]) % 5


def in_batch(policy):
    return lambda rows: np.array([policy(row) for row in rows])


@st.composite
def trees(draw, shape):
    below = SHAPES[shape]
    period = draw(st.integers(1, 3))
    periods = dict.fromkeys(below, period) | ({"top_0": draw(st.integers(1, 4))} if "top_0" in below else {})
    return Tree(below, periods, draw(st.sampled_from(COMMANDS)))


@st.composite
def scenes(draw):
    """Draw up to three copies of scripted agents: flat, in two groups, or under coordinators."""
    shape = draw(st.sampled_from(["flat", "split", *SHAPES]))
    agents = AGENTS if shape in SHAPES and shape != "twins" else AGENTS[: draw(st.integers(1, 3))]
    agents = {"twins": (A, B), "split": AGENTS}.get(shape, agents)
    talkative = draw(st.booleans())
    drawn = draw(st.lists(casts(agents), min_size=1, max_size=3))
    factories = [partial(FailsOnce, life, horizon, talkative=talkative) for life, horizon in drawn]
    groups = {"left": [A], "right": [B, C]} if shape == "split" else None
    tree = draw(trees(shape)) if shape in SHAPES else Tree({}, {})
    learner = draw(st.sampled_from([*tree.below, A]))
    return make_scene(factories, tree, learner, groups=groups, discount=draw(st.sampled_from([1.0, 0.5])))


def make_scene(factories, tree, learner, *, discount=1.0, **options):
    """Return a vector env of these factories in which the group of `learner` learns."""
    hierarchy = None
    if tree.below:
        hierarchy = Hierarchy(tree.below, period=tree.period, command_space=tree.command)
    venv = make_vec(factories, hierarchy=hierarchy, **options)
    decide = {above: partial(command_of, tree.command, len(below)) for above, below in tree.below.items()}
    policies, by_agent, learners = {}, {}, []
    for name, group in venv.groups.items():
        if learner in group.agent_ids:
            learn, learners = name, group.agent_ids
            continue
        policy = decide.get(group.agent_ids[0], act_of)
        policies[name] = in_batch(policy)
        by_agent |= dict.fromkeys(group.agent_ids, policy)
    copies = [NaiveCopy(factory(), learners, tree, by_agent, discount) for factory in factories]
    return Scene(venv, learn, policies, copies, discount)


@st.composite
def plain_factories(draw):
    """Draw up to three Gymnasium environments of one kind."""
    observation = OBSERVATIONS[draw(st.sampled_from(list(OBSERVATIONS)))]
    action = ACTIONS[draw(st.sampled_from(list(ACTIONS)))]
    horizons = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    return [partial(Fragile, observation, action, horizon, 0.2) for horizon in horizons]


def plain_copies(factories):
    return [NaiveCopy(OneAgent(factory()), ["agent"]) for factory in factories]
