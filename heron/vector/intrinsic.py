"""Intrinsic rewards: the value of a step for the command that its agent was given."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box

from heron.batch.array_tree import ArrayTree, map_arrays
from heron.batch.batch_env import BoolArray
from heron.errors import ConfigurationError, summary
from heron.vector.results import GroupResult
from heron.vector.sight import Sight
from heron.vector.vec_group import VecGroup, resolve_group

IntrinsicReward: TypeAlias = Callable[[Any, Any, Any, npt.NDArray[np.float64]], npt.NDArray[Any]]
"""``(observations, commands, next_observations, rewards) -> rewards``, each ``(num_envs, num_agents, ...)``."""


def intrinsic_by_group(
    given: IntrinsicReward | Mapping[str, IntrinsicReward] | None, groups: Mapping[str, VecGroup]
) -> dict[str, IntrinsicReward]:
    """Return the intrinsic reward of each group that has one.

    Args:
        given: One function for all groups of field agents with an upstream, or by group or level name.
        groups: All groups.

    Raises:
        ConfigurationError: If a name fits no group, a group receives no commands, or a value is not a function.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        commanded = [group.name for group in groups.values() if group.is_field and group.command_space]
        if not commanded:
            raise ConfigurationError("intrinsic_reward: no field agent receives commands; give the hierarchy edges")
        given = dict.fromkeys(commanded, given)
    functions = {}
    for key, function in given.items():
        if not callable(function):
            raise ConfigurationError(
                f"intrinsic_reward must be a function, or a dict of functions by group or level, got {function!r}"
            )
        for group in resolve_group(key, groups, "intrinsic_reward"):
            if group.command_space is None:
                raise ConfigurationError(f"intrinsic_reward: group {group.name!r} receives no commands")
            # Any intrinsic reward may have a check of the groups it fits.
            check_group = getattr(function, "check_group", None)
            if check_group is not None:
                check_group(group)
            functions[group.name] = function
    return functions


class IntrinsicRewards:
    """Intrinsic rewards of a vector env, paid after each step.

    Args:
        functions: Group name -> its intrinsic reward.
        groups: Group name -> its agents.
        results: Group name -> the result whose rewards are set.
        sight: Observations and commands of the groups.
        env_ids: Names of the copies.
    """

    def __init__(
        self,
        functions: Mapping[str, IntrinsicReward],
        groups: Mapping[str, VecGroup],
        results: Mapping[str, GroupResult],
        sight: Sight,
        env_ids: Sequence[str],
    ) -> None:
        self._functions = functions
        self._groups = groups
        self._results = results
        self._sight = sight
        self._env_ids = env_ids
        self._before: dict[str, ArrayTree] = {}

    def observe(self) -> None:
        """Keep the observations before a step."""
        self._before = {name: map_arrays(np.copy, self._sight.own_observation(name)) for name in self._functions}

    def pay(self, mask: BoolArray | None, took_part: Mapping[str, BoolArray]) -> None:
        """Set the rewards of a step, before which ``observe`` was called.

        Args:
            mask: ``(num_envs,) bool``, the copies that were stepped; None for all.
            took_part: Group name -> ``(num_envs, num_agents) bool``, the agents that were active before.

        Raises:
            ConfigurationError: If a function raises, or its rewards have another shape or are NaN.
        """
        stepped = np.ones(len(self._env_ids), dtype=bool) if mask is None else mask
        for name in self._functions:
            rewards = np.where(took_part[name], self._computed(name), 0.0)[stepped]
            if np.isnan(np.minimum.reduce(rewards, axis=None, initial=0.0)):
                row, agent = np.argwhere(np.isnan(rewards))[0].tolist()
                raise ConfigurationError(
                    f"intrinsic_reward of group {name!r} is NaN for {self._groups[name].agent_ids[agent]!r} of "
                    f"{self._env_ids[np.flatnonzero(stepped)[row]]}"
                )
            self._results[name].rewards[stepped] = rewards

    def _computed(self, name: str) -> npt.NDArray[np.float64]:
        """Return the rewards of a group's function for a step, ``(num_envs, num_agents)``."""
        result, commands = self._results[name], self._sight.commands(self._groups[name])
        before, after = self._before[name], self._sight.own_observation(name)
        try:
            rewards = np.asarray(self._functions[name](before, commands, after, result.env_rewards), dtype=np.float64)
        except Exception as error:
            raise ConfigurationError(f"intrinsic_reward of group {name!r} raised {summary(error)}") from error
        if rewards.shape != result.rewards.shape:
            raise ConfigurationError(
                f"intrinsic_reward of group {name!r} must return rewards of shape {result.rewards.shape} "
                f"(copies, agents), got {rewards.shape}"
            )
        return rewards


