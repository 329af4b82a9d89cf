"""Resets and steps of single copies with any number of agents, whose results come in dicts by agent."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heron.batch.array_tree import as_whole, clear, write
from heron.batch.batch_env import AgentGroup, GroupState
from heron.batch.space_fit import misfit
from heron.errors import EnvError, EnvStepError, InvalidObservationError, summary
from heron.wrappers.sources.agent_spaces import AgentSpaces
from heron.wrappers.sources.ordinary_steps import OrdinarySteps
from heron.wrappers.sources.result_checks import (
    OF_RESET,
    OF_STEP,
    ByAgent,
    check_all_observed,
    dicts_by_agent,
    flag_of,
    nonempty_infos,
    reward_of,
)

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv


class MultiAgentSteps:
    """Resets and steps PettingZoo environments one by one, and writes their results into arrays.

    N is the number of copies, M the number of agents of a group.

    Args:
        envs: All copies.
        env_ids: Their names.
        groups: Their agents in groups.
        states: Arrays for their results, by group.
        infos: One dict a copy.
        spaces: Their spaces.
        validate: Check every observation against its space, and every reward for being finite.
    """

    def __init__(
        self,
        envs: "Sequence[ParallelEnv]",
        env_ids: Sequence[str],
        groups: Mapping[str, AgentGroup],
        states: Mapping[str, GroupState],
        infos: list[dict[str, Mapping[str, Any]]],
        spaces: AgentSpaces,
        *,
        validate: bool,
    ) -> None:
        self._envs, self._env_ids, self._groups, self._infos = envs, env_ids, groups, infos
        self._spaces, self._validate = spaces, validate
        self._acting: list[list[str]] = [[] for _ in envs]
        self._lengths = self._observation_lengths()
        self._places = {
            agent: (name, place) for name, group in groups.items() for place, agent in enumerate(group.agent_ids)
        }
        self._ordinary = OrdinarySteps(groups)
        self.use_states(states)

    def use_states(self, states: Mapping[str, GroupState]) -> None:
        """Write later results into these arrays."""
        self._states = states
        self._rows = self._observation_rows()

    def finish_round(self) -> None:
        """Write the results that are collected until all copies of one step have been stepped."""
        self._ordinary.write(self._states)

    def reset(self, index: int, seed: int | None, options: dict[str, Any] | None) -> None:
        """Start a new episode in one copy.

        Args:
            index: The copy.
            seed: Its seed; None continues its random stream.
            options: The environment may keep them.

        Raises:
            EnvStepError: If the environment raised, or its results have the wrong form.
            InvalidObservationError: If an observation is missing or not in its space.
        """
        for state in self._states.values():
            clear(state.observations, index)
            state.rewards[index] = 0.0
            state.terminated[index] = state.truncated[index] = state.active[index] = False
        self._infos[index] = {}
        try:
            returned = self._envs[index].reset(seed=seed, options=options)
        except Exception as error:
            raise EnvStepError(f"{self._env_ids[index]}: reset(seed={seed}) raised {summary(error)}") from error
        self.begin_episode(index, seed, returned)

    def begin_episode(self, index: int, seed: int | None, returned: Any) -> None:
        """Take over the results of ``reset`` of one copy."""
        env, env_id = self._envs[index], self._env_ids[index]
        observations, infos = dicts_by_agent(returned, OF_RESET, env_id)
        self._check_agents(index, lambda: env.agents, f"reset(seed={seed})")
        self._write_observations(index, observations, frozenset(env.agents))
        check_all_observed(env.agents, observations, env_id)
        nonempty = nonempty_infos(infos, env_id)
        for agent in env.agents:
            name, place = self._places[agent]
            self._states[name].active[index, place] = True
        self._infos[index] = nonempty
        self._acting[index] = list(env.agents)

    def step(self, actions: Mapping[str, npt.NDArray[Any]], index: int) -> None:
        """Step one copy, which is running.

        Args:
            actions: Group name -> ``(N, M, ...)``, or objects; the environment may keep its own.
            index: The copy.

        Raises:
            EnvStepError: If the environment raised, or its results have the wrong form.
            InvalidObservationError: If observations, rewards or flags do not fit.
        """
        env = self._envs[index]
        given = self._actions_of(env.agents, index, actions)
        try:
            returned = env.step(given)
        except Exception as error:
            raise EnvStepError(f"{self._env_ids[index]}: step({given}) raised {summary(error)}") from error
        if not self._follow_ordinary_step(index, env, returned):
            self.follow_step(index, given, returned)

    def follow_step(self, index: int, given: ByAgent, returned: Any) -> None:
        """Take over the results of ``step`` of one copy, which got these actions by agent."""
        env, env_id = self._envs[index], self._env_ids[index]
        results = dicts_by_agent(returned, OF_STEP, env_id)
        self._check_agents(index, lambda: [agent for agent in env.agents if agent not in given], f"step({given})")
        self._follow_any_step(index, given, results)

    def _check_agents(self, index: int, agents: Callable[[], list[str]], call: str) -> None:
        """Check that new agents are known, and have the spaces of their group."""
        try:
            come = agents()
            self._spaces.check(index, come)
        except Exception as error:
            raise EnvStepError(f"{self._env_ids[index]}: {call}: {summary(error)}") from error

    def _follow_any_step(self, index: int, given: ByAgent, results: Sequence[ByAgent]) -> None:
        """Take over the results of a step, agent by agent."""
        env, env_id = self._envs[index], self._env_ids[index]
        observations, rewards, terminations, truncations, infos = results
        still_there = frozenset(env.agents)
        self._write_observations(index, observations, still_there.union(given))
        for name, group in self._groups.items():
            state = self._states[name]
            for place, agent in enumerate(group.agent_ids):
                was_active = state.active[index, place]
                terminated = flag_of(agent, terminations, "terminations", env_id)
                truncated = flag_of(agent, truncations, "truncations", env_id)
                active = agent in still_there and not (terminated or truncated)
                # An agent that disappears without a flag counts as truncated.
                left = was_active and not (active or terminated or truncated)
                reward = reward_of(agent, rewards, env_id, goes_on=active) if was_active else 0.0
                state.rewards[index, place] = reward
                state.terminated[index, place] = was_active and terminated
                state.truncated[index, place] = was_active and (truncated or left)
                state.active[index, place] = active
        self._acting[index] = [agent for agent in env.agents if not (terminations.get(agent) or truncations.get(agent))]
        check_all_observed(self._acting[index], observations, env_id)
        self._infos[index] = nonempty_infos(infos, env_id)
        if self._validate:
            self._check_rewards(index)

    def _actions_of(self, agents: list[str], index: int, actions: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
        """Return the actions of these agents of one copy, in their order."""
        if agents == self._ordinary.agents and len(self._groups) == 1:
            (of_group,) = actions.values()
            return dict(zip(agents, of_group[index], strict=True))
        given = {}
        for agent in agents:
            name, place = self._places[agent]
            given[agent] = actions[name][index, place]
        return given

    def _observation_rows(self) -> list[list[tuple[str, npt.NDArray[Any]]]] | None:
        """Return for each copy the agent ids and the arrays of their observations, or None if one is a tree."""
        if any(isinstance(state.observations, (dict, tuple)) for state in self._states.values()):
            return None
        return [
            [
                (agent, np.asarray(self._states[name].observations)[index, place, ...])
                for name, group in self._groups.items()
                for place, agent in enumerate(group.agent_ids)
            ]
            for index in range(len(self._envs))
        ]

    def _observation_lengths(self) -> list[int]:
        """Return the length of each agent's observation, or an empty list if an observation is a single number."""
        env = self._envs[0]
        shapes = [env.observation_space(agent).shape for agent in env.possible_agents]
        return [shape[0] for shape in shapes] if all(shapes) else []

    def _follow_ordinary_step(self, index: int, env: "ParallelEnv", results: Any) -> bool:
        """Take over the results of an ordinary step, in which all agents were present and continue.

        Returns:
            False if the step was not ordinary, or something does not fit; the general path overwrites all.
        """
        acting = self._acting[index]
        if self._rows is None or self._validate or len(acting) != len(self._places):
            return False
        try:
            observations, rewards, terminations, truncations, infos = results
            if env.agents != acting or any(terminations.values()) or any(truncations.values()):
                return False
            earned = self._ordinary.rewards_of(rewards)
            if self._lengths and list(map(len, observations.values())) != self._lengths:
                return False  # numpy would repeat a single value
            for agent, row in self._rows[index]:
                row[...] = observations[agent] if row.dtype.kind == "f" else as_whole(observations[agent], row.dtype)
            nonempty = nonempty_infos(infos, self._env_ids[index]) if any(infos.values()) else {}
        except (AttributeError, EnvError, KeyError, OverflowError, TypeError, ValueError):
            return False  # the general path raises the error
        self._ordinary.note(index, earned)
        self._infos[index] = nonempty
        return True

    def _write_observations(self, index: int, observations: Mapping[str, Any], agents: AbstractSet[str]) -> None:
        """Write the observations of ``agents``, and ignore those of agents that have left."""
        for agent, observation in observations.items():
            if agent not in agents:
                continue
            name, place = self._places[agent]
            space = self._groups[name].observation_space
            fits = not self._validate or space.contains(observation)
            try:
                if fits:
                    write(self._states[name].observations, (index, place), observation)
            except (IndexError, KeyError, OverflowError, TypeError, ValueError):
                fits = False
            if not fits:
                raise InvalidObservationError(
                    f"{self._env_ids[index]}: {agent!r} observed {observation!r}, which is not in {space}: "
                    f"{misfit(space, observation)}"
                )

    def _check_rewards(self, index: int) -> None:
        for name, group in self._groups.items():
            rewards = self._states[name].rewards[index]
            for agent, reward in zip(group.agent_ids, rewards, strict=True):
                if not np.isfinite(reward):
                    raise InvalidObservationError(
                        f"{self._env_ids[index]}: {agent!r} got reward {reward}; expected a finite number"
                    )
