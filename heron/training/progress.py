"""What happens while a group learns: progress for people, and a table of metrics for later."""

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from heron.play.turn_engine import Episode
from heron.wrappers import HierarchicalVectorEnv

METRICS_FILE = "metrics.csv"


@dataclass(frozen=True)
class Turn:
    """One group's share of a round.

    Attributes:
        round: Counted from 1.
        group: The group that learns.
        steps: Environment steps to learn for.
    """

    round: int
    group: str
    steps: int


@dataclass(frozen=True)
class Metrics:
    """One row of ``metrics.csv``: what happened since the last row.

    Attributes:
        seconds: Time since training began, in s.
        env_steps: Environment steps so far, over all copies and groups.
        round: Round of the turn.
        group: The group that learns.
        timesteps: Decisions of all its slots so far, as SB3 counts them.
        episodes: Episodes finished since the last row.
        team_return: Mean over those of the sum of the environment's rewards over all field agents; NaN if none.
        learner_return: Mean of what the learner's last episodes were worth to it; NaN if there was none yet. Within
            each decision of a coordinator, rewards count less by its ``gamma``.
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
    """Collects episodes and writes metrics.

    Args:
        field_groups: Whose returns make up the team's.
    """

    def __init__(self, field_groups: Sequence[str]) -> None:
        self._field_groups = tuple(field_groups)
        self.rows: list[Metrics] = []
        self._returns: list[float] = []
        self._start = time.perf_counter()
        self._path: Path | None = None

    def log_to(self, folder: Path) -> None:
        """Write all rows from now on to ``metrics.csv`` in an existing folder, in place of one that is there."""
        self._path = folder / METRICS_FILE
        with self._path.open("w", newline="") as file:
            csv.writer(file).writerow([one.name for one in fields(Metrics)])

    def stop_logging(self) -> None:
        """Write no more rows."""
        self._path = None

    def note_episode(self, episode: Episode) -> None:
        """Remember a finished episode for the next row."""
        self._returns.append(episode.team_return(self._field_groups))

    def write(self, env_steps: int, turn: Turn, timesteps: int, learner_return: float) -> None:
        """Add a row about all episodes since the last one."""
        row = Metrics(
            round(time.perf_counter() - self._start, 3),
            env_steps,
            turn.round,
            turn.group,
            timesteps,
            len(self._returns),
            float(np.mean(self._returns)) if self._returns else float("nan"),
            learner_return,
        )
        self._returns.clear()
        self.rows.append(row)
        if self._path is not None:
            with self._path.open("a", newline="") as file:
                csv.writer(file).writerow(asdict(row).values())


class TurnCallback(BaseCallback):
    """Reports a turn's progress after each decision, and its metrics after each rollout of some length."""

    MIN_STEPS = 500
    """Environment steps between two rows, for learners with very short rollouts."""

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
        # The vector env counts the steps of evaluations, too.
        self._first_step = self._last_row = venv.total_steps
        self._steps_before = steps_before

    def _on_step(self) -> bool:
        if self._on_progress is not None:
            self._on_progress(self._turn, self._venv.total_steps - self._first_step)
        return True

    def _on_rollout_end(self) -> None:
        if self._venv.total_steps - self._last_row >= self.MIN_STEPS:
            self._write()

    def _on_training_end(self) -> None:
        if self._venv.total_steps > self._last_row:
            self._write()

    def _write(self) -> None:
        self._last_row = self._venv.total_steps
        episodes = self.model.ep_info_buffer or ()
        learner_return = float(np.mean([episode["r"] for episode in episodes])) if episodes else float("nan")
        env_steps = self._steps_before + self._venv.total_steps - self._first_step
        self._progress.write(env_steps, self._turn, self.model.num_timesteps, learner_return)
