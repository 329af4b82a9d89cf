"""How the cost grows with copies and agents, and how much of it messages take."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.bare import bare_loop
from benchmarks.lane_clock import MESSAGES, ClockedBroker
from benchmarks.stepping import BARE, VIEW, hierarchy, view_steps
from benchmarks.stopwatch import Stopwatch
from benchmarks.tasks import Task

HERON = VIEW
ALL = "all"
_AGENT_STEPS = 16_384
_FEWEST_STEPS, _MOST_STEPS = 8, 400


def steps_of(task: Task) -> int:
    """Steps of each copy in a round, so that rounds of all sizes take similar time."""
    return min(max(_AGENT_STEPS // (task.copies * task.agents), _FEWEST_STEPS), _MOST_STEPS)


@contextmanager
def contenders(task: Task, steps: int) -> Iterator[tuple[dict[str, Callable[[], None]], Stopwatch]]:
    """Label -> a function that steps all copies, and where the time of HERON's goes."""
    watch = Stopwatch()
    with hierarchy(task, broker=ClockedBroker(watch)) as venv:
        stepping = watch.timed(view_steps(venv, task.actions(steps)), ALL)
        runs = {BARE: bare_loop(task, steps), HERON: stepping}
        yield runs, watch


def messages_share(watch: Stopwatch) -> float:
    """How much of HERON's time was spent in the broker, in percent."""
    return 100 * watch.seconds[MESSAGES] / watch.seconds[ALL]
