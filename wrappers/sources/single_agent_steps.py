"""Resets and steps of single-agent copies, without dicts by agent."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pettingzoo import ParallelEnv

from heron.batch.array_tree import clear, write
from heron.batch.batch_env import GroupState
from heron.errors import EnvStepError, summary
from heron.wrappers.sources.gym_parallel_env import AGENT, SingleAgentEnv, step_parts

if TYPE_CHECKING:
    from gymnasium.spaces import Space

TakeOverReset = Callable[[int, int | None, Any], None]
TakeOverStep = Callable[[int, Mapping[str, Any], Any], None]


class SingleAgentSteps:
    """Fast path for Gymnasium environments, in each of which the one agent ``"agent"`` acts.

    The results are those of ``MultiAgentSteps``, which handles unusual results and raises the errors.
    N is the number of copies.

    Args:
        envs: All copies.
        env_ids: Their names.
        state: Arrays for their results.
        infos: One dict a copy.
        known_spaces: For each copy the spaces that have been compared with those of the group.
        in_general: Functions that take over any results of ``reset`` and ``step``, by agent.
    """

    def __init__(
        self,
        envs: Sequence[SingleAgentEnv],
        env_ids: Sequence[str],
        state: GroupState,
        infos: list[dict[str, Mapping[str, Any]]],
        known_spaces: "Sequence[Mapping[tuple[str, str], Space[Any]]]",
        in_general: tuple[TakeOverReset, TakeOverStep],
    ) -> None:
        self._envs = envs
        self._env_ids = env_ids
        self._infos = infos
        self._known_spaces = known_spaces
        self._reset_in_general, self._step_in_general = in_general
        self._observations = state.observations
        self._rewards, self._active = state.rewards[:, 0], state.active[:, 0]
        self._terminated, self._truncated = state.terminated[:, 0], state.truncated[:, 0]
        self._rows: list[npt.NDArray[Any]] = []
        if isinstance(state.observations, np.ndarray):
            self._rows = [state.observations[index, 0, ...] for index in range(len(envs))]
        self._layout = (self._rows[0].shape, self._rows[0].dtype) if self._rows else None

    @staticmethod
    def fit(envs: Sequence[ParallelEnv]) -> bool:
        """Return True if these environments can be stepped in this way."""
        plain = (SingleAgentEnv.step, SingleAgentEnv.reset)
        return all(isinstance(env, SingleAgentEnv) and (type(env).step, type(env).reset) == plain for env in envs)

    def reset(self, index: int, seed: int | None, options: dict[str, Any] | None) -> None:
        """Start a new episode in one copy.

        Args:
            index: The copy.
            seed: Its seed; None continues its random stream.
            options: The environment may keep them.

        Raises:
            EnvStepError: If the environment raised, its results have the wrong form, or its spaces have changed.
            InvalidObservationError: If the observation does not fit its space.
        """
        clear(self._observations, index)
        self._rewards[index] = 0.0
        self._terminated[index] = self._truncated[index] = self._active[index] = False
        self._infos[index] = {}
        try:
            returned = self._envs[index].reset(seed=seed, options=options)
        except Exception as error:
            raise EnvStepError(f"{self._env_ids[index]}: reset(seed={seed}) raised {summary(error)}") from error
        observations, infos = returned
        info = infos[AGENT]
        if type(info) is dict and self._has_known_spaces(index) and self._observe(index, observations[AGENT]):
            self._active[index] = True
            self._infos[index] = {AGENT: info} if info else {}
        else:
            self._reset_in_general(index, seed, returned)

    def step(self, actions: npt.NDArray[Any], index: int) -> None:
        """Step one copy, which is running.

        Args:
            actions: ``(N, 1, ...)``, those of all copies, or objects; the environment may keep its own.
            index: The copy.

        Raises:
            EnvStepError: If the environment raised, or its results have the wrong form.
            InvalidObservationError: If observation, reward or flags do not fit.
        """
        env, action = self._envs[index], actions[index, 0]
        try:
            returned = env.env.step(action)
            if self._follow_ordinary_step(index, env, returned):
                return
            by_agent = env.by_agent(step_parts(returned))
        except Exception as error:
            message = f"{self._env_ids[index]}: step({ {AGENT: action} }) raised {summary(error)}"
            raise EnvStepError(message) from error
        self._step_in_general(index, {AGENT: action}, by_agent)

    def _follow_ordinary_step(self, index: int, env: SingleAgentEnv, returned: Any) -> bool:
        """Take over the results of a step.

        Returns:
            False if they are unusual; the general path overwrites all.
        """
        try:
            observation, reward, terminated, truncated, info = returned
            earned, ends, cut = float(reward), bool(terminated), bool(truncated)
        except (OverflowError, TypeError, ValueError):
            return False
        if type(info) is not dict or not self._observe(index, observation):
            return False
        self._rewards[index] = earned
        self._infos[index] = {AGENT: info} if info else {}
        if ends or cut:
            self._terminated[index], self._truncated[index], self._active[index] = ends, cut, False
            env.agents = []
        return True

    def _observe(self, index: int, observation: Any) -> bool:
        """Write an observation, if it fits."""
        try:
            if type(observation) is np.ndarray and (observation.shape, observation.dtype) == self._layout:
                self._rows[index][...] = observation
            else:
                write(self._observations, (index, 0), observation)
        except (IndexError, KeyError, OverflowError, TypeError, ValueError):
            return False
        return True

    def _has_known_spaces(self, index: int) -> bool:
        env, known = self._envs[index], self._known_spaces[index]
        try:
            return (
                env.observation_space(AGENT) is known["observation_space", AGENT]
                and env.action_space(AGENT) is known["action_space", AGENT]
            )
        except Exception:  # noqa: BLE001 -- raised again by the general path
            return False
