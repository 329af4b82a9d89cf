"""Workers and shared memory end with their driver, in whatever way it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")

SCRIPT = """
import signal, sys, time
import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv
from heron.wrappers import ProcessEnv
from heron.wrappers.workers import backend, sharding

class Plain(ParallelEnv):
    metadata = {{"name": "plain"}}
    possible_agents = ["a"]

    def observation_space(self, agent):
        return Box(0, 1, (1000,), np.float32)

    def action_space(self, agent):
        return Discrete(2)

    def reset(self, seed=None, options=None):
        self.agents = ["a"]
        return {{"a": np.zeros(1000, np.float32)}}, {{}}

    def step(self, actions):
        if actions["a"]:
            time.sleep(1000)
        return {{"a": np.zeros(1000, np.float32)}}, {{"a": 0.0}}, {{"a": False}}, {{"a": False}}, {{}}

    def close(self):
        print("closed", flush=True)

def main():
    # A shell that ran the tests in the background has them, and all that they start, ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    {make}
    env.reset()
    calm = {{"a": np.zeros((3, 1), int)}}
    env.step(calm)
    print("ready", flush=True)
    {then}

if {guard}:
    main()
"""
PROCESS_ENV = "env = ProcessEnv([Plain] * 3, num_workers=2, start_method={!r})"
AUTO = """env = backend.make_batch_env(
        [Plain] * 3, None, "auto", sharding.WorkerOptions(2, {!r}), groups=None, validate=False
    )"""
FOREVER = "while True: env.step(calm)"


class Driver:
    """A script in a session of its own, with everything that it starts."""

    def __init__(self, folder, then="", start_method="forkserver", guard='__name__ == "__main__"', make=PROCESS_ENV):
        self.shared_before = shared_memory()
        path = folder / "driver.py"
        path.write_text(SCRIPT.format(then=then, make=make.format(start_method), guard=guard))
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_until_ready(self):
        assert self.process.stdout.readline() == "ready\n", self.process.communicate(timeout=60)[1]
        assert len(self.others()) >= 2

    def others(self):
        """Processes of the session beside the driver."""
        return [pid for pid in session_members(self.process.pid) if pid != self.process.pid]

    def end(self, seconds=30):
        """Exit code and output, when nothing of it is left."""
        output = self.process.communicate(timeout=60)
        deadline = time.monotonic() + seconds
        while self.others() or shared_memory() - self.shared_before:
            assert time.monotonic() < deadline, f"left behind: {self.others()}, {shared_memory()}"
            time.sleep(0.02)
        return self.process.returncode, *output


def session_members(session):
    members = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                members.append(int(folder.name))
    return members


def shared_memory():
    folder = Path("/dev/shm")  # noqa: S108 -- where POSIX shared memory shows
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.fixture
def drive(tmp_path):
    drivers = []

    def start(*args, **kwargs):
        drivers.append(Driver(tmp_path, *args, **kwargs))
        return drivers[-1]

    yield start
    for driver in drivers:
        for pid in session_members(driver.process.pid):
            os.kill(pid, signal.SIGKILL)
        driver.process.wait(timeout=60)
        driver.process.stdout.close()
        driver.process.stderr.close()


@pytest.mark.parametrize("then", ["env.close()", "pass"])
def test_end_with_and_without_close(drive, then):
    driver = drive(then)
    code, out, err = driver.end()
    assert (code, err) == (0, "")
    assert out.count("closed") in ({3} if then == "env.close()" else {2, 3})


def test_exception(drive):
    driver = drive("1 / 0")
    code, _, err = driver.end()
    assert code == 1
    assert err.count("Traceback") == 1
    assert "ZeroDivisionError" in err


@pytest.mark.parametrize("start_method", ["forkserver", "spawn", "fork"])
def test_ctrl_c(drive, start_method):
    driver = drive(FOREVER, start_method)
    driver.wait_until_ready()
    os.killpg(driver.process.pid, signal.SIGINT)
    code, _, err = driver.end()
    assert code == -signal.SIGINT
    assert err.count("Traceback") == 1
    assert err.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.parametrize("start_method", ["forkserver", "spawn", "fork"])
def test_killed(drive, start_method):
    driver = drive(FOREVER, start_method)
    driver.wait_until_ready()
    os.kill(driver.process.pid, signal.SIGKILL)
    code, out, _ = driver.end()
    assert code == -signal.SIGKILL
    assert out.count("closed") == 2  # the workers had the time to close their copies


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_while_a_worker_is_busy(drive, how):
    driver = drive('env.step({"a": np.array([[0], [0], [1]])})')
    driver.wait_until_ready()
    os.kill(driver.process.pid, how)
    assert driver.end()[0] == -how


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_script_without_a_guard_is_told_what_to_do(drive, start_method):
    driver = drive(FOREVER, start_method, guard="True")
    code, _, err = driver.end()
    assert code == 1
    assert 'must do so under `if __name__ == "__main__":`' in err


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_auto_in_a_script_without_a_guard_takes_the_loop_and_says_why(drive, start_method):
    costly = "backend.measure_step = lambda _: (5e-3, 0.0)\n    backend.usable_cores = lambda: 3\n    "
    driver = drive("print(env.remark, flush=True)", start_method, guard="True", make=costly + AUTO)
    code, out, err = driver.end()
    assert code == 0, err
    assert out.count("ready") == 1  # no worker has run the script as well
    assert 'backend="auto" chose the loop: ' in out
    assert 'under `if __name__ == "__main__":`' in out
