"""The config of a hierarchy: coordinators, their subordinates and their commands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, Space

from heron.agents import Hierarchy
from heron.agents.hierarchy import COORDINATOR_LEVEL
from heron.errors import ConfigurationError
from heron.training.config_checks import check_kind, is_count, is_number
from heron.vector.intrinsic import GoalReward

MAX_BOUND = float(np.finfo(np.float32).max)
MAX_CHOICES = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class HierarchyConfig:
    """The config of a hierarchy: coordinators, their subordinates and their commands.

    Attributes:
        period: Environment steps between two decisions of a coordinator: one number, or one per coordinator id.
        command: Command that each subordinate receives: ``{"size": 2, "low": -1.0, "high": 1.0}`` for numbers or
            ``{"choices": 4}`` for one of several choices. Either one for all, or a table with one per id, of the
            subordinate or of its coordinator.
        subordinates: Coordinator id -> ids of its subordinates; by default one coordinator commands all agents.
        goal: Keywords of ``GoalReward``, such as ``{"position": [2, 4]}``: commands are goals for some entries of the
            subordinate's observation, and subordinates learn to reach them.

    Raises:
        ConfigurationError: If a value has the wrong type or is out of range, or ``command`` and ``goal`` differ in
            size.
    """

    period: int | Mapping[str, int] = 1
    command: Mapping[str, Any] = field(default_factory=lambda: {"size": 2})
    subordinates: Mapping[str, Sequence[str]] | None = None
    goal: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        periods = self.period.values() if isinstance(self.period, Mapping) else [self.period]
        if not all(map(is_count, periods)):
            raise ConfigurationError(f"period must be a positive integer, or a table of them, got {self.period!r}")
        check_kind("subordinates", self.subordinates, (Mapping, NoneType), "a table of lists of agent ids")
        for name in ("subordinates", "goal"):  # tuples would be read back from a file as lists
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
        """Return the space of all commands, or the spaces by id.

        Raises:
            ConfigurationError: If ``command`` does not describe a space.
        """
        if self.command and isinstance(self.command, Mapping):
            tables = {agent: command for agent, command in self.command.items() if isinstance(command, Mapping)}
            if len(tables) == len(self.command):
                return {agent: _command_space(f"command of {agent!r}", command) for agent, command in tables.items()}
        return _command_space("command", self.command)

    def goal_reward(self) -> GoalReward | None:
        """Return the intrinsic reward for reaching a goal; None if commands are not goals.

        Raises:
            ConfigurationError: If ``goal`` does not describe a reward.
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
        """Build the hierarchy over the agents of an environment."""
        space = self.command_space()
        if self.subordinates is None:
            return Hierarchy({COORDINATOR_LEVEL: list(agent_ids)}, period=self.period, command_space=space)
        return Hierarchy(self.subordinates, period=self.period, command_space=space)


def _command_space(name: str, command: Any) -> Space[Any]:
    match command:
        case {"choices": choices, **rest} if is_count(choices) and choices <= MAX_CHOICES and not rest:
            return Discrete(choices)
        case {"size": size, **bounds} if is_count(size) and bounds.keys() <= {"low", "high"}:
            low, high = command.get("low", -1.0), command.get("high", 1.0)
            numbers = all(is_number(bound) and abs(bound) <= MAX_BOUND for bound in (low, high))
            if numbers and np.float32(low) < np.float32(high):
                return Box(low, high, (size,), dtype=np.float32)
    raise ConfigurationError(
        f"{name} must be like {{ size = 2, low = -1.0, high = 1.0 }} or {{ choices = 4 }}, with low < high as 32-bit "
        f"floats and choices as a 64-bit integer, got {command}"
    )


def _with_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_lists(one) for key, one in value.items()}
    return list(map(_with_lists, value)) if isinstance(value, (list, tuple)) else value
