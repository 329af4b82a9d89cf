"""Validation of the results of an environment's ``reset`` and ``step``."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from heron.errors import EnvStepError, InvalidObservationError

ByAgent: TypeAlias = Mapping[str, Any]

OF_RESET = ("observations", "infos")
OF_STEP = ("observations", "rewards", "terminations", "truncations", "infos")


def dicts_by_agent(returned: Any, names: Sequence[str], env_id: str) -> Sequence[ByAgent]:
    """Return the parts of a PettingZoo environment's results.

    Args:
        returned: By ``reset`` or ``step``.
        names: ``OF_RESET`` or ``OF_STEP``.
        env_id: The copy.

    Raises:
        EnvStepError: If it is anything but one dict for each name.
    """
    method = "reset" if names is OF_RESET else "step"
    try:
        parts = parts_of(returned, method, names)
    except TypeError as error:
        raise EnvStepError(f"{env_id}: {error}, each a dict by agent") from error
    for name, part in zip(names, parts, strict=True):
        if not isinstance(part, Mapping):
            raise EnvStepError(
                f"{env_id}: {method} must return {_listed(names)}, each a dict by agent, but the {name} are "
                f"{part!r:.200}"
            )
    return parts


def parts_of(returned: Any, method: str, names: Sequence[str]) -> Sequence[Any]:
    """Return the results of ``method``, one for each name.

    Raises:
        TypeError: If their number differs, or they are not a tuple or list.
    """
    if not isinstance(returned, (tuple, list)):
        raise TypeError(f"{method} returned {returned!r:.200}; it must return {_listed(names)}")
    if len(returned) != len(names):
        raise TypeError(f"{method} returned {len(returned)} values; it must return {_listed(names)}")
    return returned


def check_all_observed(agents: Sequence[str], observations: ByAgent, env_id: str) -> None:
    """Check that agents that continue have an observation.

    Raises:
        InvalidObservationError: If one is missing.
    """
    if missing := [agent for agent in agents if agent not in observations]:
        raise InvalidObservationError(
            f"{env_id}: agents {missing} are active, but have no observation; there are observations of "
            f"{list(observations)}"
        )


def reward_of(agent: str, rewards: ByAgent, env_id: str, *, goes_on: bool) -> float:
    """Return the reward of an agent that took part in a step; 0 if it is missing for one that has ended.

    Raises:
        InvalidObservationError: If it is not a number, or is missing though the agent continues.
    """
    if agent not in rewards:
        if goes_on:
            raise InvalidObservationError(
                f"{env_id}: {agent!r} acted and continues, but has no reward; there are rewards of {list(rewards)}"
            )
        return 0.0
    try:
        return float(rewards[agent])
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidObservationError(
            f"{env_id}: {agent!r} got reward {rewards[agent]!r:.200}; expected one number"
        ) from error


def flag_of(agent: str, flags: ByAgent, name: str, env_id: str) -> bool:
    """Return the flag of an agent; False if it is missing.

    Raises:
        InvalidObservationError: If it is not a bool.
    """
    try:
        return bool(flags.get(agent, False))
    except (TypeError, ValueError) as error:
        raise InvalidObservationError(
            f"{env_id}: the {name} have {flags[agent]!r:.200} for {agent!r}; expected True or False"
        ) from error


def nonempty_infos(infos: ByAgent, env_id: str) -> dict[str, ByAgent]:
    """Return the infos that are not empty, by agent id.

    Raises:
        EnvStepError: If an info is not a dict.
    """
    for agent, info in infos.items():
        if info is not None and not isinstance(info, Mapping):
            raise EnvStepError(f"{env_id}: the info of {agent!r} must be a dict, got {info!r:.200}")
    return {agent: info for agent, info in infos.items() if info}


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
