"""The config of a training run, from keywords or from a TOML file."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

from heron.errors import ConfigurationError, checked_count
from heron.messaging import MessageBroker
from heron.training.config_checks import check_kind, is_number
from heron.training.hierarchy_config import HierarchyConfig
from heron.wrappers import HierarchicalVectorEnv, make_vec
from heron.wrappers.workers.backend import Backend, check_backend
from heron.wrappers.workers.sharding import StartMethod, WorkerOptions

Record = TypeVar("Record", "HierarchyConfig", "LearnerConfig", "TrainConfig")


@dataclass(frozen=True)
class LearnerConfig:
    """The config of one group's learner.

    Attributes:
        algorithm: Name of a class in ``stable_baselines3`` or ``sb3_contrib``.
        policy: Name of the policy in the algorithm; by default ``"MlpPolicy"``, or ``"MultiInputPolicy"`` for ``Dict``
            observations, and ``"MlpLstmPolicy"`` or ``"MultiInputLstmPolicy"`` for ``RecurrentPPO``.
        share: The group's share of the environment steps of a round, relative to the other groups. A group with a
            share of 0 never learns and always acts at random, in training and afterwards.
        normalize_rewards: Divide the rewards that the learner sees by the running scale of its returns. This keeps a
            large value loss from dominating the policy loss.
        options: Keywords of the algorithm, such as ``learning_rate``. ``gamma`` discounts by environment step, also
            for coordinators, whose decisions last several.

    Raises:
        ConfigurationError: If a value has the wrong type or is out of range.
    """

    algorithm: str = "PPO"
    policy: str | None = None
    share: float = 1.0
    normalize_rewards: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_kind("algorithm", self.algorithm, str, "the name of an SB3 class, such as 'PPO'")
        check_kind("policy", self.policy, (str, NoneType), "the name of a policy, such as 'MlpPolicy'")
        check_kind("normalize_rewards", self.normalize_rewards, bool, "true or false")
        check_kind("options", self.options, Mapping, "a table of keywords")
        if not is_number(self.share) or self.share < 0:
            raise ConfigurationError(f"share must be a number of at least 0, got {self.share!r}")


@dataclass(frozen=True)
class TrainConfig:
    """The config of a training run.

    Attributes:
        env: Importable name of the environment, such as ``"mpe2.simple_spread_v3"``.
        env_kwargs: Arguments for the environment's function.
        num_envs: Number of copies that run side by side.
        steps: Total number of environment steps, over all copies. Learners round it up to whole rollouts.
        rounds: Number of rounds, in each of which every group learns for one turn.
        seed: Root of all randomness.
        groups: Group name -> ids of the agents that learn together; by default, agents with equal spaces do.
        hierarchy: The coordinators and their commands; None trains a flat environment.
        learners: Group or level name -> config of its learner; other groups learn with the defaults.
        backend: Where the copies are stepped: ``"loop"``, ``"process"`` or ``"auto"``. ``heron.make_vec`` documents
            this and the options of worker processes below.
        num_workers: Number of worker processes beside the main one.
        start_method: Start method of the worker processes.
        timeout: Longest wait for a worker process, in s.
        restart_workers: Restart a lost worker process at once, so that the training continues with new episodes.

    Raises:
        ConfigurationError: If a value has the wrong type or is out of range.
    """

    env: str
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    num_envs: int = 16
    steps: int = 100_000
    rounds: int = 1
    seed: int = 0
    groups: Mapping[str, Sequence[str]] | None = None
    hierarchy: HierarchyConfig | None = None
    learners: Mapping[str, LearnerConfig] = field(default_factory=dict)
    backend: Backend = "loop"
    num_workers: int | None = None
    start_method: StartMethod | None = None
    timeout: float | None = None
    restart_workers: bool | None = None

    def __post_init__(self) -> None:
        check_kind("env", self.env, str, "the importable name of an environment, such as 'mpe2.simple_spread_v3'")
        check_kind("env_kwargs", self.env_kwargs, Mapping, "a table of arguments")
        check_kind("groups", self.groups, (Mapping, NoneType), "a table with a list of agents per group")
        check_kind("learners", self.learners, Mapping, "a table with a table per group or level")
        for name, least in (("num_envs", 1), ("steps", 1), ("rounds", 1), ("seed", 0)):
            object.__setattr__(self, name, checked_count(name, getattr(self, name), least))
        check_backend(self.backend, self.worker_options(), self.num_envs)

    def worker_options(self) -> WorkerOptions:
        """Return the options of worker processes."""
        return WorkerOptions(self.num_workers, self.start_method, self.timeout, self.restart_workers)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Make a config from nested mappings, as read from TOML or JSON.

        Raises:
            ConfigurationError: If a key is unknown, ``env`` is missing, or a value is invalid.
        """
        given = dict(values)
        if given.get("hierarchy") is not None:
            given["hierarchy"] = _record(HierarchyConfig, given["hierarchy"], "hierarchy")
        learners = given.get("learners", {})
        if isinstance(learners, Mapping):
            given["learners"] = {
                name: _record(LearnerConfig, learner, f"learners.{name}") for name, learner in learners.items()
            }
        if "env" not in given:
            raise ConfigurationError("env is missing: name the environment, as in env = 'mpe2.simple_spread_v3'")
        return _record(TrainConfig, given, "the config")

    def to_mapping(self) -> dict[str, Any]:
        """Return the config as nested dicts, for ``from_mapping``.

        Raises:
            ConfigurationError: If it holds something that a file cannot hold, such as a function, or that would be
                read back as something else, such as a tuple.
        """
        try:
            mapping = asdict(self)
            read_back = json.loads(json.dumps(mapping))
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"the config holds something that cannot be written to a file: {error}") from error
        if changed := {name: value for name, value in mapping.items() if read_back[name] != value}:
            raise ConfigurationError(
                "the config holds something that cannot be written to a file unchanged (such as a tuple, NaN or a key "
                f"that is not a string): {changed}"
            )
        return mapping

    def make_venv(self, num_envs: int | None = None, broker: MessageBroker | None = None) -> HierarchicalVectorEnv:
        """Make the vector env that the config describes.

        Args:
            num_envs: Number of copies, if not that of the config; fewer workers start if there are too few copies.
            broker: Broker of all messages; a new ``InMemoryBroker`` by default.

        Raises:
            HeronError: If the environment and the hierarchy do not fit together.
        """
        copies = num_envs or self.num_envs
        workers = self.worker_options()
        if workers.num_workers is not None:
            workers = replace(workers, num_workers=min(workers.num_workers, copies - 1))
        return make_vec(
            self.env,
            copies,
            self.hierarchy.build if self.hierarchy else None,
            broker,
            env_kwargs=self.env_kwargs,
            groups=self.groups,
            intrinsic_reward=self.hierarchy.goal_reward() if self.hierarchy else None,
            backend=self.backend,
            **workers.given(),
        )


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file, for ``TrainConfig.from_mapping``.

    Raises:
        ConfigurationError: If the file cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"cannot read the config file {path}: {error}") from error


def _record(kind: type[Record], values: Mapping[str, Any], where: str) -> Record:
    known = [one.name for one in fields(kind)]
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"{where} must be a table, got {values!r}")
    if unknown := sorted(set(values) - set(known)):
        raise ConfigurationError(f"{where}: unknown keys {unknown}, expected some of {known}")
    try:
        return kind(**values)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from error
