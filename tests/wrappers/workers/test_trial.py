"""The trial of ``backend="auto"``, with a clock that only the environments turn, so that every cost is known."""

from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box

from heron import Hierarchy
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers import LoopEnv
from heron.wrappers.workers import backend, trial
from heron.wrappers.workers.backend import compare
from heron.wrappers.workers.trial import Gain

from ..small_envs import Scripted

COPIES = 16
STEP = 1e-3  # s; of one copy


class FakeClock:
    """A clock that goes on when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr(trial, "clock", clock)
    monkeypatch.setattr(backend, "usable_cores", lambda: 2)
    return clock


class Costly(LoopEnv):
    """Copies whose step costs what a function says, on a fake clock."""

    def __init__(self, factories, clock, cost):
        super().__init__(factories)
        self.clock, self.cost = clock, cost

    def step(self, actions, mask=None):
        self.clock.now += self.cost(self.num_envs)
        return super().step(actions, mask)


class CostlyVenv(HierarchicalVectorEnv):
    """A vector env that costs something, too; ``decisions`` counts how often coordinators decided."""

    decisions = 0

    def __init__(self, batch_env, above):
        tree = Hierarchy.star(["agent_0", "agent_1"], period=2, command_space=Box(-1, 1, (2,), np.float32))
        super().__init__(batch_env, tree)
        self.above = above

    def advance(self, actions, mask=None):
        self.batch_env.clock.now += self.above
        return super().advance(actions, mask)

    def decide(self, actions=None, mask=None):
        type(self).decisions += 1
        super().decide(actions, mask)


def verdict(clock, speed, *, noise=0.0, above=0.0, seed=0):
    """The choice where workers step ``speed`` times as fast as the loop, with noise of its own for each step."""
    chance = np.random.default_rng(seed)

    def cost(copies, factor):
        return float(copies * STEP / factor * np.exp(noise * chance.standard_normal()))

    return compare(
        [Scripted] * COPIES,
        1,
        lambda copies: Costly(copies, clock, partial(cost, factor=1.0)),
        lambda copies, **_: Costly(copies, clock, partial(cost, factor=speed)),
        partial(CostlyVenv, above=above),
    )


@pytest.mark.parametrize(
    ("speed", "options", "pays"),
    [
        (1.7, {}, True),
        (1.7, {"noise": 0.2}, True),
        (1.2, {"noise": 0.02}, True),
        (1.05, {}, False),  # not worth it
        (0.9, {}, False),
        (1.15, {"noise": 0.5}, False),  # within the spread
        (1.7, {"above": 0.1}, False),  # with all that is above the copies, little of it is left
        (1.7, {"above": 1e-3}, True),
    ],
)
def test_workers_are_chosen_where_they_are_faster_beyond_doubt(clock, speed, options, pays):
    found, why = verdict(clock, speed, **options)
    assert found is pays
    assert "times as fast in a trial (" in why


@pytest.mark.parametrize("speed", [0.6, 0.85, 1.0])
@pytest.mark.parametrize("noise", [0.05, 0.3, 1.0])
def test_workers_that_are_no_faster_are_never_chosen(clock, speed, noise):
    for seed in range(30):
        chance = np.random.default_rng(seed)

        def steps(count, cost=1e-3, chance=chance):
            seconds = float((cost * np.exp(noise * chance.standard_normal(count))).sum())
            clock.now += seconds
            return seconds

        assert not trial.race(steps, partial(steps, cost=1e-3 / speed)).is_certain


def test_the_hierarchy_is_played(clock, monkeypatch):
    monkeypatch.setattr(CostlyVenv, "decisions", 0)
    verdict(clock, 1.7)
    assert CostlyVenv.decisions > 10


def test_a_worker_that_is_late_rarely_but_by_far_counts(clock):
    """As on a machine with a busy core: most steps are faster, and the whole is slower."""

    def steps(usual, rare):
        counter = iter(range(10**9))

        def play(count):
            seconds = sum(rare if next(counter) % 10 == 9 else usual for _ in range(count))
            clock.now += seconds
            return seconds

        return play

    gain = trial.race(steps(1e-3, 1e-3), steps(0.6e-3, 8e-3))
    assert gain.total == pytest.approx(1.0 / 1.34, rel=0.05)
    assert not gain.is_certain


@pytest.mark.parametrize(
    ("gain", "is_certain"),
    [(Gain(1.5, 1.4, 1.6), True), (Gain(1.05, 1.02, 1.08), False), (Gain(1.5, 0.9, 2.2), False)],
)
def test_gain_beyond_its_spread(gain, is_certain):
    assert gain.is_certain is is_certain
