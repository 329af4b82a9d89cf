"""Steps of copies with one agent each, without a detour through dicts of agents."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pettingzoo import ParallelEnv

from heron.batch.array_tree import clear, write
from heron.batch.batch_env import GroupState
from heron.errors import EnvStepError, summary
from heron.wrappers.sources.gym_source import AGENT, SingleAgentEnv, step_parts

if TYPE_CHECKING:
    from gymnasium.spaces import Space

TakeOverReset = Callable[[int, int | None, Any], None]
TakeOverStep = Callable[[int, Mapping[str, Any], Any], None]


class SingleAgentSteps:
    """Steps Gymnasium environments in each of which the one agent ``"agent"`` acts.

    It does what ``LoopEnv`` does for any agents, and leaves the same behind. Whatever is out of the ordinary about what
    an environment returned is left to that general way, which finds the words for it. N is the number of copies.

    Args:
        envs: All copies.
        env_ids: Their names.
        state: Where to write what they return.
        infos: Likewise, one dict a copy.
        known_spaces: For each copy the spaces that have been compared with those of the group.
        in_general: Take over what any ``reset``, and any ``step``, have returned by agent.
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
        """Whether nothing is lost by stepping these environments in this way."""
        plain = (SingleAgentEnv.step, SingleAgentEnv.reset)
        return all(isinstance(env, SingleAgentEnv) and (type(env).step, type(env).reset) == plain for env in envs)

    def reset(self, index: int, seed: int | None, options: dict[str, Any] | None) -> None:
        """Start a new episode in one copy.

        Args:
            index: The copy.
            seed: Its seed; None lets its random stream go on.
            options: The environment may keep them.

        Raises:
            EnvStepError: If the environment raised, returned something else than a reset does, or has changed its
                spaces.
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
            EnvStepError: If the environment raised, or returned something else than a step does.
            InvalidObservationError: If observation, reward or flags do not fit.
        """
        source, action = self._envs[index], actions[index, 0]
        try:
            returned = source.env.step(action)
            if self._follow_ordinary_step(index, source, returned):
                return
            by_agent = source.by_agent(step_parts(returned))
        except Exception as error:
            message = f"{self._env_ids[index]}: step({ {AGENT: action} }) raised {summary(error)}"
            raise EnvStepError(message) from error
        self._step_in_general(index, {AGENT: action}, by_agent)

    def _follow_ordinary_step(self, index: int, source: SingleAgentEnv, returned: Any) -> bool:
        """Take over what a step has returned.

        Returns:
            False if there is something odd about it; nothing that matters was written then.
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
            source.agents = []
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
        source, known = self._envs[index], self._known_spaces[index]
        try:
            return (
                source.observation_space(AGENT) is known["observation_space", AGENT]
                and source.action_space(AGENT) is known["action_space", AGENT]
            )
        except Exception:  # noqa: BLE001 -- found out again, and told, in the general way
            return False
