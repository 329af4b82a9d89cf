"""SB3 models with the correct options for a view, in one call."""

from collections.abc import Mapping
from typing import Any

from gymnasium.spaces import Dict
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize

from heron.errors import ConfigurationError
from heron.wrappers.sb3.buffer_options import buffer_options, use_gamma
from heron.wrappers.sb3.live_recurrent_ppo import LiveRecurrentPPO
from heron.wrappers.sb3.slot_rows import SlotRecorder
from heron.wrappers.sb3.slot_statistics import SlotMonitor, SlotNormalize


def make_learner(
    algorithm: type[BaseAlgorithm],
    env: VecEnv,
    policy: str | type[Any] | None = None,
    *,
    gamma: float = 0.99,
    normalize_rewards: bool = False,
    **options: Any,
) -> Any:
    """Make a model that learns only from live rows, and discounts decisions by their length.

    ``make_learner(PPO, Sb3VecEnv(venv), gamma=0.95)`` wraps the view in a ``SlotMonitor`` and a ``SlotRecorder``, and
    makes a ``PPO`` with the options of ``buffer_options``. The rewards of coordinators are discounted by ``gamma``
    within a decision as well.

    Args:
        algorithm: An algorithm of SB3 or sb3_contrib. ``RecurrentPPO`` becomes ``LiveRecurrentPPO``.
        env: An ``Sb3VecEnv``, in any wrappers.
        policy: The policy, as for the algorithm; by default the standard network for the observations.
        gamma: Discount of one environment step.
        normalize_rewards: Scale rewards by a running estimate of the variance of returns, as ``SlotNormalize`` does.
        options: Other options of the algorithm. For off-policy algorithms ``n_steps`` is the number of decisions
            whose rewards are summed before bootstrapping.

    Returns:
        The model. ``model.get_env()`` is the wrapped view.

    Raises:
        ConfigurationError: If no buffer of this package fits the environment and the algorithm, or the view or a
            wrapper has another ``gamma``.
    """
    if issubclass(algorithm, RecurrentPPO):
        algorithm = LiveRecurrentPPO
    wrapped = _wrapped(env, algorithm, gamma, normalize_rewards=normalize_rewards)
    if policy is None:
        policy = _usual_policy(wrapped, algorithm)
    return algorithm(policy, wrapped, **_with_buffer(options, wrapped, algorithm, gamma))


def _wrapped(env: VecEnv, algorithm: type[BaseAlgorithm], gamma: float, *, normalize_rewards: bool) -> VecEnv:
    use_gamma(env, gamma)
    wrappers = _wrappers(env)
    for wrapper in wrappers:
        if isinstance(wrapper, VecNormalize) and wrapper.norm_reward and wrapper.gamma != gamma:
            raise ConfigurationError(
                f"gamma is {gamma}, but {type(wrapper).__name__} normalizes rewards with gamma={wrapper.gamma}: "
                "replace that wrapper by normalize_rewards=True, or give both the same gamma"
            )
    if isinstance(env, SlotRecorder):
        if normalize_rewards:
            raise ConfigurationError("normalize_rewards needs a view without SlotRecorder: remove that wrapper")
        return env
    if not any(isinstance(wrapper, SlotMonitor) for wrapper in wrappers):
        env = SlotMonitor(env)
    if normalize_rewards:
        env = SlotNormalize(env, norm_obs=False, norm_reward=True, gamma=gamma)
    return SlotRecorder(env) if issubclass(algorithm, OnPolicyAlgorithm) else env


def _wrappers(env: VecEnv) -> list[VecEnv]:
    """Return the wrappers around a view, the outermost first."""
    found: list[VecEnv] = []
    while isinstance(env, VecEnvWrapper):
        found.append(env)
        env = env.venv
    return found


def _usual_policy(env: VecEnv, algorithm: type[BaseAlgorithm]) -> str:
    network = "MultiInput" if isinstance(env.observation_space, Dict) else "Mlp"
    return f"{network}LstmPolicy" if issubclass(algorithm, RecurrentPPO) else f"{network}Policy"


def _with_buffer(
    options: Mapping[str, Any], env: VecEnv, algorithm: type[BaseAlgorithm], gamma: float
) -> dict[str, Any]:
    """Return the options, with a buffer of this package unless they have their own."""
    kind = "replay_buffer" if issubclass(algorithm, OffPolicyAlgorithm) else "rollout_buffer"
    own = {"gamma": gamma, **options}
    if f"{kind}_class" in options or issubclass(algorithm, RecurrentPPO):
        return own
    if not issubclass(algorithm, (OnPolicyAlgorithm, OffPolicyAlgorithm)):
        return dict(options)
    n_steps = own.pop("n_steps", 1) if kind == "replay_buffer" else 1
    buffer = buffer_options(env, algorithm, gamma=gamma, n_steps=n_steps)
    buffer[f"{kind}_kwargs"] |= options.get(f"{kind}_kwargs", {})
    return own | buffer
