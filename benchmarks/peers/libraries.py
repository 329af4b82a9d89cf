# ruff: noqa: PLC0415 -- every library is imported in its own interpreter only
"""Other libraries that step copies of an environment.

Each function sets copies up and returns a run, which steps them once for each row of actions and resets ended episodes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers.flat_env import FlatEnv
from benchmarks.tasks import Actions, Task
from benchmarks.timing import Run

Make = Callable[[Task, Actions], Run]
HERE = ""
"""The virtual environment of the benchmarks themselves."""


@dataclass(frozen=True, eq=False)
class Peer:
    """One way to step copies without HERON.

    Attributes:
        label: Name in the tables.
        make: Sets the copies up and returns a run.
        venv: Folder of its virtual environment below that of all peers; ``HERE`` for that of the benchmarks.
        packages: Packages whose versions are reported.
        patience: Factor by which a round is shorter, for very slow ones.
    """

    label: str
    make: Make
    venv: str = HERE
    packages: tuple[str, ...] = ()
    patience: int = 1


def heron(task: Task, actions: Actions) -> Run:
    """Use a hierarchy and the SB3 view."""
    from benchmarks.stepping import sb3_steps, view_of, with_hierarchy

    return sb3_steps(view_of(with_hierarchy(task)), actions)


def supersuit(task: Task, actions: Actions, num_cpus: int) -> Run:
    """Use the bridge to SB3 as in SuperSuit's own documentation."""
    import supersuit

    one = supersuit.pettingzoo_env_to_vec_env_v1(task.make())
    view = supersuit.concat_vec_envs_v1(one, task.copies, num_cpus=num_cpus, base_class="stable_baselines3")
    return _run(view.reset, view.step, [row.ravel() for row in actions])


def pufferlib(task: Task, actions: Actions, num_workers: int) -> Run:
    """Use the serial backend, or with workers the one with processes."""
    from pufferlib import vector
    from pufferlib.emulation import PettingZooPufferEnv

    def one(buf: Any = None, seed: int = 0) -> Any:
        return PettingZooPufferEnv(env_creator=task.make, buf=buf, seed=seed)

    if num_workers:
        vec = vector.make(one, num_envs=task.copies, num_workers=num_workers, backend=vector.Multiprocessing)
    else:
        vec = vector.make(one, num_envs=task.copies, backend=vector.Serial)
    rows = actions.reshape(len(actions), -1).astype(np.int32)
    vec.reset(0)  # once: a second reset waits forever for a worker whose last step had infos

    def run() -> float:
        vec.step(rows[0])  # workers that have idled for 0.5 s sleep for up to 10 ms before they wake up
        start = time.perf_counter()
        for row in rows:
            vec.step(row)
        return time.perf_counter() - start

    return run


def agilerl(task: Task, actions: Actions) -> Run:
    """Use one process for each copy."""
    from agilerl.vector.pz_async_vec_env import AsyncPettingZooVecEnv

    vec = AsyncPettingZooVecEnv([task.make] * task.copies)
    rows = [{agent: row[:, place] for place, agent in enumerate(vec.possible_agents)} for row in actions]
    return _run(partial(vec.reset, seed=0), vec.step, rows)


def torchrl(task: Task, actions: Actions) -> Run:
    """Use the serial environment with all agents in one group, as they are in HERON."""
    import torch
    from torchrl.envs import SerialEnv
    from torchrl.envs.libs.pettingzoo import PettingZooWrapper

    group_map = {"agents": list(task.make().possible_agents)}
    env = SerialEnv(task.copies, lambda: PettingZooWrapper(task.make(), group_map=group_map))
    rows = torch.as_tensor(actions)

    def run() -> None:
        state = env.reset()
        for row in rows:
            state["agents", "action"] = row
            _, state = env.step_and_maybe_reset(state)

    return run


def gymnasium(task: Task, actions: Actions, *, processes: bool) -> Run:
    """Use Gymnasium's own vector environments, with one process for all copies or for each."""
    from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

    vec = (AsyncVectorEnv if processes else SyncVectorEnv)([partial(FlatEnv, task)] * task.copies)
    return _run(partial(vec.reset, seed=0), vec.step, list(actions))


def sb3(task: Task, actions: Actions, *, processes: bool) -> Run:
    """Use SB3's own vector environments, with one process for all copies or for each."""
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

    vec = (SubprocVecEnv if processes else DummyVecEnv)([partial(FlatEnv, task)] * task.copies)
    return _run(vec.reset, vec.step, list(actions))


def tianshou(task: Task, actions: Actions) -> Run:
    """Use one process for each copy, and reset ended episodes as Tianshou's collector does."""
    from tianshou.env import ShmemVectorEnv

    vec = ShmemVectorEnv([partial(FlatEnv, task)] * task.copies)

    def step(row: Actions) -> None:
        _, _, terminated, truncated, _ = vec.step(row)
        if (ended := np.flatnonzero(terminated | truncated)).size:
            vec.reset(ended)

    return _run(vec.reset, step, list(actions))


def _run(reset: Callable[[], Any], step: Callable[[Any], Any], rows: list[Any]) -> Run:
    def run() -> None:
        reset()
        for row in rows:
            step(row)

    return run


FLAT = "(one flat agent)"

PEERS = (
    Peer("heron hierarchy + SB3 view", heron, packages=("heron-rl",)),
    Peer("SuperSuit to SB3, 1 cpu", partial(supersuit, num_cpus=1), "common", ("supersuit",)),
    Peer("SuperSuit to SB3, 2 cpus", partial(supersuit, num_cpus=2), "common", ("supersuit",)),
    Peer("PufferLib serial", partial(pufferlib, num_workers=0), "pufferlib", ("pufferlib",)),
    Peer("PufferLib, 2 workers", partial(pufferlib, num_workers=2), "pufferlib", ("pufferlib",)),
    Peer("AgileRL async", agilerl, "agilerl", ("agilerl",)),
    Peer("TorchRL serial", torchrl, "common", ("torchrl", "tensordict"), patience=10),
    Peer(f"Gymnasium Sync {FLAT}", partial(gymnasium, processes=False), packages=("gymnasium",)),
    Peer(f"Gymnasium Async {FLAT}", partial(gymnasium, processes=True), packages=("gymnasium",)),
    Peer(f"SB3 Dummy {FLAT}", partial(sb3, processes=False), packages=("stable_baselines3",)),
    Peer(f"SB3 Subproc {FLAT}", partial(sb3, processes=True), packages=("stable_baselines3",)),
    Peer(f"Tianshou shared memory {FLAT}", tianshou, "common", ("tianshou",)),
)
