"""Reproducibility of an environment: the same seed gives the same episode in all circumstances."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, Final

import numpy as np

from heron.testing.comparison import difference, episode_difference
from heron.testing.env.episodes import Limits, Trajectory, frozen_step, play, trajectory
from heron.testing.env.step_record import Subject
from heron.testing.env.subjects import subject_of
from heron.testing.findings import Finding, Findings, Where

_OTHER_SEEDS: Final = (101, 202, 303)
"""Offsets from the seed to other seeds."""


class SeedCheck:
    """Comparison of the same episodes in different circumstances, step by step, to the bit.

    Args:
        make: Makes a new environment.
        limits: Length of the episodes, and the seed.
        findings: Collection to add findings to.
    """

    def __init__(self, make: Callable[[], Any], limits: Limits, findings: Findings) -> None:
        self._make = make
        self._seed = limits.seed
        self._max_steps = limits.max_steps
        self._findings = findings
        self._reference: Trajectory = []

    def run(self) -> None:
        """Compare episodes; an environment that is not reproducible is not compared any further."""
        with closing(subject_of(self._make())) as subject:
            self._reference = self._trajectory(subject, self._seed)
            second = self._trajectory(subject, None)
            if self._repeats(second):
                self._compare_after_other_episodes(subject)
                self._compare_beside_another_copy()
                self._compare_with_overwritten_observations()
            self._compare_other_seeds(subject)

    def _trajectory(self, subject: Subject, seed: int | None) -> Trajectory:
        return trajectory(subject, seed, self._seed, self._max_steps)

    def _repeats(self, second: Trajectory) -> bool:
        """Compare with a new environment: the seeded episode and the one after it."""
        with closing(subject_of(self._make())) as fresh:
            fix = "draw every random number from a generator that reset(seed=...) creates anew"
            same = self._compare("the same seed gives a different episode", self._trajectory(fresh, self._seed), fix)
            fix = "let a reset without a seed continue with the existing generator"
            problem = "the episode after a seeded one is different each time"
            return same and self._compare(problem, self._trajectory(fresh, None), fix, second, seed=None)

    def _compare_after_other_episodes(self, subject: Subject) -> None:
        problem = "the episode of a seed depends on earlier episodes"
        fix = "restore in reset everything that an episode changes, before drawing random numbers"
        self._compare(problem, self._trajectory(subject, self._seed), fix)

    def _compare_beside_another_copy(self) -> None:
        """Step another copy with another seed in between."""
        with closing(subject_of(self._make())) as mine, closing(subject_of(self._make())) as other:
            beside = _endless(other, self._seed + _OTHER_SEEDS[0], self._max_steps)
            mixed = []
            for step in play(mine, self._seed, self._seed, self._max_steps):
                mixed.append(frozen_step(step))
                next(beside)
            problem = "another copy in the same process changes the episode"
            fix = "share nothing between copies: no global random numbers, no mutable class attributes"
            self._compare(problem, mixed, fix, check="copies")

    def _compare_with_overwritten_observations(self) -> None:
        overwritten = []
        with closing(subject_of(self._make())) as fresh:
            for step in play(fresh, self._seed, self._seed, self._max_steps):
                overwritten.append(frozen_step(step))
                for observation in step.observations.values():
                    _overwrite(observation)
        problem = "writing into an observation changes the episode"
        self._compare(problem, overwritten, "return a copy of the environment's own arrays", check="arrays")

    def _compare_other_seeds(self, subject: Subject) -> None:
        others = [self._trajectory(subject, self._seed + offset) for offset in _OTHER_SEEDS]
        if all(difference(self._reference, other) is None for other in others):
            detail = f"seeds {self._seed} and {[self._seed + offset for offset in _OTHER_SEEDS]}, same actions"
            self._findings.add(Finding("randomness", "every seed gives the same episode", detail, is_error=False))
            return
        first, second = (self._trajectory(subject, None) for _ in range(2))
        if difference(first, second) is None and difference(first, others[-1]) is None:
            where = Where(seed=self._seed + _OTHER_SEEDS[-1])
            fix = "make a generator in reset only if a seed is given"
            problem = "a reset without a seed replays the last seed's episode"
            self._findings.add(Finding("seeds", problem, "a learner would see one episode for ever", where, fix))

    def _compare(
        self,
        problem: str,
        got: Trajectory,
        fix: str,
        expected: Trajectory | None = None,
        *,
        check: str = "seeds",
        seed: int | None = -1,
    ) -> bool:
        """Compare an episode with the reference, and add a finding for the first step that differs."""
        expected = self._reference if expected is None else expected
        found = episode_difference(expected, got)
        if found is None:
            return True
        step, how = found
        where = Where(seed=self._seed if seed == -1 else seed, step=step)
        self._findings.add(Finding(check, problem, how, where, fix))
        return False


def _endless(subject: Subject, seed: int, max_steps: int) -> Iterator[None]:
    """Play episode after episode, one step at each ``next``."""
    while True:
        for _ in play(subject, seed, seed, max_steps):
            yield
        seed += 1


def _overwrite(observation: Any) -> None:
    """Write ones into every writable array."""
    if isinstance(observation, Mapping):
        for part in observation.values():
            _overwrite(part)
    elif isinstance(observation, (tuple, list)):
        for part in observation:
            _overwrite(part)
    elif isinstance(observation, np.ndarray) and observation.flags.writeable:
        observation[...] = 1
