"""A trained hierarchy in one folder: policies, config, versions and seeds."""

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

import heron
from heron.errors import ConfigurationError, RunError
from heron.play.policies import ModelPolicy
from heron.training.config import TrainConfig
from heron.training.learned_policies import learned_policies
from heron.training.trainer import HierarchyTrainer, file_names
from heron.wrappers import HierarchicalVectorEnv, sb3

RUN_FILE = "run.json"
POLICY_FOLDER = "policies"
FORMAT = 1


@dataclass(frozen=True)
class Run:
    """A trained hierarchy that was read from its folder.

    Attributes:
        folder: Where it lies.
        models: Group name -> its SB3 model, ready to predict.
        config: What it was trained with; None if it was saved without one.
        details: All else that ``run.json`` says: versions, seed, steps of training.
    """

    folder: Path
    models: Mapping[str, BaseAlgorithm]
    config: TrainConfig | None
    details: Mapping[str, Any]

    def policies(self, *, deterministic: bool = True) -> dict[str, ModelPolicy]:
        """Group name -> its policy; random actions for a group that never learned, as in training."""
        return learned_policies(self.models, self.details["seed"], deterministic=deterministic)

    def make_venv(self, num_envs: int | None = None) -> HierarchicalVectorEnv:
        """A vector env like the one that the policies were trained on.

        Args:
            num_envs: Another number of copies.

        Raises:
            RunError: If the run was saved without its config.
            HeronError: If the environment cannot be made here.
        """
        if self.config is None:
            raise RunError(f"{self.folder} was saved without its config: make the vector env as you did for training")
        return self.config.make_venv(num_envs)


def save_run(folder: str | Path, trainer: HierarchyTrainer, config: TrainConfig | None = None) -> None:
    """Write a trained hierarchy into ``folder``, which is made if it does not exist.

    Args:
        folder: Gets ``run.json`` and one file a group in ``policies/``; older ones of the same names are replaced.
        trainer: Whose models to save.
        config: What they were trained with, so that ``Run.make_venv`` can make the environment.

    Raises:
        ConfigurationError: If the config holds something that cannot be written; nothing was changed then.
    """
    folder = Path(folder)
    plain_config = None if config is None else config.to_mapping()
    policies = folder / POLICY_FOLDER
    policies.mkdir(parents=True, exist_ok=True)
    # Removed first, and at last moved into place whole, so that a folder with a run.json is always a whole run.
    (folder / RUN_FILE).unlink(missing_ok=True)
    files = {}
    for place, (name, file) in enumerate(file_names(trainer.models).items()):
        files[name] = f"{place}_{file}.zip"
        trainer.models[name].save(policies / files[name])
    details = {
        "format": FORMAT,
        "config": plain_config,
        "seed": trainer.seed,
        "env_steps": trainer.env_steps,
        "timesteps": {name: model.num_timesteps for name, model in trainer.models.items()},
        "policies": {name: {"file": files[name], "algorithm": _class_name(trainer.models[name])} for name in files},
        "versions": _versions(),
    }
    text = json.dumps(details, indent=2)
    unfinished = folder / f"{RUN_FILE}.part"
    unfinished.write_text(text + "\n", encoding="utf-8")
    unfinished.replace(folder / RUN_FILE)


def load_run(folder: str | Path) -> Run:
    """Read a trained hierarchy back.

    Raises:
        RunError: If the folder holds no run, or one that cannot be read; it says what is wrong.
    """
    folder = Path(folder)
    path = folder / RUN_FILE
    if not path.is_file():
        raise RunError(f"{folder} holds no run: expected a file {RUN_FILE} in it")
    try:
        details = json.loads(path.read_text(encoding="utf-8"))
        _check_format(details["format"], path)
        config = None if details["config"] is None else TrainConfig.from_mapping(details["config"])
        models = {
            name: _load_model(folder / POLICY_FOLDER / entry["file"], entry["algorithm"])
            for name, entry in details["policies"].items()
        }
    except RunError:
        raise
    except ConfigurationError as error:
        raise RunError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise RunError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    return Run(folder, models, config, details)


def _check_format(found: object, path: Path) -> None:
    if found != FORMAT:
        raise RunError(f"{path} has format {found!r}, but HERON {heron.__version__} reads format {FORMAT}")


def _load_model(path: Path, class_name: str) -> BaseAlgorithm:
    library, _, name = class_name.partition(".")
    libraries = {"stable_baselines3": stable_baselines3, "sb3_contrib": sb3_contrib, "heron": sb3}
    algorithm: type[BaseAlgorithm] = getattr(libraries[library], name)
    try:
        return algorithm.load(path, device="cpu")
    except Exception as error:
        # SB3, zipfile, pickle and torch each have errors of their own for a broken file, and asserts, too.
        raise RunError(f"{path} cannot be read: {type(error).__name__}: {error}") from error


def _class_name(model: BaseAlgorithm) -> str:
    library = type(model).__module__.partition(".")[0]
    return f"{library}.{type(model).__name__}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "heron-rl": heron.__version__}
    for package in ("gymnasium", "pettingzoo", "numpy", "stable-baselines3", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
