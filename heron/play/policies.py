"""What decides for a group of agents: SB3 models, functions and constants."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space, Tuple

from heron.batch.array_tree import ArrayTree, map_arrays
from heron.errors import ConfigurationError
from heron.play.action_masks import MASK_KEY, legal_actions
from heron.play.sb3_actions import actions_from_sb3


class Policy(Protocol):
    """Decides for a batch of agents at once."""

    def __call__(self, observations: Any) -> ArrayTree:
        """Actions ``(batch, *action_shape)`` for observations ``(batch, ...)``.

        Both are trees for ``Dict`` and ``Tuple`` spaces; actions may be records, too.
        """
        ...


@runtime_checkable
class RecurrentPolicy(Protocol):
    """Decides for a batch of agents by what it remembers of each, too."""

    def decide(
        self, observations: Any, memory: Any, begins: npt.NDArray[np.bool_]
    ) -> "tuple[ArrayTree, ArrayTree | None]":
        """Actions, and what to remember of each agent until its next decision.

        Args:
            observations: ``(batch, ...)``, a tree for ``Dict`` spaces.
            memory: ``(batch, ...)``, what it has remembered of each agent, an array or a dict or tuple of arrays; zero
                where an episode begins, and None before there has been anything.
            begins: ``(batch,) bool``, agents whose episode begins, or who have come back.

        Returns:
            ``(batch, *action_shape)``, and ``(batch, ...)`` of the same shapes each time, or None for nothing.
        """
        ...


@runtime_checkable
class Model(Protocol):
    """Anything that predicts as SB3's models do."""

    observation_space: Space[Any]
    action_space: Space[Any]

    def predict(self, observation: Any, *, deterministic: bool) -> tuple[npt.NDArray[Any], Any]:
        """Actions for a batch of observations, and a state that only ``RecurrentPPO`` uses."""
        ...


AnyPolicy: TypeAlias = Policy | RecurrentPolicy
PolicyLike: TypeAlias = AnyPolicy | Model | npt.ArrayLike | Mapping[str, Any]
"""A model, a function of a batch of observations, one with a memory, or the one action that is always taken."""


MASKED_MODEL, RECURRENT_MODEL = "MaskablePPO", "RecurrentPPO"
"""Class names of models that need more than an observation to predict."""


class ModelPolicy:
    """A model's predictions.

    A model that was trained behind a ``VecNormalize`` gets its observations normalized by it, with the statistics as
    they are. One that was loaded from a file has to be given that ``VecNormalize`` again: ``model.set_env(...)``.
    ``MaskablePPO`` is given the masks that stand as ``"action_mask"`` in the observations. ``RecurrentPPO`` remembers:
    the views keep its LSTM's state for each agent of each copy, and whoever asks it directly must call ``decide``.

    Args:
        model: An SB3 model, or anything that predicts as they do.
        deterministic: Whether to take the model's best action rather than sample one.
        action_space: The space to choose from; the model's own by default.
    """

    def __init__(self, model: Model, *, deterministic: bool = False, action_space: Space[Any] | None = None) -> None:
        self.model = model
        self.action_space = model.action_space if action_space is None else action_space
        self.deterministic = deterministic
        names = class_names(type(model))
        self._is_masked, self._is_recurrent = MASKED_MODEL in names, RECURRENT_MODEL in names

    def __call__(self, observations: ArrayTree) -> npt.NDArray[Any]:
        if self._is_recurrent:
            raise ConfigurationError(
                f"{self!r} remembers between its decisions: call decide(observations, memory, begins) with the memory "
                "that it returned before"
            )
        actions, _ = self._predict(observations)
        return actions

    def decide(
        self, observations: ArrayTree, memory: "ArrayTree | None", begins: npt.NDArray[np.bool_]
    ) -> "tuple[npt.NDArray[Any], ArrayTree | None]":
        """As ``RecurrentPolicy`` has it; a model that does not remember returns None as its memory."""
        if not self._is_recurrent:
            return self(observations), None
        # SB3's states have the layers of the network before the batch.
        state = None if memory is None else map_arrays(_swap_batch_and_layers, memory)
        actions, state = self._predict(observations, state=state, episode_start=begins)
        return actions, map_arrays(_swap_batch_and_layers, state)

    def _predict(self, observations: ArrayTree, **memory: Any) -> tuple[npt.NDArray[Any], Any]:
        if self._is_masked and isinstance(observations, dict) and MASK_KEY in observations:
            memory["action_masks"] = legal_actions(observations[MASK_KEY], self.action_space)
        seen = _normalized(observations, self.model)
        actions, state = self.model.predict(seen, deterministic=self.deterministic, **memory)
        return actions_from_sb3(actions, self.action_space), state

    def __repr__(self) -> str:
        return f"{type(self.model).__name__} model" + (" (deterministic)" if self.deterministic else "")


