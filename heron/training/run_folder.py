"""The folder of a training run: its file names, and writing that never leaves an incomplete run behind.

No other module knows the name of a file in such a folder.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from heron.errors import ConfigurationError

RUN = "run.json"
POLICIES = "policies"
METRICS = "metrics.csv"
CURVES = "curves.png"
EVALUATION = "evaluation.json"
TENSORBOARD = "tensorboard"
PARTS = (RUN, POLICIES, METRICS, CURVES, EVALUATION, TENSORBOARD)
"""Everything that belongs to a run; ``RUN``, the mark of a complete one, is deleted first and moved last."""
MAX_FILE_NAME = 60


class RunFolder:
    """A folder for one training run.

    ``run.json`` is deleted before, and written after, everything else that changes, so a folder with a ``run.json``
    holds a complete run. A training that takes long writes into a partial run beside the folder (``start_partial``),
    which replaces an older run when it is done (``replace_with``).

    Attributes:
        path: The folder, which need not exist.
        run_file: Config, seed, versions and the list of policies.
        policies: One SB3 model per group.
        metrics_file: One row per rollout.
        curves_file: The metrics as a picture.
        evaluation_file: Results of the last evaluation.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.run_file = self.path / RUN
        self.policies = self.path / POLICIES
        self.metrics_file = self.path / METRICS
        self.curves_file = self.path / CURVES
        self.evaluation_file = self.path / EVALUATION

    def __str__(self) -> str:
        return str(self.path)

    @property
    def holds_run(self) -> bool:
        """True if the folder holds a complete run."""
        return self.run_file.is_file()

    def tensorboard_folders(self, groups: Iterable[str]) -> dict[str, Path]:
        """Return the folder for the TensorBoard logs of each group."""
        return {name: self.path / TENSORBOARD / file for name, file in file_names(groups).items()}

    def policy_files(self, groups: Iterable[str]) -> dict[str, Path]:
        """Return the file for the policy of each group."""
        names = file_names(groups).items()
        return {name: self.policies / f"{place}_{file}.zip" for place, (name, file) in enumerate(names)}

    def start_run(self) -> None:
        """Make the folder ready for policies; it holds no run until ``write_run``."""
        self.policies.mkdir(parents=True, exist_ok=True)
        self.run_file.unlink(missing_ok=True)

    def write_run(self, details: Mapping[str, Any]) -> None:
        """Write ``run.json``, once everything else that belongs to the run is written."""
        _write_json(self.run_file, details)

    def write_evaluation(self, results: Mapping[str, Any]) -> None:
        """Write ``evaluation.json``.

        Raises:
            ConfigurationError: If the file cannot be written.
        """
        try:
            _write_json(self.evaluation_file, results)
        except OSError as error:
            raise ConfigurationError(f"cannot write {self.evaluation_file}: {error}") from error

    def start_partial(self) -> "RunFolder":
        """Return a new, empty folder beside this one, named like it with ``.part`` appended.

        Raises:
            ConfigurationError: If the new folder cannot be made, or this one exists and cannot be written to.
        """
        target = self.path.resolve()
        partial = RunFolder(target.parent / f"{target.name}.part")
        try:
            # Checked now, because the training comes before the move.
            if target.exists() and not (target.is_dir() and os.access(target, os.W_OK)):
                raise NotADirectoryError(f"{target} is not a writable folder")
            if partial.path.exists():
                shutil.rmtree(partial.path)
            partial.path.mkdir(parents=True)
        except OSError as error:
            raise ConfigurationError(f"cannot write a run into {self}: {error}") from error
        return partial

    def replace_with(self, partial: "RunFolder") -> None:
        """Move the run of another folder here, in place of an older run; files that belong to no run stay.

        Raises:
            ConfigurationError: If a file cannot be moved.
        """
        try:
            self.path.mkdir(exist_ok=True)
            for path in (self.path / name for name in PARTS):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            for path in (partial.path / name for name in reversed(PARTS)):  # so that run.json is the last one
                if path.exists():
                    shutil.move(path, self.path / path.name)
        except OSError as error:
            raise ConfigurationError(f"cannot move the run from {partial} to {self}: {error}") from error

    def discard_incomplete(self) -> None:
        """Delete the folder, unless it holds a complete run."""
        if not self.holds_run:
            shutil.rmtree(self.path, ignore_errors=True)


def file_names(groups: Iterable[str]) -> dict[str, str]:
    """Return a short, safe and unique file name for each group, without a suffix.

    >>> file_names(["agent", "west+east", "/etc/a", "west/east"])
    {'agent': 'agent', 'west+east': 'west_east', '/etc/a': '_etc_a', 'west/east': 'west_east_3'}
    """
    names: dict[str, str] = {}
    for place, group in enumerate(groups):
        safe = re.sub(r"[^0-9A-Za-z-]", "_", group)[:MAX_FILE_NAME]
        # Some file systems ignore case.
        taken = safe.lower() in map(str.lower, names.values())
        names[group] = f"{safe}_{place}" if taken else safe
    return names


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file that is either complete or not there."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        unfinished.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise
