"""The buffers that a model needs to learn rightly from an ``Sb3VecEnv``."""

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
"""Whether observations are dicts -> the buffers without and with action masks."""


def buffer_options(
    env: VecEnv, algorithm: type[BaseAlgorithm], *, gamma: float = 0.99, n_steps: int = 1
) -> dict[str, Any]:
    """Keywords that make a model of SB3 or sb3_contrib learn from live rows only, and by the length of decisions.

    ``PPO("MlpPolicy", env, **buffer_options(env, PPO, gamma=0.95))``. A saved model needs them again to go on learning:
    ``PPO.load(path, env=env, **buffer_options(env, PPO, gamma=0.95))``.

    Args:
        env: What the model gets: an ``Sb3VecEnv`` in whatever wrappers, the outermost a ``SlotRecorder`` for on-policy
            algorithms.
        algorithm: The model's class. ``RecurrentPPO`` takes no buffer: use ``LiveRecurrentPPO``.
        gamma: Discount of one environment step, and within a coordinator's decision.
        n_steps: For off-policy algorithms, decisions whose rewards are summed up before the value of what follows.

    Returns:
        The classes and arguments of the buffer, and ``gamma``.

    Raises:
        ConfigurationError: If no such buffer works for this environment and algorithm.
    """
    is_dict = isinstance(env.observation_space, Dict)
    if issubclass(algorithm, OffPolicyAlgorithm):
        return {
            "gamma": gamma,
            "replay_buffer_class": LiveDictReplayBuffer if is_dict else LiveReplayBuffer,
            "replay_buffer_kwargs": {"gamma": gamma, "n_steps": n_steps, "rows": use_gamma(env, gamma)},
        }
    if not issubclass(algorithm, OnPolicyAlgorithm) or issubclass(algorithm, RecurrentPPO):
        instead = "; LiveRecurrentPPO has one" if issubclass(algorithm, RecurrentPPO) else ""
        raise ConfigurationError(f"buffer_options: {algorithm.__name__} takes no buffer{instead}")
    if n_steps != 1:
        raise ConfigurationError(f"n_steps is for off-policy algorithms, {algorithm.__name__} is none; got {n_steps}")
    plain, masked = ROLLOUT_BUFFERS[is_dict]
    return {
        "gamma": gamma,
        "rollout_buffer_class": masked if issubclass(algorithm, MaskablePPO) else plain,
        "rollout_buffer_kwargs": {"rows": last_rows(env, gamma)},
    }


def last_rows(env: VecEnv, gamma: float) -> SlotRows:
    """What a vector env tells of its last step.

    Raises:
        ConfigurationError: If it has no ``SlotRecorder`` around it, or it was given another discount.
    """
    rows = use_gamma(env, gamma)
    while isinstance(env, VecTransposeImage):  # SB3 itself puts it around image observations
        env = env.venv
    if not isinstance(env, SlotRecorder):
        raise ConfigurationError(
            f"the outermost wrapper must be a SlotRecorder, so that a rollout buffer knows which rows are inert; got a "
            f"{type(env).__name__}"
        )
    return rows


def use_gamma(env: VecEnv, gamma: float) -> SlotRows:
    """Return the rows of the view under some wrappers, and discount its coordinators' rewards by ``gamma``.

    Raises:
        ConfigurationError: If there is no ``Sb3VecEnv``, or it was given another discount.
    """
    rows = rows_of(env)
    learner = getattr(env.unwrapped, "learner", None)  # None over a Gymnasium VectorEnv, which has no commands
    if learner is not None:
        learner.use_discount(gamma)
    return rows
