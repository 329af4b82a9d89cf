"""How copies are shared out over processes, and what may travel to them."""

import multiprocessing
from itertools import pairwise
from typing import Literal, get_args

import cloudpickle
import numpy as np

from heron.errors import ConfigurationError
from heron.wrappers.cores import usable_cores

StartMethod = Literal["forkserver", "spawn", "fork"]


def split_rows(num_rows: int, parts: int) -> list[slice]:
    """Neighbouring rows, shared out evenly; the last parts get one more where it does not come out even.

    >>> split_rows(5, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    """
    bounds = [num_rows * part // parts for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def check_picklable(thing: object, what: str) -> None:
    """Check that something can be sent to a worker process.

    Raises:
        ConfigurationError: If it cannot be pickled, even with cloudpickle.
    """
    try:
        cloudpickle.dumps(thing)
    except Exception as error:
        raise ConfigurationError(
            f"{what} cannot be sent to a worker process: pickling it raised {type(error).__name__}: {error}. Let it "
            "open files, sockets, locks and simulators when it is called instead of referring to ones that are open "
            "already, or use LoopEnv"
        ) from error


def checked_num_workers(num_envs: int, num_workers: int | None, start_method: str, timeout: float) -> int:
    """The number of workers.

    Raises:
        ConfigurationError: If an option does not fit.
    """
    if num_workers is None:
        num_workers = min(usable_cores(), num_envs) - 1
    if not isinstance(num_workers, int) or not 0 <= num_workers < num_envs:
        raise ConfigurationError(
            f"num_workers must be from 0 to {num_envs - 1}, for this process steps a share of the {num_envs} copies "
            f"itself; got {num_workers!r}"
        )
    if start_method not in get_args(StartMethod) or start_method not in multiprocessing.get_all_start_methods():
        raise ConfigurationError(f"start_method must be one of {get_args(StartMethod)}, got {start_method!r}")
    if not timeout > 0 or not np.isfinite(timeout):
        raise ConfigurationError(f"timeout must be a positive number of seconds, got {timeout!r}")
    if num_workers and multiprocessing.current_process().daemon:
        raise ConfigurationError("a daemonic process, such as a worker itself, cannot start workers: use LoopEnv")
    return num_workers


def packed(value: object, what: str) -> bytes:
    """Pickle something for a worker.

    Raises:
        ConfigurationError: If it cannot be pickled; ``what`` says what it was.
    """
    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        summary = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"{what} cannot be sent to a worker process: {summary}") from error
