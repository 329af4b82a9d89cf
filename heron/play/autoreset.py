"""Autoreset for all views, the only place where copies are reset automatically."""

from collections.abc import Mapping, Sequence
from typing import Any, Never

import numpy as np
from gymnasium.vector import AutoresetMode

from heron.batch.array_tree import ArrayTree, any_true
from heron.batch.batch_env import BatchEnv, BoolArray
from heron.batch.copy_selection import EnvSelection, env_mask, spread_seeds
from heron.errors import ConfigurationError, EnvError, MessagingError, PolicyError, ResetRequiredError, shown
from heron.messaging.snapshot import snapshot
from heron.play.learner_env import LearnerEnv
from heron.play.slot_step import End, SlotStep

_AFTER_RESETS = (EnvError, MessagingError, PolicyError)
"""Errors after which some copies may have been reset already."""


class AutoresetLearner:
    """A ``LearnerEnv`` with an autoreset mode.

    A copy is over when all of its agents have ended, including those of other groups. A slot whose agent has ended
    earlier keeps its last observation, and takes no part until its copy is reset. Unreported ends arise where a step
    or a reset raised, and where ``cut`` interrupted an episode. The next step reports them.

    Args:
        learner: The slots.
        mode: ``SAME_STEP`` resets a copy in the step that ends it. ``NEXT_STEP`` resets it in the following step,
            which ignores the copy's actions. ``DISABLED`` never resets it.

    Raises:
        ConfigurationError: If the environment does not support the mode. ``NEXT_STEP`` needs copies that can wait for
            a step after their end; the other two need copies that can be reset while others run.
    """

    def __init__(self, learner: LearnerEnv, mode: AutoresetMode) -> None:
        _check_can_do(learner.venv.batch_env, mode)
        self.learner = learner
        self.mode = mode
        self._cut = np.zeros(learner.venv.num_envs, dtype=bool)
        self._cut_later: dict[int, tuple[int | None, Mapping[str, Any] | None]] = {}
        self._begun = np.zeros(learner.venv.num_envs, dtype=bool)
        self._changed_outside = np.zeros(learner.venv.num_envs, dtype=bool)
        self._changes = learner.venv.changes

    def reset(
        self,
        which: EnvSelection | None = None,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ArrayTree:
        """Start a new episode in some or all copies, and drop the unreported ends of their last one.

        Args:
            which: The copies, as for ``HierarchicalVectorEnv.reset_envs``; all by default.
            seed: As for ``HierarchicalVectorEnv.reset_envs``.
            options: As for ``HierarchicalVectorEnv.reset_envs``.

        Returns:
            ``(S, ...)``, the current observation of every slot, a new array.
        """
        venv = self.learner.venv
        copies = list(range(venv.num_envs)) if which is None else venv.indices(which)
        self._note_outside_changes()
        changes = venv.changes
        try:
            return self.learner.reset(copies, seed, options)
        finally:
            if venv.changes != changes:  # not refused
                reset = env_mask(copies, venv.num_envs) & (venv.steps == 0)
                self._begun |= reset
                for copy in copies:
                    self._cut_later.pop(copy, None)
                self._cut[reset] = self._changed_outside[reset] = False
            self._changes = venv.changes

    def cut(
        self,
        which: EnvSelection,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ArrayTree:
        """Start a new episode in some copies in the middle of a rollout.

        These copies stand still in the next step, because the learner chose its actions for the old episode. Their
        slots that had not ended are truncated. Their last observation is the one from before this reset. Copies that
        can only be stepped together with all others are truncated and reset after the next step instead.

        Args:
            which: As for ``reset``.
            seed: As for ``reset``.
            options: As for ``reset``.

        Returns:
            ``(S, ...)``, the current observation of every slot, a new array.

        Raises:
            ConfigurationError: If the environment can only reset all copies. Nothing was reset.
            ResetRequiredError: If all copies are stepped together, and one has not been reset yet.
        """
        learner, venv = self.learner, self.learner.venv
        copies = venv.indices(which)
        self._note_outside_changes()
        if not venv.batch_env.steps_some and len(copies) < venv.num_envs:
            return self._reset_later(copies, seed, options)
        unreported, ends = learner.ends, self._interrupted(copies)
        try:
            observations = learner.reset(copies, seed, options)
        except _AFTER_RESETS:  # the copies that did not raise were reset
            self._note_cut(copies, ends)
            raise
        except BaseException:  # such as KeyboardInterrupt
            learner.ends = unreported
            raise
        finally:
            self._changes = venv.changes
        self._note_cut(copies, ends)
        return observations

    def step(self, actions: Any) -> SlotStep:
        """Take one decision of every learning agent, and reset copies according to the mode.

        Raises:
            ResetRequiredError: If a copy has not been reset yet or, in mode ``DISABLED``, is over. Also if the vector
                env was reset or stepped elsewhere since the last reset of this view. Nothing was stepped.
            InvalidActionError: If there are not S actions, or one is outside its space. Nothing was stepped.
            EnvStepError: If a copy raised.
        """
        self.learner.venv.check_open()
        if self.learner.venv.changes != self._changes or any_true(self._changed_outside):
            self._refuse_outside_changes()
        over = None if self.learner.venv.all_running else self._check_ready()
        try:
            return self._step(actions, over)
        finally:
            self._changes = self.learner.venv.changes

    def _step(self, actions: Any, over: BoolArray | None) -> SlotStep:
        """Step the copies. ``over`` marks those that were over before the step."""
        if any_true(self._cut):
            stood_still = self._cut.copy()
            step = self.learner.step(actions, ~stood_still)
            step.stood_still = stood_still
            self._cut[:] = False
        else:
            step = self.learner.step(actions)
        if self._cut_later:
            self._truncate_late(step)
        due = self._due(step, over)
        if due is None:
            return step
        step.reset = due
        step.infos = [
            {agent: snapshot(info) for agent, info in said.items()} if is_due else said
            for said, is_due in zip(step.infos, due.tolist(), strict=True)
        ]
        try:
            step.observations = self._reset_due(due)
        except BaseException as error:
            self.learner.ends |= step.ends
            # The copies that did not raise may have begun an episode.
            if isinstance(error, _AFTER_RESETS) and self.learner.venv.batch_env.steps_some:
                self._cut |= due & self.learner.venv.running
            raise
        return step

    def _reset_later(
        self, copies: Sequence[int], seed: int | Sequence[int | None] | None, options: Mapping[str, Any] | None
    ) -> ArrayTree:
        """Let copies that cannot stand still be reset after the next step."""
        venv = self.learner.venv
        self._check_ready()
        if not venv.batch_env.resets_some:
            raise ConfigurationError(
                f"{shown([venv.env_ids[copy] for copy in copies])}: the others cannot run on, because all copies are "
                f"stepped and reset {venv.batch_env.describe()}: reset all copies; or give Sb3VecEnv or "
                "heron.make_vec reset_mask=True, if that environment supports options['reset_mask']"
            )
        seeds = spread_seeds(seed, len(copies))
        self._cut_later |= {copy: (one, options) for copy, one in zip(copies, seeds, strict=True)}
        return self.learner.observations()

    def _truncate_late(self, step: SlotStep) -> None:
        """Truncate copies that are to be reset after this step."""
        late = env_mask(list(self._cut_later), self.learner.venv.num_envs)
        cut = np.repeat(late, self.learner.group.num_agents) & self.learner.active
        step.ends = {**step.ends, **self.learner.ends_now(np.zeros_like(cut), cut)}
        step.truncated = step.truncated | cut
        step.finished = step.finished | late

    def _reset_due(self, due: BoolArray) -> ArrayTree:
        """Reset copies that are over, those with seeds or options of their own one by one."""
        if not self._cut_later:
            return self.learner.reset(due)
        observations = self.learner.reset(due & ~env_mask(list(self._cut_later), len(due)))
        for copy, (seed, options) in list(self._cut_later.items()):
            observations = self.learner.reset(copy, [seed], options)
            del self._cut_later[copy]
        return observations

    def _note_outside_changes(self) -> None:
        """Mark all copies as changed if the vector env was reset or stepped outside this view."""
        if self.learner.venv.changes != self._changes:
            self._changed_outside[:] = True

    def _refuse_outside_changes(self) -> Never:
        self._note_outside_changes()
        changed = [self.learner.venv.env_ids[index] for index in np.flatnonzero(self._changed_outside)]
        raise ResetRequiredError(
            f"the vector env of {shown(changed)} was reset or stepped outside this view: call reset() of the view, "
            "as model.set_env(view, force_reset=True) does. Views that alternate within one learn(), as for "
            "evaluations, need one vector env each. In the middle of a rollout, call reset_envs() of the view"
        )

    def _check_ready(self) -> BoolArray:
        """Return the copies that were over before this step, ``(num_envs,) bool``."""
        over: BoolArray = ~self.learner.venv.running
        stopped = over if self.mode is AutoresetMode.DISABLED else over & ~self._begun
        if stopped.any():
            env_ids = [self.learner.venv.env_ids[index] for index in np.flatnonzero(stopped)]
            raise ResetRequiredError(
                f"no running episode in {shown(env_ids)}: call reset(), or reset these copies with reset_envs(...) or "
                "reset(options={'reset_mask': ...})"
            )
        return over

    def _due(self, step: SlotStep, over: BoolArray | None) -> BoolArray | None:
        """Return the copies to reset in this step, ``(num_envs,) bool``, or None if there are none."""
        if self.mode is AutoresetMode.SAME_STEP:
            if self.learner.venv.all_running and not self._cut_later:
                return None
            due = step.finished
        elif self.mode is AutoresetMode.DISABLED or over is None:
            return None
        else:
            due = over.copy()
            for slot in step.ends:  # an unreported end is reported before the reset
                due[self.learner.env_index(slot)] = False
        return due if any_true(due) else None

    def _interrupted(self, copies: Sequence[int]) -> dict[int, End]:
        """Return the ends that a reset of these copies causes, and their unreported ones."""
        learner = self.learner
        num_agents = learner.group.num_agents
        reset = np.repeat(env_mask(copies, learner.venv.num_envs), num_agents)
        active = learner.active & ~np.repeat(self._cut, num_agents)
        unreported = {slot: end for slot, end in learner.ends.items() if reset[slot]}
        return unreported | learner.ends_now(np.zeros_like(reset), active & reset)

    def _note_cut(self, copies: Sequence[int], ends: Mapping[int, End]) -> None:
        venv = self.learner.venv
        self.learner.ends |= ends
        for copy in copies:
            self._cut_later.pop(copy, None)
        self._begun[copies] = True
        self._cut[copies] = venv.running[copies]


def _check_can_do(batch_env: BatchEnv, mode: AutoresetMode) -> None:
    if mode is AutoresetMode.NEXT_STEP and not batch_env.holds_ended:
        raise ConfigurationError(
            "autoreset mode NEXT_STEP needs copies that wait for one step after their end, but these are stepped "
            f"{batch_env.describe()}: use SAME_STEP or DISABLED, or make that environment with NEXT_STEP itself"
        )
    if mode is not AutoresetMode.NEXT_STEP and not batch_env.resets_ended:
        raise ConfigurationError(
            f"autoreset mode {mode.name} needs copies that can be reset while others run, but these are stepped "
            f"{batch_env.describe()}: use NEXT_STEP, or pass the environment without its wrappers to heron.make_vec "
            "and wrap the view instead"
        )
