"""Whether a seed says all: the same seed, the same episode, whatever else happens."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, Final

import numpy as np

from heron.testing.env.env_step import Subject
from heron.testing.env.play import Limits, Trace, play, record, trace
from heron.testing.env.subjects import subject_of
from heron.testing.findings import Finding, Findings, Where
from heron.testing.sameness import difference

_OTHER_SEEDS: Final = (101, 202, 303)
"""Added to the seed where another one is wanted."""


class SeedCheck:
    """Plays the same episodes in different circumstances and compares them, turn by turn, to the bit.

    Args:
        make: Makes a new environment.
        limits: How much to play.
        findings: Where to put what is found.
    """

    def __init__(self, make: Callable[[], Any], limits: Limits, findings: Findings) -> None:
        self._make = make
        self._seed = limits.seed
        self._max_steps = limits.max_steps
        self._findings = findings
        self._reference: Trace = []
        self._repeats = False

    def run(self) -> None:
        """Compare as much as makes sense: an environment that is not reproducible is not compared any further."""
        with closing(subject_of(self._make())) as subject:
            self._reference = self._trace(subject, self._seed)
            second = self._trace(subject, None)
            self._repeats = self._same_again(second)
            if self._repeats:
                self._leaves_no_trace(subject)
                self._stands_alone()
                self._copies_observations()
            self._depends_on_the_seed(subject)

    def _trace(self, subject: Subject, seed: int | None) -> Trace:
        return trace(subject, seed, self._seed, self._max_steps)

    def _same_again(self, second: Trace) -> bool:
        with closing(subject_of(self._make())) as fresh:
            fix = "draw every random number from a generator that reset(seed=...) makes anew"
            same = self._compare("the same seed gives another episode", self._trace(fresh, self._seed), fix)
            fix = "let a reset without a seed go on with the generator, and make no new one"
            problem = "the episode after a seeded one is another each time"
            return same and self._compare(problem, self._trace(fresh, None), fix, second, seed=None)

    def _leaves_no_trace(self, subject: Subject) -> None:
        fix = "set everything that an episode changes back in reset, before anything is drawn"
        self._compare("episodes before a seeded reset change what follows it", self._trace(subject, self._seed), fix)

    def _stands_alone(self) -> None:
        """Step another copy with another seed in between."""
        with closing(subject_of(self._make())) as mine, closing(subject_of(self._make())) as other:
            beside = _endless(other, self._seed + _OTHER_SEEDS[0], self._max_steps)
            mixed = []
            for turn in play(mine, self._seed, self._seed, self._max_steps):
                mixed.append(record(turn))
                next(beside)
            problem = "another copy in the same process changes the episode"
            fix = "share nothing between copies: no global random numbers, no mutable class attributes"
            self._compare(problem, mixed, fix, check="copies")

    def _copies_observations(self) -> None:
        """Overwrite each observation when it has been noted."""
        scribbled = []
        with closing(subject_of(self._make())) as fresh:
            for turn in play(fresh, self._seed, self._seed, self._max_steps):
                scribbled.append(record(turn))
                for observation in turn.observations.values():
                    _overwrite(observation)
        problem = "writing into an observation changes the episode"
        self._compare(problem, scribbled, "return a copy of what the environment goes on with", check="arrays")

    def _depends_on_the_seed(self, subject: Subject) -> None:
        others = [self._trace(subject, self._seed + offset) for offset in _OTHER_SEEDS]
        if all(difference(self._reference, other) is None for other in others):
            detail = f"seeds {self._seed} and {[self._seed + offset for offset in _OTHER_SEEDS]}"
            self._findings.add(
                Finding("randomness", "every seed gives the same episode", f"{detail}, same actions", is_error=False)
            )
            return
        first, second = (self._trace(subject, None) for _ in range(2))
        if difference(first, second) is None and difference(first, others[-1]) is None:
            where = Where(seed=self._seed + _OTHER_SEEDS[-1])
            fix = "make a generator in reset only if a seed is given"
            problem = "a reset without a seed replays the last seed's episode"
            self._findings.add(Finding("seeds", problem, "a learner would see one episode for ever", where, fix))

    def _compare(
        self,
        problem: str,
        got: Trace,
        fix: str,
        expected: Trace | None = None,
        *,
        check: str = "seeds",
        seed: int | None = -1,
    ) -> bool:
        """Compare an episode with the reference, and note the first turn that differs."""
        expected = self._reference if expected is None else expected
        for step, (one, other) in enumerate(zip(expected, got, strict=False)):
            if how := difference(one, other):
                where = Where(seed=self._seed if seed == -1 else seed, step=step)
                self._findings.add(Finding(check, problem, how, where, fix))
                return False
        if len(expected) != len(got):
            detail = f"it lasts {len(expected) - 1} steps, and then {len(got) - 1}"
            self._findings.add(Finding(check, problem, detail, Where(seed=self._seed), fix))
            return False
        return True


def _endless(subject: Subject, seed: int, max_steps: int) -> Iterator[None]:
    """Episode after episode, one turn at a time."""
    while True:
        for _ in play(subject, seed, seed, max_steps):
            yield
        seed += 1


def _overwrite(observation: Any) -> None:
    """Put ones into every array that can be written to."""
    if isinstance(observation, Mapping):
        for part in observation.values():
            _overwrite(part)
    elif isinstance(observation, (tuple, list)):
        for part in observation:
            _overwrite(part)
    elif isinstance(observation, np.ndarray) and observation.flags.writeable:
        observation[...] = 1
