"""Whether copies are stepped in this process or in several, and why."""

import logging
import multiprocessing
import pickle
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from math import ceil
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from heron.batch.action_records import as_actions
from heron.batch.array_tree import row
from heron.batch.batch_env import BatchEnv
from heron.errors import ConfigurationError, summary
from heron.play.policies import RandomPolicy
from heron.wrappers.sources.env_creation import EnvFactory
from heron.wrappers.sources.loop_env import LoopEnv
from heron.wrappers.workers.cores import usable_cores
from heron.wrappers.workers.process_env import ProcessEnv
from heron.wrappers.workers.process_worker import GUARD
from heron.wrappers.workers.sharding import WorkerOptions, check_picklable

Backend = Literal["auto", "loop", "process"]

# Waking workers and waiting for them, measured on two cores.
_SYNC_PER_STEP = 50e-6  # s
_SYNC_PER_WORKER = 20e-6  # s
_WORTHWHILE = 1.3
_WORTHWHILE_IN_TRIAL = 1.1
_TRIAL_SHARE = 2e-3  # s a step and process; so much hides the cost of waiting for each other
_BUDGET = 0.05  # s
_TRIAL_BUDGET = 0.3  # s
_FEWEST_STEPS = 5

_logger = logging.getLogger("heron")


def make_batch_env(
    factories: Sequence[EnvFactory],
    env_ids: Sequence[str] | None,
    backend: str,
    options: WorkerOptions,
    *,
    groups: Mapping[str, Sequence[str]] | None,
    validate: bool,
) -> BatchEnv:
    """Copies of an environment, stepped as ``backend`` says; ``"auto"`` finds out what is faster.

    Raises:
        ConfigurationError: If there is no such backend, or an option does not fit.
        EnvCreationError: If a copy could not be made.
    """
    check_backend(backend, options, len(factories))
    if backend != "loop":
        _check_not_starting()

    def loop(copies: Sequence[EnvFactory], ids: Sequence[str] | None = None) -> BatchEnv:
        return LoopEnv(copies, ids, groups=groups, validate=validate)

    def processes(
        copies: Sequence[EnvFactory], workers: int | None = None, ids: Sequence[str] | None = None
    ) -> BatchEnv:
        named = options.given() if workers is None else options.given() | {"num_workers": workers}
        return ProcessEnv(copies, ids, groups=groups, validate=validate, **named)

    if backend == "loop":
        return loop(factories, env_ids)
    if backend == "process":
        return processes(factories, ids=env_ids)
    pays, why = compare(factories, options.num_workers, loop, processes)
    batch_env: BatchEnv | None = None
    if pays:
        try:
            batch_env = processes(factories, ids=env_ids)
        except Exception as error:  # noqa: BLE001 -- what the copies themselves raise, the loop raises again
            why = f"worker processes could not be started ({summary(error)})"
    chosen = "the loop" if batch_env is None else "worker processes"
    if batch_env is None:
        batch_env = loop(factories, env_ids)
    batch_env.remark = f'backend="auto" chose {chosen}: {why}'
    _logger.info(batch_env.remark)
    return batch_env


def check_backend(backend: str, options: WorkerOptions, num_envs: int) -> None:
    """Check a backend and what was said about worker processes.

    Raises:
        ConfigurationError: If there is no such backend, or an option does not fit.
    """
    if backend not in get_args(Backend):
        raise ConfigurationError(f"backend must be one of {get_args(Backend)}, got {backend!r}")
    if backend == "loop" and (given := options.given()):
        raise ConfigurationError(f'only for backend="process" or "auto", but the backend is "loop": {", ".join(given)}')
    options.check(num_envs)


def _check_not_starting() -> None:
    """Stop a worker process that runs the script of its driver again while it imports it.

    It would do all over again what the driver does, and keep the driver waiting meanwhile.
    """
    # This is how multiprocessing itself knows, without a public name.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ConfigurationError(f"a worker process that is being started ran the script that starts it. {GUARD}")


