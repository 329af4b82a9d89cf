"""What decides for a group of agents: SB3 models, functions and constants."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple

from heron.batch.action_records import as_actions, is_record_space, map_leaves
from heron.batch.array_tree import ArrayTree, map_arrays
from heron.batch.space_fit import difference, misfit
from heron.errors import ConfigurationError
from heron.play.action_masks import MASK_KEY, legal_actions, masks_in
from heron.vector.vec_group import VecGroup, resolve_group


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
PolicyLike: TypeAlias = "AnyPolicy | Model | npt.ArrayLike | Mapping[str, Any]"
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
        names = _class_names(type(model))
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


def counted_from_zero(space: Space[Any]) -> Space[Any]:
    """The same choices as SB3 counts them. A space without choices is returned as it is."""
    match space:
        case Discrete():
            return Discrete(space.n)
        case MultiDiscrete():
            return MultiDiscrete(space.nvec)
    return space


def actions_from_sb3(actions: npt.NDArray[Any], space: Space[Any]) -> npt.NDArray[Any]:
    """An SB3 model's actions in ``space``.

    Choices are counted from the space's ``start``, and where only whole numbers are allowed, fractions are rounded
    to the nearest. Scaling back from [-1, 1], SAC and its like miss a bound of a ``Box`` by a rounding error now and
    then; such an action is put on the bound, and any other left alone.
    """
    if space.shape is None or actions.shape[1:] != space.shape or actions.dtype.kind not in "iuf":
        return actions  # left for the check that says what is wrong with them
    match space:
        case Discrete() | MultiDiscrete():
            return actions + space.start
        case Box() if space.dtype.kind in "iu":
            return _whole(actions, space.low, space.high, space.dtype)
        case MultiBinary():
            return _whole(actions, 0, 1, space.dtype)
        case Box():
            on_bound = np.clip(actions, space.low, space.high)
            return np.where(np.isclose(actions, on_bound, rtol=1e-5, atol=1e-6), on_bound, actions)
    return actions


def _whole(actions: npt.NDArray[Any], low: Any, high: Any, dtype: Any) -> npt.NDArray[Any]:
    """Fractions rounded to whole numbers within the bounds; NaN, and what is whole by its dtype, is left alone."""
    if actions.dtype.kind != "f" or not np.isfinite(actions).all():
        return actions
    return np.asarray(np.clip(np.rint(actions), low, high).astype(dtype))


def batch_size(observations: ArrayTree) -> int:
    """The length of the first dimension."""
    while not isinstance(observations, np.ndarray):
        observations = next(iter(observations.values() if isinstance(observations, dict) else observations))
    return len(observations)


def as_policy(value: PolicyLike, group: VecGroup) -> AnyPolicy:
    """``value`` as a policy for ``group``.

    Raises:
        ConfigurationError: If a model's spaces are not the group's, it needs masks that there are not, or a constant is
            no action of the group.
    """
    if isinstance(value, Model):
        value = ModelPolicy(value)
    if isinstance(value, ModelPolicy):
        check_predicts(type(value.model), group.observation_space, f"policy of group {group.name!r}")
        _check_spaces(value.model, group)
        return ModelPolicy(value.model, deterministic=value.deterministic, action_space=group.action_space)
    space = group.action_space
    if isinstance(value, RandomPolicy) and value.action_space != space:
        raise ConfigurationError(
            f"policy of group {group.name!r}: the random policy's action_space is {value.action_space}, "
            f"but the group's is {space}: {difference(value.action_space, space)}"
        )
    if isinstance(value, type):
        raise ConfigurationError(
            f"policy of group {group.name!r}: expected a model, a function or an action in {space}, got the class "
            f"{value.__name__}: make one of it first"
        )
    if callable(value) or isinstance(value, RecurrentPolicy):
        return value
    return _constant(value, group)


def _constant(value: Any, group: VecGroup) -> ConstantPolicy:
    space = group.action_space
    wrong = f"policy of group {group.name!r}: expected a model, a function or an action in {space}, got {value!r:.200}"
    owner = f"policy of group {group.name!r}: a constant action"
    try:
        action: Any = map_leaves(space, value, _as_stored, owner, ConfigurationError)
    except ConfigurationError:
        raise
    except ValueError as error:
        raise ConfigurationError(wrong) from error
    if not space.contains(action):
        raise ConfigurationError(f"{wrong}: {misfit(space, action)}")
    return ConstantPolicy(as_actions(space, action, ()))


def _as_stored(space: Space[Any], value: Any, _leaf: str) -> npt.NDArray[Any]:
    """A value in the dtype of the space, if it fits into it; as it is, if not."""
    array = np.asarray(value)
    if array.shape == space.shape and np.can_cast(array.dtype, np.dtype(space.dtype), "same_kind"):
        return array.astype(space.dtype)
    return array


def policies_by_group(
    given: Mapping[str, PolicyLike], groups: Mapping[str, VecGroup], learner: str | None
) -> dict[str, AnyPolicy]:
    """One policy for each group but the learner, from policies by group or level.

    Raises:
        ConfigurationError: If a key names no group or level, a group has two policies or none, the learner has
            one, or a policy does not fit its group.
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"policies must be a dict, group or level name -> policy, got {given!r:.200}")
    policies: dict[str, AnyPolicy] = {}
    for key, value in given.items():
        for group in resolve_group(key, groups, "policies"):
            if group.name == learner:
                raise ConfigurationError(f"policies: {key!r} covers group {learner!r}, which is the one that learns")
            if group.name in policies:
                raise ConfigurationError(f"policies: group {group.name!r} is given two")
            policies[group.name] = as_policy(value, group)
    if missing := [name for name in groups if name != learner and name not in policies]:
        raise ConfigurationError(
            f"policies: groups {missing} need one each, a model, a function or a constant action, "
            f"as in policies={{{missing[0]!r}: ...}}"
        )
    return policies


