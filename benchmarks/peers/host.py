"""The process in which a peer runs: it steps when it is told to, and says how long that took.

Run as ``python -m benchmarks.peers.host`` with one argument, a ``Job`` as JSON. Answers are lines of JSON.
"""

import json
import os
import sys
import time
import warnings
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any, TextIO

from benchmarks.tasks import TASKS


@dataclass(frozen=True)
class Job:
    """What to run.

    Attributes:
        task: Name of a task.
        copies: How many copies of its environment.
        steps: Steps of each copy in a run.
        module: The peer's module.
        packages: The packages whose versions to tell.
        options: Further arguments of the module's ``make``.
    """

    task: str
    copies: int
    steps: int
    module: str
    packages: list[str]
    options: dict[str, int]


def main() -> None:
    """Set the peer up, then run it for each line that comes."""
    answers = _own_output()
    warnings.simplefilter("ignore")  # of other libraries' own making
    job = Job(**json.loads(sys.argv[1]))
    try:
        task = TASKS[job.task](job.copies)
        module = import_module(f"benchmarks.peers.{job.module}")
        run = module.make(task, task.actions(job.steps), **job.options)
    except Exception as error:  # noqa: BLE001 -- whatever keeps a peer from running is told of in the table
        _say(answers, {"error": f"{type(error).__name__}: {error}"})
        return
    _say(answers, {"versions": {package: version(package) for package in job.packages}})
    for _ in sys.stdin:
        start = time.perf_counter()
        own = run()
        passed = time.perf_counter() - start
        _say(answers, {"seconds": passed if own is None else own})


def _own_output() -> TextIO:
    """The standard output, which nobody else can write to from now on."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
