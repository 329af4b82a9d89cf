"""What an environment's ``reset`` and ``step`` have returned, read with an eye for what it may not be."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from heron.errors import EnvStepError, InvalidObservationError

ByAgent: TypeAlias = Mapping[str, Any]

OF_RESET = ("observations", "infos")
OF_STEP = ("observations", "rewards", "terminations", "truncations", "infos")


def dicts_by_agent(returned: Any, names: Sequence[str], env_id: str) -> Sequence[ByAgent]:
    """The parts of what a PettingZoo environment returned.

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
    """What ``method`` returned, if there is something for each name.

    Raises:
        TypeError: If there is not.
    """
    if not isinstance(returned, (tuple, list)):
        raise TypeError(f"{method} returned {returned!r:.200}; it must return {_listed(names)}")
    if len(returned) != len(names):
        raise TypeError(f"{method} returned {len(returned)} values; it must return {_listed(names)}")
    return returned


def check_all_observed(agents: Sequence[str], observations: ByAgent, env_id: str) -> None:
    """Check that agents who go on have observed something.

    Raises:
        InvalidObservationError: If they have not.
    """
    if missing := [agent for agent in agents if agent not in observations]:
        raise InvalidObservationError(
            f"{env_id}: agents {missing} are active, but observed nothing; there are observations of "
            f"{list(observations)}"
        )


def reward_of(agent: str, rewards: ByAgent, env_id: str, *, goes_on: bool) -> float:
    """What an agent has earned in a step that it took part in; 0 where one that has ended is not told.

    Raises:
        InvalidObservationError: If it is no number, or is missing though the agent goes on.
    """
    if agent not in rewards:
        if goes_on:
            raise InvalidObservationError(
                f"{env_id}: {agent!r} acted and goes on, but got no reward; there are rewards of {list(rewards)}"
            )
        return 0.0
    try:
        return float(rewards[agent])
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidObservationError(
            f"{env_id}: {agent!r} got reward {rewards[agent]!r:.200}; expected one number"
        ) from error


def flag_of(agent: str, flags: ByAgent, name: str, env_id: str) -> bool:
    """Whether a flag of an agent is set; not where it is missing.

    Raises:
        InvalidObservationError: If it is neither true nor false.
    """
    try:
        return bool(flags.get(agent, False))
    except (TypeError, ValueError) as error:
        raise InvalidObservationError(
            f"{env_id}: the {name} have {flags[agent]!r:.200} for {agent!r}; expected True or False"
        ) from error


def infos_told(infos: ByAgent, env_id: str) -> dict[str, ByAgent]:
    """Agent id -> its info, where it is not empty.

    Raises:
        EnvStepError: If an info is no dict.
    """
    for agent, info in infos.items():
        if info is not None and not isinstance(info, Mapping):
            raise EnvStepError(f"{env_id}: the info of {agent!r} must be a dict, got {info!r:.200}")
    return {agent: info for agent, info in infos.items() if info}


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
