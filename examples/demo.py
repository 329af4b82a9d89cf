"""Train a hierarchy and its flat rival on mpe2.simple_spread_v3, and compare both with random actions.

Three agents have to cover three landmarks. In the hierarchy one coordinator commands a goal position to each agent
every 5 steps; the agents first learn to reach goals, then the coordinator learns which to command. The flat
rival is plain PPO with shared parameters and at least as many environment steps.
"""

import json
import time
from pathlib import Path

from heron.console import console, evaluate_and_show, evaluation_table, train_and_save
from heron.training import HierarchyConfig, LearnerConfig, TrainConfig, plot_curves, random_policies
from heron.training.plots import Level

ENV = "mpe2.simple_spread_v3"
FOLDER = Path("runs/demo")
COPIES = 16
STEPS = 100_000
EPISODES = 100
EVALUATION_SEED = 10_000

FAST_PPO = LearnerConfig(options={"learning_rate": 1e-3, "gamma": 0.95, "ent_coef": 0.01})

FLAT = TrainConfig(env=ENV, num_envs=COPIES, steps=STEPS, learners={"field": FAST_PPO})

HIERARCHY = TrainConfig(
    env=ENV,
    num_envs=COPIES,
    steps=STEPS,
    hierarchy=HierarchyConfig(
        period=5,
        command={"size": 2, "low": -1.0, "high": 1.0},
        goal={"position": [2, 4]},  # entries 2 and 3 of an agent's observation are its own position
    ),
    learners={
        "field": LearnerConfig(share=0.3, options=FAST_PPO.options),
        # A coordinator decides seldom, so it learns off-policy, which makes more of each decision.
        "coordinator": LearnerConfig(
            algorithm="SAC",
            share=0.7,
            options={
                "learning_rate": 1e-3,
                "gamma": 0.8,
                "learning_starts": 400,
                "gradient_steps": 8,
                "policy_kwargs": {"net_arch": [64, 64]},
            },
        ),
    },
)


def main() -> None:
    """Train, evaluate, show and write everything to ``runs/demo``."""
    start = time.perf_counter()
    console.print(__doc__)
    hierarchy = train_and_save(HIERARCHY, FOLDER / "hierarchy")
    flat = train_and_save(FLAT, FOLDER / "flat")
    contenders = {
        "random actions": (flat.venv, random_policies(flat.venv)),
        f"flat PPO, {flat.venv.total_steps:,} steps": (flat.venv, flat.policies()),
        f"hierarchy, {hierarchy.venv.total_steps:,} steps": (hierarchy.venv, hierarchy.policies()),
    }
    results = {
        label: evaluate_and_show(label, venv, policies, EPISODES, EVALUATION_SEED)
        for label, (venv, policies) in contenders.items()
    }
    console.print(evaluation_table(results, f"{ENV}, the same {EPISODES} episodes for all"))
    text = json.dumps({label: result.to_mapping() for label, result in results.items()}, indent=2)
    (FOLDER / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    chance = results["random actions"]
    plot_curves(
        FOLDER / "curves.png",
        {"hierarchy": hierarchy.progress.rows, "flat PPO": flat.progress.rows},
        {"random actions": Level(chance.mean, *chance.interval)},
        title=f"{ENV}, {COPIES} copies",
    )
    sent = hierarchy.venv.broker.statistics().published
    console.print(f"{sent:,} messages went through the hierarchy's broker.")
    console.print(f"All in {time.perf_counter() - start:.0f} s; runs, curves and figures are in [bold]{FOLDER}[/bold].")
    hierarchy.venv.close()
    flat.venv.close()


if __name__ == "__main__":
    main()
