"""The vector env as the one group sees it that learns."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from heron.batch.action_records import is_record_space, map_leaves
from heron.batch.array_tree import ArrayTree, map_arrays, rows
from heron.batch.batch_env import BoolArray
from heron.batch.copy_selection import EnvSelection, env_mask
from heron.errors import ConfigurationError, InvalidActionError, shown
from heron.play.group_decider import GroupDecider
from heron.play.policies import PolicyLike, policies_by_group
from heron.vector.group_result import GroupResult
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.vector.vec_group import VecGroup, resolve_group


@dataclass(frozen=True, slots=True)
class Episode:
    """One finished episode of one copy.

    Attributes:
        env_id: The copy.
        length: Its environment steps.
        returns: Group name -> ``(num_agents,) float64``, each agent's sum of the environment's rewards.
    """

    env_id: str
    length: int
    returns: Mapping[str, npt.NDArray[np.float64]]

    def team_return(self, groups: Iterable[str]) -> float:
        """The sum of the returns of all agents of some groups."""
        return float(sum(self.returns[name].sum() for name in groups))


@dataclass(frozen=True, slots=True)
class LearnerStep:
    """What one decision of every learning agent has led to. S slots, new arrays.

    Attributes:
        observations: ``(S, ...)``, what each slot sees now; its last observation where it has ended.
        rewards: ``(S,) float64``, summed (or discounted) over the environment steps of the decision.
        lengths: ``(S,) int64``, environment steps of the decision in which the agent took part.
        terminated: ``(S,) bool``, agents whose task ended.
        truncated: ``(S,) bool``, agents that were cut off.
        finished: ``(num_envs,) bool``, copies that need a reset.
        last_seen: Slot -> its last observation, a new array, for those that ended amid a decision: their agents may
            have come back in the rest of it.
    """

    observations: ArrayTree
    rewards: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    terminated: BoolArray
    truncated: BoolArray
    finished: BoolArray
    last_seen: Mapping[int, ArrayTree] = field(default_factory=dict)


class LearnerEnv:
    """One slot for each copy and learning agent, while given policies decide for everybody else.

    Slot ``env_index * num_agents + agent_index`` is that agent of that copy. A step is one decision: one
    environment step for field agents, and for coordinators as many as there are until they are due again or
    their copy's episode ends. An agent that comes while others are in the middle of a decision takes no part before
    it is due itself. Nothing is reset by itself.

    Where a step raises, its rewards are lost, but no end is: the next step tells of it, and plays decisions that were
    interrupted to their end, unrewarded, before it begins new ones. A copy that failed counts as cut off.

    Args:
        venv: The vector env. Several learners may take turns on one, each resetting all of it at its turn.
        learn: The group that learns, or a level of one group. May be left out if there is only one group.
        policies: Group or level name -> what decides for it: a model, a function, or a constant action. Every
            other group needs one.
        discount: By how much a reward counts less for each environment step since the decision.
        on_episode: Called with each finished episode.

    Attributes:
        num_slots: Number of slots S, copies times learning agents.
        terminated: ``(S,) bool``, agents whose task has ended without a step having told so, because it raised.
        truncated: ``(S,) bool``, agents that were cut off likewise.
        last_seen: As in ``LearnerStep``, for these.

    Raises:
        ConfigurationError: If ``learn`` does not name one group, a policy is missing, superfluous or does not
            fit, or ``discount`` is not in (0, 1].
    """

    def __init__(
        self,
        venv: HierarchicalVectorEnv,
        learn: str | None = None,
        policies: Mapping[str, PolicyLike] | None = None,
        *,
        discount: float = 1.0,
        on_episode: Callable[[Episode], None] | None = None,
    ) -> None:
        if not isinstance(discount, (int, float, np.number)) or not 0 < discount <= 1:
            raise ConfigurationError(f"discount must lie in (0, 1], got {discount!r}")
        self.venv = venv
        self.group = _learning_group(venv, learn)
        self.policies = policies_by_group({} if policies is None else policies, venv.groups, self.group.name)
        self._deciders = {name: GroupDecider(venv, venv.groups[name], policy) for name, policy in self.policies.items()}
        self.num_slots = venv.num_envs * self.group.num_agents
        self._acts_in_records = is_record_space(self.group.action_space)
        self.discount = discount
        self.on_episode = on_episode
        self.terminated = np.zeros(self.num_slots, dtype=bool)
        self.truncated = np.zeros(self.num_slots, dtype=bool)
        self.last_seen: dict[int, ArrayTree] = {}
        self._part_takers = np.zeros((venv.num_envs, self.group.num_agents), dtype=bool)
        self._episodes: deque[Episode] = deque()

    def env_index(self, slot: int) -> int:
        """The copy of a slot."""
        return slot // self.group.num_agents

    def agent_id(self, slot: int) -> str:
        """The agent of a slot."""
        return self.group.agent_ids[slot % self.group.num_agents]

    def reset(
        self,
        which: EnvSelection | None = None,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ArrayTree:
        """Start a new episode in some copies, or in all.

        Args:
            which: The copies, as for ``HierarchicalVectorEnv.reset_envs``; all by default.
            seed: As there.
            options: As there.

        Returns:
            ``(S, ...)``, what every slot sees now, a new array.
        """
        indices = self.venv.indices(range(self.venv.num_envs) if which is None else which)
        mask = env_mask(indices, self.venv.num_envs)
        try:
            self.venv.reset_envs(indices, seed, options)
        finally:  # beside a copy that raised, the others have begun their episodes
            begun = np.repeat(mask & (self.venv.steps == 0), self.group.num_agents)
            self.terminated[begun] = self.truncated[begun] = False
            self.last_seen = {slot: seen for slot, seen in self.last_seen.items() if not begun[slot]}
        self._decide(mask & self.venv.running)
        return self.observations()

    def restart(self, mask: BoolArray) -> ArrayTree:
        """Start a new episode, without seeds or options, in copies that have ended in the last step.

        Args:
            mask: ``(num_envs,) bool``, the copies.

        Returns:
            ``(S, ...)``, what every slot sees now, a new array.
        """
        return self.reset(mask)

    def step(self, actions: Any, mask: BoolArray | None = None) -> LearnerStep:
        """Let every learning agent take one decision, in all copies that have a running episode.

        Args:
            actions: ``(S, ...)``, a dict or tuple of arrays (or records) for ``Dict`` and ``Tuple`` spaces. Rows of
                agents that are not active are not used.
            mask: ``(num_envs,) bool``, the copies that may go on; all by default. Agents of the others take no part.

        Raises:
            InvalidActionError: If there are not S actions, or one does not lie in its space; nothing was stepped
                then.
            EnvStepError: If a copy raised.
        """
        own = self._by_copy(actions)
        self._tell_episodes()
        may_go_on = np.ones(self.venv.num_envs, dtype=bool) if mask is None else mask
        if not self.group.is_field:
            self._play(self._interrupted() & may_go_on, own)
        rewards, lengths, running = self._play(self.venv.running & may_go_on, own)
        terminated, truncated, last_seen = self.take_ends()
        return LearnerStep(self.observations(), rewards, lengths, terminated, truncated, ~running, last_seen)

    def take_ends(self) -> tuple[BoolArray, BoolArray, dict[int, ArrayTree]]:
        """``terminated``, ``truncated`` and ``last_seen``, which are none from then on."""
        taken = self.terminated.copy(), self.truncated.copy(), self.last_seen
        self.terminated[:] = self.truncated[:] = False
        self.last_seen = {}
        return taken

    def describe(self) -> str:
        """Who is who, and who decides for whom, as text."""
        noun = "copies" if self.venv.num_envs > 1 else "copy"
        shared = f"the learner: {self.num_slots} slots ({self.venv.num_envs} {noun} x {self.group.num_agents} agents)"
        if self.num_slots > 1:
            first, last = (f"slot {slot} is {self._owner(slot)}" for slot in (0, self.num_slots - 1))
            shared += f", all with the same parameters\n    {first} ... {last}"
        return self.venv.describe({self.group.name: shared} | {name: repr(p) for name, p in self.policies.items()})

    def observations(self) -> ArrayTree:
        """``(S, ...)``, what every slot sees now, a new array."""
        return cast(
            "ArrayTree",
            map_arrays(
                lambda array: array.reshape(self.num_slots, *array.shape[2:]).copy(), self.venv.observe(self.group.name)
            ),
        )

    def _owner(self, slot: int) -> str:
        return f"{self.agent_id(slot)} of {self.venv.env_ids[self.env_index(slot)]}"

    def _by_copy(self, actions: Any) -> ArrayTree:
        """Actions of slots as ``(num_envs, num_agents, ...)``, a tree in ``Dict`` and ``Tuple`` spaces."""
        return self._tree_by_copy(actions) if self._acts_in_records else self._array_by_copy(actions)

    def _array_by_copy(self, actions: npt.ArrayLike, leaf: str = "") -> npt.NDArray[Any]:
        """Actions of slots, or a part of them, as ``(num_envs, num_agents, ...)``."""
        try:
            array = np.asarray(actions)
        except ValueError as error:
            raise InvalidActionError(f"{self._actions_in_words(leaf)} must make one array, got {actions!r}") from error
        if array.ndim < 1 or len(array) != self.num_slots:
            raise InvalidActionError(
                f"{self._actions_in_words(leaf)}: expected {self.num_slots} actions, one a slot, got shape "
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

    def _interrupted(self) -> BoolArray:
        """``(num_envs,) bool``, copies in the middle of a decision of the learning coordinators."""
        venv, name = self.venv, self.group.name
        decided = venv.results[name].active.any(axis=1) & ~venv.due(name).any(axis=1)
        interrupted: BoolArray = venv.running & (decided | (venv.steps % self.group.period != 0))
        return interrupted

    def _play(
        self, copies: BoolArray, own: ArrayTree
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], BoolArray]:
        """Play these copies until the next decision is due, beginning with one where it is due now.

        Returns:
            The rewards and lengths of a ``LearnerStep``, and which of all copies are running.
        """
        venv, group = self.venv, self.group
        shape = (venv.num_envs, group.num_agents)
        rewards, lengths = np.zeros(shape), np.zeros(shape, dtype=np.int64)
        undecided, running = copies.copy(), venv.running
        self._decide(undecided & venv.undecided, own)
        # Who comes amid a decision takes no part in it, nor in the rest of one that was interrupted.
        begins = (undecided & (venv.steps % group.period == 0))[:, None]
        active = venv.results[group.name].active
        np.copyto(self._part_takers, active, where=begins)
        while np.count_nonzero(undecided):
            np.logical_and(self._part_takers, active, out=self._part_takers, where=undecided[:, None])
            took_part = self._part_takers & undecided[:, None]
            result, running = self._advance(undecided, own, took_part)
            gain = result.rewards if self.discount == 1.0 else self.discount**lengths * result.rewards
            np.add(rewards, gain, out=rewards, where=took_part)
            lengths += took_part
            if group.period == 1:
                break
            undecided &= running & (venv.steps % group.period != 0)
            self._decide(undecided)
        self._decide(copies & running)
        return rewards.ravel(), lengths.ravel(), running

    def _advance(self, copies: BoolArray, own: ArrayTree, took_part: BoolArray) -> tuple[GroupResult, BoolArray]:
        """Step these copies once, and keep in mind who has ended by it.

        Returns:
            The learning group's result, and which of all copies are running.
        """
        actions = self._field_actions(copies, own)
        steps = self.venv.steps.copy()
        try:
            self.venv.advance(actions, copies)
        finally:  # beside a copy that raised, others may have ended
            stepped = self.venv.steps > steps
            for group in self.venv.field_groups:
                if group.name in self._deciders:
                    self._deciders[group.name].keep(stepped[:, None])
            result = self.venv.results[self.group.name]
            ended = took_part & stepped[:, None]
            self._note_ends((ended & result.terminated).ravel(), (ended & result.truncated).ravel())
            running = self.venv.running
            self._note_episodes(stepped > running)
            self._tell_episodes()
        return result, running

    def _note_ends(self, terminated: BoolArray, truncated: BoolArray) -> None:
        self.terminated |= terminated
        self.truncated |= truncated
        if self.group.period > 1 and np.count_nonzero(ended := terminated | truncated):
            slots = np.flatnonzero(ended).tolist()
            self.last_seen |= zip(slots, rows(self.observations(), slots), strict=True)

    def _decide(self, mask: BoolArray, own: "ArrayTree | None" = None) -> None:
        """Let everyone decide who is due, from the top down to the learner, and on from there if it has decided."""
        if not self.venv.coordinator_groups or not np.count_nonzero(mask):
            return
        concerned, mask = mask, mask.copy()
        some_due = np.count_nonzero(mask & self.venv.undecided) > 0
        for group in self.venv.coordinator_groups if some_due else ():
            due = self.venv.due(group.name) & mask[:, None]
            if not np.count_nonzero(due):
                continue
            if group.name != self.group.name:
                self._let_decide(group.name, due, mask)
            elif own is not None:
                self.venv.decide({group.name: own}, mask)
            else:
                mask &= ~due.any(axis=1)
        self.venv.decide(mask=concerned)  # A link may deliver commands long after they were sent.

    def _let_decide(self, name: str, due: BoolArray, mask: BoolArray) -> None:
        """Ask a group's policy for the agents that are due, and send what it says to those below."""
        decider = self._deciders[name]
        actions = decider.ask(due)
        try:
            self.venv.decide({name: actions}, mask)
        finally:  # beside a message that was refused, all others have come
            decider.keep(~self.venv.due(name))

    def _field_actions(self, mask: BoolArray, own: ArrayTree) -> dict[str, ArrayTree]:
        return {
            group.name: own
            if group.name == self.group.name
            else self._deciders[group.name].ask(self.venv.results[group.name].active & mask[:, None])
            for group in self.venv.field_groups
        }

    def _note_episodes(self, ended: BoolArray) -> None:
        if not np.count_nonzero(ended):
            return
        for index in np.flatnonzero(ended):
            returns = {name: returns[index].copy() for name, returns in self.venv.returns.items()}
            self._episodes.append(Episode(self.venv.env_ids[index], int(self.venv.steps[index]), returns))

    def _tell_episodes(self) -> None:
        """Call back with each episode once, also if a callback before has raised."""
        while self._episodes:
            episode = self._episodes.popleft()
            if self.on_episode is not None:
                self.on_episode(episode)


def _learning_group(venv: HierarchicalVectorEnv, learn: str | None) -> VecGroup:
    if learn is None:
        if len(venv.groups) != 1:
            raise ConfigurationError(f"learn: say which group learns, one of {list(venv.groups)}")
        return next(iter(venv.groups.values()))
    found = resolve_group(learn, venv.groups, "learn")
    if len(found) != 1:
        names = [group.name for group in found]
        raise ConfigurationError(f"learn: level {learn!r} has groups with different spaces, name one of {names}")
    return found[0]
