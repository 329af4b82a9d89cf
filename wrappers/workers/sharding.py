"""Options for worker processes, the split of copies into shards, and pickling for workers."""

import multiprocessing
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Literal

import cloudpickle
import numpy as np

from heron.errors import ConfigurationError, summary
from heron.wrappers.workers.cores import usable_cores

StartMethod = Literal["forkserver", "spawn", "fork"]


@dataclass(frozen=True)
class WorkerOptions:
    """Options of ``ProcessEnv``; None leaves an option at its default.

    Attributes:
        num_workers: Number of worker processes beside this one.
        start_method: Start method of the processes.
        timeout: Longest wait for a worker in s.
        restart_workers: Restart a lost worker at once.
    """

    num_workers: int | None = None
    start_method: StartMethod | None = None
    timeout: float | None = None
    restart_workers: bool | None = None

    def given(self) -> dict[str, Any]:
        """Return the options that are not None, as keywords of ``ProcessEnv``."""
        values = {option.name: getattr(self, option.name) for option in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def check(self, num_envs: int) -> None:
        """Check each option that was given.

        Raises:
            ConfigurationError: If an option is invalid.
        """
        if self.num_workers is not None:
            _check_num_workers(num_envs, self.num_workers)
        methods = multiprocessing.get_all_start_methods()
        if self.start_method is not None and self.start_method not in methods:
            raise ConfigurationError(f"start_method must be one of {methods}, got {self.start_method!r}")
        if self.timeout is not None:
            _check_timeout(self.timeout)
        if self.restart_workers not in (None, True, False):
            raise ConfigurationError(f"restart_workers must be true or false, got {self.restart_workers!r}")


def split_rows(num_rows: int, parts: int) -> list[slice]:
    """Split rows into neighbouring parts of equal size; the last parts get the remainder, one more row each.

    >>> split_rows(5, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    """
    bounds = [num_rows * part // parts for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def packed(value: object, what: str, advice: str = "") -> bytes:
    """Pickle an object for a worker process.

    Raises:
        ConfigurationError: If it cannot be pickled, even with cloudpickle; ``what`` names it in the error.
    """
    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        raise ConfigurationError(
            f"{what} cannot be sent to a worker process: pickling it raised {summary(error)}{advice}"
        ) from error


def check_picklable(function: object, what: str) -> None:
    """Check that a function can be sent to a worker process.

    Raises:
        ConfigurationError: If it cannot be pickled, even with cloudpickle.
    """
    packed(function, what, ". Open files, sockets, locks and simulators when it is called, or use LoopEnv")


def checked_num_workers(num_envs: int, num_workers: int | None, start_method: StartMethod, timeout: float) -> int:
    """Return the number of workers.

    Raises:
        ConfigurationError: If an option is invalid.
    """
    if num_workers is None:
        num_workers = min(usable_cores(), num_envs) - 1
    WorkerOptions(num_workers, start_method, timeout).check(num_envs)
    if num_workers and multiprocessing.current_process().daemon:
        raise ConfigurationError("a daemonic process, such as a worker itself, cannot start workers: use LoopEnv")
    return num_workers


def _check_num_workers(num_envs: int, num_workers: object) -> None:
    is_count = isinstance(num_workers, (int, np.integer)) and not isinstance(num_workers, bool)
    if not is_count or not 0 <= num_workers < num_envs:  # type: ignore[operator]  # it is an integer here
        raise ConfigurationError(
            f"num_workers must be from 0 to {num_envs - 1}, because this process itself steps a share of the "
            f"{num_envs} copies; got {num_workers!r}"
        )


def _check_timeout(timeout: object) -> None:
    is_number = isinstance(timeout, (int, float, np.number)) and not isinstance(timeout, bool)
    if not is_number or not timeout > 0 or not np.isfinite(timeout):  # type: ignore[operator, call-overload]  # a number
        raise ConfigurationError(f"timeout must be a positive number of seconds, got {timeout!r}")
