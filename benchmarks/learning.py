"""Does learning work? Learn environments of all families through HERON, and compare with random actions."""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.table import Table as RichTable

from benchmarks.learning_task import Outcome, Task
from benchmarks.learning_tasks import all_tasks
from benchmarks.machine import describe_machine
from heron.console import console, progress_bar


def main(arguments: Sequence[str] | None = None) -> None:
    tasks = all_tasks()
    p = argparse.ArgumentParser()
    p.add_argument("--only", default=",".join(tasks))
    p.add_argument("--steps-factor", type=float, default=1.0)
    p.add_argument("--episodes", type=int)
    p.add_argument("--seed", type=int, default=0)
    o = p.parse_args(arguments)
    torch.set_num_threads(1)
    for name in o.only.split(","):
        t = tasks[name]
        s = time.time()
        out = t.run(int(t.steps * o.steps_factor), o.episodes or t.episodes, o.seed, lambda n: None)
        print(out, out.separated, "total", round(time.time() - s), flush=True)


if __name__ == "__main__":
    main()
