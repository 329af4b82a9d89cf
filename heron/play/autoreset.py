"""The one place in which copies are reset by themselves, under every view."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from heron.batch.array_tree import ArrayTree, rows
from heron.batch.batch_env import BatchEnv, BoolArray
from heron.batch.copy_selection import EnvSelection, env_mask
from heron.errors import ConfigurationError, EnvError, MessagingError, PolicyError, ResetRequiredError, shown
from heron.play.learner_env import LearnerEnv
from heron.play.own_infos import own_info

Info = Mapping[str, Any]
InfosByAgent = Mapping[str, Info]

_AFTER_RESETS = (EnvError, MessagingError, PolicyError)
"""What may be raised when some copies have been reset already."""


@dataclass(frozen=True, slots=True)
class End:
    """How the episode of one slot has ended.

    Attributes:
        observation: Its last observation, a new array.
        terminated: Whether its task ended.
        truncated: Whether it was cut off.
    """

    observation: ArrayTree
    terminated: bool
    truncated: bool


@dataclass(frozen=True, slots=True)
class SlotStep:
    """What a step meant for every slot, after the copies that are over were reset. S slots, new arrays.

    Attributes:
        observations: ``(S, ...)``, what each slot sees now.
        rewards: ``(S,) float64``, as in ``LearnerStep``.
        lengths: ``(S,) int64``, as in ``LearnerStep``; 0 where a slot took no part.
        terminated: ``(S,) bool``, slots whose task ended.
        truncated: ``(S,) bool``, slots that were cut off.
        ends: Slot -> its end, for all that have ended.
        infos: For each copy, agent id -> what the environment said in this step, before any reset.
        reset: ``(num_envs,) bool``, the copies that have begun a new episode in this step.
        stood_still: ``(num_envs,) bool``, the copies that did not go on, because they had been cut before.
    """

    observations: ArrayTree
    rewards: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    terminated: BoolArray
    truncated: BoolArray
    ends: Mapping[int, End]
    infos: Sequence[InfosByAgent]
    reset: BoolArray
    stood_still: BoolArray


class AutoresetLearner:
    """A ``LearnerEnv`` whose copies begin a new episode by themselves, or wait to be told.

    A copy is over when all of its agents have ended, those of other groups as well. A slot whose agent has ended
    before keeps its last observation, and takes no part until its copy is reset. An end that no step has told of yet
    is told by the next one: where a step or the reset of a copy raised, and where ``cut`` has interrupted an episode.

    Args:
        learner: The slots.
        mode: ``SAME_STEP`` resets a copy in the step that ends it, ``NEXT_STEP`` in the one after, in which its
            actions do not count, and ``DISABLED`` never does.

    Raises:
        ConfigurationError: If the environment cannot do what the mode needs: let copies wait for a step after their
            end in ``NEXT_STEP``, or reset some while others run in the other two.
    """

    def __init__(self, learner: LearnerEnv, mode: AutoresetMode) -> None:
        _check_can_do(learner.venv.batch_env, mode)
        self.learner = learner
        self.mode = mode
        self._ends: dict[int, End] = {}
        self._cut = np.zeros(learner.venv.num_envs, dtype=bool)
        self._begun = np.zeros(learner.venv.num_envs, dtype=bool)
        self._changed_by_others = np.zeros(learner.venv.num_envs, dtype=bool)
        self._changes = learner.venv.changes

    def reset(
        self,
        which: EnvSelection | None = None,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ArrayTree:
        """Start a new episode in some copies, or in all, and forget what was to be told of their last one.

        Args:
            which: As for ``HierarchicalVectorEnv.reset_envs``; all copies by default.
            seed: As there.
            options: As there.

        Returns:
            ``(S, ...)``, what every slot sees now, a new array.
        """
        venv = self.learner.venv
        copies = list(range(venv.num_envs)) if which is None else venv.indices(which)
        self._look_for_others()
        try:
            observations = self.learner.reset(copies, seed, options)
        finally:
            self._forget(env_mask(copies, venv.num_envs) & (venv.steps == 0))
            self._changes = venv.changes
        return observations

    def cut(
        self,
        which: EnvSelection,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ArrayTree:
        """Start a new episode in some copies amid a rollout.

        In the next step these copies stand still, and their slots that had not ended are truncated, with what they
        saw before this reset as their last observation. So whatever that step's actions were chosen for, nothing of
        the new episode is lost or counted to the old one.

        Args:
            which: As for ``reset``.
            seed: As there.
            options: As there.

        Returns:
            ``(S, ...)``, what every slot sees now, a new array.

        Raises:
            ConfigurationError: If the environment cannot let some copies stand still; nothing was reset then.
        """
        copies = self.learner.venv.indices(which)
        self._check_can_stand_still(copies)
        self._look_for_others()
        ends = self._interrupted(copies)
        try:
            observations = self.learner.reset(copies, seed, options)
        except _AFTER_RESETS:  # beside a copy that raised, the others were reset
            self._note_cut(copies, ends)
            raise
        finally:
            self._changes = self.learner.venv.changes
        self._note_cut(copies, ends)
        return observations

    def step(self, actions: npt.NDArray[Any]) -> SlotStep:
        """Let every learning agent take one decision, and reset copies as the mode says.

        Raises:
            ResetRequiredError: If a copy has not been reset yet or, in mode ``DISABLED``, is over, or if somebody else
                has reset or stepped the vector env, and this view was not reset since.
            InvalidActionError: If there are not S actions, or one does not lie in its space. Nothing was stepped in
                these two cases.
            EnvStepError: If a copy raised.
        """
        self.learner.venv.check_open()
        self._check_own()
        over = self._check_ready()
        try:
            return self._step(actions, over)
        finally:
            self._changes = self.learner.venv.changes

    def _step(self, actions: npt.NDArray[Any], over: BoolArray) -> SlotStep:
        """Step copies that are ready for it, of which these were over before."""
        stood_still = self._cut.copy()
        try:
            step = self.learner.step(actions, ~stood_still if np.count_nonzero(stood_still) else None)
        except BaseException:
            self._keep_ends()
            raise
        self._cut[:] = False
        if ended := _ends(step.terminated, step.truncated, lambda: step.observations, step.last_seen):
            self._ends |= ended
        infos = self.learner.venv.infos
        observations, due = step.observations, self._due(step.finished, over)
        if np.count_nonzero(due):
            infos = [
                {agent: own_info(info) for agent, info in said.items()} if is_due else said
                for said, is_due in zip(infos, due.tolist(), strict=True)
            ]
            observations = self._reset_due(due)
        ends, self._ends = self._ends, {}
        terminated, truncated = self._flags(ends) if ends else (step.terminated, step.truncated)
        return SlotStep(observations, step.rewards, step.lengths, terminated, truncated, ends, infos, due, stood_still)

    def _keep_ends(self) -> None:
        """Keep the ends beside an error with what was seen then, for an agent may have come back when they are told."""
        learner = self.learner
        terminated, truncated, last_seen = learner.take_ends()
        self._ends |= _ends(terminated, truncated, learner.observations, last_seen)

    def _check_can_stand_still(self, copies: Sequence[int]) -> None:
        venv = self.learner.venv
        if venv.batch_env.steps_some or len(copies) == venv.num_envs:
            return
        raise ConfigurationError(
            f"{shown([venv.env_ids[copy] for copy in copies])}: after a reset amid a rollout they must stand still for "
            f"a step, which they cannot if they are stepped {venv.batch_env.describe()}. Reset all copies, or use "
            "LoopEnv or ProcessEnv, or give the Gymnasium VectorEnv itself to the view"
        )

    def _reset_due(self, due: BoolArray) -> ArrayTree:
        try:
            return self.learner.restart(due)
        except _AFTER_RESETS:  # others than the copy that raised may have begun an episode before their end is told
            self._cut |= due & self.learner.venv.running
            raise

    def _look_for_others(self) -> None:
        """Note that what this view knows of the copies holds no longer, if somebody else has changed them."""
        if self.learner.venv.changes != self._changes:
            self._changed_by_others[:] = True

    def _check_own(self) -> None:
        self._look_for_others()
        if np.count_nonzero(self._changed_by_others):
            changed = [self.learner.venv.env_ids[index] for index in np.flatnonzero(self._changed_by_others)]
            raise ResetRequiredError(
                f"somebody else has reset or stepped the vector env of {shown(changed)} since this view did: call its "
                "reset(), as model.set_env(view, force_reset=True) does. Views that are used by turns within one "
                "learn(), as for evaluations, need a vector env each; amid a rollout call reset_envs of the view"
            )

    def _check_ready(self) -> BoolArray:
        """``(num_envs,) bool``, the copies that were over before this step."""
        over: BoolArray = ~self.learner.venv.running
        if not np.count_nonzero(over):
            return over
        stopped = over if self.mode is AutoresetMode.DISABLED else over & ~self._begun
        if stopped.any():
            env_ids = [self.learner.venv.env_ids[index] for index in np.flatnonzero(stopped)]
            raise ResetRequiredError(
                f"no running episode in {shown(env_ids)}: call reset(), or reset_envs(...) or "
                "reset(options={'reset_mask': ...}) with these"
            )
        return over

    def _due(self, finished: BoolArray, over: BoolArray) -> BoolArray:
        """``(num_envs,) bool``, the copies to reset in this step."""
        if self.mode is AutoresetMode.SAME_STEP:
            return finished
        if self.mode is AutoresetMode.DISABLED or not np.count_nonzero(over):
            return np.zeros_like(finished)
        due = over.copy()
        for slot in self._ends:  # an end that had not been told yet is seen before the reset
            due[self.learner.env_index(slot)] = False
        return due

    def _flags(self, ends: Mapping[int, End]) -> tuple[BoolArray, BoolArray]:
        terminated = np.zeros(self.learner.num_slots, dtype=bool)
        truncated = np.zeros(self.learner.num_slots, dtype=bool)
        for slot, end in ends.items():
            terminated[slot], truncated[slot] = end.terminated, end.truncated
        return terminated, truncated

    def _interrupted(self, copies: Sequence[int]) -> dict[int, End]:
        """The ends that a reset of these copies makes or covers up."""
        learner = self.learner
        num_agents = learner.group.num_agents
        reset = np.repeat(env_mask(copies, learner.venv.num_envs), num_agents)
        active = learner.venv.results[learner.group.name].active.ravel() & ~np.repeat(self._cut, num_agents)
        terminated, truncated = learner.terminated & reset, (learner.truncated | active) & reset
        return _ends(terminated, truncated, learner.observations, learner.last_seen)

    def _note_cut(self, copies: Sequence[int], ends: Mapping[int, End]) -> None:
        venv = self.learner.venv
        self._ends |= ends
        self._begun[copies] = True
        self._cut[copies] = venv.running[copies]

    def _forget(self, reset: BoolArray) -> None:
        self._begun |= reset
        self._cut[reset] = self._changed_by_others[reset] = False
        if self._ends:
            self._ends = {slot: end for slot, end in self._ends.items() if not reset[self.learner.env_index(slot)]}


def _check_can_do(batch_env: BatchEnv, mode: AutoresetMode) -> None:
    if mode is AutoresetMode.NEXT_STEP and not batch_env.holds_ended:
        raise ConfigurationError(
            "autoreset mode NEXT_STEP: a copy that has ended waits for one step, which it cannot if it is stepped "
            f"{batch_env.describe()}; use SAME_STEP or DISABLED, or make that environment with NEXT_STEP itself"
        )
    if mode is not AutoresetMode.NEXT_STEP and not batch_env.resets_some:
        raise ConfigurationError(
            f"autoreset mode {mode.name}: a copy that has ended is reset while others run on, which it cannot if it "
            f"is stepped {batch_env.describe()}; use NEXT_STEP, or give heron.make_vec the environment without its "
            "wrappers, and wrap the view instead"
        )


def _ends(
    terminated: BoolArray,
    truncated: BoolArray,
    observe: Callable[[], ArrayTree],
    last_seen: Mapping[int, ArrayTree],
) -> dict[int, End]:
    """Slot -> its end, for slots that are flagged; ``observe`` tells what those not in ``last_seen`` saw last."""
    ended = terminated | truncated
    if not np.count_nonzero(ended):
        return {}
    slots = np.flatnonzero(ended).tolist()
    flags = zip(terminated[slots].tolist(), truncated[slots].tolist(), strict=True)
    seen = dict(zip(slots, rows(observe(), slots), strict=True)) | dict(last_seen)
    return {slot: End(seen[slot], *flag) for slot, flag in zip(slots, flags, strict=True)}
