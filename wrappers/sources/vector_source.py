"""Source of copies in a Gymnasium ``VectorEnv``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from heron.batch.action_records import as_actions, as_tree, is_record_space
from heron.batch.agent_groups import checked_group
from heron.batch.array_tree import equal, map_arrays, write
from heron.batch.batch_env import BatchEnv, BoolArray, GroupState
from heron.batch.copy_selection import check_env_ids
from heron.batch.nan_watch import NanWatch
from heron.errors import ConfigurationError, EnvStepError, InvalidObservationError, shown, summary
from heron.wrappers.sources.begun_episodes import BegunEpisodes, info_of_end, take_rows
from heron.wrappers.sources.driver_choice import autoreset_mode_of, driver_of
from heron.wrappers.sources.episode_log import EpisodeLog
from heron.wrappers.sources.gym_parallel_env import AGENT
from heron.wrappers.sources.vector_drivers import AnyVectorEnv, Info, Seeds, VectorResults, placeholder_action

UNREADABLE = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)
"""Errors raised by reading results that do not fit."""


class VectorEnvSource(BatchEnv):
    """Copies of a Gymnasium ``VectorEnv``, in each of which the one agent ``"agent"`` acts.

    A ``BatchEnv`` resets and steps only the masked copies. Gymnasium's ``VectorEnv`` steps all copies at once, and may
    reset some automatically. The rules are:

    - Copies that are running must be stepped together: leaving one out of a step is refused. A copy whose episode
      has ended may be left out. The environment may begin hidden episodes in it meanwhile, which changes the one that
      follows: see ``holds_ended``.
    - ``NEXT_STEP`` and ``SAME_STEP``: the next reset returns an episode that the environment has begun automatically,
      if the reset has neither seed nor options, and no step came in between.
    - In all other cases some copies are reset by ``options={"reset_mask": mask}``. An environment that ignores the
      mask resets all copies; that is detected, and raises an error.

    These rules do not apply to Gymnasium's own ``AsyncVectorEnv``, whose copies can be stepped and reset one by one,
    nor to its ``CartPoleVectorEnv`` and to EnvPool. Those two have one seed for all copies, EnvPool when it is made.

    Args:
        env: The vector environment, which belongs to this one from now on.
        env_ids: Names of the copies; ``env_0``, ``env_1`` ... by default.
        autoreset_mode: Needed if the environment's metadata do not have it.
        reset_mask: True if the environment supports ``options["reset_mask"]``; False if it can only reset all copies.
            By default the first reset of some copies finds out, and raises an error if it does not.

    Raises:
        ConfigurationError: If a space is not supported, the autoreset mode is unknown, or the metadata contradict
            ``autoreset_mode``.
    """

    def __init__(
        self,
        env: AnyVectorEnv,
        env_ids: Sequence[str] | None = None,
        *,
        autoreset_mode: AutoresetMode | str | None = None,
        reset_mask: bool | None = None,
    ) -> None:
        self.env = env
        self.env_ids = check_env_ids(env_ids, env.num_envs)
        self._driver = driver_of(env, reset_mask)
        self.autoreset_mode = autoreset_mode_of(env, autoreset_mode, self._driver.autoreset_mode)
        group = checked_group(AGENT, (AGENT,), env.single_observation_space, env.single_action_space)
        self.groups = {AGENT: group}
        self.states: Mapping[str, GroupState] = {AGENT: GroupState.empty(group, self.num_envs)}
        self.infos: list[dict[str, Mapping[str, Any]]] = [{} for _ in self.env_ids]
        self.steps_some, self.resets_some = self._driver.steps_some, self._driver.resets_some
        self.holds_ended = self.steps_some or self.autoreset_mode is AutoresetMode.NEXT_STEP
        self.resets_ended = self.resets_some or self.autoreset_mode is AutoresetMode.SAME_STEP
        self._log = EpisodeLog(self.num_envs)
        self._nan = NanWatch(self.groups, self.states)
        self._some_action = as_actions(group.action_space, placeholder_action(group.action_space), ())
        self._takes_records = is_record_space(group.action_space)
        self._begun = False
        self._has_raised = ""
        self._episodes = BegunEpisodes(
            self.autoreset_mode, group.observation_space, self.num_envs, steps_some=self.steps_some
        )

    def _check_reset(
        self, mask: BoolArray, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None
    ) -> None:
        native = self._to_reset_natively(mask, seeds, options)
        if np.count_nonzero(native):
            self._check_others(native, mask)
            self._driver.check_reset(native, _seeds_used(native, seeds), options)

    def _reset(self, mask: BoolArray, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None) -> None:
        for index in mask.nonzero()[0].tolist():
            self._log.begin(index, None if seeds is None else seeds[index])
        native = self._to_reset_natively(mask, seeds, options)
        untouched = self.running & ~mask
        if np.count_nonzero(begun := mask & ~native):
            self._begin(begun, self._episodes.observations, self._episodes.infos)
        if np.count_nonzero(native):
            self._reset_natively(native, _seeds_used(mask, seeds), options, untouched)
        self._check_numbers(mask)

    def _step(self, actions: Mapping[str, npt.NDArray[Any]], mask: BoolArray) -> None:
        partly = None if np.count_nonzero(mask) == self.num_envs else mask
        self._log.note_steps(partly)
        was_active = self.states[AGENT].active[:, 0].copy()
        try:
            results = self._driver.step(self._actions(actions[AGENT], partly), mask)
        except Exception as error:
            self._cut_off(was_active)
            self._has_raised = summary(error)
            blamed = self._driver.to_blame(mask)
            raise EnvStepError(
                f"{self._names(blamed)}: {self.env} raised {summary(error)}, so every copy needs a reset "
                f"({self._log.place(int(np.argmax(blamed)))})"
            ) from error
        try:
            self._follow(results, mask, partly)
        except UNREADABLE as error:
            self._cut_off(was_active)
            if isinstance(error, ConfigurationError):
                raise
            raise self._unfit(error, mask) from error
        self._check_numbers(mask)

    def _get_attr(self, name: str, indices: Sequence[int]) -> list[Any]:
        return self._driver.get_attr(name, indices)

    def _set_attr(self, name: str, values: Sequence[Any], indices: Sequence[int]) -> None:
        self._driver.set_attr(name, values, indices)

    def _call(self, name: str, indices: Sequence[int], *args: Any, **kwargs: Any) -> list[Any]:
        return self._driver.call(name, indices, *args, **kwargs)

    def _close(self) -> None:
        self.env.close()

    def use_states(self, states: Mapping[str, GroupState]) -> bool:
        self.states = states
        self._running = None
        self._nan = NanWatch(self.groups, states)
        return True

    def describe(self) -> str:
        return f"{'together' if self.steps_some else 'all at once'} by {self.env}, in this process"

    def _actions(self, actions: npt.NDArray[Any], partly: BoolArray | None) -> Any:
        """Return the actions of the masked copies, or by default all, in the form that the environment takes."""
        own = actions[:, 0].copy()
        if partly is not None:
            self._prepare_left_out(~partly)
            own[~partly] = self._some_action
        return map_arrays(np.array, as_tree(self.groups[AGENT].action_space, own)) if self._takes_records else own

    def _prepare_left_out(self, left_out: BoolArray) -> None:
        """Reset copies whose episode is over, in an environment without autoreset, which must not step them."""
        over = left_out & self._episodes.over
        if over.any() and self.autoreset_mode is AutoresetMode.DISABLED and not self.steps_some:
            self._driver.reset_some(over, [None] * self.num_envs, None)

    def _follow(self, results: VectorResults, mask: BoolArray, partly: BoolArray | None) -> None:
        """Take over the results of the masked copies, and episodes that the environment has begun automatically."""
        observations, rewards, terminated, truncated, infos = results
        ended = terminated | truncated
        self._episodes.note_step(results, ended, mask)
        state = self.states[AGENT]
        where = (slice(None), 0) if partly is None else (partly, 0)
        take_rows(state.observations, where, observations, partly)
        if np.count_nonzero(ended):
            for index in (mask & ended).nonzero()[0].tolist():
                if "final_obs" in infos[index]:
                    write(state.observations, (index, 0), infos[index]["final_obs"])
                    infos[index] = info_of_end(infos[index])
                elif self.autoreset_mode is AutoresetMode.SAME_STEP:
                    raise ConfigurationError(
                        f"{self.env_ids[index]}: {self.env} has autoreset mode SAME_STEP, but no infos['final_obs'] "
                        "for the episode that has ended: add it there, or make the environment with another mode"
                    )
        take_rows(state.rewards, where, rewards, partly)
        take_rows(state.terminated, where, terminated, partly)
        take_rows(state.truncated, where, truncated, partly)
        take_rows(state.active, where, ~ended, partly)
        self._write_infos(infos, partly)

    def _to_reset_natively(
        self, mask: BoolArray, seeds: Sequence[int | None] | None, options: Mapping[str, Any] | None
    ) -> BoolArray:
        """Return the masked copies without those whose next episode the environment has begun automatically."""
        native = self._episodes.missing(mask, seeds, options)
        return mask if not self.resets_some and mask.all() and native.any() else native

    def _check_others(self, native: BoolArray, mask: BoolArray) -> None:
        """Refuse a reset of all copies at once that would end the episodes of others."""
        others = (self.running | mask) & ~native
        if not self.resets_some and others.any():
            raise ConfigurationError(
                f"{self._names(native)}: {self.env} resets all copies at once, and {self._names(others)} would lose "
                "their episodes: reset all of them, or give heron.make_vec the environment without its wrappers, and "
                "wrap the view instead"
            )

    def _reset_natively(
        self, mask: BoolArray, seeds: Seeds, options: Mapping[str, Any] | None, untouched: BoolArray
    ) -> None:
        everyone = bool(mask.all()) or not self._begun
        try:
            if everyone:
                observations, infos = self._driver.reset_all(seeds, options)
            else:
                observations, infos = self._driver.reset_some(mask, seeds, options)
        except Exception as error:
            self._cut_off(np.zeros(self.num_envs, dtype=bool), mask)
            before = ""
            if self._has_raised:
                before = f"; it has raised {self._has_raised} before: make a new one if it is broken"
            blamed = self._driver.to_blame(mask)
            raise EnvStepError(
                f"{self._names(blamed)}: resetting them raised {summary(error)}{before} "
                f"({self._log.place(int(np.argmax(blamed)))})"
            ) from error
        self._has_raised = ""
        try:
            self._follow_reset(observations, infos, mask, None if everyone else untouched)
        except UNREADABLE as error:
            self._cut_off(np.zeros(self.num_envs, dtype=bool))
            raise self._unfit(error, mask) from error

    def _follow_reset(
        self, observations: Any, infos: Sequence[Info], mask: BoolArray, untouched: BoolArray | None
    ) -> None:
        """Take over the episodes that the masked copies, or all, have begun."""
        if untouched is None and not mask.all():  # the others have begun, too, and wait for their own reset
            self._episodes.keep(~mask, observations, infos)
        elif untouched is not None and not self.steps_some:
            self._check_untouched(observations, untouched)
        self._begun = True
        self._begin(mask, observations, infos)

    def _begin(self, mask: BoolArray, observations: Any, infos: Sequence[Info]) -> None:
        """Write the first observations of the masked copies' new episodes."""
        state = self.states[AGENT]
        take_rows(state.observations, (mask, 0), observations, mask)
        state.rewards[mask] = 0.0
        state.terminated[mask] = state.truncated[mask] = False
        state.active[mask] = True
        self._write_infos(infos, mask)
        self._episodes.forget(mask)

    def _check_untouched(self, observations: Any, others: BoolArray) -> None:
        """Check that a reset of some copies has left the running others alone."""
        before = map_arrays(lambda array: array[others, 0], self.states[AGENT].observations)
        if not equal(before, map_arrays(lambda array: array[others], observations)):
            self._cut_off(others)
            raise EnvStepError(
                f"{self.env} cannot reset some copies: it ignored options['reset_mask'], and reset "
                f"{self._names(others)} as well, or changed what they observe. Every copy needs a reset now; its "
                "reset() has to honour the mask, and wrappers belong on the view; or use LoopEnv or ProcessEnv"
            )

    def _check_numbers(self, mask: BoolArray) -> None:
        if not self._nan.fires():
            return
        found = []
        for index in np.flatnonzero(mask).tolist():
            if what := self._nan.find(index):
                found.append(f"{self.env_ids[index]}: {'; '.join(what)} ({self._log.place(index)})")
                one = np.arange(self.num_envs) == index
                self._cut_off(self.states[AGENT].active[:, 0] & one, one)
        if found:
            error = InvalidObservationError(found[0])
            for other in found[1:]:
                error.add_note(f"beside it, {other}")
            raise error

    def _cut_off(self, truncated: BoolArray, mask: BoolArray | None = None) -> None:
        """Leave the masked copies, by default all, in need of a reset."""
        mask = np.ones(self.num_envs, dtype=bool) if mask is None else mask
        state = self.states[AGENT]
        state.rewards[mask] = 0.0
        state.terminated[mask] = state.active[mask] = False
        state.truncated[mask, 0] = truncated[mask]
        self._episodes.fresh[mask] = False
        self._write_infos([{}] * self.num_envs, mask)

    def _write_infos(self, infos: Sequence[Info], mask: BoolArray | None) -> None:
        if mask is None:
            self.infos[:] = [{AGENT: info} if info else {} for info in infos]
            return
        for index in mask.nonzero()[0].tolist():
            self.infos[index] = {AGENT: infos[index]} if infos[index] else {}

    def _unfit(self, error: Exception, mask: BoolArray) -> InvalidObservationError:
        return InvalidObservationError(
            f"{shown(self.env_ids)}: {self.env} returned results that do not fit its spaces: {summary(error)}, so "
            f"every copy needs a reset ({self._log.place(int(np.argmax(mask)))})"
        )


def _seeds_used(mask: BoolArray, seeds: Seeds | None) -> Seeds:
    if seeds is None:
        return [None] * len(mask)
    return [seed if masked else None for seed, masked in zip(seeds, mask, strict=True)]
