"""Saving a trained hierarchy to a folder, and loading it again: policies, config, seed and versions."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import sb3_contrib
import stable_baselines3
from stable_baselines3.common.base_class import BaseAlgorithm

from heron.errors import ConfigurationError, RunError, summary
from heron.play.policies import ModelPolicy
from heron.training.config import TrainConfig
from heron.training.learned_policies import learned_policies
from heron.training.run_folder import RunFolder
from heron.training.trainer import HierarchyTrainer
from heron.version import __version__
from heron.wrappers import HierarchicalVectorEnv, sb3

FORMAT = 1
PACKAGES = ("gymnasium", "pettingzoo", "numpy", "stable-baselines3", "torch")
"""Packages whose versions are saved with a run."""


@dataclass(frozen=True)
class Run:
    """A trained hierarchy, loaded from its folder.

    Attributes:
        folder: The folder that it was loaded from.
        models: Group name -> SB3 model, ready to predict.
        config: Config of the training; None if it was saved without one.
        details: Everything else in ``run.json``: versions, seed, number of training steps.
    """

    folder: Path
    models: Mapping[str, BaseAlgorithm]
    config: TrainConfig | None
    details: Mapping[str, Any]

    def policies(self, *, deterministic: bool = True) -> dict[str, ModelPolicy]:
        """Return the policy of each group: random actions for a group that never learned, as in training."""
        return learned_policies(self.models, self.details["seed"], deterministic=deterministic)

    def make_venv(self, num_envs: int | None = None) -> HierarchicalVectorEnv:
        """Make a vector env like the one that the policies were trained on.

        Args:
            num_envs: Number of copies, if not that of the training.

        Raises:
            RunError: If the run was saved without its config.
            HeronError: If the environment cannot be made on this machine.
        """
        if self.config is None:
            raise RunError(f"{self.folder} was saved without its config: make the vector env as you did for training")
        return self.config.make_venv(num_envs)


def save_run(folder: str | Path, trainer: HierarchyTrainer, config: TrainConfig | None = None) -> None:
    """Save a trained hierarchy to ``folder``, which is created if needed.

    Args:
        folder: Receives ``run.json`` and one file per group in ``policies/``; files of the same names are replaced.
        trainer: The trainer whose models are saved.
        config: Config of the training, from which ``Run.make_venv`` makes the environment.

    Raises:
        ConfigurationError: If the config holds something that cannot be written; the folder is then unchanged.
    """
    run_folder = RunFolder(folder)
    plain_config = None if config is None else config.to_mapping()
    files = run_folder.policy_files(trainer.models)
    run_folder.start_run()
    for name, file in files.items():
        trainer.models[name].save(file)
    details = {
        "format": FORMAT,
        "config": plain_config,
        "seed": trainer.seed,
        "env_steps": trainer.env_steps,
        "timesteps": {name: model.num_timesteps for name, model in trainer.models.items()},
        "policies": {
            name: {"file": file.name, "algorithm": _class_name(trainer.models[name])} for name, file in files.items()
        },
        "versions": _versions(),
    }
    run_folder.write_run(details)


def load_run(folder: str | Path) -> Run:
    """Load a trained hierarchy from its folder.

    Raises:
        RunError: If the folder holds no run, or one that cannot be read; the message says why.
    """
    run_folder = RunFolder(folder)
    path = run_folder.run_file
    if not run_folder.holds_run:
        raise RunError(f"{folder} holds no run: expected a file {path.name} in it")
    try:
        details = json.loads(path.read_text(encoding="utf-8"))
        _check_format(details["format"], path)
        config = None if details["config"] is None else TrainConfig.from_mapping(details["config"])
        models = {
            name: _load_model(run_folder.policies / entry["file"], entry["algorithm"])
            for name, entry in details["policies"].items()
        }
    except RunError:
        raise
    except ConfigurationError as error:
        raise RunError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise RunError(f"{path} cannot be read: {summary(error)}") from error
    return Run(run_folder.path, models, config, details)


def _check_format(found: object, path: Path) -> None:
    if found != FORMAT:
        raise RunError(f"{path} has format {found!r}, but HERON {__version__} reads format {FORMAT}")


def _load_model(path: Path, class_name: str) -> BaseAlgorithm:
    library, _, name = class_name.partition(".")
    libraries = {"stable_baselines3": stable_baselines3, "sb3_contrib": sb3_contrib, "heron": sb3}
    algorithm: type[BaseAlgorithm] = getattr(libraries[library], name)
    try:
        return algorithm.load(path, device="cpu")
    except Exception as error:
        # On a damaged file, SB3, zipfile, pickle and torch each raise errors of their own, including AssertionError.
        raise RunError(f"{path} cannot be read: {summary(error)}") from error


def _class_name(model: BaseAlgorithm) -> str:
    library = type(model).__module__.partition(".")[0]
    return f"{library}.{type(model).__name__}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "heron-rl": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
