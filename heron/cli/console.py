"""Training and evaluating for somebody who watches: progress bars, tables and pictures."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from heron.errors import ConfigurationError
from heron.play.policies import PolicyLike
from heron.training import (
    Evaluation,
    HierarchyTrainer,
    TrainConfig,
    Turn,
    evaluate,
    plot_curves,
    save_run,
)
from heron.training.progress import METRICS_FILE
from heron.training.run import POLICY_FOLDER, RUN_FILE
from heron.training.trainer import TENSORBOARD_FOLDER
from heron.wrappers import HierarchicalVectorEnv

console = Console()
CURVES_FILE = "curves.png"
EVALUATION_FILE = "evaluation.json"
PARTS = (RUN_FILE, POLICY_FOLDER, METRICS_FILE, CURVES_FILE, EVALUATION_FILE, TENSORBOARD_FOLDER)
"""All that training and evaluating write into a run's folder, the sign of a whole run first."""


def train_and_save(config: TrainConfig, folder: Path) -> HierarchyTrainer:
    """Train as ``config`` says under a progress bar, and write the run into ``folder``, in place of an older one.

    The run grows in a folder beside, ``folder`` with ``.part`` after its name, and is moved when it is done. A
    training that is cut off after at least one turn leaves what was saved after the last one; before that it leaves
    nothing, and the older run as it is. A line says which.

    Returns:
        The trainer, whose vector env is open.

    Raises:
        HeronError: If the config or the folder cannot work, or an environment fails.
    """
    config.to_mapping()  # what could not be saved should come to light before the training
    trainer = HierarchyTrainer(config.make_venv(), config.learners, seed=config.seed)
    turns = trainer.turns(config.steps, config.rounds)
    part = _part_folder(folder)
    try:
        trainer.log_to(part)
        _train(trainer, turns, config, part)
    except BaseException:
        kept = (part / RUN_FILE).exists()
        if kept:
            _move_run(trainer, config, part, folder)
        what = f"what it had learned by its last whole turn is in {folder}" if kept else "its first turn was not whole"
        console.print(f"Training was cut off; {what}", markup=False, soft_wrap=True)
        raise
    else:
        _move_run(trainer, config, part, folder)
    finally:
        trainer.stop_logging()
        if not (part / RUN_FILE).exists():  # else it could not be moved, and this is all there is of it
            shutil.rmtree(part, ignore_errors=True)
    return trainer


def _train(trainer: HierarchyTrainer, turns: Sequence[Turn], config: TrainConfig, folder: Path) -> None:
    """Take all turns under a progress bar, and save after each."""
    with progress_bar("env steps") as progress:
        task = progress.add_task("training", total=config.steps)

        def show(turn: Turn, steps: int) -> None:
            done = trainer.env_steps + steps
            label = turn.group if config.rounds == 1 else f"{turn.group}, round {turn.round}/{config.rounds}"
            # Learners take whole rollouts, so the end may come somewhat later than planned.
            progress.update(
                task, completed=done, total=max(done, config.steps), description=f"training {escape(label)}"
            )

        for turn in turns:
            trainer.take_turn(turn, show)
            save_run(folder, trainer, config)


def evaluate_and_show(
    label: str, venv: HierarchicalVectorEnv, policies: Mapping[str, PolicyLike], episodes: int, seed: int
) -> Evaluation:
    """Evaluate under a progress bar."""
    with progress_bar("episodes") as progress:
        task = progress.add_task(f"evaluating {escape(label)}", total=episodes)
        return evaluate(venv, policies, episodes, seed, on_episode=lambda: progress.advance(task))


def evaluation_table(rows: Mapping[str, Evaluation], title: str) -> Table:
    """Means with their intervals: one row each, and beneath it one for each group where agents are in several."""
    table = Table(title=escape(title), title_justify="left")
    table.add_column("policies")
    for header in ("mean team return", "95% interval", "episodes", "mean length"):
        table.add_column(header, justify="right", no_wrap=header == "95% interval")
    for label, result in rows.items():
        table.add_row(escape(label), *_mean_and_interval(result), str(result.episodes), f"{result.lengths.mean():.1f}")
        for name in result.field_groups if len(result.field_groups) > 1 else ():
            table.add_row(f"  {escape(name)}", *_mean_and_interval(result.of_group(name)), style="dim")
    return table


def _mean_and_interval(result: Evaluation) -> tuple[str, str]:
    low, high = result.interval
    return f"{result.mean:.2f}", f"{low:.2f} to {high:.2f}"


def _part_folder(folder: Path) -> Path:
    """A new folder beside ``folder``, for a run that is not whole yet."""
    whole = folder.resolve()
    part = whole.parent / f"{whole.name}.part"
    try:
        if part.exists():
            shutil.rmtree(part)
        part.mkdir(parents=True)
        # Better now than after the training.
        if whole.exists() and not (whole.is_dir() and os.access(whole, os.W_OK)):
            part.rmdir()
            raise NotADirectoryError(f"{whole} is no folder that can be written to")
    except OSError as error:
        raise ConfigurationError(f"cannot write a run into {folder}: {error}") from error
    return part


def _move_run(trainer: HierarchyTrainer, config: TrainConfig, part: Path, folder: Path) -> None:
    """Put a run in the place of an older one, and draw its curves."""
    trainer.stop_logging()
    try:
        folder.mkdir(exist_ok=True)
        for path in (folder / name for name in PARTS):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        # The sign of a whole run comes last.
        for path in (part / name for name in reversed(PARTS)):
            if path.exists():
                shutil.move(path, folder / path.name)
    except OSError as error:
        raise ConfigurationError(f"cannot move the run from {part} to {folder}: {error}") from error
    plot_curves(folder / CURVES_FILE, {"training": trainer.progress.rows}, title=config.env)


def progress_bar(unit: str) -> Progress:
    """A progress bar that counts ``unit`` and guesses how long it will take."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        expand=True,
    )
