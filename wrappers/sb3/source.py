"""What stands behind the slots of an SB3 ``VecEnv``."""

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

    Raises:
        ConfigurationError: If it has not; ``owner`` says whose space it is.
    """
    if not isinstance(space, (Box, Discrete, MultiBinary, MultiDiscrete)):
        raise ConfigurationError(
            f"{owner} is {space!r}, but SB3's algorithms act in one array: a Box, Discrete, MultiBinary or "
            "MultiDiscrete; put a wrapper around the environment that flattens the space, takes such an action and "
            "shares it out"
        )


class SlotSource(ABC):
    """Slots that are stepped together and reset by themselves.

    Attributes:
        num_slots: How many there are.
        observation_space: What a slot sees.
        action_space: What a slot does, with choices counted from 0.
        can_reset_some: Whether ``reset_envs`` can reset some copies and leave the others alone.
        reset_infos: For each slot the info of its last reset, a new list where one of them is new.
        learner: The slots as a vector env has them, if they come from one of ours.
        envs: The Gymnasium environments, if the slots were made from factories of them.
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
        """One seed a slot, counted from ``first``."""

    @abstractmethod
    def reset(self, seeds: Sequence[int | None], options: Sequence[Mapping[str, Any]]) -> ArrayTree:
        """Start a new episode everywhere, with one seed and one dict of options for each slot."""

    @abstractmethod
    def reset_envs(
        self, which: EnvSelection, seed: int | Sequence[int | None] | None, options: Mapping[str, Any] | None
    ) -> ArrayTree:
        """Start a new episode in some copies. Slots that this interrupts are done at the next step."""

    @abstractmethod
    def step(self, actions: npt.NDArray[Any]) -> tuple[SlotStep, list[dict[str, Any]]]:
        """Step every slot, and reset those that are over.

        Returns:
            The record of the step, and one new info dict for each slot.
        """

    @abstractmethod
    def get_attr(self, name: str, slots: Sequence[int]) -> list[Any]:
        """An attribute of the environment of each of these slots."""

    def has_attr(self, name: str) -> bool:
        """Whether the environments have an attribute."""
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
        """What a method of the environment of each of these slots returns."""

    @abstractmethod
    def current_infos(self, slots: Sequence[int]) -> list[Mapping[str, Any]]:
        """What the environment of each of these slots has said last, at its reset if that was later."""

    @abstractmethod
    def single_envs(self, slots: Sequence[int]) -> list[gymnasium.Env[Any, Any] | None]:
        """The Gymnasium environment of each of these slots, None where there is none to look at."""

    @abstractmethod
    def images(self) -> list[npt.NDArray[np.uint8] | None]:
        """The pictures that all environments render."""

    @abstractmethod
    def describe(self) -> str:
        """Who is who, as text."""

    @abstractmethod
    def close(self) -> None:
        """Close the environments."""


def all_same(options: Sequence[Mapping[str, Any]]) -> bool:
    """Whether they are known to be the same: arrays in different dicts are not compared."""
    try:
        return all(one == options[0] for one in options)
    except ValueError:  # the truth of an array
        return False
