"""The slots of the learning group of a vector env."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from heron.batch.action_records import is_record_space, map_leaves
from heron.batch.array_tree import ArrayTree, all_true, any_true, map_arrays, rows
from heron.batch.batch_env import BoolArray
from heron.batch.copy_selection import EnvSelection, env_mask
from heron.errors import ConfigurationError, InvalidActionError, shown
from heron.play.group_policies import policies_by_group
from heron.play.policies import PolicyLike
from heron.play.slot_step import End, SlotStep
from heron.play.turn_engine import Episode, TurnEngine
from heron.play.waiting import waiting_slots
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.vector.vec_group import VecGroup, resolve_group


class LearnerEnv:
    """One slot per copy and learning agent; policies decide for all other agents.

    Slot ``env_index * num_agents + agent_index`` is that agent of that copy. A step is one decision: one environment
    step for field agents. A coordinator's decision lasts until it is due again or its copy's episode ends. An agent
    that appears in the middle of a decision takes no part until it is due itself. Copies are never reset
    automatically.

    If a step raises, its rewards are lost, but its ends are kept. The next step reports them: it first completes the
    interrupted decisions, without reward, and then begins new ones. A copy that raised is truncated.

    Args:
        venv: The vector env. Several learners may take turns on one, each resetting all of it at its turn.
        learn: The group that learns, or a level of one group. May be left out if there is only one group.
        policies: Group or level name -> its policy: a model, a function, or a constant action. Every group that does
            not learn needs one.
        discount: Discount of a reward per environment step since the decision; 1 by default.
        on_episode: Called with each finished episode.

    Attributes:
        num_slots: Number of slots S, copies times learning agents.
        ends: Slot -> its end, for unreported ends.

    Raises:
        ConfigurationError: If ``learn`` is not exactly one group, a policy is missing, superfluous or does not fit,
            or ``discount`` is not in (0, 1].
    """

    def __init__(
        self,
        venv: HierarchicalVectorEnv,
        learn: str | None = None,
        policies: Mapping[str, PolicyLike] | None = None,
        *,
        discount: float | None = None,
        on_episode: Callable[[Episode], None] | None = None,
    ) -> None:
        self.venv = venv
        self.group = _learning_group(venv, learn)
        self.policies = policies_by_group({} if policies is None else policies, venv.groups, self.group.name)
        self.engine = TurnEngine(venv, self.policies, on_episode)
        self.num_slots = venv.num_envs * self.group.num_agents
        self.ends: dict[int, End] = {}
        self._given_discount = None if discount is None else _checked_discount(discount)
        self._acts_in_records = is_record_space(self.group.action_space)
        self._result = venv.results[self.group.name]
        self._part_takers = np.zeros((venv.num_envs, self.group.num_agents), dtype=bool)
        self._none = np.zeros(self.num_slots, dtype=bool)
        self._no_copy = np.zeros(venv.num_envs, dtype=bool)
        for never_written in (self._none, self._no_copy):
            never_written.flags.writeable = False

    @property
    def active(self) -> BoolArray:
        """``(S,) bool``, slots whose agent acts in the next step."""
        return self._result.active.ravel()

    @property
    def discount(self) -> float:
        """Discount of a reward per environment step since the decision."""
        return 1.0 if self._given_discount is None else self._given_discount

    def use_discount(self, gamma: float) -> None:
        """Set the discount within decisions to a learner's ``gamma``. It has no effect on decisions of one step.

        Raises:
            ConfigurationError: If another discount was given before, or ``gamma`` is not in (0, 1].
        """
        if self.group.is_field or self.group.period == 1:
            return
        if self._given_discount not in (None, gamma):
            raise ConfigurationError(
                f"coordinators {self.group.name!r} learn with gamma={gamma} per environment step, but their rewards "
                f"are discounted by {self._given_discount} within a decision: leave out discount="
            )
        self._given_discount = _checked_discount(gamma)

    def env_index(self, slot: int) -> int:
        """Return the copy of a slot."""
        return slot // self.group.num_agents

    def agent_id(self, slot: int) -> str:
        """Return the agent of a slot."""
        return self.group.agent_ids[slot % self.group.num_agents]

    def reset(
        self,
        which: EnvSelection | None = None,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ArrayTree:
        """Start a new episode in some or all copies.

        Args:
            which: The copies, as for ``HierarchicalVectorEnv.reset_envs``; all by default.
            seed: As for ``HierarchicalVectorEnv.reset_envs``.
            options: As for ``HierarchicalVectorEnv.reset_envs``.

        Returns:
            ``(S, ...)``, the current observation of every slot, a new array.
        """
        indices = self.venv.indices(range(self.venv.num_envs) if which is None else which)
        changes = self.venv.changes
        try:
            self.engine.reset(indices, seed, options)
        finally:  # the copies that did not raise have begun their episodes, unless the reset was refused
            if self.ends and self.venv.changes != changes:
                begun = env_mask(indices, self.venv.num_envs) & (self.venv.steps == 0)
                self.ends = {slot: end for slot, end in self.ends.items() if not begun[self.env_index(slot)]}
        return self.observations()

    def step(self, actions: Any, mask: BoolArray | None = None) -> SlotStep:
        """Take one decision of every learning agent, in all copies that have a running episode.

        Args:
            actions: ``(S, ...)``, a dict or tuple of arrays (or records) for ``Dict`` and ``Tuple`` spaces. Rows of
                inactive agents are ignored.
            mask: ``(num_envs,) bool``, the copies to step; all by default. Agents of the others take no part.

        Raises:
            InvalidActionError: If there are not S actions, or one is outside its space. Nothing was stepped.
            EnvStepError: If a copy raised.
        """
        own = {self.group.name: self._by_copy(actions)}
        venv = self.venv
        self.engine.report_episodes()
        waiting, in_turn = self._waiting()
        if not self.group.is_field and any_true(interrupted := self._interrupted()):
            self._play(interrupted if mask is None else interrupted & mask, own)
        if mask is None:
            rewards, lengths = self._play(None if venv.all_running else venv.running, own)
        else:
            rewards, lengths = self._play(venv.running & mask, own)
        ends, self.ends = self.ends, {}
        terminated, truncated = self._flags(ends)
        waited = waiting & (lengths > 0) if waiting is not self._none else waiting
        return SlotStep(
            observations=self.observations(),
            rewards=rewards,
            lengths=lengths,
            ends=ends,
            terminated=terminated,
            truncated=truncated,
            finished=~venv.running,
            waited=waited,
            in_turn=in_turn,
            infos=venv.infos,
            reset=self._no_copy,
            stood_still=self._no_copy,
            discount=None if self.group.is_field or self.group.period == 1 else self.discount,
        )

    def describe(self) -> str:
        """Return a description of the agents, their spaces, and the learner or policy of each group."""
        noun = "copies" if self.venv.num_envs > 1 else "copy"
        shared = f"the learner: {self.num_slots} slots ({self.venv.num_envs} {noun} x {self.group.num_agents} agents)"
        if self.num_slots > 1:
            first, last = (f"slot {slot} is {self._owner(slot)}" for slot in (0, self.num_slots - 1))
            shared += f", all with the same parameters\n    {first} ... {last}"
        return self.venv.describe({self.group.name: shared} | {name: repr(p) for name, p in self.policies.items()})

    def observations(self) -> ArrayTree:
        """Return the current observation of every slot, ``(S, ...)``, a new array."""
        return cast("ArrayTree", map_arrays(self._as_slots, self.venv.observe(self.group.name)))

    def ends_now(self, terminated: BoolArray, truncated: BoolArray) -> dict[int, End]:
        """Return the ends of flagged slots, with their current observations.

        Args:
            terminated: ``(S,) bool``, slots whose task ended.
            truncated: ``(S,) bool``, slots that were truncated.
        """
        ended = terminated | truncated
        if not any_true(ended):
            return {}
        slots = np.flatnonzero(ended).tolist()
        flags = zip(terminated[slots].tolist(), truncated[slots].tolist(), strict=True)
        observations = rows(self.observations(), slots)
        return {slot: End(seen, *flag) for slot, seen, flag in zip(slots, observations, flags, strict=True)}

    def _as_slots(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array.reshape(self.num_slots, *array.shape[2:]).copy()

    def _owner(self, slot: int) -> str:
        return f"{self.agent_id(slot)} of {self.venv.env_ids[self.env_index(slot)]}"

    def _by_copy(self, actions: Any) -> ArrayTree:
        """Return the actions as ``(num_envs, num_agents, ...)``, a tree for ``Dict`` and ``Tuple`` spaces."""
        return self._tree_by_copy(actions) if self._acts_in_records else self._array_by_copy(actions)

    def _array_by_copy(self, actions: npt.ArrayLike, leaf: str = "") -> npt.NDArray[Any]:
        """Return the actions, or one leaf of them, as ``(num_envs, num_agents, ...)``."""
        try:
            array = np.asarray(actions)
        except ValueError as error:
            raise InvalidActionError(
                f"{self._actions_in_words(leaf)}: expected an array of one shape per slot, got {actions!r}"
            ) from error
        if array.ndim < 1 or len(array) != self.num_slots:
            raise InvalidActionError(
                f"{self._actions_in_words(leaf)}: expected {self.num_slots} actions, one per slot, got shape "
                f"{array.shape}"
            )
        return array.reshape(self.venv.num_envs, self.group.num_agents, *array.shape[1:])

    def _tree_by_copy(self, actions: Any) -> ArrayTree:
        return map_leaves(
            self.group.action_space,
            actions,
            lambda _space, part, leaf: self._array_by_copy(part, leaf),
            self._actions_in_words(),
            InvalidActionError,
        )

    def _actions_in_words(self, leaf: str = "") -> str:
        return f"{shown(self.venv.env_ids)}: actions of {list(self.group.agent_ids)}{leaf and ' '}{leaf}"

    def _waiting(self) -> tuple[BoolArray, BoolArray]:
        """Return the slots that wait for another agent's turn, and those that act in turn."""
        if not self.group.is_field or not any(self.venv.infos):
            return self._none, self._none
        return waiting_slots(self.venv.infos, self.group.agent_ids)

    def _flags(self, ends: Mapping[int, End]) -> tuple[BoolArray, BoolArray]:
        terminated, truncated = np.zeros(self.num_slots, dtype=bool), np.zeros(self.num_slots, dtype=bool)
        for slot, end in ends.items():
            terminated[slot], truncated[slot] = end.terminated, end.truncated
        return terminated, truncated

    def _interrupted(self) -> BoolArray:
        """Return the copies in the middle of a decision of the learning coordinators, ``(num_envs,) bool``."""
        venv, name = self.venv, self.group.name
        decided = self._result.active.any(axis=1) & ~venv.due(name).any(axis=1)
        interrupted: BoolArray = venv.running & (decided | (venv.steps % self.group.period != 0))
        return interrupted

    def _play(
        self, copies: BoolArray | None, own: Mapping[str, ArrayTree]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Play these copies, None for all, until the next decision is due. Where one is due now, begin with it.

        Returns:
            The rewards and lengths of a ``SlotStep``.
        """
        venv = self.venv
        if venv.coordinator_groups:
            self.engine.decide(venv.undecided if copies is None else copies & venv.undecided, own)
        if self.group.period == 1:
            rewards, lengths = self._play_one(copies, own)
        else:
            rewards, lengths = self._play_several(venv.running if copies is None else copies, own)
        if venv.coordinator_groups:
            self.engine.decide(venv.running if copies is None else copies & venv.running)
        return rewards.ravel(), lengths.ravel()

    def _play_one(
        self, copies: BoolArray | None, own: Mapping[str, ArrayTree]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Play a decision of one environment step."""
        result = self._result
        took_part = result.active.copy() if copies is None else result.active & copies[:, None]
        if copies is None or any_true(copies):
            self._advance(copies, own, took_part)
        rewards = result.rewards.copy() if all_true(took_part) else np.where(took_part, result.rewards, 0.0)
        return rewards, took_part.astype(np.int64)

    def _play_several(
        self, copies: BoolArray, own: Mapping[str, ArrayTree]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Play environment steps until the next decision is due or the episode ends."""
        venv, period, result = self.venv, self.group.period, self._result
        rewards, lengths = np.zeros(result.active.shape), np.zeros(result.active.shape, dtype=np.int64)
        undecided = copies.copy()
        # An agent that appears during a decision takes no part in it, nor in the rest of one that was interrupted.
        begins = (undecided & (venv.steps % period == 0))[:, None]
        np.copyto(self._part_takers, result.active, where=begins)
        while any_true(undecided):
            np.logical_and(self._part_takers, result.active, out=self._part_takers, where=undecided[:, None])
            took_part = self._part_takers & undecided[:, None]
            self._advance(undecided, own, took_part)
            gain = result.rewards if self.discount == 1.0 else self.discount**lengths * result.rewards
            np.add(rewards, gain, out=rewards, where=took_part)
            lengths += took_part
            undecided &= venv.running & (venv.steps % period != 0)
            self.engine.decide(undecided)
        return rewards, lengths

    def _advance(self, copies: BoolArray | None, own: Mapping[str, ArrayTree], took_part: BoolArray) -> None:
        """Step these copies once, None for all, and keep the ends of the agents that took part."""
        try:
            self.engine.advance(copies, own if self.group.is_field else None)
        finally:  # copies that did not raise may have ended
            result, stepped = self._result, self.engine.stepped
            if any_true(result.terminated) or any_true(result.truncated):
                ended = took_part if stepped is None else took_part & stepped[:, None]
                self.ends |= self.ends_now((ended & result.terminated).ravel(), (ended & result.truncated).ravel())


def _checked_discount(discount: Any) -> float:
    if not isinstance(discount, (int, float, np.number)) or not 0 < discount <= 1:
        raise ConfigurationError(f"discount must be in (0, 1], got {discount!r}")
    return float(discount)


def _learning_group(venv: HierarchicalVectorEnv, learn: str | None) -> VecGroup:
    if learn is None:
        if len(venv.groups) != 1:
            raise ConfigurationError(f"learn is required: choose one of the groups {list(venv.groups)}")
        return next(iter(venv.groups.values()))
    found = resolve_group(learn, venv.groups, "learn")
    if len(found) != 1:
        names = [group.name for group in found]
        raise ConfigurationError(
            f"learn: level {learn!r} has several groups with different spaces: choose one of {names}"
        )
    return found[0]
