"""Timing of contenders side by side, so that a noisy machine disturbs all of them alike."""

import gc
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

Run = Callable[[], float | None]
"""One run of a contender. A run that takes its own time returns it, in s."""
Label = TypeVar("Label")


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
        """Return the speed relative to a reference, and its spread.

        Each round is compared with the reference's round beside it, because both have seen the same machine.

        Args:
            reference: The contender to compare with.
            work: Work of one round relative to a round of the reference.
        """
        ratios = [work * other / own for other, own in zip(reference.rounds, self.rounds, strict=True)]
        return statistics.median(ratios), _spread(ratios)


def time_interleaved(
    contenders: Mapping[Label, Run],
    rounds: int,
    tick: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Label, Timing]:
    """Run every contender once a round, in turn, after one round to warm up.

    Args:
        contenders: Label -> run.
        rounds: Number of rounds that count, at least 2.
        tick: Called after each run.
        clock: Time in s. ``time.process_time`` leaves out the time of other processes on a busy machine.
    """
    seconds: dict[Label, list[float]] = {label: [] for label in contenders}
    with _old_objects_frozen():
        for round_ in range(rounds + 1):
            for label, run in contenders.items():
                start = clock()
                own = run()
                passed = clock() - start
                if round_:
                    seconds[label].append(passed if own is None else own)
                tick()
    return {label: Timing(tuple(values)) for label, values in seconds.items()}


class Stopwatch:
    """Total time spent in some functions, including the functions that they call.

    Attributes:
        seconds: Label -> time, in s.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, owner: Any, method: str, label: str) -> None:
        """Time a method of one object from now on."""
        setattr(owner, method, self.timed(getattr(owner, method), label))

    def timed(self, function: Callable[..., Any], label: str) -> Callable[..., Any]:
        """Return the same function, timed."""
        seconds = self.seconds

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[label] += time.perf_counter() - start

        return timed


@contextmanager
def _old_objects_frozen() -> Iterator[None]:
    """Keep the garbage collector from walking through the set-up of other contenders."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _spread(values: Sequence[float]) -> float:
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / 2 / middle
