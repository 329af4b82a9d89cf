"""Workers that are threads, with arrays of their own: a second transport, which shares nothing with its driver.

An actor on another machine would look the same: actions and mask travel with an order, states come back with the
answer.
"""

import queue
import threading
from copy import deepcopy
from functools import partial

import cloudpickle

from heron.batch.copy_selection import check_env_ids
from heron.wrappers import LoopEnv
from heron.wrappers.workers.batch_arrays import BatchArrays
from heron.wrappers.workers.orders import CLOSE, Answer, Failure
from heron.wrappers.workers.sharded_env import ShardedEnv
from heron.wrappers.workers.sharding import packed, split_rows
from heron.wrappers.workers.worker import Transport, Worker

GONE = object()
"""Sent by a thread that ends, and to one that shall end."""


class ThreadEnv(ShardedEnv):
    """``ProcessEnv`` with threads."""

    def __init__(
        self,
        factories,
        env_ids=None,
        *,
        groups=None,
        validate=False,
        num_workers=1,
        timeout=60.0,
        restart_workers=False,
    ):
        names = check_env_ids(env_ids, len(factories))
        makers = [
            partial(LoopEnv, list(factories[rows]), names[rows], groups=groups, validate=validate)
            for rows in split_rows(len(names), num_workers + 1)
        ]
        super().__init__(makers, names, ThreadTransport(timeout), restart_workers=restart_workers)

    @classmethod
    def of_shards(cls, make_shard, env_ids, *, num_workers=1):
        env = cls.__new__(cls)
        makers = [partial(make_shard, env_ids[rows]) for rows in split_rows(len(env_ids), num_workers + 1)]
        ShardedEnv.__init__(env, makers, tuple(env_ids), ThreadTransport(60.0))
        return env


class ThreadTransport(Transport):
    def __init__(self, timeout):
        self.timeout = timeout

    def make_worker(self, job, arrays):
        return ThreadWorker(job, arrays, self.timeout)


class ThreadWorker(Worker):
    start_advice = "It is only a thread."

    def __init__(self, job, arrays, timeout):
        super().__init__(job, timeout)
        self._pickled_job = packed(job, "the shard")  # so that nothing is shared with the driver
        self._arrays = arrays
        self._thread = None

    def kill(self):
        """Let the thread end without an answer, in the middle of anything."""
        self._orders.put(GONE)
        self._thread.join(10)

    def prepare(self, order):
        packed(
            order.arguments, f"the arguments of {order.arguments[0]}" if order.task == "call" else "seeds and options"
        )
        return order

    def _launch(self):
        self._orders, self._answers = queue.SimpleQueue(), queue.SimpleQueue()
        self._thread = threading.Thread(
            target=serve, args=(self._pickled_job, self._orders, self._answers), daemon=True
        )
        self._thread.start()

    def _send(self, order, timeout):
        if not self._thread.is_alive():
            raise ConnectionError
        self._orders.put((order, deepcopy((self._arrays.actions, self._arrays.mask))))

    def _receive(self, timeout):
        try:
            received = self._answers.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if received is GONE:
            raise EOFError
        answer, states = received
        if states is not None:
            self._arrays.copy_states(states)
        return answer

    def _hang_up(self):
        if self._thread is not None:
            self._orders.put(GONE)

    def _kill(self, patience):
        if self._thread is not None:
            self._thread.join(patience)  # one that hangs is left alone: a thread cannot be killed

    def _cause_of_loss(self):
        return "ended its thread"

    def _place(self):
        return " (thread)"


def serve(pickled_job, orders, answers):
    """Run a worker's thread."""
    try:
        job = cloudpickle.loads(pickled_job)
        arrays = BatchArrays.of(job.groups, len(job.env_ids))
        try:
            shard = job.start(arrays)
        except Exception as error:  # noqa: BLE001 -- raised again by the driver
            answers.put((Answer(failure=Failure.of(error)), None))
            return
        answers.put((Answer(), None))
        while (received := orders.get()) is not GONE:
            order, (actions, mask) = received
            arrays.mask[:] = mask
            for name, own in arrays.actions.items():
                own[:] = actions[name]
            answer = shard.answer(order)
            states = deepcopy(arrays.states) if order.task in ("step", "reset") else None
            answers.put((answer, states))
            if order == CLOSE:
                return
        shard.close()
    except SystemExit:
        pass
    finally:
        answers.put(GONE)
