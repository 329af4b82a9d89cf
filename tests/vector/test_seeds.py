"""Whole runs with automatic resets, equal to the bit for every backend and view."""

from functools import cache
from itertools import product

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import heron
from heron import Hierarchy
from heron.batch.array_tree import map_arrays
from heron.wrappers import GymVectorEnv
from heron.wrappers.sb3 import Sb3VecEnv

from ..wrappers.small_envs import Life, Scripted

SEED, COPIES, STEPS = 40, 3, 90
GOAL = Box(-1, 1, (2,), np.float32)


def lake():
    """Draws at each step, not only at resets, and soon ends at random."""
    return gymnasium.make("FrozenLake-v1", max_episode_steps=15)


def troop():
    """Several agents, of which one leaves early; all draw from the stream of the episode at each step."""
    return Scripted({"a": Life(), "b": Life(leaves=3)}, 7)


SOURCES = {
    "loop": lambda count, tree: heron.make_vec(lake, count, tree),
    "process": lambda count, tree: heron.make_vec(lake, count, tree, backend="process", num_workers=1),
    "sync": lambda count, tree: heron.make_vec(SyncVectorEnv([lake] * count), None, tree),
    "async": lambda count, tree: heron.make_vec(AsyncVectorEnv([lake] * count), None, tree),
    "agents": lambda count, tree: heron.make_vec(troop, count, tree),
}


def star(agents):
    return Hierarchy.star(agents, period=3, command_space=GOAL)


def commands(seen):
    """Return the command of a coordinator of one or two agents, as a function of its observation."""
    size = 2 if seen.shape[1] != 2 * 6 else 4  # each of two agents tells four numbers, a reward and an age
    return np.cos(seen.sum(axis=1, keepdims=True) + np.arange(size)).astype(np.float32)


SETTINGS = {
    "flat": (None, {}),
    "field": (star, {"learn": "field", "policies": {"coordinator": commands}}),
    "coordinator": (star, {"learn": "coordinator", "policies": {"field": 1}}),
}
VIEWS = {
    "gym_next": GymVectorEnv,
    "gym_same": lambda venv, **roles: GymVectorEnv(venv, autoreset_mode=AutoresetMode.SAME_STEP, **roles),
    "sb3": Sb3VecEnv,
}


class Run:
    """A view with a deterministic learner, and the history of each copy."""

    def __init__(self, source, setting="flat", view="sb3", count=COPIES):
        tree, roles = SETTINGS[setting]
        self.view = VIEWS[view](SOURCES[source](count, tree), **roles)
        self.group = self.view.learner.group
        self.width = self.group.num_agents
        self.seen = [[] for _ in range(count)]
        self.ends = np.zeros(count, int)
        self.time = 0

    def reset(self, seed=None):
        if isinstance(self.view, GymVectorEnv):
            self.note(self.view.reset(seed=seed)[0])
        else:
            if seed is not None:
                self.view.seed(seed)
            self.note(self.view.reset())
        return self

    def play(self, steps=STEPS):
        for _ in range(steps):
            self.time += 1
            space = self.group.action_space
            one = self.time * 7 // 3 % 4 if space.shape == () else np.full(space.shape, np.sin(self.time), space.dtype)
            observations, rewards, *flags, _ = self.view.step(np.array([one] * self.width * len(self.seen)))
            self.note(observations, rewards, *flags)
            self.ends += np.any(flags, axis=0).reshape(len(self.seen), -1).any(axis=1)
        return self

    def note(self, *shown):
        for copy, seen in enumerate(self.seen):
            rows = slice(copy * self.width, (copy + 1) * self.width)
            seen.append([map_arrays(lambda array, rows=rows: array[rows].tobytes(), tree) for tree in shown])

    def close(self):
        self.view.close()
        return self


@cache
def played(source, setting="flat", view="sb3", *, seed=SEED, count=COPIES):
    return Run(source, setting, view, count).reset(seed).play().close()


