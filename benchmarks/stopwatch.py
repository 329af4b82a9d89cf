"""How much of the time goes where."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any


class Stopwatch:
    """Sums up the time that is spent in some methods, those that they call included.

    Attributes:
        seconds: What is timed -> time spent there, in s.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, owner: Any, method: str, label: str) -> None:
        """Time a method of one object from now on."""
        setattr(owner, method, self.timed(getattr(owner, method), label))

    def timed(self, function: Callable[..., Any], label: str) -> Callable[..., Any]:
        """The same function, timed."""
        seconds = self.seconds

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[label] += time.perf_counter() - start

        return timed