def compare(
    factories: Sequence[EnvFactory],
    num_workers: int | None,
    make_loop: Callable[[Sequence[EnvFactory]], BatchEnv],
    make_processes: Callable[[Sequence[EnvFactory], int], BatchEnv],
) -> tuple[bool, str]:
    """Whether worker processes would be faster than a loop, and why.

    What a step costs is measured on a copy that is thrown away. If processes should pay by that, a few more copies
    are stepped both ways, for nobody knows beforehand whether the other cores are free. Global random numbers are
    left as they were.

    Args:
        factories: One a copy.
        num_workers: Worker processes beside this one; None for as many as there are cores for.
        make_loop: Makes a batch of copies in this process.
        make_processes: Makes one with a number of workers.
    """
    num_envs = len(factories)
    workers = min(usable_cores(), num_envs) - 1 if num_workers is None else num_workers
    if obstacle := _obstacle(factories, workers):
        return False, obstacle
    try:
        with _global_randomness_kept():
            with closing(make_loop(factories[:1])) as env:
                step, infos = measure_step(env)
            gain = _expected_gain(num_envs, workers, step, infos)
            why = f"a step of one copy takes {step * 1e6:.0f} us; with worker processes {num_envs} copies are"
            if gain < _WORTHWHILE:
                return False, f"{why} {gain:.2f} times as fast at best"
            copies = factories[: min(num_envs, (workers + 1) * ceil(_TRIAL_SHARE / step))]
            with closing(make_loop(copies)) as loop, closing(make_processes(copies, workers)) as processes:
                gain = measure_gain(loop, processes)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the loop does not need worker processes
        return False, f"the cost of a step could not be measured ({summary(error)})"
    return gain >= _WORTHWHILE_IN_TRIAL, f"{why} {gain:.2f} times as fast in a trial"


def measure_gain(loop: BatchEnv, processes: BatchEnv) -> float:
    """How many times as fast the second is, stepped in turn with the first."""
    rounds: list[float] = []
    end = time.perf_counter() + _TRIAL_BUDGET
    first, second = _random_steps(loop), _random_steps(processes)
    next(first), next(second)  # a worker's first step warms it up
    while len(rounds) < _FEWEST_STEPS or time.perf_counter() < end:
        rounds.append(next(first) / next(second))
    return statistics.median(rounds)


def measure_step(env: BatchEnv) -> tuple[float, float]:
    """What a step costs, with random actions.

    Args:
        env: A batch of one copy, which is left in the middle of an episode.

    Returns:
        Median time of a step in s, and that of sending its infos between processes.
    """
    steps: list[float] = []
    infos: list[float] = []
    end = time.perf_counter() + _BUDGET
    seconds = _random_steps(env)
    while len(steps) < _FEWEST_STEPS or time.perf_counter() < end:
        steps.append(next(seconds))
        infos.append(_time_of_sending(env.infos[0]))
    return statistics.median(steps), statistics.median(infos)


def _random_steps(env: BatchEnv) -> Iterator[float]:
    """Step all copies with random actions, resetting where episodes end; yields the time of each step in s."""
    policies = {name: RandomPolicy(group.action_space, 0) for name, group in env.groups.items()}
    while True:
        if not env.running.all():
            env.reset(~env.running, seeds=range(env.num_envs))
        if not env.running.all():
            raise ConfigurationError("a copy has no agents after a reset")
        actions = {
            name: np.stack([_as_actions(env, name, policies[name], index) for index in range(env.num_envs)])
            for name in env.groups
        }
        start = time.perf_counter()
        env.step(actions)
        yield time.perf_counter() - start


def _as_actions(env: BatchEnv, name: str, policy: RandomPolicy, index: int) -> npt.NDArray[Any]:
    """``(M, ...)``, actions of a policy for a group in one copy."""
    group = env.groups[name]
    chosen = policy(row(env.states[name].observations, index))
    return as_actions(group.action_space, chosen, (len(group.agent_ids),))


def _expected_gain(num_envs: int, workers: int, step: float, infos: float) -> float:
    """How many times as fast ``workers`` processes beside this one would be, if their cores were free."""
    largest_shard = -(-num_envs // (workers + 1))
    sent_infos = (num_envs - num_envs // (workers + 1)) * infos
    sync = _SYNC_PER_STEP + workers * _SYNC_PER_WORKER
    return num_envs * step / (largest_shard * step + sent_infos + sync)


def _obstacle(factories: Sequence[EnvFactory], workers: int) -> str:
    """What speaks against worker processes, whatever the environment costs; empty if nothing does."""
    if len(factories) == 1:
        return "there is only one copy"
    if usable_cores() == 1:
        return "there is only one core"
    if workers < 1:
        return "num_workers is 0"
    if multiprocessing.current_process().daemon:
        return "a daemonic process cannot start others"
    try:
        for factory in {id(factory): factory for factory in factories}.values():
            check_picklable(factory, "the factory")
    except ConfigurationError as error:
        return str(error)
    return ""


def _time_of_sending(infos: Mapping[str, Any]) -> float:
    if not infos:
        return 0.0
    start = time.perf_counter()
    try:
        pickle.loads(pickle.dumps(infos))  # noqa: S301 -- pickled right here
    except Exception as error:
        raise ConfigurationError(f"its infos cannot be pickled: {error}") from error
    return time.perf_counter() - start


@contextmanager
def _global_randomness_kept() -> Iterator[None]:
    """Leave the global random number generators as they were; some environments draw from them."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
