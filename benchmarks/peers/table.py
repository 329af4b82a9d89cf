"""Table of other libraries beside HERON."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.peers.libraries import HERE, PEERS, Peer
from benchmarks.results import Row, Table, rows_of
from benchmarks.suite import Suite
from benchmarks.tasks import BARE, TASKS
from benchmarks.timing import Timing

ROOT = Path(__file__).parents[2]
VENVS = ROOT / ".venv-peers"
TIMEOUT = 300.0  # s


def peers_table(suite: Suite) -> Table:
    """Time all peers one after the other, each beside the bare loop; those that do not run get a remark."""
    rows = []
    for name, copies in (("simple_spread", suite.sizes.spread_copies), ("trivial", suite.sizes.trivial_copies[-1])):
        rows += [_row(suite, peer, name, copies, place) for place, peer in enumerate(PEERS)]
    return Table("peers", "Speed of other libraries relative to the bare loop", "env step", tuple(rows))


def _row(suite: Suite, peer: Peer, name: str, copies: int, place: int) -> Row:
    suite.progress(place, len(PEERS))
    group = TASKS[name](copies).described
    answer = _answer(peer, name, copies, suite.sizes.steps, suite.sizes.rounds)
    if "error" in answer:
        return Row(group, peer.label, note=answer["error"])
    timings = {label: Timing(tuple(answer["rounds"][label])) for label in (BARE, peer.label)}
    _, row = rows_of(timings, answer["steps"] * copies, group)
    return replace(row, note=answer["versions"])


def _answer(peer: Peer, *arguments: str | int) -> dict[str, Any]:
    home = ROOT if peer.venv == HERE else VENVS / peer.venv  # PufferLib leaves a link in the folder where it runs
    python = Path(sys.executable) if peer.venv == HERE else home / "bin" / "python"
    if not python.exists():
        return {"error": f"not installed: found no {python.relative_to(ROOT)}, run make bench-peers"}
    process = subprocess.Popen(  # noqa: S603 -- our own command
        [str(python), "-m", "benchmarks.peers.host", peer.label, *map(str, arguments)],
        cwd=home,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        output = ""
    finally:
        with suppress(ProcessLookupError):  # its workers, if any are left
            os.killpg(process.pid, signal.SIGKILL)
    answer: dict[str, Any] = json.loads(output) if output else {"error": f"died, or gave no answer in {TIMEOUT:.0f} s"}
    return answer