def _normalized(observations: ArrayTree, model: Any) -> Any:
    """The observations as the model was shown them in training, if a ``VecNormalize`` stood before it."""
    find_normalizer = getattr(model, "get_vec_normalize_env", None)
    normalizer = None if find_normalizer is None else find_normalizer()
    return observations if normalizer is None else normalizer.normalize_obs(observations)


def check_predicts(kind: type, observation_space: Space[Any], owner: str) -> None:
    """Check that models of a class can decide by observations in a space.

    Raises:
        ConfigurationError: If they need masks that the observations do not have; ``owner`` says whose models they are.
    """
    if MASKED_MODEL in _class_names(kind) and not masks_in(observation_space):
        raise ConfigurationError(
            f"{owner}: {MASKED_MODEL} needs action masks, an {MASK_KEY!r} in Dict observations, got {observation_space}"
        )


def _swap_batch_and_layers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.swapaxes(0, 1)


def _class_names(kind: type) -> list[str]:
    """Of a class and its bases; SB3 itself must not be imported here."""
    return [base.__name__ for base in kind.__mro__]


def _check_spaces(model: Any, group: VecGroup) -> None:
    for what in ("observation_space", "action_space"):
        expected, has = getattr(group, what), getattr(model, what, None)
        same = _same_actions if what == "action_space" else _same_to_sb3
        if has is not None and not same(has, expected):
            raise ConfigurationError(
                f"policy of group {group.name!r}: the model's {what} is {has}, but the group's is {expected}: "
                f"{difference(has, expected)}"
            )


def _same_actions(has: Space[Any], expected: Space[Any]) -> bool:
    """Whether a model's actions are the group's; SB3 has no models for records, so nothing in there is recounted."""
    return has == expected if is_record_space(expected) else _same_to_sb3(has, expected)


def _same_to_sb3(has: Space[Any], expected: Space[Any]) -> bool:
    """Whether a model's space is the group's as SB3 shows it to models, in which images have their channels first.

    Predicting, SB3's models move the channels of an image by themselves.
    """
    if isinstance(has, Dict) and isinstance(expected, Dict):
        keys_agree = has.spaces.keys() == expected.spaces.keys()
        return keys_agree and all(_same_to_sb3(part, expected[key]) for key, part in has.spaces.items())
    return has in (expected, counted_from_zero(expected), _channels_first(expected))


def _channels_first(space: Space[Any]) -> Space[Any]:
    if isinstance(space, Box) and space.dtype == np.uint8 and len(space.shape) == 3:  # noqa: PLR2004
        return Box(np.moveaxis(space.low, -1, 0), np.moveaxis(space.high, -1, 0), dtype=np.uint8)
    return space