class ConstantPolicy:
    """One action, always: an array, or a record."""

    def __init__(self, action: npt.NDArray[Any]) -> None:
        self.action = action

    def __call__(self, observations: ArrayTree) -> npt.NDArray[Any]:
        batch = batch_size(observations)
        return np.broadcast_to(self.action, (batch, *self.action.shape))

    def __repr__(self) -> str:
        return f"constant {self.action}"


class RandomPolicy:
    """Uniformly random actions; of a ``Discrete`` space those that ``"action_mask"`` in the observation allows.

    Args:
        action_space: The space of one agent: ``Discrete``, ``MultiDiscrete``, ``MultiBinary``, a bounded ``Box``, or a
            ``Dict`` or ``Tuple`` of them; for these ``"action_mask"`` is a dict or tuple of masks, too.
        seed: Of the random stream.

    Raises:
        ConfigurationError: If a ``Box`` is not bounded.
    """

    def __init__(self, action_space: Space[Any], seed: int | None = None) -> None:
        if not is_bounded(action_space):
            raise ConfigurationError(f"a random policy needs a bounded Box, got {action_space}")
        self.action_space = action_space
        self._random = np.random.default_rng(seed)

    def __call__(self, observations: ArrayTree) -> ArrayTree:
        mask = observations.get(MASK_KEY) if isinstance(observations, dict) else None
        return self._draw(self.action_space, batch_size(observations), mask)

    def _draw(self, space: Space[Any], size: int, mask: "ArrayTree | None") -> ArrayTree:
        if isinstance(space, Dict):
            masks = mask if isinstance(mask, dict) else {}
            return {key: self._draw(part, size, masks.get(key)) for key, part in space.spaces.items()}
        if isinstance(space, Tuple):
            parts = mask if isinstance(mask, tuple) else [None] * len(space.spaces)
            return tuple(self._draw(part, size, own) for part, own in zip(space.spaces, parts, strict=True))
        return self._draw_array(space, size, mask)

    def _draw_array(self, space: Space[Any], size: int, mask: "ArrayTree | None") -> npt.NDArray[Any]:
        shape = (size, *(space.shape or ()))
        match space:
            case Box() if np.issubdtype(space.dtype, np.integer):
                return self._random.integers(space.low, space.high, shape, dtype=space.dtype, endpoint=True)
            case Box():
                return self._random.uniform(space.low, space.high, shape).astype(space.dtype)
            case Discrete() if mask is not None:
                allowed = np.asarray(mask, dtype=bool)
                # An agent whose turn it is not is often allowed nothing: then any action will do.
                choice = np.where(allowed, self._random.random(allowed.shape), -1.0).argmax(axis=-1)
                return np.asarray(choice + space.start)
            case Discrete():
                return self._random.integers(space.start, space.start + space.n, shape)
            case MultiDiscrete():
                return self._random.integers(space.start, space.start + space.nvec, shape)
        return self._random.integers(0, 2, shape, dtype=np.int8)

    def __repr__(self) -> str:
        return "random actions"


def is_bounded(space: Space[Any]) -> bool:
    """Whether there are finitely many choices, or bounds to all numbers."""
    match space:
        case Box():
            return space.is_bounded()
        case Dict():
            return all(map(is_bounded, space.spaces.values()))
        case Tuple():
            return all(map(is_bounded, space.spaces))
    return True


def batch_size(observations: ArrayTree) -> int:
    """The length of the first dimension."""
    while not isinstance(observations, np.ndarray):
        observations = next(iter(observations.values() if isinstance(observations, dict) else observations))
    return len(observations)


def _normalized(observations: ArrayTree, model: Any) -> Any:
    """The observations as the model was shown them in training, if a ``VecNormalize`` stood before it."""
    find_normalizer = getattr(model, "get_vec_normalize_env", None)
    normalizer = None if find_normalizer is None else find_normalizer()
    return observations if normalizer is None else normalizer.normalize_obs(observations)


def _swap_batch_and_layers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.swapaxes(0, 1)


def class_names(kind: type) -> list[str]:
    """Return the names of a class and its bases. SB3 itself must not be imported here."""
    return [base.__name__ for base in kind.__mro__]
