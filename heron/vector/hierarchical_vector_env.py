"""The vector env: copies of an environment under a hierarchy, all connected by one broker."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Never, Self

import numpy as np
import numpy.typing as npt

from heron.agents import Agent, Hierarchy
from heron.batch.action_check import checked_actions, errors_of_agents
from heron.batch.array_tree import ArrayTree, all_true, any_true
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
from heron.vector.describe import describe
from heron.vector.edges import find_edges
from heron.vector.env_claims import claim, release
from heron.vector.intrinsic import IntrinsicReward, IntrinsicRewards, intrinsic_by_group
from heron.vector.lanes import Lanes
from heron.vector.results import GroupResult, Results
from heron.vector.schedule import Schedule
from heron.vector.sight import Sight
from heron.vector.vec_group import VecGroup, build_groups


class HierarchicalVectorEnv:
    """Copies of an environment whose agents communicate through one broker.

    Every step has two phases, so that a field agent sees the command of the same step:

    1. ``decide`` sends the coordinators' actions down as commands, where their decision is due;
    2. ``advance`` steps the environment and sends every agent's info up.

    In between, ``observe`` returns the current observations of a group. The commands and infos in them are those that
    were received. Copies are never reset automatically. Without a hierarchy there are no coordinators, and a step is
    one ``advance``.

    Args:
        batch_env: The environment copies, which the vector env owns from now on.
        hierarchy: The tree of agents; by default no agent has an upstream.
        broker: Broker of all messages; a new ``InMemoryBroker`` by default. A given broker may be shared, and
            ``close`` leaves it open.
        intrinsic_reward: Reward of subordinates in place of the environment's; one function for all
            groups of field agents with an upstream, or by group or level name.
        step_length: Simulation time of one environment step, in the user's unit, for the timestamps of messages.

    Attributes:
        batch_env: The environment copies.
        hierarchy: The tree of agents.
        broker: The broker that carries all messages.
        num_envs: Number of copies.
        env_ids: Names of the copies, in the order of the arrays' first dimension.
        groups: Group name -> its agents and spaces, from the top of the hierarchy down.
        coordinator_groups: The groups that command others, from the top down.
        field_groups: The groups that act on the environment.
        results: Group name -> result of the last reset or step.
        steps: ``(num_envs,) int64``, environment steps of each copy since its reset, read-only.
        total_steps: Environment steps of all copies since the vector env was made.
        changes: Number of resets and steps. A view compares it to notice that another view has changed the copies.
        returns: Group name -> ``(num_envs, num_agents) float64``, sums of ``env_rewards`` since the reset.
        lives: Group name -> ``(num_envs, num_agents) int64``, number of times that each agent has begun: at a
            reset of its copy, or when it appears or returns in the middle of an episode; read-only.

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
        _check_options(hierarchy, broker, step_length)
        env_agents = [agent for group in batch_env.groups.values() for agent in group.agent_ids]
        self.batch_env = batch_env
        self.num_envs, self.env_ids = batch_env.num_envs, batch_env.env_ids
        self.hierarchy = Hierarchy({agent: [] for agent in env_agents}) if hierarchy is None else hierarchy
        self.groups = build_groups(batch_env.groups, self.hierarchy)
        self.coordinator_groups = [group for group in self.groups.values() if not group.is_field]
        self.field_groups = [group for group in self.groups.values() if group.is_field]
        self._action_errors = {
            name: errors_of_agents(group.agent_ids, batch_env.env_ids) for name, group in self.groups.items()
        }
        self._field_names = {group.name for group in self.field_groups}
        intrinsic = intrinsic_by_group(intrinsic_reward, self.groups)
        self._owns_broker = broker is None
        self.broker = InMemoryBroker() if broker is None else broker
        self._clock = clock = Clock(self.num_envs, step_length)
        edges = find_edges(self.groups, self.hierarchy)
        self._results = Results(batch_env.states, self.groups, edges, self.num_envs, intrinsic)
        self._sight = Sight(batch_env, self.groups, edges, step_length)
        self._lanes = self._open_lanes()
        self.results: Mapping[str, GroupResult] = self._results.by_group
        self.returns, self.lives = self._results.returns, self._results.lives
        self._intrinsic: IntrinsicRewards | None = None
        if intrinsic:
            self._intrinsic = IntrinsicRewards(intrinsic, self.groups, self.results, self._sight, self.env_ids)
        self._schedule = Schedule(self.groups, self.results, clock, self.env_ids)
        self.steps: npt.NDArray[np.int64] = clock.steps.view()
        self.steps.flags.writeable = False
        self.total_steps = self.changes = 0
        self._closed = False

    @property
    def infos(self) -> Sequence[Mapping[str, Mapping[str, Any]]]:
        """For each copy, agent id -> the environment's info dict of the last reset or step, if not empty."""
        return self.batch_env.infos

    @property
    def running(self) -> BoolArray:
        """``(num_envs,) bool``, the copies in which any agent is active, read-only; the next step makes a new one."""
        return self.batch_env.running

    @property
    def all_running(self) -> bool:
        """True if every copy is running."""
        return all_true(self.batch_env.running)

    @property
    def undecided(self) -> BoolArray:
        """``(num_envs,) bool``, the copies in which a coordinator must decide before the next step, read-only."""
        return self._schedule.undecided

    @property
    def time(self) -> npt.NDArray[np.float64]:
        """``(num_envs,) float64``, the simulation time of each copy."""
        return self._clock.time

    def reset(
        self, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> dict[str, ArrayTree]:
        """Start a new episode in every copy.

        Args:
            seed: Copy i gets ``seed + i``, or the i-th of a list. None continues each copy's random stream.
            options: Passed on to every copy.

        Returns:
            Group name -> its observations.

        Raises:
            ConfigurationError: If the number of seeds is not the number of copies.
            EnvStepError: If a copy raised. It needs another reset; all others were reset.
        """
        return self.reset_envs(range(self.num_envs), seed, options)

    def reset_envs(
        self,
        which: EnvSelection,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> dict[str, ArrayTree]:
        """Start a new episode in some copies; all other copies and their messages are not affected.

        Args:
            which: The copies, by index, env_id, a list of either, or a ``(num_envs,) bool`` mask.
            seed: The k-th of ``which`` gets ``seed + k``, or the k-th of a list. None continues each copy's random
                stream.
            options: Passed on to these copies.

        Returns:
            Group name -> its observations in all copies.

        Raises:
            UnknownEnvError: If a copy is unknown; nothing was reset.
            ConfigurationError: If a copy is a duplicate, the number of seeds is wrong, options are not a
                mapping, or the environment cannot do this; nothing was reset.
            EnvStepError: If a copy raised. It needs another reset; all others were reset.
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
        self._forget(indices, mask)
        try:
            self.batch_env.reset(mask, seeds, options)
        finally:  # copies that did not raise have begun their episodes
            self._results.follow_reset(mask)
            self._schedule.start_anew(mask)
            self._lanes.pass_infos_up(mask, None, self.results)
        self._lanes.raise_refused()
        return {name: self._sight.observe(group) for name, group in self.groups.items()}

    def due(self, group: str) -> BoolArray:
        """Return ``(num_envs, num_agents) bool``, the coordinators that must decide before the next step.

        A coordinator is due at the reset and every ``period`` steps from there, until it has decided. A field
        agent is never due here: it acts in every ``advance``.

        Raises:
            ConfigurationError: If the group is unknown.
        """
        return self._schedule.due[self._group(group).name].copy()

    def decide(self, actions: Mapping[str, ArrayTree] | None = None, mask: BoolArray | None = None) -> None:
        """Send coordinators' actions down as commands, and receive commands that have arrived.

        Rows of coordinators that are not due are not used. In a tree of several coordinator levels call it once
        for each level, from the top down, so that each level observes its command before it decides.

        Args:
            actions: Group name -> ``(num_envs, num_agents, ...)``, the commands of all subordinates,
                concatenated. Groups left out do not decide now.
            mask: ``(num_envs,) bool``, the copies concerned; all by default.

        Raises:
            ConfigurationError: If a name is not that of a coordinator group.
            ResetRequiredError: If actions are given, but no copy has a running episode.
            InvalidActionError: If an action that is used is outside its space; nothing was sent.
            InvalidMessageError: If a command that was sent by hand is outside its space. It was dropped; all
                others were received.
        """
        self.check_open()
        concerned = self._masked(mask)
        due: dict[str, BoolArray] = {}
        checked: dict[str, npt.NDArray[Any]] = {}
        if actions is not None:
            self._check_deciding(actions)
            for name, given in actions.items():
                of_group = self._schedule.due[name]
                due[name] = of_group if concerned is None else of_group & concerned[:, None]
                checked[name] = self._checked(name, given, due[name])
        for group in self.coordinator_groups:
            if group.name in checked:
                self._lanes.send_commands(group.name, checked[group.name], due[group.name], self.results)
            # A coordinator whose command was sent by hand has decided, too.
            heard_from = self._lanes.receive_commands(group, concerned)
            if heard_from is not None:
                self._schedule.note(group, heard_from & self._schedule.due[group.name])
            if group.name in due:
                self._schedule.note(group, due[group.name])
        if self._lanes.refused:
            self._lanes.raise_refused()

    def advance(self, actions: Mapping[str, ArrayTree], mask: BoolArray | None = None) -> Mapping[str, GroupResult]:
        """Step the environment once with the field agents' actions, and send every agent's info up.

        Args:
            actions: Field group name -> ``(num_envs, num_agents, ...)``, a dict or tuple of arrays (or records) for
                ``Dict`` and ``Tuple`` spaces. Rows of agents that are not active are not used.
            mask: ``(num_envs,) bool``, the copies to step; all by default.

        Returns:
            ``results``, in which copies outside the mask keep their values.

        Raises:
            ResetRequiredError: If a copy to step has no running episode.
            DecisionRequiredError: If a coordinator in a copy to step is due.
            InvalidActionError: If a group is missing, or an action that is used is outside its space. In these
                three cases nothing was stepped.
            EnvStepError: If a copy raised. Its agents are truncated, and it needs a reset; all others were stepped.
            InvalidMessageError: If an info that was sent by hand does not fit. It was dropped; all others were
                received.
        """
        self.check_open()
        stepped = self._masked(mask)
        self._check_ready(stepped)
        took_part = self._results.note_active()
        checked = self._checked_field_actions(actions, stepped, took_part)
        if self._intrinsic is not None:
            self._intrinsic.observe()
        try:
            self.batch_env.step(checked, stepped)
        finally:  # copies that did not raise were stepped
            self._follow_step(stepped, took_part)
            if self._intrinsic is not None:
                self._intrinsic.pay(stepped, took_part)
        if self._lanes.refused:
            self._lanes.raise_refused()
        return self.results

    def observe(self, group: str) -> ArrayTree:
        """Return the current observations of a group in every copy.

        A field agent sees its own observation and then its latest command. A coordinator sees for each
        subordinate its latest info as received, that is its flat observation, its reward and the info's age in
        steps (-1 before the first), and then its own command. A ``Discrete`` command is one-hot. Zeros
        mean that no command has arrived yet. An agent that has ended keeps its last observation.

        Returns:
            ``(num_envs, num_agents, ...)`` in ``groups[group].observation_space``; valid until the
            environment is stepped or reset again.

        Raises:
            ConfigurationError: If the group is unknown.
            ResetRequiredError: Before the first reset.
        """
        spec = self._group(group)
        if not self.changes:
            self._refuse_stopped(~self.running)
        return self._sight.observe(spec)

    def commands(self, group: str) -> npt.NDArray[Any] | None:
        """Return the latest command that each agent of a group has received, zero before the first.

        Returns:
            ``(num_envs, num_agents, *command_shape)``, a new array; None if the group has no upstream.

        Raises:
            ConfigurationError: If the group is unknown.
        """
        return self._sight.commands(self._group(group))

    def agents(self, env_id: str) -> dict[str, Agent]:
        """Return the hierarchy's agents of one copy as objects, bound to the same broker, channels and clock.

        They are independent: a message that such an agent consumes does not reach the vector env, and a message that
        it sends does. A coordinator that has sent commands this way counts as having decided once ``decide()`` has
        received them below.

        Returns:
            Agent id -> ``CoordinatorAgent`` or ``FieldAgent``, from the top of the hierarchy down.

        Raises:
            UnknownEnvError: If the copy is unknown.
        """
        self.check_open()
        if not isinstance(env_id, str):
            raise UnknownEnvError(f"expected the env_id of one copy, got {env_id!r}")
        (index,) = self.indices(env_id)
        return bind_agents(self.hierarchy, env_id, self.broker, lambda: float(self.time[index]))

    def indices(self, which: EnvSelection) -> list[int]:
        """Return the indices of copies selected by index, env_id, a list of either, or a ``(num_envs,) bool`` mask.

        Raises:
            UnknownEnvError: If a copy is unknown.
            ConfigurationError: If a copy is a duplicate.
            InvalidMaskError: If a mask has another shape, or is a list.
        """
        return select_envs(which, self.env_ids)

    def check_open(self) -> None:
        """Check that the vector env can be used.

        Raises:
            EnvClosedError: After ``close()``.
        """
        if self._closed:
            raise EnvClosedError(f"the vector env of {shown(self.env_ids)} is closed: make a new one")

    def describe(self, deciders: Mapping[str, str] | None = None) -> str:
        """Return copies, tree, groups, spaces, periods and channels as text.

        Args:
            deciders: Group name -> a description of its policy or learner, where known.
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
        self._lanes.close()
        try:
            self.batch_env.close()
        finally:
            self._close_broker()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __reduce_ex__(self, protocol: object) -> Never:
        """Refuse to be copied or pickled: the parts of a vector env share arrays, and their copies would not.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            f"the vector env of {shown(self.env_ids)} and its views cannot be copied or pickled, because its "
            "environments, workers and broker belong to it alone: pass on a function that makes one"
        )

    def _open_lanes(self) -> Lanes:
        claim(self.broker, self.env_ids, self)
        try:
            return Lanes(self._sight, self.groups, self.env_ids, self.broker, self._clock)
        except BaseException:
            release(self.broker, self.env_ids)
            raise

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

    def _masked(self, mask: BoolArray | None) -> BoolArray | None:
        """Return a valid mask of copies, or None if it is true for all of them, which is cheaper."""
        if mask is None or all_true(checked_mask(mask, self.num_envs)):
            return None
        return mask

    def _checked(self, name: str, actions: Any, where: BoolArray) -> npt.NDArray[Any]:
        group = self.groups[name]
        return checked_actions(actions, group.action_space, where, self._action_errors[name])

    def _checked_field_actions(
        self, actions: Any, stepped: BoolArray | None, active: Mapping[str, BoolArray]
    ) -> dict[str, npt.NDArray[Any]]:
        if not isinstance(actions, Mapping) or actions.keys() != self._field_names:
            got = list(actions) if isinstance(actions, Mapping) else f"a {type(actions).__name__}"
            names = [group.name for group in self.field_groups]
            raise InvalidActionError(f"expected a dict of actions of groups {names}, got {got}")
        return {
            group.name: self._checked(
                group.name,
                actions[group.name],
                active[group.name] if stepped is None else active[group.name] & stepped[:, None],
            )
            for group in self.field_groups
        }

    def _check_deciding(self, actions: Any) -> None:
        if not isinstance(actions, Mapping):
            raise InvalidActionError(f"expected a dict of actions by group, got a {type(actions).__name__}")
        coordinators = [group.name for group in self.coordinator_groups]
        if unknown := [name for name in actions if name not in coordinators]:
            raise ConfigurationError(f"no coordinator group {unknown}, only {coordinators}")
        if actions and not any_true(self.running):
            self._refuse_stopped(~self.running)

    def _check_ready(self, stepped: BoolArray | None) -> None:
        """Check that the masked copies, or all, may be stepped."""
        if not self.all_running:
            stopped = ~self.running if stepped is None else stepped > self.running
            if any_true(stopped):
                self._refuse_stopped(stopped)
        if self.coordinator_groups:
            self._schedule.check_all_decided(stepped)

    def _refuse_stopped(self, stopped: BoolArray) -> Never:
        env_ids = [self.env_ids[index] for index in np.flatnonzero(stopped)]
        raise ResetRequiredError(f"no running episode in {shown(env_ids)}: call reset(), or reset_envs(...) with these")

    def _forget(self, indices: Sequence[int], mask: BoolArray) -> None:
        """Forget the last episode of some copies, and all of its messages."""
        self.changes += bool(indices)
        for index in indices:
            self.broker.clear_environment(self.env_ids[index])
        self._clock.steps[mask] = 0
        self._sight.forget(mask)
        self._results.begin(mask)

    def _follow_step(self, stepped: BoolArray | None, took_part: Mapping[str, BoolArray]) -> None:
        """Update results, schedule, lanes and observations after a step of the environment."""
        count = self.num_envs if stepped is None else int(np.count_nonzero(stepped))
        self.changes += bool(count)
        self._clock.steps += 1 if stepped is None else stepped
        self.total_steps += count
        changed = self._results.follow_step(stepped, took_part)
        if not self.coordinator_groups:
            return
        self._schedule.start_anew(stepped)
        if changed:
            self._sight.revive(self.results)
        # An agent that has just appeared sends its first info, as all do at the reset; one that has ended, its last.
        self._lanes.pass_infos_up(stepped, took_part if changed else None, self.results)
        if changed:
            self._sight.freeze_ended(self.results)


def _check_options(hierarchy: Any, broker: Any, step_length: Any) -> None:
    if not isinstance(step_length, (int, float, np.integer)) or not np.isfinite(step_length) or step_length <= 0:
        raise ConfigurationError(f"step_length must be a positive number, got {step_length!r}")
    if not isinstance(hierarchy, Hierarchy | None):
        raise HierarchyError(f"hierarchy must be a Hierarchy, such as Hierarchy({{above: [below]}}), got {hierarchy!r}")
    if not isinstance(broker, MessageBroker | None):
        raise ConfigurationError(f"broker must be a MessageBroker, such as InMemoryBroker(), got {broker!r}")
