"""Timing contenders side by side, so that a noisy machine disturbs all of them alike."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True)
class Timing:
    """Seconds of one contender's rounds."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median of the rounds, in s."""
        return statistics.median(self.rounds)

    @property
    def spread(self) -> float:
        """Half the interquartile range, relative to the median."""
        return _spread(self.rounds)

    def speed_against(self, reference: "Timing", work: float = 1.0) -> tuple[float, float]:
        """How many times as fast as a reference this is, and the spread of that.

        Each round is compared with the reference's round beside it, since both have seen the same machine.

        Args:
            reference: What to compare with.
            work: How many times as much as the reference a round does.
        """
        ratios = [work * own / mine for own, mine in zip(reference.rounds, self.rounds, strict=True)]
        return statistics.median(ratios), _spread(ratios)


Label = TypeVar("Label")


def time_interleaved(
    contenders: Mapping[Label, Callable[[], float | None]],
    rounds: int,
    tick: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Label, Timing]:
    """Run every contender once a round, in turn, after one round to warm up.

    Args:
        contenders: Label -> what to time. What takes its own time returns it, in s.
        rounds: How many rounds count; at least 2.
        tick: Called after each run.
        clock: Time in s. ``time.process_time`` leaves out what other processes of a busy machine take.
    """
    seconds: dict[Label, list[float]] = {label: [] for label in contenders}
    with _old_objects_left_alone():
        for round_ in range(rounds + 1):
            for label, run in contenders.items():
                start = clock()
                own = run()
                passed = clock() - start
                if round_:
                    seconds[label].append(passed if own is None else own)
                tick()
    return {label: Timing(tuple(values)) for label, values in seconds.items()}


@contextmanager
def _old_objects_left_alone() -> Iterator[None]:
    """Spare everybody the garbage collector's walks through what was set up for others."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _spread(values: Sequence[float]) -> float:
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / 2 / middle