class GoalReward:
    """Reward for approaching a commanded goal, which is a value for some entries of the observation.

    ``"progress"`` is the decrease of the distance to the goal, ``|x - goal| - |x' - goal|``. It is potential-based
    (Ng, Harada and Russell, "Policy invariance under reward transformations", ICML 1999). So over a
    command it sums up to the distance covered, for any path, and a new goal causes no jump. ``"distance"`` is
    ``-|x' - goal|``. Distances are Euclidean, in the observation's unit.

    Args:
        position: Start and stop of the observation's entries that the goal is for, as in a slice.
        measure: ``"progress"`` or ``"distance"``.

    Raises:
        ConfigurationError: If ``position`` is not a pair of increasing non-negative integers, or ``measure`` is
            unknown.

    >>> reward = GoalReward((0, 2))
    >>> start, end, goal = np.array([[[0.0, 0.0]]]), np.array([[[3.0, 0.0]]]), np.array([[[3.0, 4.0]]])
    >>> reward(start, goal, end, np.zeros((1, 1))).item()
    1.0
    """

    def __init__(self, position: tuple[int, int], measure: Literal["progress", "distance"] = "progress") -> None:
        start, stop = _checked_position(position)
        if measure not in ("progress", "distance"):
            raise ConfigurationError(f"measure must be 'progress' or 'distance', got {measure!r}")
        self.entries = slice(start, stop)
        self.measure = measure

    def __call__(
        self,
        observations: npt.NDArray[Any],
        commands: npt.NDArray[Any],
        next_observations: npt.NDArray[Any],
        rewards: npt.NDArray[np.float64],  # noqa: ARG002
    ) -> npt.NDArray[np.float64]:
        """Return rewards ``(num_envs, num_agents)`` for observations and goals ``(num_envs, num_agents, size)``."""
        after = self._distance(next_observations, commands)
        return -after if self.measure == "distance" else self._distance(observations, commands) - after

    def check_group(self, group: VecGroup) -> None:
        """Check that the observations and commands of a group fit the goal.

        Raises:
            ConfigurationError: If its own observation is not a vector with these entries, or its command is not a
                vector of as many values.
        """
        width = self.entries.stop - self.entries.start
        own, command = group.own_space, group.command_space
        observes_it = isinstance(own, Box) and len(own.shape) == 1 and own.shape[0] >= self.entries.stop
        if not observes_it or not isinstance(command, Box) or command.shape != (width,):
            raise ConfigurationError(
                f"group {group.name!r}: a goal for entries {self.entries.start} to {self.entries.stop - 1} needs an "
                f"observation of at least {self.entries.stop} values and a Box command of {width}, "
                f"got {own} and {command}"
            )

    def _distance(self, observations: npt.NDArray[Any], goals: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        offset = observations[..., self.entries].astype(np.float64) - goals
        return np.asarray(np.linalg.norm(offset, axis=-1))


def _checked_position(position: Any) -> tuple[int, int]:
    try:
        start, stop = position
    except (TypeError, ValueError):
        start, stop = None, None
    if not isinstance(start, int) or not isinstance(stop, int) or not 0 <= start < stop:
        raise ConfigurationError(
            f"position must be a pair of integers (start, stop) with 0 <= start < stop, got {position!r}"
        )
    return start, stop
