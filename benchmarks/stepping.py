"""What HERON adds to an environment's own cost, layer by layer."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
from gymnasium.spaces import Box
from stable_baselines3.common.vec_env import VecEnv

import heron
from benchmarks.bare import bare_loop, packing_loop
from benchmarks.messages_off import HandOverBroker
from benchmarks.tasks import Actions, Task
from heron.batch.batch_env import BatchEnv
from heron.messaging import MessageBroker
from heron.play.policies import RandomPolicy
from heron.training import HierarchyTrainer
from heron.wrappers import LoopEnv, ProcessEnv
from heron.wrappers.sb3 import Sb3VecEnv
from heron.wrappers.workers.backend import Backend

Run = Callable[[], None]
BARE = "bare loop"
VIEW = "heron hierarchy + SB3 view"
STACK = "heron hierarchy + trainer's stack"
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
            BARE: bare_loop(task, steps),
            "bare loop + packing": packing_loop(task, steps),
            "heron LoopEnv": batch(LoopEnv(factories)),
            "heron flat": flat_steps(open_envs.enter_context(heron.make_vec(task.make, task.copies)), actions),
            "heron hierarchy": hierarchy_steps(open_envs.enter_context(hierarchy(task)), actions),
            VIEW: view(),
            STACK: stack_steps(open_envs.enter_context(hierarchy(task)), actions),
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
    (field,), others = [group.name for group in venv.field_groups], venv.coordinator_groups
    policies = {group.name: RandomPolicy(group.action_space, 0) for group in others}
    return sb3_steps(Sb3VecEnv(venv, field, policies), actions)


def stack_steps(venv: heron.HierarchicalVectorEnv, actions: Actions) -> Run:
    """Step the view of the field agents in the wrappers that the trainer puts around it."""
    (field,) = [group.name for group in venv.field_groups]
    return sb3_steps(trainer_stack(venv, field), actions)


def trainer_stack(venv: heron.HierarchicalVectorEnv, group: str) -> VecEnv:
    """Return the environment of a group's SB3 model in ``heron train``: a view in its wrappers."""
    stack = HierarchyTrainer(venv).models[group].get_env()
    if stack is None:
        raise AssertionError("a trainer's models have environments")
    return stack


def sb3_steps(view: VecEnv, actions: Actions) -> Run:
    """Step any SB3 environment."""

    def run() -> None:
        view.seed(0)
        view.reset()
        for row in actions:
            view.step(row.ravel())

    return run


@contextmanager
def stack_contenders(task: Task, steps: int) -> Iterator[dict[str, Run]]:
    """Label -> a function that steps all copies: the loop, the SB3 view alone, and the trainer's stack."""
    actions = task.actions(steps)
    with hierarchy(task) as venv, hierarchy(task) as trained:
        yield {BARE: bare_loop(task, steps), VIEW: view_steps(venv, actions), STACK: stack_steps(trained, actions)}


@contextmanager
def single_contenders(task: Task, steps: int) -> Iterator[dict[str, Run]]:
    """Label -> a function that steps few copies, where the fixed cost of a step shows."""
    actions = task.actions(steps)
    with heron.make_vec(task.make, task.copies) as flat, stack_contenders(task, steps) as runs:
        yield {BARE: runs[BARE], "heron flat + SB3 view": view_steps(flat, actions), **runs}
