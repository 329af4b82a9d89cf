"""All that a training run is made from, from a TOML file or from keywords."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from heron.agents import Hierarchy
from heron.errors import ConfigurationError
from heron.messaging import MessageBroker
from heron.wrappers import HierarchicalVectorEnv, make_vec
from heron.wrappers.intrinsic import GoalReward

Record = TypeVar("Record", "HierarchyConfig", "LearnerConfig", "TrainConfig")


@dataclass(frozen=True)
class HierarchyConfig:
    """Who commands whom, and with what.

    Attributes:
        period: Environment steps between two decisions of a coordinator.
        command: What each subordinate receives: ``{"size": 2, "low": -1.0, "high": 1.0}`` for numbers or
            ``{"choices": 4}`` for one of several.
        subordinates: Coordinator id -> ids of those it commands; by default one coordinator above all agents.
        goal: Makes a command a goal for some entries of the subordinate's observation, with the keywords of
            ``GoalReward``: ``{"position": [2, 4]}``. Subordinates then learn to reach it.
    """

    period: int = 1
    command: Mapping[str, Any] = field(default_factory=lambda: {"size": 2})
    subordinates: Mapping[str, Sequence[str]] | None = None
    goal: Mapping[str, Any] | None = None

    def command_space(self) -> Space[Any]:
        """The space of one command.

        Raises:
            ConfigurationError: If ``command`` describes none.
        """
        match dict(self.command):
            case {"choices": int(choices), **rest} if choices > 0 and not rest:
                return Discrete(choices)
            case {"size": int(size), **bounds} if size > 0 and bounds.keys() <= {"low", "high"}:
                low, high = float(bounds.get("low", -1.0)), float(bounds.get("high", 1.0))
                if low < high:
                    return Box(low, high, (size,), dtype=np.float32)
        raise ConfigurationError(
            "command must be like { size = 2, low = -1.0, high = 1.0 } or like { choices = 4 }, "
            f"got {dict(self.command)}"
        )

    def build(self, agent_ids: Sequence[str]) -> Hierarchy:
        """The hierarchy over an environment's agents."""
        space = self.command_space()
        if self.subordinates is None:
            return Hierarchy.star(agent_ids, period=self.period, command_space=space)
        return Hierarchy(self.subordinates, period=self.period, command_space=space)


@dataclass(frozen=True)
class LearnerConfig:
    """How one group learns.

    Attributes:
        algorithm: Name of a class in ``stable_baselines3`` or ``sb3_contrib``.
        policy: The policy's name there; by default ``"MlpPolicy"``, or ``"MultiInputPolicy"`` for ``Dict``
            observations.
        share: How much of a round's environment steps the group learns for, relative to the other groups.
        normalize_rewards: Whether the learner sees rewards divided by the running scale of its returns, which
            keeps a large value loss from drowning the policy's.
        options: Keywords of the algorithm, such as ``learning_rate``.
    """

    algorithm: str = "PPO"
    policy: str | None = None
    share: float = 1.0
    normalize_rewards: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.share, (int, float)) or not self.share >= 0:
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
    """

    env: str
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    num_envs: int = 16
    steps: int = 100_000
    rounds: int = 1
    seed: int = 0
    hierarchy: HierarchyConfig | None = None
    learners: Mapping[str, LearnerConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("num_envs", "steps", "rounds"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"{name} must be a positive integer, got {value!r}")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ConfigurationError(f"seed must be a non-negative integer, got {self.seed!r}")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """A config from nested mappings, as TOML and JSON have them.

        Raises:
            ConfigurationError: If a key is unknown, ``env`` is missing, or a value cannot work.
        """
        given = dict(values)
        if given.get("hierarchy") is not None:
            given["hierarchy"] = _record(HierarchyConfig, given["hierarchy"], "hierarchy")
        given["learners"] = {
            name: _record(LearnerConfig, learner, f"learners.{name}")
            for name, learner in dict(given.get("learners", {})).items()
        }
        if "env" not in given:
            raise ConfigurationError("env is missing: name the environment, as in env = 'mpe2.simple_spread_v3'")
        return _record(TrainConfig, given, "the config")

    def to_mapping(self) -> dict[str, Any]:
        """The config as nested dicts, as ``from_mapping`` takes them."""
        return asdict(self)

    def make_venv(self, num_envs: int | None = None, broker: MessageBroker | None = None) -> HierarchicalVectorEnv:
        """The vector env that the config describes.

        Args:
            num_envs: Another number of copies than the config's.
            broker: Carries all messages; an ``InMemoryBroker`` of its own by default.

        Raises:
            HeronError: If the environment, hierarchy and commands do not fit together.
        """
        goal = self.hierarchy.goal if self.hierarchy else None
        return make_vec(
            self.env,
            num_envs or self.num_envs,
            self.hierarchy.build if self.hierarchy else None,
            broker,
            env_kwargs=self.env_kwargs,
            intrinsic_reward=None if goal is None else _goal_reward(goal),
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


def _goal_reward(goal: Mapping[str, Any]) -> GoalReward:
    try:
        return GoalReward(**goal)
    except TypeError as error:
        raise ConfigurationError(
            f"goal must be like {{ position = [2, 4], measure = 'progress' }}, got {dict(goal)}"
        ) from error


def _record(kind: type[Record], values: Mapping[str, Any], where: str) -> Record:
    known = [one.name for one in fields(kind)]
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"{where} must be a table, got {values!r}")
    if unknown := sorted(set(values) - set(known)):
        raise ConfigurationError(f"{where} has no {unknown}, only {known}")
    return kind(**values)
