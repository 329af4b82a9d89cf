"""Peers in their own processes, which stand still while others are timed."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.peers import HERE, PEERS, Peer

ROOT = Path(__file__).parents[2]
VENVS = ROOT / ".venv-peers"
START_TIMEOUT = 120.0  # s
RUN_TIMEOUT = 120.0  # s


class PeerError(Exception):
    """A peer that is not there, or does not run."""


class PeerProcess:
    """A peer in a process group of its own, which stands still unless it runs.

    Some peers' workers wait by spinning, and would take the cores from whoever is timed.

    Args:
        peer: Which one.
        task: Name of the task.
        copies: How many copies of its environment.
        steps: Steps of each copy in a run.
        venvs: The folder of the peers' virtual environments.

    Attributes:
        steps: Steps of each copy in a run.
        described: Names and versions of what it runs on.

    Raises:
        PeerError: If it is not installed.
    """

    def __init__(self, peer: Peer, task: str, copies: int, steps: int, venvs: Path) -> None:
        job = {
            "task": task,
            "copies": copies,
            "steps": steps,
            "module": peer.module,
            "packages": peer.packages,
            "options": peer.options,
        }
        home, python = ROOT, Path(sys.executable)
        if peer.venv != HERE:
            home = venvs.absolute() / peer.venv
            python = home / "bin" / "python"
        if not python.exists():
            raise PeerError(f"not installed: there is no virtual environment {peer.venv!r}; try make bench-peers")
        self.steps = steps
        self.described = ""
        self._process = subprocess.Popen(  # noqa: S603 -- our own command
            [str(python), "-m", "benchmarks.peers.host", json.dumps(job)],
            cwd=home,  # PufferLib leaves a link in the folder where it is imported
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def await_start(self) -> None:
        """Wait until it is ready, and make it stand still.

        Raises:
            PeerError: If it does not get ready.
        """
        answer = self._answer(START_TIMEOUT)
        if "error" in answer:
            raise PeerError(f"not installed or not working: {answer['error']}")
        self.described = ", ".join(f"{package} {version}" for package, version in answer["versions"].items())
        self._signal(signal.SIGSTOP)

    def run(self) -> float:
        """Let it step, and return how long it took, in s.

        Raises:
            PeerError: If it died or hangs.
        """
        self._signal(signal.SIGCONT)
        stdin = self._process.stdin
        if stdin is not None:
            stdin.write("run\n")
            stdin.flush()
        seconds = float(self._answer(RUN_TIMEOUT)["seconds"])
        self._signal(signal.SIGSTOP)
        return seconds

    def close(self) -> None:
        """End the process and all that it started."""
        self._signal(signal.SIGKILL)
        self._process.communicate()

    def _answer(self, timeout: float) -> dict[str, Any]:
        stdout = self._process.stdout
        if stdout is None or not select.select([stdout], [], [], timeout)[0]:
            raise PeerError(f"gave no answer in {timeout:.0f} s")
        line = stdout.readline()
        if not line:
            raise PeerError("its process died")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it has ended already
            os.killpg(self._process.pid, number)


@contextmanager
def started(
    task: str, copies: int, steps: int, venvs: Path, peers: tuple[Peer, ...] = PEERS
) -> Iterator[tuple[dict[Peer, PeerProcess], dict[Peer, str]]]:
    """Those peers that run, and why the others do not."""
    starting: dict[Peer, PeerProcess] = {}
    running: dict[Peer, PeerProcess] = {}
    missing: dict[Peer, str] = {}
    try:
        for peer in peers:
            with _noted(missing, peer):
                starting[peer] = PeerProcess(peer, task, copies, max(1, steps // peer.patience), venvs)
        for peer, process in starting.items():
            with _noted(missing, peer):
                process.await_start()
                running[peer] = process
        yield running, missing
    finally:
        for process in starting.values():
            process.close()


@contextmanager
def _noted(missing: dict[Peer, str], peer: Peer) -> Iterator[None]:
    try:
        yield
    except PeerError as error:
        missing[peer] = str(error)
