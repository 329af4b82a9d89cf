"""Options with which a model learns correctly from an ``Sb3VecEnv``."""

from typing import Any

from gymnasium.spaces import Dict
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecTransposeImage

from heron.errors import ConfigurationError
from heron.wrappers.sb3.replay_buffers import LiveDictReplayBuffer, LiveReplayBuffer
from heron.wrappers.sb3.rollout_buffers import (
    LiveDictRolloutBuffer,
    LiveMaskableDictRolloutBuffer,
    LiveMaskableRolloutBuffer,
    LiveRolloutBuffer,
)
from heron.wrappers.sb3.slot_rows import SlotRecorder, SlotRows, rows_of

ROLLOUT_BUFFERS = {
    False: (LiveRolloutBuffer, LiveMaskableRolloutBuffer),
    True: (LiveDictRolloutBuffer, LiveMaskableDictRolloutBuffer),
}
"""True for ``Dict`` observations -> the buffers without and with action masks."""


def buffer_options(
    env: VecEnv, algorithm: type[BaseAlgorithm], *, gamma: float = 0.99, n_steps: int = 1
) -> dict[str, Any]:
    """Return the keywords of a model of SB3 or sb3_contrib that learns only from live rows.

    The buffer discounts decisions by their length. Use the keywords as in
    ``PPO("MlpPolicy", env, **buffer_options(env, PPO, gamma=0.95))``. A loaded model needs them again to continue its
    training: ``PPO.load(path, env=env, **buffer_options(env, PPO, gamma=0.95))``.

    Args:
        env: The model's environment, an ``Sb3VecEnv`` in any wrappers. For on-policy algorithms the outermost must be
            a ``SlotRecorder``.
        algorithm: The model's class. ``RecurrentPPO`` accepts no buffer class: use ``LiveRecurrentPPO``.
        gamma: Discount of one environment step, also within a coordinator's decision.
        n_steps: For off-policy algorithms, the number of decisions whose rewards are summed before bootstrapping.

    Returns:
        The buffer's class and arguments, and ``gamma``.

    Raises:
        ConfigurationError: If no buffer of this package fits the environment and the algorithm, or the view has
            another discount.
    """
    is_dict = isinstance(env.observation_space, Dict)
    if issubclass(algorithm, OffPolicyAlgorithm):
        return {
            "gamma": gamma,
            "replay_buffer_class": LiveDictReplayBuffer if is_dict else LiveReplayBuffer,
            "replay_buffer_kwargs": {"gamma": gamma, "n_steps": n_steps, "rows": use_gamma(env, gamma)},
        }
    if not issubclass(algorithm, OnPolicyAlgorithm) or issubclass(algorithm, RecurrentPPO):
        instead = ": use LiveRecurrentPPO" if issubclass(algorithm, RecurrentPPO) else ""
        raise ConfigurationError(f"buffer_options: {algorithm.__name__} accepts no buffer class{instead}")
    if n_steps != 1:
        raise ConfigurationError(f"n_steps is for off-policy algorithms only, got {n_steps} for {algorithm.__name__}")
    plain, masked = ROLLOUT_BUFFERS[is_dict]
    return {
        "gamma": gamma,
        "rollout_buffer_class": masked if issubclass(algorithm, MaskablePPO) else plain,
        "rollout_buffer_kwargs": {"rows": last_rows(env, gamma)},
    }


def last_rows(env: VecEnv, gamma: float) -> SlotRows:
    """Return the rows of a view in a ``SlotRecorder``, and discount its coordinators' rewards by ``gamma``.

    Raises:
        ConfigurationError: If the outermost wrapper is not a ``SlotRecorder``, or the view has another discount.
    """
    rows = use_gamma(env, gamma)
    while isinstance(env, VecTransposeImage):  # SB3 adds it for image observations
        env = env.venv
    if not isinstance(env, SlotRecorder):
        raise ConfigurationError(
            f"the outermost wrapper must be a SlotRecorder, got a {type(env).__name__}: wrap the environment in "
            "SlotRecorder, so that the rollout buffer knows which rows are inert"
        )
    return rows


def use_gamma(env: VecEnv, gamma: float) -> SlotRows:
    """Return the rows of the view under some wrappers, and discount its coordinators' rewards by ``gamma``.

    Raises:
        ConfigurationError: If there is no ``Sb3VecEnv`` in the wrappers, or the view has another discount.
    """
    rows = rows_of(env)
    learner = getattr(env.unwrapped, "learner", None)  # None for a Gymnasium VectorEnv of another library
    if learner is not None:
        learner.use_discount(gamma)
    return rows
