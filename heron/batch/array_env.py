"""Base of worlds written on arrays: all that a batched environment does, except for the physics."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import partial
from inspect import ismethod
from typing import Any, Generic

import gymnasium
import numpy as np
import numpy.typing as npt

from heron.batch.action_records import as_tree
from heron.batch.agent_groups import groups_by_name
from heron.batch.array_tree import ArrayTree, layout, map_arrays, write
from heron.batch.batch_env import AgentGroup, BatchEnv, BoolArray, GroupState
from heron.batch.copy_arrays import CopyArrays, State
from heron.batch.copy_selection import EnvSelection, check_env_ids, select_envs
from heron.batch.counter_random import IndexArray, RandomDraws, RandomStreams, Rows
from heron.batch.world_parallel_env import WorldParallelEnv
from heron.batch.world_results import GroupActions, GroupInfos, GroupTrees, GroupValues, WorldResults
from heron.errors import ConfigurationError, EnvStepError, InvalidObservationError, checked_count, summary


class ArrayEnv(BatchEnv, Generic[State]):
    """Base of worlds written on arrays.

    A world is a state and three functions of it: ``_begin`` returns the first state of an episode, ``_advance`` the
    next one with rewards and ends, and ``_observe`` the observations. ``docs/guide.md`` has an example.

    The functions get only the n copies that are reset or stepped, as new arrays, and return new values for them. So
    they cannot change another copy, and a seed gives the same episode whatever runs beside, provided that random
    numbers come from ``random`` and that rows are not mixed. A matrix product mixes rows: its last bit may depend on
    their number, which that of ``np.einsum`` does not. ``heron.testing.check_batch_env`` checks this.

    If a function raises, the copies that were reset or stepped are truncated and need a reset, since the error does not
    tell which of them caused it.

    A parameter of the world, which may differ between copies, is a field of the state that no function changes:
    ``_begin`` gets the fields as they were when the world was made, or as ``set_attr`` has set them since.

    The constructor of a subclass takes ``num_envs`` first, and ``env_ids`` by keyword.

    Args:
        num_envs: Number of copies.
        groups: Groups of agents.
        state: Initial state: a dataclass of arrays ``(num_envs, ...)``.
        max_episode_steps: Time limit: the active agents of a copy are truncated at this step.
        env_ids: Names of the copies; ``env_0``, ``env_1`` ... by default.
        render_mode: One of the class's ``metadata["render_modes"]``.

    Attributes:
        max_episode_steps: The time limit.
        render_mode: The render mode.

    Raises:
        ConfigurationError: If an argument does not fit.
    """

    metadata: Mapping[str, Any] = {"render_modes": []}
    _own_attributes: dict[str, dict[int, Any]]

    def __init__(
        self,
        num_envs: int,
        groups: Sequence[AgentGroup],
        state: State,
        *,
        max_episode_steps: int | None = None,
        env_ids: Sequence[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ConfigurationError(f"render_mode must be in {self.metadata['render_modes']}, got {render_mode!r}")
        if max_episode_steps is not None:
            checked_count("max_episode_steps", max_episode_steps)
        self.env_ids = check_env_ids(env_ids, num_envs)
        self.groups = groups_by_name(groups)
        self.max_episode_steps = max_episode_steps
        self.render_mode = render_mode
        self._own_attributes = {}
        self._state = CopyArrays(state, num_envs)
        self._initial = CopyArrays(state, num_envs)
        self._streams = RandomStreams(num_envs)
        self._steps = np.zeros(num_envs, np.int64)
        self._results = WorldResults(self.groups, num_envs)
        self.states, self.infos = self._results.states, self._results.infos

    @classmethod
    def parallel_env(cls, **options: Any) -> WorldParallelEnv:
        """Make one copy of the world as a PettingZoo ``ParallelEnv``.

        Args:
            **options: Arguments of the class other than ``num_envs``.
        """
        make: Any = cls
        return WorldParallelEnv(make(1, **options))

    @classmethod
    def register(cls, env_id: str, **options: Any) -> None:
        """Register the world for ``gymnasium.make_vec`` and, if it has one agent, for ``gymnasium.make``.

        Args:
            env_id: Id such as ``"my/Walk-v0"``.
            **options: Arguments of the class other than ``num_envs`` and ``env_ids``.
        """
        module = "heron.wrappers.gym.registration"
        gymnasium.register(
            env_id,
            entry_point=f"{module}:make_gym_env",
            vector_entry_point=f"{module}:make_gym_vec",
            kwargs={"env": cls, "env_kwargs": options},
        )

    def state_dict(self, which: EnvSelection | None = None) -> dict[str, Any]:
        """Save copies, all by default: their state, random streams, results, infos and attributes.

        Copies that load this continue exactly, to the bit, as the saved copies would.

        Returns:
            A dict of new arrays that can be pickled.
        """
        indices = self._selected(which)
        own = self._own_attributes
        return {
            "arrays": map_arrays(lambda array: array[indices], self._arrays()),
            "infos": deepcopy([self.infos[index] for index in indices]),
            "attributes": deepcopy([{name: own[name][i] for name in own if i in own[name]} for i in indices]),
        }

    def load_state_dict(self, saved: Mapping[str, Any], which: EnvSelection | None = None) -> None:
        """Load saved copies into copies of this world, all by default.

        Args:
            saved: From ``state_dict`` of a world of the same class, which may have another number of copies.
            which: As many copies as were saved, in the same order.

        Raises:
            ConfigurationError: If the saved arrays do not fit; nothing was loaded.
        """
        indices = self._selected(which)
        own, given = self._arrays(), saved["arrays"]
        if layout(own) != layout(given):
            raise ConfigurationError(f"saved arrays do not fit {self}: expected {layout(own)}, got {layout(given)}")
        if len(saved["infos"]) != len(indices):
            raise ConfigurationError(f"{len(saved['infos'])} copies were saved, but {len(indices)} were selected")
        write(own, np.array(indices, np.intp), given)
        for index, infos, attributes in zip(indices, saved["infos"], saved["attributes"], strict=True):
            self._results.infos[index] = deepcopy(infos)
            for of_copies in self._own_attributes.values():
                of_copies.pop(index, None)
            for name, value in attributes.items():
                self._own_attributes.setdefault(name, {})[index] = deepcopy(value)
        self._running = None

    def render(self, index: int) -> Any:
        """Return a picture of one copy; None without a render mode."""
        return None if self.render_mode is None else self._render(self._state.read_only(np.array([index])))

    def use_states(self, states: Mapping[str, GroupState]) -> bool:
        self.states = states
        self._results.use(states)
        return True

    def describe(self) -> str:
        return f"{type(self).__name__} on arrays, in this process"

    @abstractmethod
    def _begin(self, state: State, random: RandomDraws, options: Mapping[str, Any]) -> State:
        """Return the first state of new episodes in n copies.

        Args:
            state: The initial state of these copies, as new arrays ``(n, ...)``.
            random: Random numbers ``(n, ...)``.
            options: Options of the reset.
        """

    @abstractmethod
    def _advance(
        self, state: State, actions: GroupActions, random: RandomDraws
    ) -> tuple[State, GroupValues, GroupValues]:
        """Return the next state, the rewards and which agents have terminated.

        Args:
            state: The state of n copies, as new arrays ``(n, ...)``.
            actions: Group name -> actions, as new arrays. They are zeros for agents that have ended.
            random: Random numbers ``(n, ...)``.
        """

    @abstractmethod
    def _observe(self, state: State) -> GroupTrees:
        """Return the observations of n copies; the arrays of ``state`` are read-only."""

    def _infos(self, state: State) -> GroupInfos:
        """Return the infos of n copies, which become an info dict for each agent; none by default."""
        del state
        return {}

    def _render(self, state: State) -> Any:
        """Return a picture of one copy, whose arrays are ``(1, ...)``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement _render")

    def _reset(self, mask: BoolArray, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None) -> None:
        rows, indices = _rows(mask), np.flatnonzero(mask)
        if seeds is not None and (seeded := [index for index in indices.tolist() if seeds[index] is not None]):
            self._streams.seed(np.array(seeded), [int(seeds[index]) for index in seeded])  # type: ignore[arg-type]
        try:
            begun = self._begin(self._initial.rows(rows), self._streams.next(rows), dict(options or {}))
            self._state.write(rows, begun)
            self._steps[rows] = 0
            self._results.begin(rows)
            self._show(rows, indices, self._results.active(rows))
        except Exception as error:
            self._results.truncate(rows, {})
            raise EnvStepError(f"{self._names(mask)}: resetting {self} raised {summary(error)}") from error
        self._check_numbers(indices, {})

    def _step(self, actions: Mapping[str, npt.NDArray[Any]], mask: BoolArray) -> None:
        rows, indices = _rows(mask), np.flatnonzero(mask)
        acting = self._results.active(rows)
        try:
            own = {name: self._own_actions(name, actions[name][rows], acting[name]) for name in self.groups}
            stepped, rewards, terminated = self._advance(self._state.rows(rows), own, self._streams.next(rows))
            self._state.write(rows, stepped)
            self._steps[rows] += 1
            is_over = self._steps[rows] >= (self.max_episode_steps or np.inf)
            self._results.step(rows, acting, rewards, terminated, is_over)
            self._show(rows, indices, acting)
        except Exception as error:
            self._results.truncate(rows, acting)
            raise EnvStepError(f"{self._names(mask)}: stepping {self} raised {summary(error)}") from error
        self._check_numbers(indices, acting)

    def _close(self) -> None:
        """Release nothing: the world is only arrays."""

    def _get_attr(self, name: str, indices: Sequence[int]) -> list[Any]:
        if name in self._state.arrays:
            return [self._state.arrays[name][index].copy() for index in indices]
        found = super()._get_attr(name, indices)
        # A method of the world gets the copy's index first.
        return [partial(one, index) if ismethod(one) else one for one, index in zip(found, indices, strict=True)]

    def _set_attr(self, name: str, values: Sequence[Any], indices: Sequence[int]) -> None:
        if name in self._state.arrays:
            for arrays in (self._state, self._initial):
                arrays.set_field(name, values, np.array(indices, np.intp))
        else:
            super()._set_attr(name, values, indices)

    def _own_actions(self, name: str, actions: npt.NDArray[Any], acting: BoolArray) -> ArrayTree:
        """Return actions that the world may keep, without those of agents that take no part."""
        own = np.array(actions)
        own[~acting] = np.zeros((), own.dtype)
        return as_tree(self.groups[name].action_space, own)

    def _show(self, rows: Rows, indices: IndexArray, taking_part: Mapping[str, BoolArray]) -> None:
        seen = self._state.read_only(rows)
        self._results.observe(rows, indices, taking_part, self._observe(seen))
        self._results.inform(indices, taking_part, self._infos(seen))

    def _check_numbers(self, indices: IndexArray, acting: Mapping[str, BoolArray]) -> None:
        found = self._results.truncate_nan(indices, acting)
        if found:
            index, what = next(iter(found.items()))
            place = f"{self.env_ids[index]}, step {self._steps[index]}"
            raise InvalidObservationError(f"{place}: {'; '.join(what)}: {self} must return numbers")

    def _selected(self, which: EnvSelection | None) -> list[int]:
        return list(range(self.num_envs)) if which is None else select_envs(which, self.env_ids)

    def _arrays(self) -> ArrayTree:
        """Return all arrays with a row for each copy, themselves."""
        return {
            "state": dict(self._state.arrays),
            "initial": dict(self._initial.arrays),
            "steps": self._steps,
            "keys": self._streams.keys,
            "ticks": self._streams.ticks,
            "results": {name: dict(vars(state)) for name, state in self.states.items()},
        }

    def __str__(self) -> str:
        return type(self).__name__


def _rows(mask: BoolArray) -> Rows:
    return slice(None) if mask.all() else np.flatnonzero(mask)
