"""PettingZoo environments as a ``BatchEnv``, one after the other in a loop."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heron.batch.action_records import is_record_space, samples_of
from heron.batch.agent_groups import group_agents
from heron.batch.array_tree import as_whole, clear, write
from heron.batch.batch_env import BatchEnv, BoolArray, GroupState
from heron.batch.copy_selection import check_env_ids
from heron.batch.nan_watch import NanWatch
from heron.batch.space_fit import misfit
from heron.errors import EnvError, EnvStepError, InvalidObservationError, summary
from heron.wrappers.sources.agent_spaces import AgentSpaces
from heron.wrappers.sources.env_creation import EnvFactory, make_envs
from heron.wrappers.sources.episode_log import EpisodeLog
from heron.wrappers.sources.gym_source import GymSource
from heron.wrappers.sources.ordinary_steps import OrdinarySteps
from heron.wrappers.sources.returned_values import (
    OF_RESET,
    OF_STEP,
    ByAgent,
    check_all_observed,
    dicts_by_agent,
    flag_of,
    infos_told,
    reward_of,
)
from heron.wrappers.sources.single_agent_steps import SingleAgentSteps

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv


class LoopEnv(BatchEnv):
    """Copies of an environment, stepped one after the other in this process.

    Args:
        factories: One a copy; each makes a PettingZoo ``ParallelEnv`` or ``AECEnv``, or a Gymnasium ``Env``, in
            which the one agent ``"agent"`` acts. In a turn-based ``AECEnv`` all agents give an action each step,
            of which that of the agent whose turn it is counts; infos name it as ``"active_agent"``.
        env_ids: The copies' names; ``env_0``, ``env_1`` ... by default.
        groups: Group name -> agent ids, to arrange the agents by hand; by default agents with the same spaces
            form a group, named for what their ids have in common.
        validate: Check every observation against its space, and every reward for being finite. Slow; meant for a new
            environment.

    Raises:
        EnvCreationError: If a factory raises or returns something that cannot be used; it says which.
        ConfigurationError: If ids stand twice, the copies differ in their agents or spaces, a space is not
            supported, or ``groups`` do not fit the agents.
    """

    def __init__(
        self,
        factories: Sequence[EnvFactory],
        env_ids: Sequence[str] | None = None,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        validate: bool = False,
    ) -> None:
        self.env_ids = check_env_ids(env_ids, len(factories))
        self.envs: list[ParallelEnv] = []
        try:
            for env in make_envs(factories, self.env_ids):
                self.envs.append(env)  # one by one, so that all are closed if a later one fails
            self.groups = group_agents(self.envs[0], groups)
            self._spaces = AgentSpaces(self.envs, self.env_ids, self.groups)
        except BaseException:
            self.close()
            raise
        self.states: Mapping[str, GroupState] = {
            name: GroupState.empty(group, self.num_envs) for name, group in self.groups.items()
        }
        self.infos: list[dict[str, Mapping[str, Any]]] = [{} for _ in self.envs]
        self.validate = validate
        self._acting: list[list[str]] = [[] for _ in self.envs]
        self._rows = self._observation_rows()
        self._lengths = self._observation_lengths()
        self._places = {
            agent: (name, place) for name, group in self.groups.items() for place, agent in enumerate(group.agent_ids)
        }
        # Copies, because an environment may keep what it was given.
        self._own_actions: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
            name: partial(samples_of, group.action_space) if is_record_space(group.action_space) else np.array
            for name, group in self.groups.items()
        }
        self._ordinary = OrdinarySteps(self.groups)
        self._log = EpisodeLog(self.num_envs)
        self._nan = NanWatch(self.groups, self.states)
        self._single = self._single_agent_steps()

    def _reset(self, mask: BoolArray, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None) -> None:
        start = self._reset_copy if self._single is None else self._single.reset

        def reset_copy(index: int) -> None:
            seed = None if seeds is None else seeds[index]
            self._log.begin(index, seed)
            start(index, seed, None if options is None else dict(options))

        indices = np.flatnonzero(mask).tolist()
        errors = self._do_all(reset_copy, indices)
        errors += self._do_all(self._check_numbers, indices) if self._nan.fires() else []
        _raise_first(errors)

    def _step(self, actions: Mapping[str, npt.NDArray[Any]], mask: BoolArray) -> None:
        indices = mask.nonzero()[0].tolist()  # several times as fast as np.flatnonzero
        own = {name: self._own_actions[name](array) for name, array in actions.items()}
        was_active = {name: state.active.copy() for name, state in self.states.items()}
        self._log.note_steps(None if len(indices) == self.num_envs else mask)
        try:
            errors = self._do_all(self._stepping(own), indices, was_active)
        finally:
            self._ordinary.write(self.states)
        errors += self._do_all(self._check_numbers, indices, was_active) if self._nan.fires() else []
        _raise_first(errors)

    def _get_attr(self, name: str, indices: Sequence[int]) -> list[Any]:
        return [_find(self.envs[index], name, self.env_ids[index]) for index in indices]

    def _set_attr(self, name: str, values: Sequence[Any], indices: Sequence[int]) -> None:
        for index, value in zip(indices, values, strict=True):
            env = self.envs[index]
            if isinstance(env, GymSource):
                env.set_wrapper_attr(name, value)
            else:
                setattr(env.unwrapped, name, value)

    def _close(self) -> None:
        with ExitStack() as closing:  # which goes on beside a copy that raises
            while self.envs:
                closing.callback(self.envs.pop().close)

    def use_states(self, states: Mapping[str, GroupState]) -> bool:
        self.states = states
        self._running = None
        self._rows = self._observation_rows()
        self._nan = NanWatch(self.groups, states)
        self._single = self._single_agent_steps()
        return True

    def __setstate__(self, attributes: Mapping[str, Any]) -> None:
        """Let the arrays of a copy, or of what was unpickled, be shared among its parts again."""
        self.__dict__.update(attributes)
        self.use_states(self.states)

    def describe(self) -> str:
        return "one after the other, in this process"

    def _single_agent_steps(self) -> SingleAgentSteps | None:
        """The short way, if it is open to these copies."""
        if self.validate or not SingleAgentSteps.fit(self.envs):
            return None
        (state,) = self.states.values()
        return SingleAgentSteps(
            self.envs, self.env_ids, state, self.infos, self._spaces.known, (self._begin_episode, self._follow_step)
        )

    def _stepping(self, actions: Mapping[str, npt.NDArray[Any]]) -> Callable[[int], None]:
        """A function that steps one copy with its own of these actions."""
        if self._single is None:
            return lambda index: self._step_copy(index, actions)
        (of_group,) = actions.values()
        return partial(self._single.step, of_group)

    def _do_all(
        self, act: Callable[[int], None], indices: Iterable[int], was_active: Mapping[str, BoolArray] | None = None
    ) -> list[EnvError]:
        """Do it for each copy, also beside one that fails, which is cut off then.

        Args:
            act: What to do.
            indices: The copies.
            was_active: Group name -> who was active before; nobody by default, as before a reset.

        Returns:
            What failed, with the way to come back to it.
        """
        errors = []
        for index in indices:
            try:
                act(index)
            except EnvError as error:
                self._cut_off(index, was_active)
                error.args = (f"{error} ({self._log.place(index)})",)
                errors.append(error)
        return errors

    def _reset_copy(self, index: int, seed: int | None, options: dict[str, Any] | None) -> None:
        for state in self.states.values():
            clear(state.observations, index)
            state.rewards[index] = 0.0
            state.terminated[index] = state.truncated[index] = state.active[index] = False
        self.infos[index] = {}
        try:
            returned = self.envs[index].reset(seed=seed, options=options)
        except Exception as error:
            raise EnvStepError(f"{self.env_ids[index]}: reset(seed={seed}) raised {summary(error)}") from error
        self._begin_episode(index, seed, returned)

    def _begin_episode(self, index: int, seed: int | None, returned: Any) -> None:
        """Take over what ``reset`` has returned."""
        env, env_id = self.envs[index], self.env_ids[index]
        observations, infos = dicts_by_agent(returned, OF_RESET, env_id)
        self._check_agents(index, lambda: env.agents, f"reset(seed={seed})")
        self._write_observations(index, observations, frozenset(env.agents))
        check_all_observed(env.agents, observations, env_id)
        told = infos_told(infos, env_id)
        for agent in env.agents:
            name, place = self._places[agent]
            self.states[name].active[index, place] = True
        self.infos[index] = told
        self._acting[index] = list(env.agents)

    def _step_copy(self, index: int, actions: Mapping[str, npt.NDArray[Any]]) -> None:
        env = self.envs[index]
        given = self._actions_of(env.agents, index, actions)
        try:
            returned = env.step(given)
        except Exception as error:
            raise EnvStepError(f"{self.env_ids[index]}: step({given}) raised {summary(error)}") from error
        if not self._follow_ordinary_step(index, env, returned):
            self._follow_step(index, given, returned)

    def _follow_step(self, index: int, given: ByAgent, returned: Any) -> None:
        """Take over what ``step`` has returned, whatever that may be."""
        env, env_id = self.envs[index], self.env_ids[index]
        results = dicts_by_agent(returned, OF_STEP, env_id)
        self._check_agents(index, lambda: [agent for agent in env.agents if agent not in given], f"step({given})")
        self._follow_any_step(index, given, results)

    def _check_agents(self, index: int, agents: Callable[[], list[str]], call: str) -> None:
        """Check that agents who have come are known, and have the spaces that arrays were laid out for."""
        try:
            come = agents()
            self._spaces.check(index, come)
        except Exception as error:
            raise EnvStepError(f"{self.env_ids[index]}: {call}: {summary(error)}") from error

    def _follow_any_step(self, index: int, given: ByAgent, results: Sequence[ByAgent]) -> None:
        """Take over the results of a step, agent by agent."""
        env, env_id = self.envs[index], self.env_ids[index]
        observations, rewards, terminations, truncations, infos = results
        still_there = frozenset(env.agents)
        self._write_observations(index, observations, still_there.union(given))
        for name, group in self.groups.items():
            state = self.states[name]
            for place, agent in enumerate(group.agent_ids):
                was_active = state.active[index, place]
                terminated = flag_of(agent, terminations, "terminations", env_id)
                truncated = flag_of(agent, truncations, "truncations", env_id)
                active = agent in still_there and not (terminated or truncated)
                # An agent that is gone without a word was cut off, as far as anybody can tell.
                left = was_active and not (active or terminated or truncated)
                reward = reward_of(agent, rewards, env_id, goes_on=active) if was_active else 0.0
                state.rewards[index, place] = reward
                state.terminated[index, place] = was_active and terminated
                state.truncated[index, place] = was_active and (truncated or left)
                state.active[index, place] = active
        self._acting[index] = [agent for agent in env.agents if not (terminations.get(agent) or truncations.get(agent))]
        check_all_observed(self._acting[index], observations, env_id)
        self.infos[index] = infos_told(infos, env_id)
        if self.validate:
            self._check_rewards(index)

    def _actions_of(self, agents: list[str], index: int, actions: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
        """The actions of these agents of one copy, in their order."""
        if agents == self._ordinary.agents and len(self.groups) == 1:
            (of_group,) = actions.values()
            return dict(zip(agents, of_group[index], strict=True))
        given = {}
        for agent in agents:
            name, place = self._places[agent]
            given[agent] = actions[name][index, place]
        return given

    def _observation_rows(self) -> list[list[tuple[str, npt.NDArray[Any]]]] | None:
        """For each copy, agent ids and where their observations are written; None if any of them is a tree."""
        if any(isinstance(state.observations, (dict, tuple)) for state in self.states.values()):
            return None
        return [
            [
                (agent, np.asarray(self.states[name].observations)[index, place, ...])
                for name, group in self.groups.items()
                for place, agent in enumerate(group.agent_ids)
            ]
            for index in range(self.num_envs)
        ]

    def _observation_lengths(self) -> list[int]:
        """The length of what each agent observes; empty where that would not tell much."""
        env = self.envs[0]
        shapes = [env.observation_space(agent).shape for agent in env.possible_agents]
        return [shape[0] for shape in shapes] if all(shapes) else []

    def _follow_ordinary_step(self, index: int, env: "ParallelEnv", results: Any) -> bool:
        """Take over the results of a step like most: all agents were there, and go on.

        Returns:
            False if it was no such step, or something does not fit; nothing that matters was written then.
        """
        acting = self._acting[index]
        if self._rows is None or self.validate or len(acting) != len(self._places):
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
            told = infos_told(infos, self.env_ids[index]) if any(infos.values()) else {}
        except (AttributeError, EnvError, KeyError, OverflowError, TypeError, ValueError):
            return False  # what is wrong is found out one by one
        self._ordinary.note(index, earned)
        self.infos[index] = told
        return True

    def _write_observations(self, index: int, observations: Mapping[str, Any], agents: AbstractSet[str]) -> None:
        """Write what ``agents`` observe; what an environment says of others, who are gone, does not count."""
        for agent, observation in observations.items():
            if agent not in agents:
                continue
            name, place = self._places[agent]
            space = self.groups[name].observation_space
            fits = not self.validate or space.contains(observation)
            try:
                if fits:
                    write(self.states[name].observations, (index, place), observation)
            except (IndexError, KeyError, OverflowError, TypeError, ValueError):
                fits = False
            if not fits:
                raise InvalidObservationError(
                    f"{self.env_ids[index]}: {agent!r} observed {observation!r}, which is not in {space}: "
                    f"{misfit(space, observation)}"
                )

    def _check_rewards(self, index: int) -> None:
        for name, group in self.groups.items():
            rewards = self.states[name].rewards[index]
            for agent, reward in zip(group.agent_ids, rewards, strict=True):
                if not np.isfinite(reward):
                    raise InvalidObservationError(
                        f"{self.env_ids[index]}: {agent!r} got reward {reward}; expected a finite number"
                    )

    def _cut_off(self, index: int, was_active: Mapping[str, BoolArray] | None) -> None:
        """Leave a copy in need of a reset, because it failed."""
        for name, state in self.states.items():
            state.rewards[index] = 0.0
            state.terminated[index] = state.active[index] = False
            state.truncated[index] = False if was_active is None else was_active[name][index]
        self.infos[index] = {}

    def _check_numbers(self, index: int) -> None:
        if found := self._nan.find(index):
            raise InvalidObservationError(f"{self.env_ids[index]}: {'; '.join(found)}")


def _raise_first(errors: Sequence[EnvError]) -> None:
    """Raise the first error, with a note about each other one."""
    if errors:
        for other in errors[1:]:
            errors[0].add_note(f"beside it, {other}")
        raise errors[0]


def _find(env: Any, name: str, env_id: str) -> Any:
    """The attribute of the environment, or of what it wraps."""
    if isinstance(env, GymSource):
        return env.get_wrapper_attr(name)
    for candidate in (env, env.unwrapped):
        if hasattr(candidate, name):
            return getattr(candidate, name)
    raise AttributeError(f"the environment of {env_id}, {env}, has no attribute {name!r}")
