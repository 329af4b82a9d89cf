"""Policies that decide for a group of agents: SB3 models, functions, constants and random actions."""

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
    """A function that decides for a batch of agents."""

    def __call__(self, observations: Any) -> ArrayTree:
        """Return actions ``(batch, *action_shape)`` for observations ``(batch, ...)``.

        Both are trees for ``Dict`` and ``Tuple`` spaces. Actions may also be records.
        """
        ...


@runtime_checkable
class RecurrentPolicy(Protocol):
    """A policy with a memory of each agent."""

    def decide(
        self, observations: Any, memory: Any, begins: npt.NDArray[np.bool_]
    ) -> "tuple[ArrayTree, ArrayTree | None]":
        """Return actions, and the memory of each agent for its next decision.

        Args:
            observations: ``(batch, ...)``, a tree for ``Dict`` spaces.
            memory: ``(batch, ...)``, the memory of each agent, an array or a dict or tuple of arrays. Zero where an
                episode begins; None before the first memory was returned.
            begins: ``(batch,) bool``, agents whose episode begins, or that have returned after their end.

        Returns:
            Actions ``(batch, *action_shape)``, and the memory ``(batch, ...)``, with the same shapes in every call.
            The memory is None if there is nothing to remember.
        """
        ...


@runtime_checkable
class Model(Protocol):
    """An object with the ``predict`` method of SB3's models."""

    observation_space: Space[Any]
    action_space: Space[Any]

    def predict(self, observation: Any, *, deterministic: bool) -> tuple[npt.NDArray[Any], Any]:
        """Return actions for a batch of observations, and a state that only ``RecurrentPPO`` uses."""
        ...


AnyPolicy: TypeAlias = Policy | RecurrentPolicy
PolicyLike: TypeAlias = AnyPolicy | Model | npt.ArrayLike | Mapping[str, Any]
"""A model, a function of a batch of observations, a recurrent policy, or a constant action."""


MASKED_MODEL, RECURRENT_MODEL = "MaskablePPO", "RecurrentPPO"
"""Class names of models that need more than an observation to predict."""


class ModelPolicy:
    """The policy of an SB3 model.

    If the model was trained with ``VecNormalize``, its observations are normalized with the current statistics. A
    model loaded from a file needs that ``VecNormalize`` again: ``model.set_env(...)``. ``MaskablePPO`` gets its masks
    from ``"action_mask"`` in the observations. Views keep the LSTM state of ``RecurrentPPO`` for each agent of each
    copy. To use such a policy without a view, call ``decide``.

    Args:
        model: An SB3 model, or any object with the same ``predict`` method.
        deterministic: True to take the model's best action instead of a sample.
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
                f"{self!r} is recurrent: call decide(observations, memory, begins) with the memory that it returned "
                "before"
            )
        actions, _ = self._predict(observations)
        return actions

    def decide(
        self, observations: ArrayTree, memory: "ArrayTree | None", begins: npt.NDArray[np.bool_]
    ) -> "tuple[npt.NDArray[Any], ArrayTree | None]":
        """Return actions and memory, as ``RecurrentPolicy.decide`` does. Without an LSTM the memory is None."""
        if not self._is_recurrent:
            return self(observations), None
        # In SB3's states the network's layers are the first axis, and the batch is the second.
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
    """A policy that always takes the same action, an array or a record."""

    def __init__(self, action: npt.NDArray[Any]) -> None:
        self.action = action

    def __call__(self, observations: ArrayTree) -> npt.NDArray[Any]:
        batch = batch_size(observations)
        return np.broadcast_to(self.action, (batch, *self.action.shape))

    def __repr__(self) -> str:
        return f"constant {self.action}"


class RandomPolicy:
    """A policy of uniformly random actions. ``Discrete`` actions respect ``"action_mask"`` in the observation.

    Args:
        action_space: The action space of one agent: ``Discrete``, ``MultiDiscrete``, ``MultiBinary``, a bounded
            ``Box``, or a ``Dict`` or ``Tuple`` of them. For the last two, ``"action_mask"`` is a dict or tuple too.
        seed: Seed of the random stream.

    Raises:
        ConfigurationError: If a ``Box`` is unbounded.
    """

    def __init__(self, action_space: Space[Any], seed: int | None = None) -> None:
        if not is_bounded(action_space):
            raise ConfigurationError(f"RandomPolicy needs bounded actions, got {action_space}")
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
                # A mask often allows nothing while it is another agent's turn. Any action will do then.
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
    """Return True if every ``Box`` in the space is bounded."""
    match space:
        case Box():
            return space.is_bounded()
        case Dict():
            return all(map(is_bounded, space.spaces.values()))
        case Tuple():
            return all(map(is_bounded, space.spaces))
    return True


def batch_size(observations: ArrayTree) -> int:
    """Return the length of the first dimension."""
    while not isinstance(observations, np.ndarray):
        observations = next(iter(observations.values() if isinstance(observations, dict) else observations))
    return len(observations)


def _normalized(observations: ArrayTree, model: Any) -> Any:
    """Return the observations normalized by the model's ``VecNormalize``, if it has one."""
    find_normalizer = getattr(model, "get_vec_normalize_env", None)
    normalizer = None if find_normalizer is None else find_normalizer()
    return observations if normalizer is None else normalizer.normalize_obs(observations)


def _swap_batch_and_layers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.swapaxes(0, 1)


def class_names(kind: type) -> list[str]:
    """Return the names of a class and its bases. They identify SB3's models without importing SB3."""
    return [base.__name__ for base in kind.__mro__]
