"""Plain Gymnasium environments as a vector env, with the spaces of their batch."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import gymnasium
from gymnasium.spaces import Space
from gymnasium.spaces.utils import is_space_dtype_shape_equiv
from gymnasium.vector.utils import batch_differing_spaces, batch_space

from heron.errors import ConfigurationError
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers.sources.gym_parallel_env import SingleAgentEnv
from heron.wrappers.sources.loop_env import LoopEnv

Env: TypeAlias = gymnasium.Env[Any, Any]
PlainFactory = Callable[[], Env]
"""A function that makes a new Gymnasium environment in each call."""

ObservationMode: TypeAlias = str | tuple[Space[Any], Space[Any]]
"""``"same"``, ``"different"``, or a tuple of the batch's space and the space of one environment."""


class SingleAgentEnvs:
    """Gymnasium environments with one agent each, and the vector env of them.

    Args:
        env_fns: The factories of the environments.
        observation_mode: ``"same"`` if all observation spaces are equal, ``"different"`` if their bounds may differ,
            or a tuple of the batch's space and the space of one environment.

    Attributes:
        env_fns: The factories.
        envs: The environments.
        venv: The vector env of them.
        single_observation_space: The observation space of one environment.
        observation_space: The observation space of the batch.

    Raises:
        ConfigurationError: If there is no environment, the mode is unknown, or a space is not supported.
        EnvCreationError: If a factory raised, or an environment's spaces do not fit the others.
    """

    def __init__(self, env_fns: Iterable[PlainFactory], observation_mode: ObservationMode) -> None:
        self.env_fns = list(env_fns)
        self._mode = observation_mode
        self._declared = _declared_space(observation_mode)
        self._first_action_space: Space[Any] | None = None
        loop = LoopEnv([lambda env_fn=env_fn: self._make(env_fn) for env_fn in self.env_fns])  # type: ignore[misc]  # the default binds env_fn
        self.envs: list[Env] = [declared.env for declared in loop.envs]
        self.venv = HierarchicalVectorEnv(loop)
        self.single_observation_space, self.observation_space = self._spaces()

    def _make(self, env_fn: PlainFactory) -> "_DeclaredEnv":
        if not callable(env_fn):
            raise TypeError(f"expected a function that makes a Gymnasium Env, got {env_fn!r}")
        env: Any = env_fn()
        if isinstance(env, gymnasium.vector.VectorEnv):
            raise TypeError(f"expected a Gymnasium Env, got the VectorEnv {env!r}: pass it to heron.make_vec")
        if not isinstance(env, gymnasium.Env):
            raise TypeError(f"expected a Gymnasium Env, got {env!r}")
        if self._declared is None:
            self._declared = env.observation_space
        if self._first_action_space is None:
            self._first_action_space = env.action_space
        self._check_fits(env, self._declared, self._first_action_space)
        return _DeclaredEnv(env, self._declared)

    def _check_fits(self, env: Env, observation_space: Space[Any], action_space: Space[Any]) -> None:
        if self._mode == "same" and env.observation_space != observation_space:
            raise ValueError(
                f"its observation_space is {env.observation_space}, expected {observation_space} as in the first "
                "environment: if only the bounds differ, use observation_mode='different'"
            )
        if not is_space_dtype_shape_equiv(env.observation_space, observation_space):
            raise ValueError(
                f"its observation_space is {env.observation_space}, expected the shape and dtype of {observation_space}"
            )
        if env.action_space != action_space:
            raise ValueError(f"its action_space is {env.action_space}, expected {action_space} as in the first one")

    def _spaces(self) -> tuple[Space[Any], Space[Any]]:
        """Return the observation spaces of one environment and of the batch."""
        if isinstance(self._mode, tuple):
            return self._mode[1], self._mode[0]
        single = self.envs[0].observation_space
        if self._mode == "different":
            return single, batch_differing_spaces([env.observation_space for env in self.envs])
        return single, batch_space(single, len(self.envs))


class _DeclaredEnv(SingleAgentEnv):
    """An environment whose observation space is that declared for all copies."""

    def __init__(self, env: Env, declared: Space[Any]) -> None:
        super().__init__(env)
        self._declared = declared

    def observation_space(self, agent: str) -> Space[Any]:
        del agent
        return self._declared


def _declared_space(mode: ObservationMode) -> Space[Any] | None:
    """Return the space of one environment that a mode declares, or None."""
    if mode in ("same", "different"):
        return None
    if isinstance(mode, tuple) and len(mode) == 2 and all(isinstance(space, Space) for space in mode):  # noqa: PLR2004
        return mode[1]
    raise ConfigurationError(
        f"observation_mode must be 'same', 'different' or (batch space, space of one environment), got {mode!r}"
    )
