"""Training and evaluation in a terminal: progress bars and tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from heron.play.policies import PolicyLike
from heron.training import Evaluation, HierarchyTrainer, TrainConfig, Turn, evaluate, plot_curves, save_run
from heron.training.run_folder import RunFolder
from heron.wrappers import HierarchicalVectorEnv

console = Console()


def train_and_save(config: TrainConfig, folder: str | Path) -> HierarchyTrainer:
    """Train under a progress bar, and write the run to ``folder``, in place of an older one.

    The run is written to a partial folder beside ``folder``, which is moved when the training ends. If the training
    is interrupted, the run is as it was after the last complete turn. If it is interrupted in its first turn, nothing
    is written and the older run stays. A line says which.

    Returns:
        The trainer, with its vector env open.

    Raises:
        HeronError: If the config does not work, the folder cannot be written to, or an environment fails.
    """
    config.to_mapping()  # fails before the training if the config cannot be saved
    trainer = HierarchyTrainer(config.make_venv(), config.learners, seed=config.seed)
    turns = trainer.turns(config.steps, config.rounds)
    target = RunFolder(folder)
    partial = target.start_partial()
    try:
        trainer.log_to(partial.path)
        _train(trainer, turns, config, partial)
    except BaseException:
        if partial.holds_run:
            _finish(trainer, config, partial, target)
            outcome = f"the run in {target} is from its last complete turn"
        else:
            outcome = "nothing was saved"
        console.print(f"Training was interrupted; {outcome}", markup=False, soft_wrap=True)
        raise
    else:
        _finish(trainer, config, partial, target)
    finally:
        trainer.stop_logging()
        partial.discard_incomplete()  # a run that could not be moved stays
    return trainer


def _train(trainer: HierarchyTrainer, turns: Sequence[Turn], config: TrainConfig, partial: RunFolder) -> None:
    """Take all turns under a progress bar, and save the run after each."""
    with progress_bar("env steps") as progress:
        task = progress.add_task("training", total=config.steps)

        def show(turn: Turn, steps: int) -> None:
            done = trainer.env_steps + steps
            label = turn.group if config.rounds == 1 else f"{turn.group}, round {turn.round}/{config.rounds}"
            # Learners collect whole rollouts, so the training may take a few more steps than planned.
            progress.update(
                task, completed=done, total=max(done, config.steps), description=f"training {escape(label)}"
            )

        for turn in turns:
            trainer.take_turn(turn, show)
            save_run(partial.path, trainer, config)


def _finish(trainer: HierarchyTrainer, config: TrainConfig, partial: RunFolder, target: RunFolder) -> None:
    """Move a run to its place, and draw its curves."""
    trainer.stop_logging()
    target.replace_with(partial)
    plot_curves(target.curves_file, {"training": trainer.progress.rows}, title=config.env)


def evaluate_and_show(
    label: str, venv: HierarchicalVectorEnv, policies: Mapping[str, PolicyLike], episodes: int, seed: int
) -> Evaluation:
    """Evaluate policies under a progress bar."""
    with progress_bar("episodes") as progress:
        task = progress.add_task(f"evaluating {escape(label)}", total=episodes)
        return evaluate(venv, policies, episodes, seed, on_episode=lambda: progress.advance(task))


def evaluation_table(rows: Mapping[str, Evaluation], title: str) -> Table:
    """Return a table of means and intervals: a row per evaluation, and one per group if there are several."""
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


def progress_bar(unit: str) -> Progress:
    """Return a progress bar that counts ``unit`` and estimates the remaining time."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        expand=True,
    )
