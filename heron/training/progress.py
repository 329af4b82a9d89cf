"""Turns of training, and what is recorded while a group takes one.

A *turn* here is a group's share of a training round, in which it learns and the others only act. It has nothing to do
with the turn of an agent within an environment step (``heron.play``).
"""

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from heron.play.turn_engine import Episode
from heron.wrappers import HierarchicalVectorEnv


@dataclass(frozen=True)
class Turn:
    """A group's share of a training round, in which it learns and the others only act.

    Attributes:
        round: Number of the round, from 1.
        group: Name of the group that learns.
        steps: Environment steps to learn for.
    """

    round: int
    group: str
    steps: int


@dataclass(frozen=True)
class Metrics:
    """Metrics since the previous row: one row of ``metrics.csv``.

    Attributes:
        seconds: Time since training began, in s.
        env_steps: Environment steps so far, over all copies and groups.
        round: Round of the current turn.
        group: Name of the group that learns.
        timesteps: Decisions of all the group's slots so far, as SB3 counts them.
        episodes: Number of episodes that finished.
        team_return: Mean team return of these episodes, the sum of the environment's rewards over all field agents;
            NaN without an episode.
        learner_return: Mean return of the learner's last episodes, as SB3 keeps them; NaN before the first one. The
            rewards within a coordinator's decision are discounted by its ``gamma``.
    """

    seconds: float
    env_steps: int
    round: int
    group: str
    timesteps: int
    episodes: int
    team_return: float
    learner_return: float


class Progress:
    """The metrics of a training, in memory and in a file.

    Args:
        field_groups: Names of the groups whose returns make up the team return.

    Attributes:
        rows: All rows so far.
    """

    def __init__(self, field_groups: Sequence[str]) -> None:
        self._field_groups = tuple(field_groups)
        self.rows: list[Metrics] = []
        self._returns: list[float] = []
        self._start = time.perf_counter()
        self._path: Path | None = None

    def log_to(self, path: Path) -> None:
        """Write all rows from now on to a CSV file, which replaces an existing one."""
        self._path = path
        with path.open("w", newline="") as file:
            csv.writer(file).writerow([one.name for one in fields(Metrics)])

    def stop_logging(self) -> None:
        """Write no more rows to the file."""
        self._path = None

    def note_episode(self, episode: Episode) -> None:
        """Add a finished episode to the next row."""
        self._returns.append(episode.team_return(self._field_groups))

    def write(self, env_steps: int, turn: Turn, timesteps: int, learner_return: float) -> None:
        """Add a row on all episodes since the previous one."""
        row = Metrics(
            round(time.perf_counter() - self._start, 3),
            env_steps,
            turn.round,
            turn.group,
            timesteps,
            len(self._returns),
            _mean(self._returns),
            learner_return,
        )
        self._returns.clear()
        self.rows.append(row)
        if self._path is not None:
            with self._path.open("a", newline="") as file:
                csv.writer(file).writerow(asdict(row).values())


class TurnCallback(BaseCallback):
    """SB3 callback that reports the progress of a turn after each decision, and writes its metrics.

    Args:
        progress: Receives the metrics.
        turn: The turn that is reported.
        venv: The vector env whose steps are counted.
        steps_before: Environment steps of all turns before this one.
        on_progress: Called after each decision with the turn and its environment steps so far.
    """

    MIN_STEPS = 500
    """Smallest number of environment steps between two rows, for learners with very short rollouts."""

    def __init__(
        self,
        progress: Progress,
        turn: Turn,
        venv: HierarchicalVectorEnv,
        steps_before: int,
        on_progress: Callable[[Turn, int], None] | None,
    ) -> None:
        super().__init__()
        self._progress = progress
        self._turn = turn
        self._venv = venv
        self._on_progress = on_progress
        # Counted from here, because the vector env counts the steps of evaluations, too.
        self._first_step = self._last_row = venv.total_steps
        self._steps_before = steps_before

    def _on_step(self) -> bool:
        if self._on_progress is not None:
            self._on_progress(self._turn, self._venv.total_steps - self._first_step)
        return True

    def _on_rollout_end(self) -> None:
        self._write_after(self.MIN_STEPS)

    def _on_training_end(self) -> None:
        self._write_after(1)

    def _write_after(self, steps: int) -> None:
        """Write a row if the last one is at least ``steps`` environment steps ago."""
        now = self._venv.total_steps
        if now - self._last_row < steps:
            return
        self._last_row = now
        learner_return = _mean([episode["r"] for episode in self.model.ep_info_buffer or ()])
        env_steps = self._steps_before + now - self._first_step
        self._progress.write(env_steps, self._turn, self.model.num_timesteps, learner_return)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
