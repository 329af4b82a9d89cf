"""Contenders that step copies: the bare loop, and HERON layer by layer."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

import numpy as np
from gymnasium.spaces import Box
from stable_baselines3.common.vec_env import VecEnv

import heron
from benchmarks.hand_packed import packing_loop
from benchmarks.messaging import ClockedBroker
from benchmarks.tasks import BARE, Actions, Task, bare_loop
from benchmarks.timing import Run, Stopwatch
from heron.batch.batch_env import BatchEnv
from heron.messaging import MessageBroker
from heron.play.policies import RandomPolicy
from heron.training import HierarchyTrainer
from heron.wrappers import HierarchicalVectorEnv, LoopEnv, ProcessEnv
from heron.wrappers.sb3 import Sb3VecEnv
from heron.wrappers.workers.backend import Backend

VIEW = "heron hierarchy + SB3 view"
STACK = "heron hierarchy + trainer's stack"
AUTO = 'heron backend="auto" + hierarchy + SB3 view'
CHOSE = 'backend="auto" chose '


@contextmanager
def layers(task: Task, steps: int) -> Iterator[tuple[dict[str, Run], dict[str, str]]]:
    """Give runs of ``steps`` steps of all copies, by label, and remarks on some of them."""
    actions = task.actions(steps)
    factories = [task.make] * task.copies
    with ExitStack() as opened:

        def batch(env: BatchEnv) -> Run:
            opened.callback(env.close)
            return batch_steps(env, actions)

        def venv(backend: Backend = "loop", workers: int | None = None) -> HierarchicalVectorEnv:
            return opened.enter_context(with_hierarchy(task, backend, workers))

        auto = venv("auto")
        yield (
            {
                BARE: bare_loop(task, steps),
                "bare loop + packing": packing_loop(task, steps),
                "heron LoopEnv": batch(LoopEnv(factories)),
                "heron flat": flat_steps(opened.enter_context(heron.make_vec(task.make, task.copies)), actions),
                "heron hierarchy": hierarchy_steps(venv(), actions),
                VIEW: sb3_steps(view_of(venv()), actions),
                STACK: sb3_steps(trainer_stack(venv()), actions),
                "heron ProcessEnv, 1 worker": batch(ProcessEnv(factories, num_workers=1)),
                "heron ProcessEnv, 2 workers": batch(ProcessEnv(factories, num_workers=2)),
                "heron processes (1 worker) + hierarchy + SB3 view": sb3_steps(view_of(venv("process", 1)), actions),
                AUTO: sb3_steps(view_of(auto), actions),
            },
            {AUTO: auto.batch_env.remark.removeprefix(CHOSE)},
        )


@contextmanager
def stacks(task: Task, steps: int) -> Iterator[dict[str, Run]]:
    """Give the loop, the SB3 view alone, and the trainer's stack."""
    actions = task.actions(steps)
    with with_hierarchy(task) as venv, with_hierarchy(task) as trained:
        yield {
            BARE: bare_loop(task, steps),
            VIEW: sb3_steps(view_of(venv), actions),
            STACK: sb3_steps(trainer_stack(trained), actions),
        }


@contextmanager
def fixed_costs(task: Task, steps: int) -> Iterator[dict[str, Run]]:
    """Give the same and a view without a hierarchy, for few copies, which pay the fixed cost of a step alone."""
    with heron.make_vec(task.make, task.copies) as flat, stacks(task, steps) as runs:
        yield {BARE: runs[BARE], "heron flat + SB3 view": sb3_steps(view_of(flat), task.actions(steps)), **runs}


@contextmanager
def clocked(task: Task, steps: int) -> Iterator[tuple[dict[str, Run], Callable[[], float]]]:
    """Give the loop and the SB3 view, and the share of the view's time that the broker takes, in percent."""
    watch = Stopwatch()
    with with_hierarchy(task, broker=ClockedBroker(watch)) as venv:
        stepping = watch.timed(sb3_steps(view_of(venv), task.actions(steps)), "all")
        yield (
            {BARE: bare_loop(task, steps), VIEW: stepping},
            lambda: 100 * watch.seconds["messages"] / watch.seconds["all"],
        )


def with_hierarchy(
    task: Task, backend: Backend = "loop", workers: int | None = None, broker: MessageBroker | None = None
) -> HierarchicalVectorEnv:
    """Return copies with one coordinator above all agents, which commands them every 5 steps."""
    space = Box(-1.0, 1.0, (2,), dtype=np.float32)
    return heron.make_vec(
        task.make,
        task.copies,
        lambda ids: heron.Hierarchy.star(ids, period=5, command_space=space),
        broker,
        backend=backend,
        num_workers=workers,
    )


def view_of(venv: HierarchicalVectorEnv) -> Sb3VecEnv:
    """Return the SB3 view of the field agents, with coordinators that command at random."""
    (field,) = venv.field_groups
    return Sb3VecEnv(venv, field.name, {g.name: RandomPolicy(g.action_space, 0) for g in venv.coordinator_groups})


def trainer_stack(venv: HierarchicalVectorEnv) -> VecEnv:
    """Return the environment of the field agents' model in ``heron train``: the view in its wrappers."""
    (field,) = venv.field_groups
    return cast("VecEnv", HierarchyTrainer(venv).models[field.name].get_env())


def batch_steps(env: BatchEnv, actions: Actions) -> Run:
    """Return a run over a batch, without a vector env around it."""
    (group,) = env.groups

    def run() -> None:
        env.reset(seeds=range(env.num_envs))
        for row in actions:
            env.step({group: row})
            if not env.running.all():
                env.reset(~env.running)

    return run


def flat_steps(venv: HierarchicalVectorEnv, actions: Actions) -> Run:
    """Return a run over a vector env without a hierarchy."""
    (group,) = venv.groups

    def run() -> None:
        venv.reset(seed=0)
        for row in actions:
            venv.advance({group: row})
            if not venv.running.all():
                venv.reset_envs(~venv.running)

    return run


def hierarchy_steps(venv: HierarchicalVectorEnv, actions: Actions) -> Run:
    """Return a run over a vector env whose coordinators command at random."""
    (field,) = venv.field_groups
    (above,) = venv.coordinator_groups
    policy = RandomPolicy(above.action_space, 0)

    def run() -> None:
        venv.reset(seed=0)
        for row in actions:
            if venv.due(above.name).any():
                commands = np.asarray(policy(np.asarray(venv.observe(above.name))[:, 0]))
                venv.decide({above.name: commands[:, None]})
            venv.observe(field.name)
            venv.advance({field.name: row})
            if not venv.running.all():
                venv.reset_envs(~venv.running)

    return run


def sb3_steps(view: VecEnv, actions: Actions) -> Run:
    """Return a run over any SB3 environment."""

    def run() -> None:
        view.seed(0)
        view.reset()
        for row in actions:
            view.step(row.ravel())

    return run
