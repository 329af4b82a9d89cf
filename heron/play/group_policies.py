"""One policy for each group, from what a user gives by group or level."""

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
            f"but the group's is {space}: {space_difference(value.action_space, space)}"
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


def check_predicts(kind: type, observation_space: Space[Any], owner: str) -> None:
    """Check that models of a class can decide by observations in a space.

    Raises:
        ConfigurationError: If they need masks that the observations do not have; ``owner`` says whose models they are.
    """
    if MASKED_MODEL in class_names(kind) and not masks_in(observation_space):
        raise ConfigurationError(
            f"{owner}: {MASKED_MODEL} needs action masks, an {MASK_KEY!r} in Dict observations, got {observation_space}"
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
