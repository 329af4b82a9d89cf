"""Program that times one peer in its own interpreter, beside the bare loop.

``python -m benchmarks.peers.host LABEL TASK COPIES STEPS ROUNDS`` prints a line of JSON.
"""

import json
import os
import sys
import warnings
from importlib.metadata import version
from typing import Any

from benchmarks.peers.libraries import PEERS
from benchmarks.tasks import BARE, TASKS, bare_loop
from benchmarks.timing import time_interleaved


def measure(label: str, task_name: str, copies: int, steps: int, rounds: int) -> dict[str, Any]:
    """Return versions, steps of a round, and seconds of all rounds of the loop and of the peer."""
    peer = next(peer for peer in PEERS if peer.label == label)
    task = TASKS[task_name](copies)
    steps = max(1, steps // peer.patience)
    runs = {BARE: bare_loop(task, steps), label: peer.make(task, task.actions(steps))}
    return {
        "versions": ", ".join(f"{package} {version(package)}" for package in peer.packages),
        "steps": steps,
        "rounds": {name: timing.rounds for name, timing in time_interleaved(runs, rounds).items()},
    }


def main(label: str, task_name: str, *counts: str) -> None:
    """Print the measurement, or the error that prevents it."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print to the standard error from now on
    warnings.simplefilter("ignore")
    copies, steps, rounds = map(int, counts)
    try:
        answer = measure(label, task_name, copies, steps, rounds)
    except Exception as error:  # noqa: BLE001 -- the table shows why a peer does not run
        answer = {"error": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
