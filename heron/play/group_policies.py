"""One policy per group, from the policies that a user gives by group or level."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Dict, Space

from heron.batch.action_records import as_actions, is_record_space, map_leaves
from heron.batch.space_fit import misfit, space_difference
from heron.errors import ConfigurationError
from heron.play.action_masks import MASK_KEY, masks_in
from heron.play.policies import (
    MASKED_MODEL,
    AnyPolicy,
    ConstantPolicy,
    Model,
    ModelPolicy,
    PolicyLike,
    RandomPolicy,
    RecurrentPolicy,
    class_names,
)
from heron.play.sb3_actions import counted_from_zero
from heron.vector.vec_group import VecGroup, resolve_group


def as_policy(value: PolicyLike, group: VecGroup) -> AnyPolicy:
    """Return ``value`` as a policy for ``group``.

    Raises:
        ConfigurationError: If a model's spaces differ from the group's, a model needs action masks that the
            observations do not contain, or a constant is not an action of the group.
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
            f"but the group's is {space}: {space_difference(value.action_space, space)}"
        )
    if isinstance(value, type):
        raise ConfigurationError(
            f"policy of group {group.name!r}: expected a model, a function or an action in {space}, got the class "
            f"{value.__name__}: pass an instance of it"
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
    """Return a value in the dtype of the space, or unchanged if it does not fit."""
    array = np.asarray(value)
    if array.shape == space.shape and np.can_cast(array.dtype, np.dtype(space.dtype), "same_kind"):
        return array.astype(space.dtype)
    return array


def policies_by_group(
    given: Mapping[str, PolicyLike], groups: Mapping[str, VecGroup], learner: str | None
) -> dict[str, AnyPolicy]:
    """Return one policy for each group except the learner's, from policies by group or level.

    Raises:
        ConfigurationError: If a key is not a group or level, a group has no policy or two, the learner has one, or
            a policy does not fit its group.
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"policies must be a dict of group or level name -> policy, got {given!r:.200}")
    policies: dict[str, AnyPolicy] = {}
    for key, value in given.items():
        for group in resolve_group(key, groups, "policies"):
            if group.name == learner:
                raise ConfigurationError(f"policies: {key!r} includes group {learner!r}, which learns: leave it out")
            if group.name in policies:
                raise ConfigurationError(f"policies: group {group.name!r} has two policies, expected one")
            policies[group.name] = as_policy(value, group)
    if missing := [name for name in groups if name != learner and name not in policies]:
        raise ConfigurationError(
            f"policies: groups {missing} have no policy: give each a model, a function or a constant action, as in "
            f"policies={{{missing[0]!r}: ...}}"
        )
    return policies


def check_predicts(kind: type, observation_space: Space[Any], owner: str) -> None:
    """Check that models of a class can predict from observations in a space.

    Args:
        kind: The model class.
        observation_space: The space of the observations.
        owner: Owner of the models, for the error message.

    Raises:
        ConfigurationError: If the models need action masks that the observations do not contain.
    """
    if MASKED_MODEL in class_names(kind) and not masks_in(observation_space):
        raise ConfigurationError(
            f"{owner}: {MASKED_MODEL} needs Dict observations with action masks under {MASK_KEY!r}, got "
            f"{observation_space}"
        )


def _check_spaces(model: Any, group: VecGroup) -> None:
    for what in ("observation_space", "action_space"):
        expected, has = getattr(group, what), getattr(model, what, None)
        same = _same_actions if what == "action_space" else _same_to_sb3
        if has is not None and not same(has, expected):
            raise ConfigurationError(
                f"policy of group {group.name!r}: the model's {what} is {has}, but the group's is {expected}: "
                f"{space_difference(has, expected)}"
            )


def _same_actions(has: Space[Any], expected: Space[Any]) -> bool:
    """Return True if a model's action space fits the group's.

    SB3 has no models for records, so choices in records are never counted from zero.
    """
    return has == expected if is_record_space(expected) else _same_to_sb3(has, expected)


def _same_to_sb3(has: Space[Any], expected: Space[Any]) -> bool:
    """Return True if a model's space is the group's, or the one that SB3 derives from it.

    SB3 trains on images with their channels first. Its models transpose images themselves when they predict.
    """
    if isinstance(has, Dict) and isinstance(expected, Dict):
        keys_agree = has.spaces.keys() == expected.spaces.keys()
        return keys_agree and all(_same_to_sb3(part, expected[key]) for key, part in has.spaces.items())
    return has in (expected, counted_from_zero(expected), _channels_first(expected))


def _channels_first(space: Space[Any]) -> Space[Any]:
    if isinstance(space, Box) and space.dtype == np.uint8 and len(space.shape) == 3:  # noqa: PLR2004
        return Box(np.moveaxis(space.low, -1, 0), np.moveaxis(space.high, -1, 0), dtype=np.uint8)
    return space
