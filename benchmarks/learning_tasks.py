"""Environments to learn, one or two of each family."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from sb3_contrib import MaskablePPO

import heron
from benchmarks.learning import Task, in_turns, through_view
from heron import Hierarchy
from heron.training import LearnerConfig, TrainConfig
from heron.training.config import read_toml
from heron.wrappers.sources.split_env import AgentPart, split_env

SPREAD = Path(__file__).parents[1] / "examples" / "spread.toml"
ENGINES = {"main": AgentPart(actions=[0]), "side": AgentPart(actions=[1])}
PLAYERS = {"first": ["player_0"], "second": ["player_1"]}


def all_tasks() -> dict[str, Task]:
    """Return all tasks by name, in the order of the table."""
    return {task.name: task for task in (*_pettingzoo(), *_gymnasium(), *_hierarchies())}


def _pettingzoo() -> Iterator[Task]:
    yield Task(
        "spread",
        "mpe2",
        "simple_spread_v3, 3 agents",
        partial(heron.make_vec, "mpe2.simple_spread_v3", 16),
        through_view(n_steps=128, batch_size=512, learning_rate=1e-3, ent_coef=0.01, gamma=0.95),
        steps=100_000,
    )
    yield Task(
        "multiwalker",
        "pettingzoo.sisl",
        "multiwalker_v9, 3 walkers",
        partial(heron.make_vec, "pettingzoo.sisl.multiwalker_v9", 8),
        through_view(n_steps=256, batch_size=512, learning_rate=5e-4),
        steps=100_000,
        episodes=40,
    )
    yield Task(
        "zombies",
        "pettingzoo.butterfly",
        "knights_archers_zombies_v11, 2 archers and 2 knights, who die",
        partial(heron.make_vec, "pettingzoo.butterfly.knights_archers_zombies_v11", 8),
        through_view(n_steps=256, batch_size=512, learning_rate=5e-4, ent_coef=0.01),
        steps=300_000,
    )
    yield Task(
        "connect_four",
        "pettingzoo.classic",
        "connect_four_v3, first player against a random second one",
        partial(heron.make_vec, "pettingzoo.classic.connect_four_v3", 16, groups=PLAYERS),
        through_view(
            MaskablePPO,
            "MultiInputPolicy",
            learn="first",
            n_steps=128,
            batch_size=256,
            learning_rate=1e-3,
            ent_coef=0.01,
        ),
        steps=60_000,
        learner="MaskablePPO",
        scored=["first"],
    )


def _gymnasium() -> Iterator[Task]:
    cartpole = Task(
        "cartpole",
        "Gymnasium classic control",
        "CartPole-v1",
        partial(heron.make_vec, "CartPole-v1", 8),
        through_view(n_steps=64, batch_size=256, learning_rate=1e-3),
        steps=40_000,
    )
    yield cartpole
    yield replace(
        cartpole,
        name="cartpole_vector",
        env="CartPole-v1, its own VectorEnv",
        make=lambda: heron.make_vec(gymnasium.make_vec("CartPole-v1", 8, vectorization_mode="vector_entry_point")),
        # Its copies share one seed, and so cannot start chosen episodes one by one.
        make_evaluated=cartpole.make,
    )
    yield Task(
        "lander",
        "Gymnasium Box2D",
        "LunarLander-v3",
        partial(heron.make_vec, "LunarLander-v3", 16),
        through_view(n_steps=128, batch_size=256, learning_rate=1e-3, ent_coef=0.01),
        steps=120_000,
    )


def _hierarchies() -> Iterator[Task]:
    lander = split_env("LunarLander-v3", ENGINES)
    yield Task(
        "split_lander",
        "Gymnasium Box2D",
        "LunarLander-v3, continuous, split into its engines under a coordinator",
        partial(heron.make_vec, lander, 16, _star(period=10, size=2), env_kwargs={"continuous": True}),
        in_turns({"field": LearnerConfig(share=0.7), "coordinator": LearnerConfig(share=0.3)}),
        steps=150_000,
        learner="PPO (field) and PPO (coordinator)",
    )
    spread = TrainConfig.from_mapping({"env": "mpe2.simple_spread_v3"} | read_toml(SPREAD))
    yield Task(
        "hierarchy",
        "hierarchy",
        "simple_spread_v3 under a coordinator, examples/spread.toml",
        spread.make_venv,
        in_turns(spread.learners, spread.rounds),
        steps=spread.steps,
        learner=" and ".join(f"{config.algorithm} ({level})" for level, config in spread.learners.items()),
    )


def _star(period: int, size: int) -> Callable[[Sequence[str]], Hierarchy]:
    command = Box(-1.0, 1.0, (size,), dtype=np.float32)
    return lambda agents: Hierarchy.star(agents, period=period, command_space=command)
