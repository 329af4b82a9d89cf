"""Ready-made intrinsic rewards: what a command is worth to the one who receives it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box

from heron.errors import ConfigurationError
from heron.vector.vec_group import VecGroup, resolve_group

IntrinsicReward: TypeAlias = Callable[[Any, Any, Any, npt.NDArray[np.float64]], npt.NDArray[Any]]
"""``(observations, commands, next_observations, rewards) -> rewards``, each ``(num_envs, num_agents, ...)``."""


def intrinsic_by_group(
    given: IntrinsicReward | Mapping[str, IntrinsicReward] | None, groups: Mapping[str, VecGroup]
) -> dict[str, IntrinsicReward]:
    """The intrinsic reward of each group that has one.

    Args:
        given: One function for all groups of field agents with an upstream, or by group or level name.
        groups: All groups.

    Raises:
        ConfigurationError: If a name fits no group, a group receives no commands, or there is no function.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        commanded = [group.name for group in groups.values() if group.is_field and group.command_space]
        if not commanded:
            raise ConfigurationError("intrinsic_reward is given, but no field agent receives commands")
        given = dict.fromkeys(commanded, given)
    functions = {}
    for key, function in given.items():
        if not callable(function):
            raise ConfigurationError(f"intrinsic_reward must be a function, or one by group or level, got {function!r}")
        for group in resolve_group(key, groups, "intrinsic_reward"):
            if group.command_space is None:
                raise ConfigurationError(f"intrinsic_reward: group {group.name!r} receives no commands")
            # Any intrinsic reward may bring a check of the groups it fits.
            check_group = getattr(function, "check_group", None)
            if check_group is not None:
                check_group(group)
            functions[group.name] = function
    return functions


class GoalReward:
    """Reward for coming to a commanded goal, which is a value for some entries of the observation.

    ``"progress"`` is how much closer the step came to the goal, ``|x - goal| - |x' - goal|``. It is potential-based
    (Ng, Harada and Russell, "Policy invariance under reward transformations", ICML 1999), so over a
    command it adds up to the way covered, whatever the path, and a new goal brings no jump. ``"distance"`` is
    ``-|x' - goal|``. Distances are Euclidean, in the observation's unit.

    Args:
        position: First and last-plus-one entry of the observation that the goal is for, as in a slice.
        measure: ``"progress"`` or ``"distance"``.

    Raises:
        ConfigurationError: If ``position`` is no pair of increasing non-negative integers, or ``measure`` is
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
        """Rewards ``(num_envs, num_agents)`` for observations and goals ``(num_envs, num_agents, size)``."""
        after = self._distance(next_observations, commands)
        return -after if self.measure == "distance" else self._distance(observations, commands) - after

    def check_group(self, group: VecGroup) -> None:
        """Check that a group observes, and is commanded, what the goal is about.

        Raises:
            ConfigurationError: If its own observation is no vector with these entries, or its command no vector
                of as many values.
        """
        width = self.entries.stop - self.entries.start
        own, command = group.own_space, group.command_space
        observes_it = isinstance(own, Box) and len(own.shape) == 1 and own.shape[0] >= self.entries.stop
        if not observes_it or not isinstance(command, Box) or command.shape != (width,):
            raise ConfigurationError(
                f"a goal for entries {self.entries.start} to {self.entries.stop - 1} of group {group.name!r} needs an "
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
        raise ConfigurationError(f"position must be a pair (first, last + 1) of entries, got {position!r}")
    return start, stop
