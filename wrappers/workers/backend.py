"""The choice between stepping copies in this process and in several."""

import logging
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from math import ceil
from typing import Literal, get_args

from heron.batch.batch_env import BatchEnv
from heron.errors import ConfigurationError, summary
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers.sources.env_creation import EnvFactory
from heron.wrappers.sources.loop_env import LoopEnv
from heron.wrappers.workers.cores import usable_cores
from heron.wrappers.workers.process_env import ProcessEnv
from heron.wrappers.workers.process_worker import GUARD
from heron.wrappers.workers.sharding import WorkerOptions, check_picklable
from heron.wrappers.workers.trial import RandomPlay, VectorEnvMaker, global_randomness_kept, measure_step, race

Backend = Literal["auto", "loop", "process"]

# Waking workers and waiting for them, measured on two cores.
_SYNC_PER_STEP = 50e-6  # s
_SYNC_PER_WORKER = 20e-6  # s
_WORTH_A_TRIAL = 1.3
_TRIAL_SHARE = 2e-3  # s a step and process; with so much, waiting for each other no longer matters

_logger = logging.getLogger("heron")


def make_batch_env(
    factories: Sequence[EnvFactory],
    env_ids: Sequence[str] | None,
    backend: str,
    options: WorkerOptions,
    *,
    groups: Mapping[str, Sequence[str]] | None,
    validate: bool,
    vector_env: VectorEnvMaker = HierarchicalVectorEnv,
) -> BatchEnv:
    """Make copies of an environment, stepped by ``backend``; ``"auto"`` finds out which one is faster.

    Args:
        factories: One per copy.
        env_ids: Names of the copies; ``env_0``, ``env_1`` ... by default.
        backend: ``"loop"``, ``"process"`` or ``"auto"``.
        options: Options for worker processes.
        groups: Group name -> agent ids, to arrange the agents by hand.
        validate: Check every observation and reward.
        vector_env: Makes the vector env that a trial of ``"auto"`` steps.

    Raises:
        ConfigurationError: If the backend is unknown, or an option does not fit.
        EnvCreationError: If a copy could not be made.
    """
    check_backend(backend, options, len(factories))
    loop = partial(LoopEnv, groups=groups, validate=validate)
    if backend == "loop":
        return loop(factories, env_ids)
    _check_not_starting()
    processes: Callable[..., BatchEnv] = partial(ProcessEnv, groups=groups, validate=validate, **options.given())
    if backend == "process":
        return processes(factories, env_ids)
    pays, why = compare(factories, options.num_workers, loop, processes, vector_env)
    batch_env: BatchEnv | None = None
    if pays:
        try:
            batch_env = processes(factories, env_ids)
        except Exception as error:  # noqa: BLE001 -- an error of the copies themselves is raised again by the loop
            why = f"worker processes could not be started ({summary(error)})"
    chosen = "the loop" if batch_env is None else "worker processes"
    batch_env = batch_env or loop(factories, env_ids)
    batch_env.remark = f'backend="auto" chose {chosen}: {why}'
    _logger.info(batch_env.remark)
    return batch_env


def check_backend(backend: str, options: WorkerOptions, num_envs: int) -> None:
    """Check a backend and the options for worker processes.

    Raises:
        ConfigurationError: If the backend is unknown, or an option does not fit.
    """
    if backend not in get_args(Backend):
        raise ConfigurationError(f"backend must be one of {get_args(Backend)}, got {backend!r}")
    if backend == "loop" and (given := options.given()):
        raise ConfigurationError(f'only for backend="process" or "auto", but the backend is "loop": {", ".join(given)}')
    options.check(num_envs)


def _check_not_starting() -> None:
    """Stop a worker process that imports its driver's script and runs all of it again.

    It would repeat everything that the driver does, and keep the driver waiting meanwhile.
    """
    # multiprocessing itself uses this attribute for that, and has no public one.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ConfigurationError(f"a worker process that is being started ran the script that starts it. {GUARD}")


def compare(
    factories: Sequence[EnvFactory],
    num_workers: int | None,
    make_loop: Callable[[Sequence[EnvFactory]], BatchEnv],
    make_processes: Callable[..., BatchEnv],
    vector_env: VectorEnvMaker = HierarchicalVectorEnv,
) -> tuple[bool, str]:
    """Decide between the loop and worker processes; the loop wins if in doubt.

    The cost of a step is measured on a copy that is thrown away. If processes should pay by that, more copies are
    stepped both ways, under the vector env that is to run: only that shows if the other cores are free. Global
    random numbers are left as they were.

    Args:
        factories: One per copy.
        num_workers: Worker processes beside this one; None for as many as there are cores for.
        make_loop: Makes a batch of copies in this process.
        make_processes: Makes one with a number of workers, ``num_workers``.
        vector_env: Makes the vector env to be stepped.

    Returns:
        True for worker processes, and the reason.
    """
    num_envs = len(factories)
    workers = min(usable_cores(), num_envs) - 1 if num_workers is None else num_workers
    if obstacle := _obstacle(factories, workers):
        return False, obstacle
    try:
        with global_randomness_kept():
            with closing(make_loop(factories[:1])) as env:
                step, infos = measure_step(env)
            why = f"a step of one copy takes {step * 1e6:.0f} us; with worker processes {num_envs} copies are"
            expected = _expected_gain(num_envs, workers, step, infos)
            if expected < _WORTH_A_TRIAL:
                return False, f"{why} {expected:.2f} times as fast at best"
            copies = factories[: min(num_envs, (workers + 1) * ceil(_TRIAL_SHARE / step))]
            with ExitStack() as stack:
                batches = [stack.enter_context(closing(make_loop(copies)))]
                batches.append(stack.enter_context(closing(make_processes(copies, num_workers=workers))))
                gain = race(*(RandomPlay(stack.enter_context(vector_env(batch))) for batch in batches))
    except Exception as error:  # noqa: BLE001 -- whatever it is, the loop does not need worker processes
        return False, f"the cost of a step could not be measured ({summary(error)})"
    return gain.is_certain, f"{why} {gain}"


def _expected_gain(num_envs: int, workers: int, step: float, infos: float) -> float:
    """Return the speed of ``workers`` processes beside this one relative to the loop, if their cores were free."""
    largest_shard = -(-num_envs // (workers + 1))
    sent_infos = (num_envs - num_envs // (workers + 1)) * infos
    sync = _SYNC_PER_STEP + workers * _SYNC_PER_WORKER
    return num_envs * step / (largest_shard * step + sent_infos + sync)


def _obstacle(factories: Sequence[EnvFactory], workers: int) -> str:
    """Return the reason against worker processes, at any cost of a step; empty if there is no reason."""
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
