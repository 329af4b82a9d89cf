"""What decides for a group of agents: SB3 models, functions and constants."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space

from heron.envs.array_tree import ArrayTree
from heron.errors import ConfigurationError
from heron.wrappers.action_masks import MASK_KEY, legal_actions, masks_in
from heron.wrappers.vector.vec_group import VecGroup, resolve_group


class Policy(Protocol):
    """Decides for a batch of agents at once."""

    def __call__(self, observations: Any) -> npt.NDArray[Any]:
        """Actions ``(batch, *action_shape)`` for observations ``(batch, ...)``, a tree for ``Dict`` spaces."""
        ...


@runtime_checkable
class Model(Protocol):
    """Anything that predicts as SB3's models do."""

    observation_space: Space[Any]
    action_space: Space[Any]

    def predict(self, observation: Any, *, deterministic: bool) -> tuple[npt.NDArray[Any], Any]:
        """Actions for a batch of observations, and a state that is not used."""
        ...


PolicyLike: TypeAlias = "Policy | Model | npt.ArrayLike"
"""A model, a function of a batch of observations, or the one action that is always taken."""


MASKED_MODEL, RECURRENT_MODEL = "MaskablePPO", "RecurrentPPO"
"""Class names of models that need more than an observation to predict."""


class ModelPolicy:
    """A model's predictions.

    A model that was trained behind a ``VecNormalize`` gets its observations normalized by it, with the statistics as
    they are. One that was loaded from a file has to be given that ``VecNormalize`` again: ``model.set_env(...)``.
    ``MaskablePPO`` is given the masks that stand as ``"action_mask"`` in the observations.

    Args:
        model: An SB3 model, or anything that predicts as they do.
        deterministic: Whether to take the model's best action rather than sample one.
        action_space: The space to choose from; the model's own by default.
    """

    def __init__(self, model: Model, *, deterministic: bool = False, action_space: Space[Any] | None = None) -> None:
        self.model = model
        self.action_space = model.action_space if action_space is None else action_space
        self.deterministic = deterministic
        self._is_masked = MASKED_MODEL in _class_names(type(model))

    def __call__(self, observations: ArrayTree) -> npt.NDArray[Any]:
        masks: dict[str, Any] = {}
        if self._is_masked and isinstance(observations, dict) and MASK_KEY in observations:
            masks["action_masks"] = legal_actions(observations[MASK_KEY], self.action_space)
        seen = _normalized(observations, self.model)
        actions, _ = self.model.predict(seen, deterministic=self.deterministic, **masks)
        return actions_from_sb3(actions, self.action_space)

    def __repr__(self) -> str:
        return f"{type(self.model).__name__} model" + (" (deterministic)" if self.deterministic else "")


class ConstantPolicy:
    """One action, always."""

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
        action_space: The space of one agent: ``Discrete``, ``MultiDiscrete``, ``MultiBinary`` or a bounded
            ``Box``.
        seed: Of the random stream.

    Raises:
        ConfigurationError: If a ``Box`` is not bounded.
    """

    def __init__(self, action_space: Space[Any], seed: int | None = None) -> None:
        if isinstance(action_space, Box) and not action_space.is_bounded():
            raise ConfigurationError(f"a random policy needs a bounded Box, got {action_space}")
        self.action_space = action_space
        self._random = np.random.default_rng(seed)

    def __call__(self, observations: ArrayTree) -> npt.NDArray[Any]:
        space = self.action_space
        shape = (batch_size(observations), *(space.shape or ()))
        match space:
            case Box() if np.issubdtype(space.dtype, np.integer):
                return self._random.integers(space.low, space.high, shape, dtype=space.dtype, endpoint=True)
            case Box():
                return self._random.uniform(space.low, space.high, shape).astype(space.dtype)
            case Discrete() if isinstance(observations, dict) and MASK_KEY in observations:
                allowed = np.asarray(observations[MASK_KEY], dtype=bool)
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
    if actions.shape[1:] != space.shape or actions.dtype.kind not in "iuf":
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


def as_policy(value: PolicyLike, group: VecGroup) -> Policy:
    """``value`` as a policy for ``group``.

    Raises:
        ConfigurationError: If a model's spaces are not the group's, it needs masks or a memory, or a constant is no
            action of the group.
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
            f"but the group's is {space}"
        )
    if callable(value):
        return value
    action = np.asarray(value)
    if action.shape == (space.shape or ()) and np.can_cast(action.dtype, np.dtype(space.dtype), "same_kind"):
        action = action.astype(space.dtype)
        if space.contains(action if action.shape else action[()]):
            return ConstantPolicy(action)
    raise ConfigurationError(
        f"policy of group {group.name!r}: expected a model, a function or an action in {space}, got {value!r}"
    )


def policies_by_group(
    given: Mapping[str, PolicyLike], groups: Mapping[str, VecGroup], learner: str | None
) -> dict[str, Policy]:
    """One policy for each group but the learner, from policies by group or level.

    Raises:
        ConfigurationError: If a key names no group or level, a group has two policies or none, the learner has
            one, or a policy does not fit its group.
    """
    policies: dict[str, Policy] = {}
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
        ConfigurationError: If they need a memory, or masks that the observations do not have; ``owner`` says whose
            models they are.
    """
    names = _class_names(kind)
    if RECURRENT_MODEL in names:
        raise ConfigurationError(
            f"{owner}: {RECURRENT_MODEL} needs to remember between its decisions, and policies here do not"
        )
    if MASKED_MODEL in names and not masks_in(observation_space):
        raise ConfigurationError(
            f"{owner}: {MASKED_MODEL} needs action masks, an {MASK_KEY!r} in Dict observations, got {observation_space}"
        )


def _class_names(kind: type) -> list[str]:
    """Of a class and its bases; SB3 itself must not be imported here."""
    return [base.__name__ for base in kind.__mro__]


def _check_spaces(model: Any, group: VecGroup) -> None:
    for what in ("observation_space", "action_space"):
        expected, has = getattr(group, what), getattr(model, what, None)
        if has is not None and not _same_to_sb3(has, expected):
            raise ConfigurationError(
                f"policy of group {group.name!r}: the model's {what} is {has}, but the group's is {expected}"
            )


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
