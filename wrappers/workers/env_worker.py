"""A worker process: it steps its shard of the copies when the driver says so, and does nothing else."""

import os
import pickle
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from multiprocessing import connection, parent_process
from typing import Any

import cloudpickle

from heron.batch.batch_env import AgentGroup, BatchEnv
from heron.batch.space_fit import space_difference
from heron.errors import ConfigurationError
from heron.wrappers.workers.shared_arrays import Memory, SharedArrays
from heron.wrappers.workers.worker_channel import (
    ANSWER,
    CALL,
    CLOSE,
    DONE,
    NOTHING_TO_ADD,
    RESET,
    STEP,
    Answer,
    Channel,
    Failure,
    Infos,
    pack,
)

ShardMaker = Callable[[], BatchEnv]
"""Makes the copies of one shard."""

_GLANCE_AT_DRIVER = 1.0  # s
_GRACE = 2.0  # s


@dataclass(frozen=True)
class Job:
    """What a worker needs to know.

    Attributes:
        make_shard: Makes its copies.
        env_ids: Their names.
        rows: Their places in the shared arrays.
        groups: The groups of the driver's own copies, which its copies must have, too.
        num_envs: Number of copies in the shared arrays.
    """

    make_shard: ShardMaker
    env_ids: tuple[str, ...]
    rows: slice
    groups: Mapping[str, AgentGroup]
    num_envs: int


class Shard:
    """Some of the copies, with their part of the shared arrays.

    Args:
        env: The copies. The shard owns them from now on.
        arrays: Their part of the shared arrays.
    """

    def __init__(self, env: BatchEnv, arrays: SharedArrays) -> None:
        self.env = env
        self._arrays = arrays
        self._must_copy = not env.use_states(arrays.states)

    def step(self) -> None:
        """Step the copies in the shared mask with the shared actions; errors are those of the environment."""
        try:
            self.env.step(self._arrays.actions, self._arrays.mask)
        finally:
            self._show()

    def reset(self, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None) -> None:
        """Reset the copies in the shared mask; errors are those of the environment."""
        try:
            self.env.reset(self._arrays.mask, seeds, options)
        finally:
            self._show()

    def infos(self) -> dict[int, Infos]:
        """Row -> infos that are not empty, of the copies in the shared mask."""
        masked = self._arrays.mask.tolist()  # a list, because few copies are faster done in Python
        return {row: infos for row, infos in enumerate(self.env.infos) if infos and masked[row]}

    def _show(self) -> None:
        if self._must_copy:
            self._arrays.copy_states(self.env.states)


def run_worker(
    own_end: socket.socket, memory: Memory, pickled_job: bytes, inherited: Sequence[socket.socket] = ()
) -> None:
    """Serve the driver until it says that it is enough, or is gone.

    Args:
        own_end: The connection to the driver.
        memory: The shared arrays.
        pickled_job: A ``Job``.
        inherited: The driver's ends of connections, which a forked process has, but should not.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the driver decides what it means
    threading.Thread(target=_exit_with_driver, args=(os.getppid(),), daemon=True).start()
    for end in inherited:
        end.close()
    channel = Channel(own_end)
    with suppress(EOFError, ConnectionError):  # the driver is gone
        try:
            job: Job = cloudpickle.loads(pickled_job)
            shard = _make_shard(job, memory)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the driver has to know
            channel.send(ANSWER, _pack_answer(Answer(failure=Failure.of(error))))
        else:
            channel.send(DONE)
            _serve(channel, shard)
    channel.close()


def _exit_with_driver(parent: int) -> None:
    """End this process some time after the driver has ended, however busy the environment is."""
    driver = parent_process()
    if driver is None:
        return
    # A forked process may hold the other end of its own sentinel, by way of a sibling; its parent's id tells as well.
    while not connection.wait([driver.sentinel], _GLANCE_AT_DRIVER) and os.getppid() == parent:
        pass
    time.sleep(_GRACE)
    os._exit(1)


def _make_shard(job: Job, memory: Memory) -> Shard:
    env = job.make_shard()
    try:
        check_shard(env, job.env_ids, job.groups)
        return Shard(env, SharedArrays.within(memory, job.groups, job.num_envs).rows(job.rows))
    except BaseException:
        env.close()
        raise


def check_shard(env: BatchEnv, env_ids: Sequence[str], groups: Mapping[str, AgentGroup]) -> None:
    """Check that a shard has these copies, with the same agents and spaces as all others.

    Raises:
        ConfigurationError: If it has not.
    """
    if tuple(env.env_ids) != tuple(env_ids):
        raise ConfigurationError(f"expected a shard with the copies {list(env_ids)}, got {list(env.env_ids)}")
    for name, kind in product(groups.keys() & env.groups.keys(), ("observation_space", "action_space")):
        own, expected = getattr(env.groups[name], kind), getattr(groups[name], kind)
        if differs := space_difference(own, expected):
            raise ConfigurationError(
                f"{env_ids[0]}: the {kind} of group {name!r} is {own}, but that of the first copy is {expected}: "
                f"{differs}"
            )
    if dict(env.groups) != dict(groups):
        raise ConfigurationError(
            f"{env_ids[0]} has groups {list(env.groups.values())}, but the first copy has {list(groups.values())}"
        )


def _serve(channel: Channel, shard: Shard) -> None:
    try:
        while (message := channel.receive())[0] != CLOSE:
            answer = _answer(shard, *message)
            if answer is NOTHING_TO_ADD:
                channel.send(DONE)
            else:
                channel.send(ANSWER, _pack_answer(answer))
    finally:
        answer = _attempt(shard.env.close)
        with suppress(OSError):
            channel.send(ANSWER, _pack_answer(answer))


def _answer(shard: Shard, kind: bytes, body: bytes) -> Answer:
    """Do what a message says."""
    if kind == CALL:
        name, args, kwargs = pickle.loads(body)  # noqa: S301 -- pickled by the driver
        return _attempt(lambda: getattr(shard.env, name)(*args, **kwargs))
    if kind == STEP:
        done = _attempt(shard.step)
    elif kind == RESET:
        seeds, options = pickle.loads(body)  # noqa: S301 -- pickled by the driver
        done = _attempt(lambda: shard.reset(seeds, options))
    else:
        raise AssertionError(f"the driver sent {kind!r}")
    infos = shard.infos()
    return Answer(infos=infos, failure=done.failure) if infos or done.failure else NOTHING_TO_ADD


def _attempt(act: Callable[[], Any]) -> Answer:
    try:
        value = act()
    except Exception as error:  # noqa: BLE001 -- raised again by the driver
        return Answer(failure=Failure.of(error))
    return NOTHING_TO_ADD if value is None else Answer(value)


def _pack_answer(answer: Answer) -> bytes:
    try:
        return pack(answer)
    except Exception as error:  # noqa: BLE001 -- raised again by the driver
        what = f"infos {dict(answer.infos)}" if answer.infos else f"{answer.value!r}"
        failure = ConfigurationError(f"{what} cannot be sent from a worker process ({type(error).__name__}: {error})")
        return pack(Answer(failure=Failure.of(failure)))
