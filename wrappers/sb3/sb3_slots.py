"""Slots of a vector env of any kind, for SB3."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from heron.errors import ConfigurationError
from heron.play.autoreset import AutoresetLearner
from heron.play.learner_env import LearnerEnv
from heron.play.policies import PolicyLike
from heron.play.turn_engine import Episode
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers.gym.gym_vector_env import GymVectorEnv, plain_envs
from heron.wrappers.gym.single_agent_envs import PlainFactory
from heron.wrappers.make_vec import make_vec
from heron.wrappers.sources.driver_choice import autoreset_mode_of, has_driver

AnySlots = HierarchicalVectorEnv | VectorEnv[Any, Any, Any] | Iterable[PlainFactory]
"""Vector env, of ours or Gymnasium's, or functions that each make a Gymnasium ``Env``."""

_SUPPORT_RESET_MASK = (SyncVectorEnv, AsyncVectorEnv, GymVectorEnv)


@dataclass(frozen=True)
class Sb3Slots:
    """Slots that are reset automatically.

    Attributes:
        autoreset: The slots.
        envs: The Gymnasium environment of each slot, if it has one of its own.
        is_plain: True if they were made from factories, with which the view behaves like ``DummyVecEnv``.
    """

    autoreset: AutoresetLearner
    envs: list[gymnasium.Env[Any, Any]] | None = None
    is_plain: bool = False


def sb3_slots(
    venv: AnySlots,
    learn: str | None = None,
    policies: Mapping[str, PolicyLike] | None = None,
    *,
    discount: float | None = None,
    on_episode: Callable[[Episode], None] | None = None,
    reset_mask: bool | None = None,
) -> Sb3Slots:
    """Return the slots of a vector env of any kind; arguments as for ``Sb3VecEnv``.

    Raises:
        ConfigurationError: If an argument does not fit, or SB3 has no algorithms for the actions.
    """
    options: dict[str, Any] = {"learn": learn, "policies": policies, "discount": discount, "on_episode": on_episode}
    if isinstance(venv, VectorEnv):
        if any(option is not None for option in options.values()):
            raise ConfigurationError(
                f"{list(options)} are for a HierarchicalVectorEnv: give them to the GymVectorEnv, if this is one"
            )
        return _of_gym_vector_env(venv) if isinstance(venv, GymVectorEnv) else _of_vector_env(venv, reset_mask)
    if isinstance(venv, HierarchicalVectorEnv):
        return Sb3Slots(_autoreset(LearnerEnv(venv, **options)))
    plain = plain_envs(venv, "same")
    try:
        return Sb3Slots(_autoreset(LearnerEnv(plain.venv, **options)), plain.envs, is_plain=True)
    except ConfigurationError:
        plain.venv.close()
        raise


def check_acts_in_one_array(space: Space[Any], owner: str) -> None:
    """Check that SB3 has algorithms for actions in ``space``.

    Args:
        space: The action space.
        owner: Owner of the space, for the error message.

    Raises:
        ConfigurationError: If it does not.
    """
    if not isinstance(space, (Box, Discrete, MultiBinary, MultiDiscrete)):
        raise ConfigurationError(
            f"{owner} is {space!r}, but SB3's algorithms need a Box, Discrete, MultiBinary or MultiDiscrete space: "
            "wrap the environment so that it has such a space"
        )


def _of_gym_vector_env(env: GymVectorEnv) -> Sb3Slots:
    envs = None if env.plain is None else env.plain.envs
    return Sb3Slots(_autoreset(env.learner), envs, is_plain=envs is not None)


def _of_vector_env(env: VectorEnv[Any, Any, Any], reset_mask: bool | None) -> Sb3Slots:
    check_acts_in_one_array(env.single_action_space, f"single_action_space of {env}")
    venv = make_vec(env, reset_mask=_known_reset_mask(env, reset_mask))
    # Without resets of some copies an engine in mode NEXT_STEP takes its extra step.
    mode = AutoresetMode.SAME_STEP if venv.batch_env.resets_ended else AutoresetMode.NEXT_STEP
    return Sb3Slots(_autoreset(LearnerEnv(venv), mode), getattr(env.unwrapped, "envs", None))


def _autoreset(learner: LearnerEnv, mode: AutoresetMode = AutoresetMode.SAME_STEP) -> AutoresetLearner:
    check_acts_in_one_array(learner.group.action_space, f"action_space of group {learner.group.name!r}")
    return AutoresetLearner(learner, mode)


def _known_reset_mask(env: VectorEnv[Any, Any, Any], given: bool | None) -> bool | None:
    """Return True if a vector env can reset some of its copies, False if not, or None if a driver of ours does it.

    Raises:
        ConfigurationError: If the view could not reset every environment right after its end.
    """
    if given is not False and has_driver(env):
        return None
    mode = autoreset_mode_of(env, None, None)
    known = mode is AutoresetMode.DISABLED or isinstance(env.unwrapped, _SUPPORT_RESET_MASK)
    if mode is AutoresetMode.NEXT_STEP and given is None and not known:
        better = (
            "unwrapped, with wrappers on the view instead" if has_driver(env.unwrapped) else "in SAME_STEP or DISABLED"
        )
        raise ConfigurationError(
            f"{env} resets an environment one step after its end, which SB3 does not support, and is not known to "
            f"reset only some of its environments. Pass the same environment {better}. Or pass reset_mask=True if it "
            "supports options['reset_mask']. Or pass reset_mask=False to accept the extra step, which has "
            "infos[slot]['inert'] and which SB3's own buffers learn from"
        )
    if mode is AutoresetMode.DISABLED and given is False:
        raise ConfigurationError(
            f"{env} has autoreset mode DISABLED, but does not support options['reset_mask']: use SAME_STEP"
        )
    return known if given is None else given
