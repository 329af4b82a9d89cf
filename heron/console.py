"""Training and evaluating for somebody who watches: progress bars, tables and pictures."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from heron.training import (
    Evaluation,
    HierarchyTrainer,
    TrainConfig,
    Turn,
    evaluate,
    plot_curves,
    save_run,
)
from heron.wrappers import HierarchicalVectorEnv
from heron.wrappers.policies import PolicyLike

console = Console()
CURVES_FILE = "curves.png"


def train_and_save(config: TrainConfig, folder: Path) -> HierarchyTrainer:
    """Train as ``config`` says under a progress bar, and write the run into ``folder``.

    Returns:
        The trainer, whose vector env is open.
    """
    trainer = HierarchyTrainer(config.make_venv(), config.learners, seed=config.seed, folder=folder)
    turns = trainer.turns(config.steps, config.rounds)
    before = 0
    with _progress("env steps") as progress:
        task = progress.add_task("training", total=sum(turn.steps for turn in turns))

        def show(turn: Turn, steps: int) -> None:
            label = turn.group if len(turns) == 1 else f"{turn.group}, round {turn.round}/{config.rounds}"
            progress.update(task, completed=before + min(steps, turn.steps), description=f"training {label}")

        for turn in turns:
            trainer.take_turn(turn, show)
            before += turn.steps
    save_run(folder, trainer, config)
    plot_curves(folder / CURVES_FILE, {"training": trainer.progress.rows}, title=config.env)
    return trainer


def evaluate_and_show(
    label: str, venv: HierarchicalVectorEnv, policies: Mapping[str, PolicyLike], episodes: int, seed: int
) -> Evaluation:
    """Evaluate under a progress bar."""
    with _progress("episodes") as progress:
        task = progress.add_task(f"evaluating {label}", total=episodes)
        return evaluate(venv, policies, episodes, seed, on_episode=lambda: progress.advance(task))


def evaluation_table(rows: Mapping[str, Evaluation], title: str) -> Table:
    """Means with their intervals, one row each."""
    table = Table(title=title, title_justify="left")
    table.add_column("policies")
    for header in ("mean team return", "95% interval", "episodes", "mean length"):
        table.add_column(header, justify="right")
    for label, result in rows.items():
        low, high = result.interval
        table.add_row(
            label,
            f"{result.mean:.2f}",
            f"{low:.2f} to {high:.2f}",
            str(result.episodes),
            f"{result.lengths.mean():.1f}",
        )
    return table


def _progress(unit: str) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
