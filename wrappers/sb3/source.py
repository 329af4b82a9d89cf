"""The interface between ``Sb3VecEnv`` and the environments of its slots."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space

from heron.batch.array_tree import ArrayTree
from heron.batch.copy_selection import EnvSelection
from heron.errors import ConfigurationError
from heron.play.learner_env import LearnerEnv
from heron.play.slot_step import SlotStep


def check_acts_in_one_array(space: Space[Any], owner: str) -> None:
    """Check that SB3 has algorithms for actions in ``space``.

    Args:
        space: The action space.
        owner: Owner of the space, for the error message.

    Raises:
        ConfigurationError: If it does not.
    """
    if not isinstance(space, (Box, Discrete, MultiBinary, MultiDiscrete)):
        raise ConfigurationError(
            f"{owner} is {space!r}, but SB3's algorithms need a Box, Discrete, MultiBinary or MultiDiscrete space: "
            "wrap the environment so that it has such a space"
        )


class SlotSource(ABC):
    """Slots that are stepped together and reset automatically.

    Attributes:
        num_slots: Number of slots.
        observation_space: Observation space of a slot.
        action_space: Action space of a slot, with choices counted from 0.
        can_reset_some: True if ``reset_envs`` can reset some copies without affecting the others.
        reset_infos: The info of each slot's last reset, a new list after each reset.
        learner: The ``LearnerEnv`` with the slots, or None over another library's ``VectorEnv``.
        envs: The Gymnasium environments, if the slots were made from plain factories, or None.
        venv: The vector env.
        metadata: The environments' metadata.
    """

    num_slots: int
    observation_space: Space[Any]
    action_space: Space[Any]
    can_reset_some: bool
    reset_infos: list[dict[str, Any]]
    learner: LearnerEnv | None = None
    envs: list[gymnasium.Env[Any, Any]] | None = None
    venv: Any
    metadata: Mapping[str, Any]

    @abstractmethod
    def seeds(self, first: int) -> list[int | None]:
        """Return one seed per slot, counted from ``first``."""

    @abstractmethod
    def reset(self, seeds: Sequence[int | None], options: Sequence[Mapping[str, Any]]) -> ArrayTree:
        """Start a new episode in all copies, with one seed and one dict of options per slot."""

    @abstractmethod
    def reset_envs(
        self, which: EnvSelection, seed: int | Sequence[int | None] | None, options: Mapping[str, Any] | None
    ) -> ArrayTree:
        """Start a new episode in some copies. The next step reports interrupted slots as done."""

    @abstractmethod
    def step(self, actions: npt.NDArray[Any]) -> tuple[SlotStep, list[dict[str, Any]]]:
        """Step every slot, and reset those that are over.

        Returns:
            The record of the step, and one new info dict for each slot.
        """

    @abstractmethod
    def get_attr(self, name: str, slots: Sequence[int]) -> list[Any]:
        """Return an attribute of the environment of each of these slots."""

    def has_attr(self, name: str) -> bool:
        """Return True if the environments have an attribute."""
        try:
            self.get_attr(name, [0])
        except AttributeError:
            return False
        return True

    @abstractmethod
    def set_attr(self, name: str, value: Any, slots: Sequence[int]) -> None:
        """Set an attribute of the environment of each of these slots."""

    @abstractmethod
    def call(self, name: str, slots: Sequence[int], *args: Any, **kwargs: Any) -> list[Any]:
        """Call a method of the environment of each of these slots, and return the results."""

    @abstractmethod
    def current_infos(self, slots: Sequence[int]) -> list[Mapping[str, Any]]:
        """Return the latest info of each of these slots, from its last step or reset."""

    @abstractmethod
    def single_envs(self, slots: Sequence[int]) -> list[gymnasium.Env[Any, Any] | None]:
        """Return the Gymnasium environment of each of these slots, None for slots without one."""

    @abstractmethod
    def images(self) -> list[npt.NDArray[np.uint8] | None]:
        """Return the images that all environments render."""

    @abstractmethod
    def describe(self) -> str:
        """Return a description of the slots."""

    @abstractmethod
    def close(self) -> None:
        """Close the environments."""


def all_same(options: Sequence[Mapping[str, Any]]) -> bool:
    """Return True if all options are equal. Options with arrays count as different."""
    try:
        return all(one == options[0] for one in options)
    except ValueError:  # the truth value of an array is ambiguous
        return False
