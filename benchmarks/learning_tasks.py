"""The environments that are learned, one or two of each family."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from sb3_contrib import MaskablePPO

import heron
from benchmarks.learning_task import InTurns, Task, ThroughView
from heron import Hierarchy
from heron.training import LearnerConfig, TrainConfig
from heron.training.config import read_toml
from heron.wrappers.sources.split_env import AgentPart, split_env

SPREAD = Path(__file__).parents[1] / "examples" / "spread.toml"
ENGINES = {"main": AgentPart(actions=[0]), "side": AgentPart(actions=[1])}
PLAYERS = {"first": ["player_0"], "second": ["player_1"]}


def all_tasks() -> dict[str, Task]:
    """Name -> task, in the order of the table."""
    return {task.name: task for task in (*_pettingzoo(), *_gymnasium(), *_hierarchies())}


def _pettingzoo() -> Iterator[Task]:
    yield Task(
        "spread",
        "mpe2",
        "simple_spread_v3, 3 agents",
        partial(heron.make_vec, "mpe2.simple_spread_v3", 16),
        ThroughView(options=_options(128, 512, learning_rate=1e-3, ent_coef=0.01), gamma=0.95),
        steps=100_000,
    )
    yield Task(
        "multiwalker",
        "pettingzoo.sisl",
        "multiwalker_v9, 3 walkers",
        partial(heron.make_vec, "pettingzoo.sisl.multiwalker_v9", 8),
        ThroughView(options=_options(256, 512, learning_rate=5e-4)),
        steps=100_000,
        episodes=40,
    )
    yield Task(
        "zombies",
        "pettingzoo.butterfly",
        "knights_archers_zombies_v11, 2 archers and 2 knights, who die",
        partial(heron.make_vec, "pettingzoo.butterfly.knights_archers_zombies_v11", 8),
        ThroughView(options=_options(256, 512, learning_rate=5e-4, ent_coef=0.01)),
        steps=300_000,
    )
    masked = _options(128, 256, learning_rate=1e-3, ent_coef=0.01)
    yield Task(
        "connect_four",
        "pettingzoo.classic",
        "connect_four_v3, first player against a random second one",
        partial(heron.make_vec, "pettingzoo.classic.connect_four_v3", 16, groups=PLAYERS),
        ThroughView(MaskablePPO, options=masked, learn="first", policy="MultiInputPolicy"),
        steps=60_000,
        scored=["first"],
    )


def _gymnasium() -> Iterator[Task]:
    cartpole = Task(
        "cartpole",
        "Gymnasium classic control",
        "CartPole-v1",
        partial(heron.make_vec, "CartPole-v1", 8),
        ThroughView(options=_options(64, 256, learning_rate=1e-3)),
        steps=40_000,
    )
    yield cartpole
    yield replace(
        cartpole,
        name="cartpole_vector",
        env="CartPole-v1, its own VectorEnv",
        make=lambda: heron.make_vec(gymnasium.make_vec("CartPole-v1", 8, vectorization_mode="vector_entry_point")),
        # Its copies have one seed for all, and so cannot begin chosen episodes one by one.
        make_evaluated=cartpole.make,
    )
    yield Task(
        "lander",
        "Gymnasium Box2D",
        "LunarLander-v3",
        partial(heron.make_vec, "LunarLander-v3", 16),
        ThroughView(options=_options(128, 256, learning_rate=1e-3, ent_coef=0.01)),
        steps=120_000,
    )


def _hierarchies() -> Iterator[Task]:
    lander = split_env("LunarLander-v3", ENGINES)
    yield Task(
        "split_lander",
        "Gymnasium Box2D",
        "LunarLander-v3, continuous, split into its engines under a coordinator",
        partial(heron.make_vec, lander, 16, _star(period=10, size=2), env_kwargs={"continuous": True}),
        InTurns({"field": LearnerConfig(share=0.7), "coordinator": LearnerConfig(share=0.3)}),
        steps=150_000,
    )
    spread = TrainConfig.from_mapping({"env": "mpe2.simple_spread_v3"} | read_toml(SPREAD))
    yield Task(
        "hierarchy",
        "hierarchy",
        "simple_spread_v3 under a coordinator, examples/spread.toml",
        spread.make_venv,
        InTurns(spread.learners, spread.rounds),
        steps=spread.steps,
    )


def _options(n_steps: int, batch_size: int, **others: float) -> dict[str, Any]:
    """Options of PPO, from rollouts of so many steps of each copy in minibatches of that size."""
    return {"n_steps": n_steps, "batch_size": batch_size, **others}


def _star(period: int, size: int) -> Callable[[Sequence[str]], Hierarchy]:
    command = Box(-1.0, 1.0, (size,), dtype=np.float32)
    return lambda agents: Hierarchy.star(agents, period=period, command_space=command)
