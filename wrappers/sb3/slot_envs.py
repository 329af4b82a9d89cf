"""Attributes and methods of the environment behind each slot."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from heron.play.action_masks import MASKS_METHOD
from heron.play.learner_env import LearnerEnv


class SlotEnvs:
    """Environments of a learner's slots; the slots of a copy share one.

    Args:
        learner: The slots.
        singles: The Gymnasium environment of each slot, if it has one of its own.

    Attributes:
        singles: As given.
        metadata: Metadata of the first environment.
    """

    def __init__(self, learner: LearnerEnv, singles: list[gymnasium.Env[Any, Any]] | None) -> None:
        self._learner = learner
        self._batch_env = learner.venv.batch_env
        self.singles = singles
        try:
            self.metadata: Mapping[str, Any] = self._batch_env.get_attr("metadata", [0])[0]
        except AttributeError:
            self.metadata = {}

    def has_attr(self, name: str) -> bool:
        """Return True if the environments have an attribute."""
        try:
            self.get_attr(name, [0])
        except AttributeError:
            return False
        return True

    def get_attr(self, name: str, slots: Sequence[int]) -> list[Any]:
        """Return an attribute of the environment of each of these slots."""
        copies, places = self._copies(slots)
        try:
            values = self._batch_env.get_attr(name, copies)
        except AttributeError:
            if name != "render_mode":
                raise
            values = [None] * len(copies)
        return [values[place] for place in places]

    def set_attr(self, name: str, value: Any, slots: Sequence[int]) -> None:
        """Set an attribute of the environment of each of these slots."""
        copies, _ = self._copies(slots)
        self._batch_env.set_attr(name, [value] * len(copies), copies)

    def call(self, name: str, slots: Sequence[int], *args: Any, **kwargs: Any) -> list[Any]:
        """Call a method of the environment of each of these slots once, and return the result for each slot."""
        copies, places = self._copies(slots)
        values = self._batch_env.call(name, copies, *args, **kwargs)
        by_slot = [values[place] for place in places]
        if name == MASKS_METHOD and isinstance(values[0], Mapping):
            return [value[self._learner.agent_id(slot)] for value, slot in zip(by_slot, slots, strict=True)]
        return by_slot

    def images(self) -> list[npt.NDArray[np.uint8] | None]:
        """Return one rendered image a copy."""
        return self._batch_env.call("render", list(range(self._batch_env.num_envs)))

    def _copies(self, slots: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return the distinct copies of some slots, and for each slot the place of its copy among them."""
        of_slots = [self._learner.env_index(slot) for slot in slots]
        copies = list(dict.fromkeys(of_slots))
        places = {copy: place for place, copy in enumerate(copies)}
        return copies, [places[copy] for copy in of_slots]
