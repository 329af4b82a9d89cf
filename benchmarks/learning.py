"""Learning of an environment, compared with random actions."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from benchmarks.results import Row, Table
from heron.play.policies import ModelPolicy, PolicyLike
from heron.training import Evaluation, HierarchyTrainer, LearnerConfig, evaluate, random_policies
from heron.wrappers import HierarchicalVectorEnv
from heron.wrappers.sb3 import Sb3VecEnv, SlotMonitor, SlotNormalize, SlotRecorder, buffer_options

EVALUATION_SEED = 10_000

OnProgress = Callable[[int, int], None]
"""Called with the environment steps taken so far and their total."""
Policies = Mapping[str, PolicyLike]
Train = Callable[[HierarchicalVectorEnv, int, int, OnProgress], Policies]
"""Takes environment steps over all copies, from a seed; returns the learned policies by group."""


@dataclass(frozen=True)
class Task:
    """One environment to learn.

    Attributes:
        name: Name on the command line.
        family: Origin of the environment.
        env: Name in the table.
        make: Makes the copies to learn on.
        train: Trains on them.
        learner: Name of the learner in the table.
        steps: Environment steps over all copies.
        episodes: Episodes of random and of learned policies, from the same seeds.
        scored: Groups whose returns count; all field agents by default.
        make_evaluated: Makes the copies to evaluate on, if not ``make``.
    """

    name: str
    family: str
    env: str
    make: Callable[[], HierarchicalVectorEnv]
    train: Train
    steps: int
    learner: str = "PPO"
    episodes: int = 100
    scored: Sequence[str] | None = None
    make_evaluated: Callable[[], HierarchicalVectorEnv] | None = None


def compared(task: Task, factor: float, episodes: int | None, seed: int, on_progress: OnProgress) -> Row:
    """Learn a task, and return the mean returns of random and of learned policies."""
    with ExitStack() as opened:
        venv = opened.enter_context(task.make())
        evaluated = venv if task.make_evaluated is None else opened.enter_context(task.make_evaluated())
        start = time.perf_counter()
        learned = task.train(venv, max(int(task.steps * factor), 1), seed, on_progress)
        seconds = time.perf_counter() - start
        scores = {"random": random_policies(evaluated, seed), "learned": learned}
        played = {label: _play(task, evaluated, found, episodes) for label, found in scores.items()}
        extra: dict[str, float] = {"env steps": venv.total_steps, "s": seconds}
        for label, one in played.items():
            extra |= {label: one.mean, f"{label}, from": one.interval[0], f"{label}, to": one.interval[1]}
    better = played["learned"].interval[0] > played["random"].interval[1]
    note = f"{task.learner}, {'better' if better else 'NOT better'} than random beyond both intervals"
    return Row(task.family, task.env, extra=extra, note=note)


def learning_table(rows: Sequence[Row], conditions: str) -> Table:
    """Return the table of mean returns with their 95 % intervals."""
    return Table("learning", "Mean returns of random and learned policies", "", tuple(rows), conditions)


def through_view(
    algorithm: type[OnPolicyAlgorithm | MaskablePPO] = PPO,
    policy: str = "MlpPolicy",
    gamma: float = 0.99,
    learn: str | None = None,
    **options: Any,
) -> Train:
    """Train one group with SB3 on the view, against random actions of all others.

    Args:
        algorithm: Class of the model.
        policy: SB3's name of the network.
        gamma: Discount.
        learn: The group; the first by default.
        options: Other arguments of the model.
    """

    def train(venv: HierarchicalVectorEnv, steps: int, seed: int, on_progress: OnProgress) -> Policies:
        group = learn or next(iter(venv.groups))
        others: dict[str, PolicyLike] = {name: p for name, p in random_policies(venv, seed).items() if name != group}
        scaled = SlotNormalize(SlotMonitor(Sb3VecEnv(venv, group, others)), norm_obs=False, gamma=gamma)
        env = SlotRecorder(scaled)
        buffer = buffer_options(env, algorithm, gamma=gamma)
        model = algorithm(policy, env, **{"device": "cpu", "seed": seed, **options, **buffer})

        def report(_locals: dict[str, Any], _globals: dict[str, Any]) -> bool:
            on_progress(venv.total_steps, steps)
            return True

        model.learn(steps * venv.groups[group].num_agents, report)
        scaled.training = False
        return {group: ModelPolicy(model, deterministic=True), **others}

    return train


def in_turns(learners: Mapping[str, LearnerConfig], rounds: int = 1) -> Train:
    """Train the groups of a hierarchy one after the other."""

    def train(venv: HierarchicalVectorEnv, steps: int, seed: int, on_progress: OnProgress) -> Policies:
        trainer = HierarchyTrainer(venv, learners, seed=seed)
        trainer.train(steps, rounds, lambda *_: on_progress(venv.total_steps, steps))
        return trainer.policies()

    return train


def _play(task: Task, venv: HierarchicalVectorEnv, policies: Policies, episodes: int | None) -> Evaluation:
    played = evaluate(venv, policies, episodes or task.episodes, EVALUATION_SEED)
    if task.scored is None:
        return played
    return replace(played, returns=sum(played.agent_returns[name].sum(axis=1) for name in task.scored))
