"""All that a training run is made from, from a TOML file or from keywords."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

from heron.errors import ConfigurationError
from heron.messaging import MessageBroker
from heron.training.config_checks import check_kind, checked_count, is_number
from heron.training.hierarchy_config import HierarchyConfig
from heron.wrappers import HierarchicalVectorEnv, make_vec
from heron.wrappers.workers.backend import Backend, check_backend
from heron.wrappers.workers.sharding import StartMethod, WorkerOptions

Record = TypeVar("Record", "HierarchyConfig", "LearnerConfig", "TrainConfig")


@dataclass(frozen=True)
class LearnerConfig:
    """How one group learns.

    Attributes:
        algorithm: Name of a class in ``stable_baselines3`` or ``sb3_contrib``.
        policy: The policy's name there; by default ``"MlpPolicy"``, or ``"MultiInputPolicy"`` for ``Dict``
            observations, and ``"MlpLstmPolicy"`` or ``"MultiInputLstmPolicy"`` for ``RecurrentPPO``.
        share: How much of a round's environment steps the group learns for, relative to the other groups. With
            0 it never learns and always acts at random, in training and afterwards.
        normalize_rewards: Whether the learner sees rewards divided by the running scale of its returns, which
            keeps a large value loss from drowning the policy's.
        options: Keywords of the algorithm, such as ``learning_rate``. ``gamma`` discounts by environment step, also for
            coordinators, whose decisions last several.

    Raises:
        ConfigurationError: If a value is of the wrong kind.
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
    """A training run.

    Attributes:
        env: The environment's importable name, such as ``"mpe2.simple_spread_v3"``.
        env_kwargs: Arguments for the environment's function.
        num_envs: Copies that run side by side.
        steps: Environment steps in all, counted over all copies. Learners round it up to whole rollouts.
        rounds: How often the turn goes round the groups.
        seed: The one root of all randomness.
        groups: Group name -> agent ids, to arrange the environment's agents by hand: who learns together.
        hierarchy: Who commands whom; None trains all agents as they are.
        learners: Group or level name -> how it learns; groups not named learn by default.
        backend: Where the copies are stepped: ``"loop"``, ``"process"`` or ``"auto"``; see ``heron.make_vec``, as for
            the options of its worker processes below.
        num_workers: Worker processes beside the main one.
        start_method: How they are started.
        timeout: Longest wait for one in s.
        restart_workers: Whether a lost one is restarted at once, which costs an episode and not the training.

    Raises:
        ConfigurationError: If a value is of the wrong kind.
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
        check_kind("env", self.env, str, "the environment's importable name, such as 'mpe2.simple_spread_v3'")
        check_kind("env_kwargs", self.env_kwargs, Mapping, "a table of arguments")
        check_kind("groups", self.groups, (Mapping, NoneType), "a table with one list of agents a group")
        check_kind("learners", self.learners, Mapping, "a table with one table a group or level")
        for name, least in (("num_envs", 1), ("steps", 1), ("rounds", 1), ("seed", 0)):
            object.__setattr__(self, name, checked_count(name, getattr(self, name), least))
        check_backend(self.backend, self.worker_options(), self.num_envs)

    def worker_options(self) -> WorkerOptions:
        """What it says about worker processes."""
        return WorkerOptions(self.num_workers, self.start_method, self.timeout, self.restart_workers)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """A config from nested mappings, as TOML and JSON have them.

        Raises:
            ConfigurationError: If a key is unknown, ``env`` is missing, or a value cannot work.
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
        """The config as nested dicts, as ``from_mapping`` takes them.

        Raises:
            ConfigurationError: If it holds something that a file cannot, such as a function among the options, or
                that would not come back as it is, such as a tuple among ``env_kwargs``.
        """
        try:
            mapping = asdict(self)
            read_back = json.loads(json.dumps(mapping))
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"the config holds something that cannot be written to a file: {error}") from error
        if changed := {name: value for name, value in mapping.items() if read_back[name] != value}:
            raise ConfigurationError(
                "the config holds something that cannot be written to a file as it is (such as a tuple, NaN or a key "
                f"that is no string): {changed}"
            )
        return mapping

    def make_venv(self, num_envs: int | None = None, broker: MessageBroker | None = None) -> HierarchicalVectorEnv:
        """The vector env that the config describes.

        Args:
            num_envs: Another number of copies than the config's; of its workers only as many start as there are
                copies for.
            broker: Carries all messages; an ``InMemoryBroker`` of its own by default.

        Raises:
            HeronError: If the environment, hierarchy and commands do not fit together.
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
    """What a TOML file says, for ``TrainConfig.from_mapping``.

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
        raise ConfigurationError(f"{where} has no {unknown}, only {known}")
    try:
        return kind(**values)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from error
