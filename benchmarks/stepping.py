"""What HERON adds to an environment's own cost, layer by layer."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
from gymnasium.spaces import Box

import heron
from benchmarks.bare import bare_loop, packing_loop
from benchmarks.messages_off import HandOverBroker
from benchmarks.tasks import Actions, Task
from heron.batch.batch_env import BatchEnv
from heron.messaging import MessageBroker
from heron.play.policies import RandomPolicy
from heron.wrappers import LoopEnv, ProcessEnv
from heron.wrappers.sb3 import Sb3VecEnv
from heron.wrappers.workers.backend import Backend

Run = Callable[[], None]
AUTO = 'heron backend="auto" + hierarchy + SB3 view'


@contextmanager
def contenders(task: Task, steps: int) -> Iterator[tuple[dict[str, Run], dict[str, str]]]:
    """Label -> a function that steps all copies ``steps`` times, resetting where episodes end; and remarks on some."""
    actions = task.actions(steps)
    factories = [task.make] * task.copies
    with ExitStack() as open_envs:

        def batch(env: BatchEnv) -> Run:
            open_envs.callback(env.close)
            return batch_steps(env, actions)

        def view(backend: Backend = "loop", workers: int | None = None, broker: MessageBroker | None = None) -> Run:
            return view_steps(open_envs.enter_context(hierarchy(task, backend, workers, broker)), actions)

        auto = open_envs.enter_context(hierarchy(task, "auto"))
        runs = {
            "bare loop": bare_loop(task, steps),
            "bare loop + packing": packing_loop(task, steps),
            "heron LoopEnv": batch(LoopEnv(factories)),
            "heron flat": flat_steps(open_envs.enter_context(heron.make_vec(task.make, task.copies)), actions),
            "heron hierarchy": hierarchy_steps(open_envs.enter_context(hierarchy(task)), actions),
            "heron hierarchy + SB3 view": view(),
            "... messages off": view(broker=HandOverBroker()),
            "heron ProcessEnv, 1 worker": batch(ProcessEnv(factories, num_workers=1)),
            "heron ProcessEnv, 2 workers": batch(ProcessEnv(factories, num_workers=2)),
            "heron processes (1 worker) + hierarchy + SB3 view": view("process", 1),
            AUTO: view_steps(auto, actions),
        }
        yield runs, {AUTO: auto.batch_env.remark.removeprefix('backend="auto" chose ')}


def hierarchy(
    task: Task, backend: Backend = "loop", workers: int | None = None, broker: MessageBroker | None = None
) -> heron.HierarchicalVectorEnv:
    """One coordinator over all agents of each copy, which commands them every 5 steps."""
    space = Box(-1.0, 1.0, (2,), dtype=np.float32)
    return heron.make_vec(
        task.make,
        task.copies,
        lambda ids: heron.Hierarchy.star(ids, period=5, command_space=space),
        broker,
        backend=backend,
        num_workers=workers,
    )


def batch_steps(env: BatchEnv, actions: Actions) -> Run:
    """Step a batch without a hierarchy or a view."""
    (group,) = env.groups

    def run() -> None:
        env.reset(seeds=range(env.num_envs))
        for row in actions:
            env.step({group: row})
            if not env.running.all():
                env.reset(~env.running)

    return run


def flat_steps(venv: heron.HierarchicalVectorEnv, actions: Actions) -> Run:
    """Step a vector env without a hierarchy."""
    (group,) = venv.groups

    def run() -> None:
        venv.reset(seed=0)
        for row in actions:
            venv.advance({group: row})
            if not venv.running.all():
                venv.reset_envs(~venv.running)

    return run


def hierarchy_steps(venv: heron.HierarchicalVectorEnv, actions: Actions) -> Run:
    """Step a vector env whose coordinators command at random."""
    (field,) = [group.name for group in venv.field_groups]
    goals = RandomPolicy(venv.groups["coordinator"].action_space, 0)

    def run() -> None:
        venv.reset(seed=0)
        for row in actions:
            if venv.due("coordinator").any():
                commands = goals(venv.observe("coordinator")[:, 0])
                venv.decide({"coordinator": commands[:, None]})
            venv.observe(field)
            venv.advance({field: row})
            if not venv.running.all():
                venv.reset_envs(~venv.running)

    return run


def view_steps(venv: heron.HierarchicalVectorEnv, actions: Actions) -> Run:
    """Step the SB3 view of the field agents, whose coordinators command at random."""
    view = Sb3VecEnv(venv, "field", {"coordinator": RandomPolicy(venv.groups["coordinator"].action_space, 0)})

    def run() -> None:
        view.seed(0)
        view.reset()
        for row in actions:
            view.step(row.ravel())

    return run
