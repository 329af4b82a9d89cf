"""Train a hierarchy and a flat baseline on mpe2.simple_spread_v3, and compare them.

Three agents have to cover three landmarks. In the hierarchy, a coordinator sends
each agent a goal position every 5 steps. First the agents learn to reach goals,
then the coordinator learns which goals to send. The flat baseline is PPO with
shared parameters, trained on at least as many environment steps.
"""

import time
from dataclasses import replace
from pathlib import Path

import torch

from heron.cli.console import console, evaluate_and_show, evaluation_table, train_and_save
from heron.training import TrainConfig, plot_curves, random_policies
from heron.training.config import read_toml
from heron.training.plots import Level
from heron.training.run_folder import RunFolder

ENV = "mpe2.simple_spread_v3"
FOLDER = Path("runs/demo")
EPISODES = 100
EVALUATION_SEED = 10_000

HIERARCHY = TrainConfig.from_mapping({"env": ENV} | read_toml(Path(__file__).with_name("spread.toml")))
FLAT = replace(HIERARCHY, hierarchy=None, learners={"field": replace(HIERARCHY.learners["field"], share=1.0)})


def main() -> None:
    """Train and evaluate both, show the results and write everything to ``runs/demo``."""
    torch.set_num_threads(1)  # more threads only slow down such small networks
    start = time.perf_counter()
    console.print(__doc__.strip(), highlight=False)
    hierarchy = train_and_save(HIERARCHY, FOLDER / "hierarchy")
    # The hierarchy completes its last rollouts and may exceed its steps; the baseline gets the same number.
    flat = train_and_save(replace(FLAT, steps=hierarchy.env_steps), FOLDER / "flat")
    published = hierarchy.venv.broker.statistics().published
    trained_on = {"random": 0, "flat PPO": flat.env_steps, "hierarchy": hierarchy.env_steps}
    contenders = {
        "random": (flat.venv, random_policies(flat.venv)),
        "flat PPO": (flat.venv, flat.policies()),
        "hierarchy": (hierarchy.venv, hierarchy.policies()),
    }
    results = {
        label: evaluate_and_show(label, venv, policies, EPISODES, EVALUATION_SEED)
        for label, (venv, policies) in contenders.items()
    }
    console.print(evaluation_table(results, f"{ENV}, the same {EPISODES} episodes for all"))
    comparison = RunFolder(FOLDER)
    comparison.write_evaluation({label: result.to_mapping() for label, result in results.items()})
    chance = results["random"]
    plot_curves(
        comparison.curves_file,
        {"hierarchy": hierarchy.progress.rows, "flat PPO": flat.progress.rows},
        {"random": Level(chance.mean, *chance.interval)},
        title=f"{ENV}, {HIERARCHY.num_envs} copies",
    )
    for label, steps in trained_on.items():
        console.print(f"{label}: trained on {steps:,} environment steps")
    console.print(f"{published:,} messages passed through the hierarchy's broker during its training.")
    console.print(f"Took {time.perf_counter() - start:.0f} s; runs, curves and results are in [bold]{FOLDER}[/bold].")
    hierarchy.venv.close()
    flat.venv.close()


if __name__ == "__main__":
    main()