@pytest.mark.parametrize(
    ("source", "setting"), [*product(["loop", "sync", "async", "agents"], SETTINGS), ("process", "field")]
)
def test_the_same_run_twice_is_equal(source, setting):
    one, other = played(source, setting), Run(source, setting).reset(SEED).play().close()
    assert one.ends.min() >= 3
    assert one.seen == other.seen


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_runs_do_not_depend_on_what_steps_the_copies(setting, view):
    loop = played("loop", setting, view)
    assert loop.ends.min() >= 3
    sources = {"process", "sync", "async"}
    if view != "sb3":
        sources -= {"process"}  # to be quick
    for source in sources:
        assert played(source, setting, view).seen == loop.seen, source


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("source", ["loop", "agents"])
def test_each_copy_is_what_it_would_be_alone(source, setting, view):
    """No two copies draw from one stream, in later episodes as well."""
    together = played(source, setting, view)
    assert len({str(seen) for seen in together.seen}) == COPIES
    for copy in range(COPIES):
        alone = played(source, setting, view, seed=SEED + copy, count=1)
        assert together.seen[copy] == alone.seen[0]


@pytest.mark.parametrize("source", ["process", "async"])
def test_each_copy_is_what_it_would_be_alone_in_processes(source):
    together = played(source)
    for copy in range(COPIES):
        assert together.seen[copy] == played("loop", seed=SEED + copy, count=1).seen[0]


@pytest.mark.parametrize(
    ("source", "setting"),
    [*product(["loop", "sync", "agents"], ["flat", "field"]), ("process", "field"), ("async", "flat")],
)
def test_partial_reset_touches_no_other_stream(source, setting):
    quiet, disturbed = (Run(source, setting, "gym_same").reset(SEED).play(20) for _ in range(2))
    slots = np.repeat(np.arange(COPIES) == 1, disturbed.width)
    seeds = np.where(slots, 7, None).tolist()
    disturbed.view.reset(seed=seeds, options={"reset_mask": slots})
    for run in (quiet, disturbed):
        run.play().close()
    assert [disturbed.seen[copy] for copy in (0, 2)] == [quiet.seen[copy] for copy in (0, 2)]
    assert disturbed.seen[1] != quiet.seen[1]
    alone = Run("agents" if source == "agents" else "loop", setting, "gym_same", count=1)
    alone.time = 20
    assert disturbed.seen[1][21:] == alone.reset(7).play().close().seen[0][1:]


@pytest.mark.parametrize("source", SOURCES)
def test_reset_without_a_seed_lets_each_stream_go_on(source):
    run = Run(source).reset(SEED).play(4).reset()
    begun = len(run.seen[0])
    run.play(12).close()
    for copy in range(COPIES):
        env = Run("agents" if source == "agents" else "loop", count=1).reset(SEED + copy).play(4).reset()
        assert run.seen[copy][begun:] == env.play(12).close().seen[0][begun:]
    again = Run(source).reset(SEED).play(4).reset(SEED).play(12).close()
    assert again.seen[0][begun:] != run.seen[0][begun:]


@pytest.mark.parametrize("view", VIEWS)
def test_another_seed_gives_another_run(view):
    assert played("loop", view=view).seen[0] != played("loop", view=view, seed=SEED + COPIES).seen[0]


def test_seeds_of_the_views_are_those_of_gymnasium():
    """Equal to the bit, with episodes that Gymnasium's own vector environment starts automatically."""
    theirs = SyncVectorEnv([lake] * COPIES)
    ours = Run("loop", view="gym_next").reset(SEED)
    observations, _ = theirs.reset(seed=SEED)
    expected = [observations]
    for time in range(1, STEPS + 1):
        observations, *_ = theirs.step(np.full(COPIES, time * 7 // 3 % 4))
        expected.append(observations)
    ours.play()
    for copy in range(COPIES):
        assert [seen[0] for seen in ours.seen[copy]] == [row[copy : copy + 1].tobytes() for row in expected]
