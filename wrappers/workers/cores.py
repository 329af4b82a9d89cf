"""Number of processors that this process may use."""

import os
from contextlib import suppress
from math import ceil
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Return the number of cores that this process may run on, within the quota of its container."""
    # os.process_cpu_count() is new in Python 3.13, and not every platform has affinity.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no control groups, or "max" for no quota
        quota, period = _QUOTA.read_text().split()
        cores = min(cores, ceil(int(quota) / int(period)))
    return cores
