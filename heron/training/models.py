"""Construction of the SB3 model of a group, and checks of its options."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import sb3_contrib
import stable_baselines3
from gymnasium.spaces import Tuple
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from heron.errors import ConfigurationError, checked_count
from heron.play.group_policies import check_predicts
from heron.training.config import LearnerConfig
from heron.training.config_checks import is_number
from heron.wrappers import VecGroup
from heron.wrappers.sb3 import LiveRecurrentPPO, make_learner
from heron.wrappers.sb3.sb3_slots import check_acts_in_one_array

FIELD_STEPS, FIELD_BATCHES = 128, 12
"""Length of a rollout of field agents, in decisions per slot, and its number of minibatches."""
COORDINATOR_STEPS, COORDINATOR_BATCHES = 32, 4
"""The same for coordinators, whose decisions last several environment steps."""
LIVE: Mapping[type[BaseAlgorithm], type[BaseAlgorithm]] = {sb3_contrib.RecurrentPPO: LiveRecurrentPPO}
"""Algorithm without an option for its buffer class -> subclass with a suitable buffer."""
LIKE_PPO = (stable_baselines3.PPO, sb3_contrib.MaskablePPO, LiveRecurrentPPO)
PPO_LEARNING_RATE = 1e-3
"""Higher than the 3e-4 of SB3, because the minibatches are several times larger than the 64 samples of SB3."""


def check_learner(group: VecGroup, config: LearnerConfig) -> None:
    """Check what SB3 does not check, or checks only in the middle of training.

    Raises:
        ConfigurationError: If SB3 does not support the group's observations or actions, or an option is invalid.
    """
    check_acts_in_one_array(group.action_space, f"learner of group {group.name!r}: its action_space")
    if isinstance(group.observation_space, Tuple):
        raise ConfigurationError(
            f"learner of group {group.name!r}: SB3 cannot learn from Tuple observations; expected an array or a Dict, "
            f"got {group.observation_space}"
        )
    try:
        _check_options(config.options, group.period)
    except ConfigurationError as error:
        raise ConfigurationError(f"learner of group {group.name!r}: {error}") from error


def make_model(group: VecGroup, config: LearnerConfig, view: VecEnv, seed: int) -> BaseAlgorithm:
    """Make a new model for a group.

    Raises:
        ConfigurationError: If the algorithm does not exist, or does not accept its policy, options or spaces.
    """
    algorithm = _algorithm(config.algorithm, group.name)
    check_predicts(algorithm, group.observation_space, f"learner of group {group.name!r}")
    options: dict[str, Any] = {"device": "cpu", "seed": seed}
    if issubclass(algorithm, OnPolicyAlgorithm):
        options["n_steps"] = FIELD_STEPS if group.is_field else COORDINATOR_STEPS
    if algorithm in LIKE_PPO:
        options["learning_rate"] = PPO_LEARNING_RATE
    options |= deepcopy(dict(config.options))  # SB3 writes into policy_kwargs
    if algorithm in LIKE_PPO and "batch_size" not in options:
        batches = FIELD_BATCHES if group.is_field else COORDINATOR_BATCHES
        options["batch_size"] = _even_batch(options["n_steps"] * view.num_envs, batches)
    try:
        model: BaseAlgorithm = make_learner(
            algorithm, view, config.policy, normalize_rewards=config.normalize_rewards, **options
        )
    except Exception as error:
        # Options are passed on to torch, numpy and the networks, which raise errors of their own.
        raise ConfigurationError(
            f"learner of group {group.name!r}: {config.algorithm} does not accept its options {dict(config.options)} "
            f"on {group.action_space}: {error}"
        ) from error
    return model


def _check_options(options: Mapping[str, Any], period: int) -> None:
    for name in ("n_steps", "n_epochs", "batch_size"):
        if name in options:
            checked_count(name, options[name])
    gamma, rate = options.get("gamma", 1.0), options.get("learning_rate", 1.0)
    if not is_number(gamma) or not 0 <= gamma <= 1:
        raise ConfigurationError(f"gamma must be a number from 0 to 1, got {gamma!r}")
    if gamma == 0 and period > 1:
        raise ConfigurationError(
            f"gamma is per environment step, so it must be positive for a group with period {period}, got 0"
        )
    if not callable(rate) and not (is_number(rate) and rate > 0):
        raise ConfigurationError(f"learning_rate must be a positive number or a function, got {rate!r}")


def _even_batch(samples: int, batches: int) -> int:
    """Return the size of ``batches`` minibatches, rounded up to a divisor of ``samples``.

    >>> _even_batch(128, 4), _even_batch(30, 4), _even_batch(1, 4)
    (32, 10, 1)
    """
    sizes = range(max(samples // batches, 2), samples + 1)
    return next((size for size in sizes if samples % size == 0), samples)


def _algorithm(name: str, group: str) -> type[BaseAlgorithm]:
    for library in (stable_baselines3, sb3_contrib):
        found = getattr(library, name, None)
        if isinstance(found, type) and issubclass(found, BaseAlgorithm):
            return LIVE.get(found, found)
    raise ConfigurationError(
        f"learner of group {group!r}: no algorithm {name!r} in stable_baselines3 or sb3_contrib; expected a name "
        "such as 'PPO'"
    )
