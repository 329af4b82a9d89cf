"""All tables, by name."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch

from benchmarks import backends, memory, messaging, plain, scaling, stepping, training
from benchmarks.interleaved import Timing, time_interleaved
from benchmarks.peers import remote
from benchmarks.tables import Row, Table, rows_of
from benchmarks.tasks import TASKS, Task, trivial

Label = TypeVar("Label")
Progress = Callable[[int, int], None]
"""Called with how many runs of a table are done, and how many there are so far."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        rounds: Rounds that count.
        steps: Steps of each copy in a round.
        spread_copies: Copies of ``mpe2.simple_spread_v3``.
        trivial_copies: Copies of the trivial environment.
        stack_copies: Copies of the trivial environment in the trainer's stack.
        plain_copies: Numbers of copies of a plain Gymnasium environment under Gymnasium's view.
        plain_sb3_copies: How many under SB3's.
        messages: Messages of a round.
        lane_trips: Round trips of a lane in a round.
        rollout: Steps of each copy in a rollout of PPO.
        batches: Batch sizes of PPO.
        training_rounds: Rounds of PPO that count.
        copies: Numbers of copies for the curve.
        agents: Numbers of agents for the curve.
        scaling_rounds: Rounds of the curves that count.
        cases: How many environments ``backend="auto"`` is tried on.
        memory_copies: Copies whose memory is measured.
        leak_steps: Agent steps after which is looked for what was left behind.
        cpu_time: Whether to count the time of this process alone, for machines with other work.
    """

    rounds: int = 7
    steps: int = 50
    spread_copies: int = 16
    trivial_copies: int = 64
    stack_copies: tuple[int, ...] = (16, 64)
    plain_copies: tuple[int, ...] = (1, 16, 64)
    plain_sb3_copies: int = 16
    messages: int = 10_000
    lane_trips: int = 100
    rollout: int = 64
    batches: tuple[int, ...] = (64, 256, 1024)
    training_rounds: int = 5
    copies: tuple[int, ...] = (1, 4, 16, 64, 256, 1024, 4096)
    agents: tuple[int, ...] = (1, 4, 16, 64, 256)
    scaling_rounds: int = 5
    cases: int = backends.MOST_CASES
    memory_copies: int = 4_096
    leak_steps: int = 1_000_000
    cpu_time: bool = False


SMOKE = Sizes(
    rounds=2,
    steps=3,
    spread_copies=3,
    trivial_copies=3,
    stack_copies=(3,),
    plain_copies=(1, 2),
    plain_sb3_copies=2,
    messages=10,
    lane_trips=1,
    rollout=2,
    batches=(6,),
    training_rounds=2,
    copies=(1, 2),
    agents=(1, 2),
    scaling_rounds=2,
    cases=1,
    memory_copies=2,
    leak_steps=1,
)
"""Just enough to see that everything runs."""
QUICK = Sizes(rounds=15, steps=25, batches=(256,), training_rounds=3, cpu_time=True)
QUICK_TABLES = ("stack", "single", "plain", "training")
"""The essential rows in under a minute, to run after a change, in CPU time."""


@dataclass(frozen=True)
class Suite:
    """Measures one table after the other.

    Args:
        sizes: How much is measured.
        venvs: The folder of the peers' virtual environments; None for no peers at all.
        progress: Told of each run.
    """

    sizes: Sizes
    venvs: Path | None
    progress: Progress = lambda _done, _of: None

    def measure(self, name: str) -> Table:
        """Measure one of ``TABLES``."""
        return TABLES[name](self)

    def time(
        self, contenders: Mapping[Label, Callable[[], float | None]], rounds: int, groups: int = 1, group: int = 0
    ) -> dict[Label, Timing]:
        """Time contenders, which are those of one of so many groups of a table, and tell of each run."""
        runs = len(contenders) * (rounds + 1)
        done = group * runs

        def tick() -> None:
            nonlocal done
            done += 1
            self.progress(done, groups * runs)

        clock = time.process_time if self.sizes.cpu_time else time.perf_counter
        return time_interleaved(contenders, rounds, tick, clock)


def spread_table(suite: Suite) -> Table:
    """Stepping an environment of ordinary cost."""
    return _stepping(suite, "stepping", "simple_spread", suite.sizes.spread_copies)


def trivial_table(suite: Suite) -> Table:
    """Stepping an environment that does nothing."""
    return _stepping(suite, "trivial", "trivial", suite.sizes.trivial_copies)


def stack_table(suite: Suite) -> Table:
    """The stack of wrappers that the trainer puts around the SB3 view, against the view alone."""
    sizes, rows = suite.sizes, []
    tasks = [*map(trivial, sizes.stack_copies), TASKS["simple_spread"](sizes.spread_copies)]
    for place, task in enumerate(tasks):
        with stepping.stack_contenders(task, sizes.steps) as runs:
            timings = suite.time(runs, sizes.rounds, len(tasks), place)
        group = f"{task.title}, {task.agents} agents x {task.copies} copies"
        rows += _beside_the_view(timings, rows_of(timings, dict.fromkeys(runs, sizes.steps * task.copies), group))
    return Table("stack", "The trainer's stack against the SB3 view", "env step", tuple(rows))


def single_table(suite: Suite) -> Table:
    """The fixed cost of a step, which one copy has to bear alone."""
    steps = 10 * suite.sizes.steps
    single = trivial(1)
    with stepping.single_contenders(single, steps) as runs:
        rows = rows_of(suite.time(runs, suite.sizes.rounds, 2, 0), dict.fromkeys(runs, steps), "trivial, 8 agents")
    with plain.single_contenders(steps) as runs:
        rows += rows_of(suite.time(runs, suite.sizes.rounds, 2, 1), dict.fromkeys(runs, steps), plain.ENV_ID)
    return Table("single", "One copy", "env step", tuple(rows))


def plain_table(suite: Suite) -> Table:
    """Plain Gymnasium environments under our views and under those that people know."""
    sizes, rows = suite.sizes, []
    pairs = plain.rivals(sizes.plain_copies, sizes.plain_sb3_copies, sizes.steps)
    for place, pair in enumerate(pairs):
        with pair.contenders() as runs:
            timings = suite.time(runs, sizes.rounds, len(pairs), place)
        rows += rows_of(timings, dict.fromkeys(runs, pair.steps * pair.copies), pair.group)
    return Table("plain", f"Plain copies of {plain.ENV_ID}", "env step", tuple(rows))


def singles_table(suite: Suite) -> Table:
    """Messages one by one."""
    count = suite.sizes.messages
    timings = suite.time(messaging.singles(count), suite.sizes.rounds)
    return Table("singles", "Messages one by one", "message", tuple(rows_of(timings, dict.fromkeys(timings, count))))


def lanes_table(suite: Suite) -> Table:
    """Messages as arrays."""
    trips = suite.sizes.lane_trips
    rows = []
    for (routes, values), timing in suite.time(messaging.lanes(trips), suite.sizes.rounds).items():
        trip = timing.median / trips
        extra = {"million messages/s": routes / trip / 1e6}
        rows.append(Row("", f"{routes} rows x {values} float32", trip, timing.spread, extra=extra))
    return Table("lanes", "Lanes of the in-memory broker", "round trip", tuple(rows))


def clearing_table(suite: Suite) -> Table:
    """Clearing one environment of many."""
    timings = messaging.clearing(suite.sizes.rounds)
    rows = [Row("", label, timing.median, timing.spread) for label, timing in timings.items()]
    title = f"Clearing one of {len(messaging.ENV_IDS):,} environments"
    return Table("clearing", title, "environment", tuple(rows))


def memory_table(suite: Suite) -> Table:
    """What many copies hold."""
    copies = suite.sizes.memory_copies
    rows = [
        Row(
            "",
            label,
            extra={"s to make": size.seconds, "MB resident": size.resident / 1e6, "MB traced": size.traced / 1e6},
        )
        for label, size in memory.sizes(copies).items()
    ]
    return Table("memory", f"Memory of {copies:,} copies of a trivial environment with 8 agents", "", tuple(rows))


def leak_table(suite: Suite) -> Table:
    """What a long run leaves behind."""
    steps = suite.sizes.leak_steps
    grown = memory.growth(steps)
    label = f"{steps:,} agent steps of {memory.LEAK_COPIES} copies"
    row = Row("", label, extra={"bytes resident": grown.resident, "bytes traced": grown.traced})
    return Table("leak", "What a long run leaves behind", "", (row,))


def training_table(suite: Suite) -> Table:
    """PPO, by batch size."""
    torch.set_num_threads(1)  # networks as small as these lose by more, and spinning threads by any other work
    sizes, rows = suite.sizes, []
    task = TASKS["simple_spread"](sizes.spread_copies)
    steps = sizes.rollout * task.copies
    for place, batch in enumerate(sizes.batches):
        trainings = training.contenders(task, sizes.rollout, batch)
        runs = {label: one.run for label, one in trainings.items()}
        timings = suite.time(runs, sizes.training_rounds, len(sizes.batches), place)
        for row in rows_of(timings, dict.fromkeys(runs, steps), f"batch size {batch}"):
            frames = {"agent steps/s": task.agents * steps / timings[row.label].median}
            rows.append(replace(row, extra=frames | trainings[row.label].shares()))
            trainings[row.label].close()
    return Table("training", f"PPO on {task.title}, {task.copies} copies", "env step", tuple(rows))


def backends_table(suite: Suite) -> Table:
    """``backend="auto"`` against the loop."""
    rows: list[Row] = []
    cases = backends.cases(suite.sizes.cases)
    for place, case in enumerate(cases):
        with backends.contenders(case) as (runs, reason):
            timings = suite.time(runs, suite.sizes.scaling_rounds, len(cases), place)
        loop, auto = rows_of(
            timings, dict.fromkeys(runs, case.steps * case.copies), f"{case.title}, {case.copies} copies"
        )
        rows += [loop, replace(auto, note=reason)]
    return Table("backends", 'backend="auto" against the loop', "env step", tuple(rows))


def copies_table(suite: Suite) -> Table:
    """The cost of a step against the number of copies."""
    tasks = {_counted(copies, "copy", "copies"): trivial(copies) for copies in suite.sizes.copies}
    return _scaling(suite, "copies", "Copies of a trivial environment with 8 agents", tasks)


def agents_table(suite: Suite) -> Table:
    """The cost of a step against the number of agents."""
    tasks = {_counted(agents, "agent", "agents"): trivial(16, agents) for agents in suite.sizes.agents}
    return _scaling(suite, "agents", "Agents of a trivial environment, 16 copies", tasks)


TABLES: dict[str, Callable[[Suite], Table]] = {
    "stepping": spread_table,
    "trivial": trivial_table,
    "stack": stack_table,
    "single": single_table,
    "plain": plain_table,
    "singles": singles_table,
    "lanes": lanes_table,
    "clearing": clearing_table,
    "memory": memory_table,
    "leak": leak_table,
    "training": training_table,
    "backends": backends_table,
    "copies": copies_table,
    "agents": agents_table,
}


def _stepping(suite: Suite, name: str, task_name: str, copies: int) -> Table:
    task, steps = TASKS[task_name](copies), suite.sizes.steps
    title = f"Stepping {task.title}, {task.agents} agents x {copies} copies"
    peers = () if suite.venvs is None else remote.PEERS
    with (
        remote.started(task_name, copies, steps, suite.venvs or Path(), peers) as (running, missing),
        stepping.contenders(task, steps) as (contenders, remarks),
    ):
        runs: dict[str, Callable[[], float | None]] = dict(contenders)
        runs |= {peer.label: process.run for peer, process in running.items()}
        timings = suite.time(runs, suite.sizes.rounds)
        items = dict.fromkeys(contenders, steps * copies)
        items |= {peer.label: process.steps * copies for peer, process in running.items()}
        notes = remarks | {peer.label: process.described for peer, process in running.items()}
    rows = _beside_the_view(timings, rows_of(timings, items))
    rows = [replace(row, note=notes.get(row.label, "")) for row in rows]
    rows += [Row("", peer.label, note=why) for peer, why in missing.items()]
    return Table(name, title, "env step", tuple(rows))


def _beside_the_view(timings: Mapping[str, Timing], rows: list[Row]) -> list[Row]:
    """Note at the trainer's stack how many times as long as the view alone it takes."""
    speed, _ = timings[stepping.STACK].speed_against(timings[stepping.VIEW])
    return [replace(row, extra={"x view": 1 / speed}) if row.label == stepping.STACK else row for row in rows]


def _scaling(suite: Suite, name: str, title: str, tasks: Mapping[str, Task]) -> Table:
    rows = []
    for place, (group, task) in enumerate(tasks.items()):
        steps = scaling.steps_of(task)
        with scaling.contenders(task, steps) as (runs, watch):
            timings = suite.time(runs, suite.sizes.scaling_rounds, len(tasks), place)
        for row in rows_of(timings, dict.fromkeys(runs, steps * task.copies), group):
            extra = {"env steps/s": 1 / row.seconds} if row.seconds else {}
            if row.label == scaling.HERON:
                extra["messages, %"] = scaling.messages_share(watch)
            rows.append(replace(row, extra=extra))
    return Table(name, title, "env step", tuple(rows))


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
