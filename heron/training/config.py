"""All that a training run is made from, from a TOML file or from keywords."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from heron.agents import Hierarchy
from heron.agents.hierarchy import COORDINATOR_LEVEL
from heron.errors import ConfigurationError
from heron.messaging import MessageBroker
from heron.wrappers import HierarchicalVectorEnv, make_vec
from heron.wrappers.intrinsic import GoalReward
from heron.wrappers.processes.backend import Backend, check_backend
from heron.wrappers.processes.sharding import StartMethod, WorkerOptions

MAX_BOUND = float(np.finfo(np.float32).max)
MAX_CHOICES = int(np.iinfo(np.int64).max)

Record = TypeVar("Record", "HierarchyConfig", "LearnerConfig", "TrainConfig")


@dataclass(frozen=True)
class HierarchyConfig:
    """Who commands whom, and with what.

    Attributes:
        period: Environment steps between two decisions of a coordinator, one for all or by coordinator id.
        command: What each subordinate receives: ``{"size": 2, "low": -1.0, "high": 1.0}`` for numbers or
            ``{"choices": 4}`` for one of several. Either one for all, or a table of such by id of the
            subordinate or else of its coordinator.
        subordinates: Coordinator id -> ids of those it commands; by default one coordinator above all agents.
        goal: Makes a command a goal for some entries of the subordinate's observation, with the keywords of
            ``GoalReward``: ``{"position": [2, 4]}``. Subordinates then learn to reach it.

    Raises:
        ConfigurationError: If a value is of the wrong kind, or ``command`` and ``goal`` are not of one size.
    """

    period: int | Mapping[str, int] = 1
    command: Mapping[str, Any] = field(default_factory=lambda: {"size": 2})
    subordinates: Mapping[str, Sequence[str]] | None = None
    goal: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        periods = self.period.values() if isinstance(self.period, Mapping) else [self.period]
        if not all(map(_is_count, periods)):
            raise ConfigurationError(f"period must be a positive integer, or a table of such, got {self.period!r}")
        _check("subordinates", self.subordinates, (Mapping, NoneType), "a table of lists of agent ids")
        for name in ("subordinates", "goal"):  # a file has no tuples
            object.__setattr__(self, name, _with_lists(getattr(self, name)))
        space, goal = self.command_space(), self.goal_reward()
        if goal is not None and isinstance(space, Space):
            size = goal.entries.stop - goal.entries.start
            if isinstance(space, Discrete) or space.shape != (size,):
                raise ConfigurationError(
                    f"goal is for {size} entries of the observation, so command must be like "
                    f"{{ size = {size}, low = -1.0, high = 1.0 }}, got {self.command}"
                )

    def command_space(self) -> Space[Any] | dict[str, Space[Any]]:
        """The space of one command, or such spaces by id.

        Raises:
            ConfigurationError: If ``command`` describes none.
        """
        if self.command and isinstance(self.command, Mapping):
            tables = {agent: command for agent, command in self.command.items() if isinstance(command, Mapping)}
            if len(tables) == len(self.command):
                return {agent: _command_space(f"command of {agent!r}", command) for agent, command in tables.items()}
        return _command_space("command", self.command)

    def goal_reward(self) -> GoalReward | None:
        """What reaching a commanded goal is worth; None if commands are no goals.

        Raises:
            ConfigurationError: If ``goal`` describes none.
        """
        if self.goal is None:
            return None
        try:
            return GoalReward(**self.goal)
        except TypeError as error:
            raise ConfigurationError(
                f"goal must be like {{ position = [2, 4], measure = 'progress' }}, got {self.goal}"
            ) from error

    def build(self, agent_ids: Sequence[str]) -> Hierarchy:
        """The hierarchy over an environment's agents."""
        space = self.command_space()
        if self.subordinates is None:
            return Hierarchy({COORDINATOR_LEVEL: list(agent_ids)}, period=self.period, command_space=space)
        return Hierarchy(self.subordinates, period=self.period, command_space=space)


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
        _check("algorithm", self.algorithm, str, "the name of an SB3 class, such as 'PPO'")
        _check("policy", self.policy, (str, NoneType), "the name of a policy, such as 'MlpPolicy'")
        _check("normalize_rewards", self.normalize_rewards, bool, "true or false")
        _check("options", self.options, Mapping, "a table of keywords")
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
    hierarchy: HierarchyConfig | None = None
    learners: Mapping[str, LearnerConfig] = field(default_factory=dict)
    backend: Backend = "loop"
    num_workers: int | None = None
    start_method: StartMethod | None = None
    timeout: float | None = None
    restart_workers: bool | None = None

    def __post_init__(self) -> None:
        _check("env", self.env, str, "the environment's importable name, such as 'mpe2.simple_spread_v3'")
        _check("env_kwargs", self.env_kwargs, Mapping, "a table of arguments")
        _check("learners", self.learners, Mapping, "a table with one table a group or level")
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


def _command_space(name: str, command: Any) -> Space[Any]:
    match command:
        case {"choices": choices, **rest} if _is_count(choices) and choices <= MAX_CHOICES and not rest:
            return Discrete(choices)
        case {"size": size, **bounds} if _is_count(size) and bounds.keys() <= {"low", "high"}:
            low, high = command.get("low", -1.0), command.get("high", 1.0)
            numbers = all(is_number(bound) and abs(bound) <= MAX_BOUND for bound in (low, high))
            if numbers and np.float32(low) < np.float32(high):
                return Box(low, high, (size,), dtype=np.float32)
    raise ConfigurationError(
        f"{name} must be like {{ size = 2, low = -1.0, high = 1.0 }} or like {{ choices = 4 }}, within what 32-bit "
        f"floats and 64-bit integers can hold, got {command}"
    )


def _with_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_lists(one) for key, one in value.items()}
    return list(map(_with_lists, value)) if isinstance(value, (list, tuple)) else value


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


def _check(name: str, value: object, kind: Any, expected: str) -> None:
    if not isinstance(value, kind):
        raise ConfigurationError(f"{name} must be {expected}, got {value!r}")


def checked_count(name: str, value: object, least: int = 1) -> int:
    """``value`` as an int of at least ``least``, which is 0 or 1.

    Raises:
        ConfigurationError: If it is none.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least:
        return int(value)
    raise ConfigurationError(f"{name} must be a {'positive' if least else 'non-negative'} integer, got {value!r}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_number(value: object) -> bool:
    """Whether ``value`` is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
