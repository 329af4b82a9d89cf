"""Timing contenders side by side, so that a noisy machine disturbs all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
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
        low, _, high = statistics.quantiles(self.rounds, n=4)
        return (high - low) / 2 / self.median


Label = TypeVar("Label")


def time_interleaved(contenders: Mapping[Label, Callable[[], None]], rounds: int) -> dict[Label, Timing]:
    """Run every contender once a round, in turn, after one round to warm up.

    Args:
        contenders: Label -> what to time.
        rounds: How many rounds count; at least 2.
    """
    seconds: dict[Label, list[float]] = {label: [] for label in contenders}
    for round_ in range(rounds + 1):
        for label, run in contenders.items():
            start = time.perf_counter()
            run()
            if round_:
                seconds[label].append(time.perf_counter() - start)
    return {label: Timing(tuple(values)) for label, values in seconds.items()}
