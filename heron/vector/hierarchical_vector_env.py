"""Many copies of an environment under a hierarchy, all speaking through one broker."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Never, Self

import numpy as np
import numpy.typing as npt

from heron.agents import Agent, Hierarchy
from heron.batch.action_check import checked_actions, errors_of_agents
from heron.batch.array_tree import ArrayTree
from heron.batch.batch_env import BatchEnv, BoolArray
from heron.batch.copy_selection import EnvSelection, checked_mask, env_mask, select_envs, spread_seeds
from heron.errors import (
    BrokerClosedError,
    ConfigurationError,
    EnvClosedError,
    HierarchyError,
    InvalidActionError,
    ResetRequiredError,
    UnknownEnvError,
    UnknownGroupError,
    shown,
)
from heron.messaging import Clock, InMemoryBroker, MessageBroker
from heron.vector.bound_agents import bind_agents
from heron.vector.decision_schedule import DecisionSchedule
from heron.vector.describe import describe
from heron.vector.env_claims import claim, release
from heron.vector.exchange import MessageExchange
from heron.vector.group_result import GroupResult
from heron.vector.intrinsic import IntrinsicReward, intrinsic_by_group
from heron.vector.outcomes import Outcomes
from heron.vector.vec_group import VecGroup, build_groups, join_observation


class HierarchicalVectorEnv:
    """Copies of an environment whose agents speak through one broker.

    Every step has two phases, so that a field agent sees the command of this very step:

    1. ``decide`` sends the coordinators' actions down as commands, where their decision is due;
    2. ``advance`` steps the environment and sends every agent's info up.

    In between, ``observe`` gives what a group sees now, out of nothing but the messages it has received. No copy
    is ever reset by itself. Without a hierarchy there are no coordinators, and ``advance`` is all of a step.

    Args:
        batch_env: The environment copies. The vector env owns them from now on.
        hierarchy: Who commands whom; nobody by default.
        broker: Carries all messages; an ``InMemoryBroker`` of its own by default. A broker that is given may
            be shared, and is left open by ``close``.
        intrinsic_reward: What subordinates learn from instead of the environment's reward; one function for all
            groups of field agents with an upstream, or by group or level name.
        step_length: Simulation time of one environment step, in the user's unit, by which messages are stamped.

    Attributes:
        groups: Group name -> what its agents see and do, from the top of the hierarchy down.
        coordinator_groups: Those that command others, from the top down.
        field_groups: Those that act on the environment.
        results: Group name -> what the last reset or step said.
        total_steps: Environment steps of all copies since the vector env was made.
        changes: How often copies were reset or stepped, by which a view can tell that somebody else has been here.
        returns: Group name -> ``(num_envs, num_agents) float64``, sums of ``env_rewards`` since the reset.
        lives: Group name -> ``(num_envs, num_agents) int64``, how often each agent has begun anew, at a reset of its
            copy or by coming (back) amid an episode; to be read only.

    Raises:
        HierarchyError: If the hierarchy does not fit the environment's agents, or lacks a command space.
        ConfigurationError: If an option does not fit, or another open vector env uses one of the env_ids
            on the same broker.
    """

    def __init__(
        self,
        batch_env: BatchEnv,
        hierarchy: Hierarchy | None = None,
        broker: MessageBroker | None = None,
        *,
        intrinsic_reward: IntrinsicReward | Mapping[str, IntrinsicReward] | None = None,
        step_length: float = 1.0,
    ) -> None:
        if not isinstance(step_length, (int, float, np.integer)) or not np.isfinite(step_length) or step_length <= 0:
            raise ConfigurationError(f"step_length must be a positive number, got {step_length!r}")
        _check_kinds(hierarchy, broker)
        env_agents = [agent for group in batch_env.groups.values() for agent in group.agent_ids]
        self.batch_env = batch_env
        self.hierarchy = Hierarchy({agent: [] for agent in env_agents}) if hierarchy is None else hierarchy
        self.groups = build_groups(batch_env.groups, self.hierarchy)
        self.coordinator_groups = [group for group in self.groups.values() if not group.is_field]
        self.field_groups = [group for group in self.groups.values() if group.is_field]
        self._action_errors = {
            name: errors_of_agents(group.agent_ids, batch_env.env_ids) for name, group in self.groups.items()
        }
        intrinsic = intrinsic_by_group(intrinsic_reward, self.groups)
        self._owns_broker = broker is None
        self.broker = InMemoryBroker() if broker is None else broker
        self._clock = Clock(self.num_envs, step_length)
        claim(self.broker, self.env_ids, self)
        try:
            self._exchange = MessageExchange(batch_env, self.groups, self.hierarchy, self.broker, self._clock)
        except BaseException:
            release(self.broker, self.env_ids)
            raise
        self._outcomes = Outcomes(batch_env, self.groups, self._exchange, intrinsic)
        self.results: Mapping[str, GroupResult] = self._outcomes.results
        self.returns, self.lives = self._outcomes.returns, self._outcomes.lives
        self.total_steps = self.changes = 0
        self._schedule = DecisionSchedule(self.coordinator_groups, self.results, self._clock, self.env_ids)
        self._was_reset = False
        self._closed = False

    @property
    def num_envs(self) -> int:
        """Number of environment copies."""
        return self.batch_env.num_envs

    @property
    def env_ids(self) -> tuple[str, ...]:
        """Names of the copies, in the order of the arrays' first dimension."""
        return self.batch_env.env_ids

    @property
    def infos(self) -> Sequence[Mapping[str, Mapping[str, Any]]]:
        """For each copy, agent id -> the environment's info dict of the last reset or step, if not empty."""
        return self.batch_env.infos

    @property
    def running(self) -> BoolArray:
        """``(num_envs,) bool``, the copies in which any agent is active."""
        return self.batch_env.running

    @property
    def undecided(self) -> BoolArray:
        """``(num_envs,) bool``, the copies in which a coordinator must decide before the next step, read only."""
        return self._schedule.undecided

    @property
    def steps(self) -> npt.NDArray[np.int64]:
        """``(num_envs,) int64``, environment steps of each copy since its reset, to be read only."""
        return self._clock.steps

    @property
    def time(self) -> npt.NDArray[np.float64]:
        """``(num_envs,) float64``, the simulation time of each copy."""
        return self._clock.time

    def reset(
        self, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> dict[str, ArrayTree]:
        """Start a new episode in every copy.

        Args:
            seed: Copy i gets ``seed + i``, or the i-th of a list. None lets each copy's random stream go on.
            options: Passed on to every copy.

        Returns:
            Group name -> what it observes.

        Raises:
            ConfigurationError: If a list of seeds has not one for each copy.
            EnvStepError: If a copy raised. It needs another reset then; all others were reset.
        """
        return self.reset_envs(range(self.num_envs), seed, options)

    def reset_envs(
        self,
        which: EnvSelection,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> dict[str, ArrayTree]:
        """Start a new episode in some copies; every other copy and its messages stay exactly as they are.

        Args:
            which: The copies, by index, env_id, a list of either, or a ``(num_envs,) bool`` mask.
            seed: The k-th of ``which`` gets ``seed + k``, or the k-th of a list. None lets each copy's random
                stream go on.
            options: Passed on to these copies.

        Returns:
            Group name -> what it observes, in all copies.

        Raises:
            UnknownEnvError: If there is no such copy; nothing was reset then.
            ConfigurationError: If a copy stands twice, a list of seeds has not one for each, options are no
                mapping, or the environment cannot do this; nothing was reset then.
            EnvStepError: If a copy raised. It needs another reset then; all others were reset.
        """
        self.check_open()
        if options is not None and not isinstance(options, Mapping):
            raise ConfigurationError(f"options must be a mapping, got {options!r}")
        indices = self.indices(which)
        mask = env_mask(indices, self.num_envs)
        seeds: list[int | None] = [None] * self.num_envs
        for index, value in zip(indices, spread_seeds(seed, len(indices)), strict=True):
            seeds[index] = value
        self.batch_env.check_reset(mask, seeds, options)
        self.forget(mask)
        self._was_reset = True
        try:
            self.batch_env.reset(mask, seeds, options)
        finally:  # beside a copy that raised, the others have begun their episodes
            self._outcomes.follow_reset(mask)
            self._schedule.forget(mask)
            self._exchange.pass_infos_up(mask, self._outcomes.active(), self.results)
        self._exchange.check_received()
        return {name: self.observe(name) for name in self.groups}

    def due(self, group: str) -> BoolArray:
        """``(num_envs, num_agents) bool``, the coordinators that must decide before the next step.

        A coordinator is due at the reset and every ``period`` steps from there, until it has decided. A field
        agent is never due here: it acts in every ``advance``.

        Raises:
            ConfigurationError: If there is no such group.
        """
        return self._schedule.due(self._group(group)).copy()

    def decide(self, actions: Mapping[str, ArrayTree] | None = None, mask: BoolArray | None = None) -> None:
        """Send coordinators' actions down as commands, and receive below what has come.

        Rows of coordinators that are not due are not used. In a tree of several coordinator levels call it once
        for each level from the top, so that the lower one can observe its own command first.

        Args:
            actions: Group name -> ``(num_envs, num_agents, ...)``, one command for each subordinate side by
                side. Groups left out do not decide now.
            mask: ``(num_envs,) bool``, the copies concerned; all by default.

        Raises:
            ConfigurationError: If there is no such coordinator group.
            ResetRequiredError: Before the first reset.
            InvalidActionError: If an action that counts does not lie in its space; nothing was sent then.
            InvalidMessageError: If a command that was sent by hand does not lie in its space. It was dropped;
                all else has been done.
        """
        self.check_open()
        given = {} if actions is None else actions
        if not isinstance(given, Mapping):
            raise InvalidActionError(f"expected a dict of actions by group, got a {type(given).__name__}")
        coordinators = [group.name for group in self.coordinator_groups]
        if unknown := [name for name in given if name not in coordinators]:
            raise ConfigurationError(f"no coordinator group {unknown}, only {coordinators}")
        if given and not self.running.any():
            raise ResetRequiredError("no copy has a running episode: call reset() first")
        concerned = self._masked(mask)
        due = {name: self.due(name) & concerned[:, None] for name in given}
        checked = {name: self._checked(name, given[name], due[name]) for name in given}
        for group in self.coordinator_groups:
            if group.name in checked:
                self._exchange.send_commands(group.name, checked[group.name], due[group.name], self.results)
            # A coordinator whose command has come by another way has decided, too.
            heard_from = self._exchange.receive_commands(group.name, concerned)
            if heard_from is not None:
                self._schedule.note(group, heard_from & self.due(group.name))
            if group.name in due:
                self._schedule.note(group, due[group.name])
        self._exchange.check_received()

    def advance(self, actions: Mapping[str, ArrayTree], mask: BoolArray | None = None) -> Mapping[str, GroupResult]:
        """Step the environment once with the field agents' actions, and send every agent's info up.

        Args:
            actions: Field group name -> ``(num_envs, num_agents, ...)``, a dict or tuple of arrays (or records) for
                ``Dict`` and ``Tuple`` spaces. Rows of agents that are not active are not used.
            mask: ``(num_envs,) bool``, the copies to step; all by default.

        Returns:
            ``results``, in which copies outside the mask keep what they had.

        Raises:
            ResetRequiredError: If a copy to step has no running episode.
            DecisionRequiredError: If a coordinator in a copy to step is due.
            InvalidActionError: If a group is missing, or an action that counts does not lie in its space.
                Nothing was stepped in these three cases.
            EnvStepError: If a copy raised. Its agents are cut off, and it needs a reset then; all others were
                stepped.
            InvalidMessageError: If an info that was sent by hand does not fit. It was dropped; all else has been
                done.
        """
        self.check_open()
        stepped = self._masked(mask)
        self._check_ready(stepped)
        names = [group.name for group in self.field_groups]
        if not isinstance(actions, Mapping) or sorted(actions) != sorted(names):
            got = sorted(actions) if isinstance(actions, Mapping) else f"a {type(actions).__name__}"
            raise InvalidActionError(f"expected a dict of actions of groups {names}, got {got}")
        took_part = self._outcomes.active()
        checked = {name: self._checked(name, actions[name], took_part[name] & stepped[:, None]) for name in names}
        before = self._outcomes.seen_by_commanded()
        self._exchange.freeze_ended(stepped, self.results)
        try:
            self.batch_env.step(checked, stepped)
        finally:  # beside a copy that raised, the others have been stepped
            self._follow_step(stepped, took_part)
            self._outcomes.reward_commands(before, stepped, took_part)
        self._exchange.check_received()
        return self.results

    def observe(self, group: str) -> ArrayTree:
        """What the agents of a group see now, in every copy.

        A field agent sees its own observation and then its latest command. A coordinator sees for each
        subordinate its latest info as received, that is its flat observation, its reward and the info's age in
        steps (-1 before the first), and then its own command. A ``Discrete`` command is seen one-hot, and zeros
        stand for a command that has not come yet. One that has ended keeps what it saw last.

        Returns:
            ``(num_envs, num_agents, ...)`` as ``groups[group].observation_space`` says; valid until the
            environment is stepped or reset again.

        Raises:
            ConfigurationError: If there is no such group.
            ResetRequiredError: Before the first reset.
        """
        spec = self._group(group)
        if not self._was_reset:
            raise ResetRequiredError(f"group {group!r} has seen nothing yet: call reset() first")
        exchange = self._exchange
        return join_observation(
            spec, exchange.own_observation(group), exchange.latest_commands(group), lambda: exchange.commanded(group)
        )

    def commands(self, group: str) -> npt.NDArray[Any] | None:
        """The latest command that each agent of a group has received, zero before the first.

        Returns:
            ``(num_envs, num_agents, *command_shape)``, a new array; None if the group has no upstream.

        Raises:
            ConfigurationError: If there is no such group.
        """
        commands = self._exchange.latest_commands(self._group(group).name)
        return None if commands is None else commands.copy()

    def agents(self, env_id: str) -> dict[str, Agent]:
        """The hierarchy's agents of one copy as objects, bound to the same broker, channels and clock.

        They speak for themselves: what such an agent consumes does not reach the vector env, and what it sends
        does. A coordinator that has commanded this way counts as having decided once ``decide()`` has received
        the commands below.

        Returns:
            Agent id -> ``CoordinatorAgent`` or ``FieldAgent``, from the top of the hierarchy down.

        Raises:
            UnknownEnvError: If there is no such copy.
        """
        self.check_open()
        if not isinstance(env_id, str):
            raise UnknownEnvError(f"expected the env_id of one copy, got {env_id!r}")
        (index,) = self.indices(env_id)
        return bind_agents(self.hierarchy, env_id, self.broker, lambda: float(self.time[index]))

    def indices(self, which: EnvSelection) -> list[int]:
        """Indices of the copies selected by index, env_id, a list of either, or a ``(num_envs,) bool`` mask.

        Raises:
            UnknownEnvError: If there is no such copy.
            ConfigurationError: If a copy stands twice.
            InvalidMaskError: If a mask has another shape, or is a list.
        """
        return select_envs(which, self.env_ids)

    def check_open(self) -> None:
        """Check that it can be used.

        Raises:
            EnvClosedError: After ``close()``.
        """
        if self._closed:
            raise EnvClosedError(f"the vector env of {shown(self.env_ids)} is closed: make a new one")

    def forget(self, mask: BoolArray) -> None:
        """Forget the last episode of the masked copies, ``(num_envs,) bool``, and all of its messages.

        For whoever resets ``batch_env`` in another way than by ``reset_envs``.
        """
        self.changes += bool(np.count_nonzero(mask))
        for index in np.flatnonzero(mask).tolist():
            self.broker.clear_environment(self.env_ids[index])
        self._clock.steps[mask] = 0
        self._exchange.clear(mask)
        self._outcomes.begin(mask)

    def tick(self, stepped: BoolArray | None) -> None:
        """Let time go on, ``(num_envs,) bool``, in the copies that were stepped; None for all.

        For whoever steps ``batch_env`` in another way than by ``advance``.
        """
        count = self.num_envs if stepped is None else int(np.count_nonzero(stepped))
        self.changes += bool(count)
        self._clock.steps += 1 if stepped is None else stepped
        self.total_steps += count

    def describe(self, deciders: Mapping[str, str] | None = None) -> str:
        """Return copies, tree, groups, spaces, periods and channels as text.

        Args:
            deciders: Group name -> a description of what decides for its agents, where that is known.
        """
        return describe(self.batch_env, self.hierarchy, self.groups, deciders)

    def close(self) -> None:
        """Close the environment copies and clear their messages; a broker that was given stays open.

        Closing twice is harmless.
        """
        if self._closed:
            return
        self._closed = True
        release(self.broker, self.env_ids)
        self._exchange.close()
        try:
            self.batch_env.close()
        finally:
            self._close_broker()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce_ex__(self, protocol: object) -> Never:
        """Refuse to be copied or pickled: arrays are shared between the parts of a vector env, and would not be then.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            f"the vector env of {shown(self.env_ids)} cannot be copied or pickled, nor can a view of it, for its "
            "environments, workers and broker belong to it alone: pass on a function that makes one"
        )

    def _close_broker(self) -> None:
        if self._owns_broker:
            self.broker.close()
            return
        with suppress(BrokerClosedError):
            for env_id in self.env_ids:
                self.broker.clear_environment(env_id)

    def _group(self, name: str) -> VecGroup:
        if not isinstance(name, str):  # may have no hash
            raise UnknownGroupError(f"no group {name!r}, only {list(self.groups)}")
        return self.groups[name]

    def _masked(self, mask: BoolArray | None) -> BoolArray:
        return np.ones(self.num_envs, dtype=bool) if mask is None else checked_mask(mask, self.num_envs)

    def _checked(self, name: str, actions: Any, where: BoolArray) -> npt.NDArray[Any]:
        group = self.groups[name]
        return checked_actions(actions, group.action_space, where, self._action_errors[name])

    def _check_ready(self, stepped: BoolArray) -> None:
        stopped_too = stepped > self.running
        if np.count_nonzero(stopped_too):
            stopped = [self.env_ids[index] for index in np.flatnonzero(stopped_too)]
            raise ResetRequiredError(
                f"no running episode in {shown(stopped)}: call reset(), or reset_envs(...) with these"
            )
        self._schedule.check_nobody_due(stepped)

    def _follow_step(self, stepped: BoolArray, took_part: Mapping[str, BoolArray]) -> None:
        """Bring everything above the environment up to date with its step."""
        self.tick(stepped)
        senders = self._outcomes.follow_step(stepped, took_part)
        self._schedule.forget(stepped)
        self._exchange.pass_infos_up(stepped, senders, self.results)


def _check_kinds(hierarchy: Any, broker: Any) -> None:
    if not isinstance(hierarchy, Hierarchy | None):
        raise HierarchyError(
            f"hierarchy must be a Hierarchy, as Hierarchy({{above: [below, ...]}}) is, got {hierarchy!r}"
        )
    if not isinstance(broker, MessageBroker | None):
        raise ConfigurationError(f"broker must be a MessageBroker, such as InMemoryBroker(), got {broker!r}")
