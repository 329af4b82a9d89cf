"""Kinds of sharded environments, and environments whose workers meet with accidents."""

import multiprocessing
import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import numpy as np

from heron.batch.array_tree import map_arrays
from heron.wrappers import LoopEnv, ProcessEnv

from .. import small_envs
from ..small_envs import Scripted
from ..sources import test_loop_env
from .thread_env import ThreadEnv, ThreadWorker

# The workers cannot import the tests.
for module in (sys.modules[__name__], small_envs, test_loop_env):
    cloudpickle.register_pickle_by_value(module)
multiprocessing.set_forkserver_preload(["heron.wrappers.workers.process_env", "mpe2.simple_spread_v3"])

FIELDS = ("observations", "rewards", "terminated", "truncated", "active")
KINDS = {
    "loop": LoopEnv,
    "one worker": partial(ProcessEnv, num_workers=1),
    "two workers": partial(ProcessEnv, num_workers=2),
    "threads": partial(ThreadEnv, num_workers=2),
}


def snapshot(env):
    """Everything that an environment says, as copies."""
    states = {
        name: [map_arrays(np.copy, getattr(state, field)) for field in FIELDS] for name, state in env.states.items()
    }
    return states, [dict(infos) for infos in env.infos]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Deadly(Scripted):
    """One that takes its worker along, or never comes back, on command."""

    fate = None

    def step(self, actions):
        if self.fate == "exit":
            self.leave()
        if self.fate == "hang":
            self.hang()
        return super().step(actions)

    def reset(self, seed=None, options=None):
        if options == {"fate": "exit"}:
            self.leave()
        return super().reset(seed, options)

    def leave(self):
        if multiprocessing.parent_process() is None:  # a thread of the driver
            raise SystemExit
        os._exit(3)

    def hang(self):
        threading.Event().wait()


def kill_process(worker):
    os.kill(worker.pid, signal.SIGKILL)


MORTALS = {
    "processes": SimpleNamespace(
        make=ProcessEnv, kill=kill_process, killed="was killed by SIGKILL", died="died with exit code 3"
    ),
    "threads": SimpleNamespace(
        make=ThreadEnv, kill=ThreadWorker.kill, killed="ended its thread", died="ended its thread"
    ),
}
"""Kind of worker -> the environment, how to kill a worker, and how errors put its end."""
