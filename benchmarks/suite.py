"""All tables, by name, and the sizes that they are measured with."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from benchmarks import backends, memory, messaging, plain, stepping, training
from benchmarks.results import Row, Table, rows_of
from benchmarks.tasks import BARE, Task, simple_spread, trivial
from benchmarks.timing import Run, Timing, time_interleaved

Label = TypeVar("Label")
Progress = Callable[[int, int], None]
"""Called with the number of finished runs of a group of contenders and their total."""


@dataclass(frozen=True)
class Sizes:
    """Amount of work; a round steps each copy ``steps`` times."""

    rounds: int = 7
    steps: int = 50
    cpu_time: bool = False  # count the time of this process alone, for machines with other work
    spread_copies: int = 16
    trivial_copies: tuple[int, ...] = (16, 64)
    plain_copies: tuple[int, ...] = (1, 16, 64)
    messages: int = 10_000
    lane_trips: int = 1_000
    rollout: int = 64  # steps of each copy in a rollout of PPO
    batches: tuple[int, ...] = (64, 256, 1024)
    training_rounds: int = 5
    copies: tuple[int, ...] = (1, 4, 16, 64, 256, 1024, 4096)
    agents: tuple[int, ...] = (1, 4, 16, 64, 256)
    agent_steps: int = 16_384  # of a round of the curves
    scaling_rounds: int = 5
    backend_cases: int = len(backends.CASES)
    memory_copies: int = 4_096
    leak_steps: int = 1_000_000  # agent steps


QUICK = Sizes(rounds=15, steps=25, batches=(256,), training_rounds=3, cpu_time=True)
QUICK_TABLES = ("stack", "single", "plain", "training")
"""The essential rows in under a minute, in CPU time, to run after a change."""
SMOKE = Sizes(
    rounds=2,
    steps=3,
    spread_copies=3,
    trivial_copies=(3,),
    plain_copies=(2,),
    messages=10,
    lane_trips=1,
    rollout=2,
    batches=(6,),
    training_rounds=2,
    copies=(1, 2),
    agents=(1, 2),
    agent_steps=16,
    scaling_rounds=2,
    backend_cases=1,
    memory_copies=2,
    leak_steps=1,
)
"""Just enough to see that everything runs."""


@dataclass(frozen=True)
class Suite:
    """Sizes, and the way to time contenders.

    Attributes:
        sizes: Amount of work.
        progress: Called after each run.
    """

    sizes: Sizes
    progress: Progress = lambda _done, _of: None

    def time(self, contenders: Mapping[Label, Run], rounds: int | None = None) -> dict[Label, Timing]:
        """Time contenders side by side."""
        rounds = rounds or self.sizes.rounds
        runs, done = len(contenders) * (rounds + 1), 0

        def tick() -> None:
            nonlocal done
            done += 1
            self.progress(done, runs)

        clock = time.process_time if self.sizes.cpu_time else time.perf_counter
        return time_interleaved(contenders, rounds, tick, clock)


def stepping_table(suite: Suite) -> Table:
    """Measure HERON layer by layer on an environment of ordinary cost."""
    return _layers(suite, "stepping", simple_spread(suite.sizes.spread_copies))


def trivial_table(suite: Suite) -> Table:
    """Measure HERON layer by layer on an environment that does nothing."""
    return _layers(suite, "trivial", trivial(suite.sizes.trivial_copies[-1]))


def stack_table(suite: Suite) -> Table:
    """Measure the wrappers that the trainer puts around the SB3 view."""
    sizes, rows = suite.sizes, []
    for task in (*map(trivial, sizes.trivial_copies), simple_spread(sizes.spread_copies)):
        with stepping.stacks(task, sizes.steps) as runs:
            timings = suite.time(runs)
        rows += _beside_the_view(timings, rows_of(timings, sizes.steps * task.copies, task.described))
    return Table("stack", "The trainer's stack against the SB3 view", "env step", tuple(rows))


def single_table(suite: Suite) -> Table:
    """Measure the fixed cost of a step, which a single copy pays alone."""
    task, steps = trivial(1), 10 * suite.sizes.steps
    with stepping.fixed_costs(task, steps) as runs:
        rows = rows_of(suite.time(runs), steps, f"{task.title}, {task.agents} agents")
    with plain.fixed_costs(steps) as runs:
        rows += rows_of(suite.time(runs), steps, plain.ENV_ID)
    return Table("single", "One copy", "env step", tuple(rows))


def plain_table(suite: Suite) -> Table:
    """Measure plain Gymnasium environments in HERON's views and in known vector envs."""
    sizes, rows = suite.sizes, []
    most = max(sizes.plain_copies)
    cases = [("Gymnasium", plain.GYM, copies) for copies in sizes.plain_copies]
    for library, makers, copies in (*cases, ("SB3", plain.SB3, sizes.spread_copies)):
        steps = max(sizes.steps * most // copies, 1)  # rounds of similar length
        with plain.rivals(makers, copies, steps) as runs:
            rows += rows_of(suite.time(runs), steps * copies, f"{library}, {_counted(copies, 'copy', 'copies')}")
    return Table("plain", f"Plain copies of {plain.ENV_ID}", "env step", tuple(rows))


def singles_table(suite: Suite) -> Table:
    """Measure messages one by one, against the least that Python can do."""
    count = suite.sizes.messages
    rows = rows_of(suite.time(messaging.singles(count)), count)
    return Table("singles", "Messages one by one", "message", tuple(rows))


def lanes_table(suite: Suite) -> Table:
    """Measure messages as arrays."""
    rows, trips = [], suite.sizes.lane_trips
    for (routes, values), timing in suite.time(messaging.lanes(trips)).items():
        trip = timing.median / trips
        extra = {"million messages/s": routes / trip / 1e6}
        rows.append(Row("", f"{routes} rows x {values} float32", trip, timing.spread, extra=extra))
    return Table("lanes", "Lanes of the in-memory broker", "round trip", tuple(rows))


def wrapped_table(suite: Suite) -> Table:
    """Measure brokers that wrap a broker and forward everything."""
    rows, count = [], suite.sizes.lane_trips
    for group, runs in messaging.wrapped(count).items():
        rows += rows_of(suite.time(runs), count, group)
    return Table("wrapped", "Brokers around a broker", "round trip", tuple(rows))


def clearing_table(suite: Suite) -> Table:
    """Measure the clearing of one environment of many."""
    timings = messaging.clearing(suite.sizes.rounds)
    rows = [Row("", label, timing.median, timing.spread) for label, timing in timings.items()]
    return Table("clearing", f"Clearing one of {len(messaging.ENV_IDS):,} environments", "environment", tuple(rows))


def memory_table(suite: Suite) -> Table:
    """Measure the memory of many copies."""
    copies, rows = suite.sizes.memory_copies, []
    for label, (seconds, held) in memory.sizes(copies).items():
        extra = {"s to make": seconds, "MB": held / 1e6}
        rows.append(Row("", label, extra=extra))
    return Table("memory", f"Memory of {copies:,} copies of a trivial environment with 8 agents", "", tuple(rows))


def leak_table(suite: Suite) -> Table:
    """Measure the memory that a long run leaves behind."""
    steps = suite.sizes.leak_steps
    row = Row("", f"{steps:,} agent steps of {memory.LEAK_COPIES} copies", extra={"bytes": memory.growth(steps)})
    return Table("leak", "Memory left behind by a long run", "", (row,))


def training_table(suite: Suite) -> Table:
    """Measure PPO, by batch size."""
    torch.set_num_threads(1)  # small networks lose by more, and spinning threads by any other work on the machine
    sizes, rows = suite.sizes, []
    task = simple_spread(sizes.spread_copies)
    steps = sizes.rollout * task.copies
    for batch in sizes.batches:
        models = training.contenders(task, sizes.rollout, batch)
        timings = suite.time({label: model.run for label, model in models.items()}, sizes.training_rounds)
        for row in rows_of(timings, steps, f"batch size {batch}"):
            frames = {"agent steps/s": task.agents * steps / timings[row.label].median}
            rows.append(replace(row, extra=frames | models[row.label].shares()))
            models[row.label].close()
    return Table("training", f"PPO on {task.title}, {task.copies} copies", "env step", tuple(rows))


def backends_table(suite: Suite) -> Table:
    """Measure ``backend="auto"`` against the loop."""
    rows: list[Row] = []
    for name, copies, steps in backends.CASES[: suite.sizes.backend_cases]:
        with backends.contenders(name, copies, steps) as (runs, reason):
            timings = suite.time(runs, suite.sizes.scaling_rounds)
        loop, auto = rows_of(timings, steps * copies, f"{name}, {copies} copies")
        rows += [loop, replace(auto, note=reason)]
    return Table("backends", 'backend="auto" against the loop', "env step", tuple(rows))


def copies_table(suite: Suite) -> Table:
    """Measure the cost of a step against the number of copies."""
    tasks = {_counted(copies, "copy", "copies"): trivial(copies) for copies in suite.sizes.copies}
    return _curve(suite, "copies", "Copies of a trivial environment with 8 agents", tasks)


def agents_table(suite: Suite) -> Table:
    """Measure the cost of a step against the number of agents."""
    tasks = {_counted(agents, "agent", "agents"): trivial(16, agents) for agents in suite.sizes.agents}
    return _curve(suite, "agents", "Agents of a trivial environment, 16 copies", tasks)


TABLES: dict[str, Callable[[Suite], Table]] = {
    "stepping": stepping_table,
    "trivial": trivial_table,
    "stack": stack_table,
    "single": single_table,
    "plain": plain_table,
    "training": training_table,
    "singles": singles_table,
    "lanes": lanes_table,
    "wrapped": wrapped_table,
    "clearing": clearing_table,
    "memory": memory_table,
    "leak": leak_table,
    "backends": backends_table,
    "copies": copies_table,
    "agents": agents_table,
}


def _layers(suite: Suite, name: str, task: Task) -> Table:
    steps = suite.sizes.steps
    with stepping.layers(task, steps) as (runs, notes):
        timings = suite.time(runs)
    rows = _beside_the_view(timings, rows_of(timings, steps * task.copies))
    noted = tuple(replace(row, note=notes.get(row.label, "")) for row in rows)
    return Table(name, f"Stepping {task.described}", "env step", noted)


def _beside_the_view(timings: Mapping[str, Timing], rows: list[Row]) -> list[Row]:
    """Add the time of the trainer's stack relative to the view alone."""
    speed, _ = timings[stepping.STACK].speed_against(timings[stepping.VIEW])
    return [replace(row, extra={"x view": 1 / speed}) if row.label == stepping.STACK else row for row in rows]


def _curve(suite: Suite, name: str, title: str, tasks: Mapping[str, Task]) -> Table:
    rows = []
    for group, task in tasks.items():
        steps = min(max(suite.sizes.agent_steps // (task.copies * task.agents), 8), 400)  # rounds of similar length
        with stepping.clocked(task, steps) as (runs, messages_share):
            timings = suite.time(runs, suite.sizes.scaling_rounds)
        for row in rows_of(timings, steps * task.copies, group):
            extra = {"env steps/s": 1 / row.seconds} if row.seconds else {}
            rows.append(replace(row, extra=extra | ({"messages, %": messages_share()} if row.label != BARE else {})))
    return Table(name, title, "env step", tuple(rows))


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
