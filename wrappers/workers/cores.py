"""How many processors there are for us."""

import os
from contextlib import suppress
from math import ceil
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Cores that this process may use: those it may run on, within the quota of its container."""
    # os.process_cpu_count() is new in Python 3.13, and affinity is not known everywhere.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no control groups, or "max" for no quota
        quota, period = _QUOTA.read_text().split()
        cores = min(cores, ceil(int(quota) / int(period)))
    return cores
