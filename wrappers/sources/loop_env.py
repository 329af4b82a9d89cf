"""Source that steps environments one by one in a loop."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heron.batch.action_records import is_record_space, samples_of
from heron.batch.agent_groups import group_agents
from heron.batch.batch_env import BatchEnv, BoolArray, GroupState
from heron.batch.copy_selection import check_env_ids
from heron.batch.nan_watch import NanWatch
from heron.errors import EnvError, InvalidObservationError, raise_first
from heron.wrappers.sources.agent_spaces import AgentSpaces
from heron.wrappers.sources.env_creation import EnvFactory, make_envs
from heron.wrappers.sources.episode_log import EpisodeLog
from heron.wrappers.sources.gym_parallel_env import GymParallelEnv
from heron.wrappers.sources.multi_agent_steps import MultiAgentSteps
from heron.wrappers.sources.single_agent_steps import SingleAgentSteps

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv


class LoopEnv(BatchEnv):
    """Copies of an environment, stepped one by one in this process.

    Args:
        factories: One a copy; each makes a PettingZoo ``ParallelEnv`` or ``AECEnv``, or a Gymnasium ``Env``, in
            which the one agent ``"agent"`` acts. In a turn-based ``AECEnv`` all agents give an action each step,
            of which that of the agent whose turn it is counts; infos name it as ``"active_agent"``.
        env_ids: Names of the copies; ``env_0``, ``env_1`` ... by default.
        groups: Group name -> agent ids, to group the agents by hand; by default agents with the same spaces
            form a group, named after the common part of their ids.
        validate: Check every observation against its space, and every reward for being finite. Slow; meant for a new
            environment.

    Raises:
        EnvCreationError: If a factory raises or returns something that cannot be used; it says which.
        ConfigurationError: If ids are duplicate, the copies differ in their agents or spaces, a space is not
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
        self._general = MultiAgentSteps(
            self.envs, self.env_ids, self.groups, self.states, self.infos, self._spaces, validate=validate
        )
        # Copies, because an environment may keep what it was given.
        self._own_actions: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
            name: partial(samples_of, group.action_space) if is_record_space(group.action_space) else np.array
            for name, group in self.groups.items()
        }
        self._log = EpisodeLog(self.num_envs)
        self._nan = NanWatch(self.groups, self.states)
        self._single = self._single_agent_steps()

    def _reset(self, mask: BoolArray, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None) -> None:
        start = self._general.reset if self._single is None else self._single.reset

        def reset_copy(index: int) -> None:
            seed = None if seeds is None else seeds[index]
            self._log.begin(index, seed)
            start(index, seed, None if options is None else dict(options))

        indices = np.flatnonzero(mask).tolist()
        errors = self._do_all(reset_copy, indices)
        errors += self._do_all(self._check_numbers, indices) if self._nan.fires() else []
        raise_first(errors)

    def _step(self, actions: Mapping[str, npt.NDArray[Any]], mask: BoolArray) -> None:
        indices = mask.nonzero()[0].tolist()  # several times as fast as np.flatnonzero
        own = {name: self._own_actions[name](array) for name, array in actions.items()}
        was_active = {name: state.active.copy() for name, state in self.states.items()}
        self._log.note_steps(None if len(indices) == self.num_envs else mask)
        try:
            errors = self._do_all(self._stepping(own), indices, was_active)
        finally:
            self._general.finish_round()
        errors += self._do_all(self._check_numbers, indices, was_active) if self._nan.fires() else []
        raise_first(errors)

    def _get_attr(self, name: str, indices: Sequence[int]) -> list[Any]:
        return [_find(self.envs[index], name, self.env_ids[index]) for index in indices]

    def _set_attr(self, name: str, values: Sequence[Any], indices: Sequence[int]) -> None:
        for index, value in zip(indices, values, strict=True):
            env = self.envs[index]
            if isinstance(env, GymParallelEnv):
                env.set_wrapper_attr(name, value)
            else:
                setattr(env.unwrapped, name, value)

    def _close(self) -> None:
        with ExitStack() as closing:  # closes the other copies when one raises
            while self.envs:
                closing.callback(self.envs.pop().close)

    def use_states(self, states: Mapping[str, GroupState]) -> bool:
        self.states = states
        self._running = None
        self._general.use_states(states)
        self._nan = NanWatch(self.groups, states)
        self._single = self._single_agent_steps()
        return True

    def __setstate__(self, attributes: Mapping[str, Any]) -> None:
        """Share the arrays among the parts again, after copying or unpickling."""
        self.__dict__.update(attributes)
        self.use_states(self.states)

    def describe(self) -> str:
        return "one after the other, in this process"

    def _single_agent_steps(self) -> SingleAgentSteps | None:
        """Return the fast path for single-agent environments, if it fits all copies."""
        if self.validate or not SingleAgentSteps.fit(self.envs):
            return None
        (state,) = self.states.values()
        in_general = self._general.begin_episode, self._general.follow_step
        return SingleAgentSteps(self.envs, self.env_ids, state, self.infos, self._spaces.known, in_general)

    def _stepping(self, actions: Mapping[str, npt.NDArray[Any]]) -> Callable[[int], None]:
        """Return a function that steps one copy with its row of these actions."""
        if self._single is None:
            return partial(self._general.step, actions)
        (of_group,) = actions.values()
        return partial(self._single.step, of_group)

    def _do_all(
        self, act: Callable[[int], None], indices: Iterable[int], was_active: Mapping[str, BoolArray] | None = None
    ) -> list[EnvError]:
        """Call a function for each copy, and truncate the copies that fail.

        Args:
            act: Function of a copy's index.
            indices: The copies.
            was_active: Group name -> agents active before; by default none, as before a reset.

        Returns:
            The errors, with instructions to reproduce them.
        """
        errors = []
        for index in indices:
            try:
                act(index)
            except EnvError as error:
                self._truncate(index, was_active)
                error.args = (f"{error} ({self._log.place(index)})",)
                errors.append(error)
        return errors

    def _truncate(self, index: int, was_active: Mapping[str, BoolArray] | None) -> None:
        """Leave a failed copy in need of a reset."""
        for name, state in self.states.items():
            state.cut_off(index, False if was_active is None else was_active[name][index])
        self.infos[index] = {}

    def _check_numbers(self, index: int) -> None:
        if found := self._nan.find(index):
            raise InvalidObservationError(f"{self.env_ids[index]}: {'; '.join(found)}")


def _find(env: Any, name: str, env_id: str) -> Any:
    """Return an attribute of the environment, or of the environment that it wraps."""
    if isinstance(env, GymParallelEnv):
        return env.get_wrapper_attr(name)
    for candidate in (env, env.unwrapped):
        if hasattr(candidate, name):
            return getattr(candidate, name)
    raise AttributeError(f"the environment of {env_id}, {env}, has no attribute {name!r}")
