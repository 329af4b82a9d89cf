"""Current observations of every group: its own, and the commands and infos that it has received."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box

from heron.batch.array_tree import ArrayTree, any_true, flatten
from heron.batch.batch_env import BatchEnv, BoolArray
from heron.vector.edges import Edges
from heron.vector.results import GroupResult
from heron.vector.vec_group import INFO_EXTRAS, VecGroup

NEVER = -np.inf
"""The timestamp of a message that has not arrived yet."""

Times = npt.NDArray[np.float64]


class Received:
    """Latest commands and infos received along some edges: all that each side knows of the other.

    Args:
        edges: The edges, E in number.
        num_envs: Number of copies N.

    Attributes:
        edges: The edges.
        commands: ``(N, E, *command_shape)``, the latest command, zero before the first.
        command_times: ``(N, E) float64``, when it was sent, ``NEVER`` before the first.
    """

    def __init__(self, edges: Edges, num_envs: int) -> None:
        shape = (num_envs, len(edges.pairs))
        command_shape, command_dtype = edges.below.command_layout
        self.edges = edges
        self.commands = np.zeros((*shape, *command_shape), command_dtype)
        self.command_times = np.full(shape, NEVER)
        self._infos = np.zeros((*shape, edges.info_size + INFO_EXTRAS), np.float32)
        self._info_times = np.full(shape, NEVER)
        self._observations, self._rewards, self._ages = (
            self._infos[..., :-2],
            self._infos[..., -2],
            self._infos[..., -1],
        )
        self._spread = (..., *(None for _ in command_shape))

    def take_commands(self, commands: npt.NDArray[Any], sent: Times, fresh: BoolArray, now: Times) -> BoolArray:
        """Store commands, ``(N, E, *command_shape)``, except those that are older than the stored ones.

        Args:
            commands: The commands.
            sent: ``(N, E) float64``, when they were sent.
            fresh: ``(N, E) bool``, the edges on which one has arrived.
            now: ``(N,) float64``, the simulation time of each copy.

        Returns:
            ``(N, E) bool``, the edges on which one has arrived that was sent at the current time.
        """
        # A link may deliver an older command after a newer one.
        sent, newer = _newer(sent, fresh, now, self.command_times)
        np.copyto(self.commands, commands, where=newer[self._spread])
        np.copyto(self.command_times, sent, where=newer)
        sent_now: BoolArray = newer & (sent == now[:, None])
        return sent_now

    def take_infos(
        self, observations: npt.NDArray[np.float32], rewards: Times, sent: Times, fresh: BoolArray, now: Times
    ) -> None:
        """Store infos, except those that are older than the stored ones.

        Args:
            observations: ``(N, E, info_size) float32``.
            rewards: ``(N, E) float64``.
            sent: As for ``take_commands``.
            fresh: As there.
            now: As there.
        """
        sent, newer = _newer(sent, fresh, now, self._info_times)
        np.copyto(self._observations, observations, where=newer[..., None])
        np.copyto(self._rewards, rewards, "same_kind", newer)
        np.copyto(self._info_times, sent, where=newer)

    def show_infos(self, out: npt.NDArray[np.float32], gone: BoolArray, now: Times, step_length: float) -> None:
        """Write the latest infos and their ages into the coordinators' own observations.

        Args:
            out: ``(N, num_coordinators, own_size) float32``.
            gone: ``(N, num_coordinators) bool``, the coordinators whose observation stays as it is.
            now: ``(N,) float64``, the simulation time of each copy.
            step_length: Simulation time of one environment step, the unit of ages.
        """
        self._ages[...] = np.where(self._info_times > NEVER, (now[:, None] - self._info_times) / step_length, -1.0)
        parts = self.edges.info_parts
        if any_true(gone):
            parts.write(out, np.where(gone[:, self.edges.parents, None], parts.read(out), self._infos))
        else:
            parts.write(out, self._infos)

    def forget(self, mask: BoolArray) -> None:
        """Forget everything that was received in the masked copies."""
        self.commands[mask] = 0
        self.command_times[mask] = NEVER
        self._infos[mask] = 0
        self._info_times[mask] = NEVER


class Sight:
    """Current observations of every group. N copies, M agents of a group.

    A coordinator that has ended while its copy continues keeps its last observation.

    Args:
        batch_env: The environment copies.
        groups: Group name -> its agents, from the top of the hierarchy down.
        edges: All edges between them.
        step_length: Simulation time of one environment step.

    Attributes:
        received: What was received, for each of ``edges``.
    """

    def __init__(
        self, batch_env: BatchEnv, groups: Mapping[str, VecGroup], edges: Sequence[Edges], step_length: float
    ) -> None:
        self._batch_env = batch_env
        self._groups = groups
        self._step_length = step_length
        self._now = np.zeros(batch_env.num_envs)
        self.received = [Received(one, batch_env.num_envs) for one in edges]
        self._from_above = {name: [one for one in self.received if one.edges.below.name == name] for name in groups}
        self._from_below = {name: [one for one in self.received if one.edges.above.name == name] for name in groups}
        coordinators = [group for group in groups.values() if not group.is_field]
        shapes = {group.name: (batch_env.num_envs, group.num_agents) for group in coordinators}
        self._own = {
            group.name: np.zeros((*shapes[group.name], *(group.own_space.shape or ())), np.float32)
            for group in coordinators
        }
        self._gone = {name: np.zeros(shape, dtype=bool) for name, shape in shapes.items()}
        self._outdated = set(self._own)

    def observe(self, group: VecGroup) -> ArrayTree:
        """Return the own observations and commands of a group, in the layout of its observation space.

        Returns:
            ``(N, M, ...)``, valid until the next step.
        """
        own, space = self.own_observation(group.name), group.command_space
        if space is None:
            return own
        seen = flatten(space, self._latest_commands(group), batch_dims=2)
        if not isinstance(space, Box):  # a choice is one-hot, and even the first is not zeros
            seen = seen * self._commanded(group)[..., None]
        if isinstance(group.observation_space, Box):
            own = np.asarray(own)
            joined = np.empty((*own.shape[:2], own.shape[2] + seen.shape[2]), group.observation_space.dtype)
            joined[..., : own.shape[2]] = own
            joined[..., own.shape[2] :] = seen
            return joined
        if isinstance(own, dict):
            return {**own, "command": seen}
        return {"observation": own, "command": seen}

    def own_observation(self, group: str) -> ArrayTree:
        """Return the observations of a group without its commands; valid until the next step.

        Returns:
            ``(N, M, ...)``: the environment's own arrays, or the infos that coordinators have received.
        """
        own = self._own.get(group)
        if own is None:
            return self._batch_env.states[group].observations
        if group in self._outdated:
            self._outdated.discard(group)
            for received in self._from_below[group]:
                received.show_infos(own, self._gone[group], self._now, self._step_length)
        return own

    def commands(self, group: VecGroup) -> npt.NDArray[Any] | None:
        """Return the latest commands of a group, zero before the first.

        Returns:
            ``(N, M, *command_shape)``, a new array; None if the group has no upstream.
        """
        return None if group.command_space is None else self._latest_commands(group).copy()

    def expire(self, now: Times) -> None:
        """Note the time of a reset or step, ``(N,) float64``, after which coordinators have new observations."""
        self._now = now
        self._outdated.update(self._own)

    def freeze_ended(self, results: Mapping[str, GroupResult]) -> None:
        """Keep the observations of coordinators that have just ended, before time advances."""
        for name, gone in self._gone.items():
            ended = results[name].terminated | results[name].truncated
            if any_true(ended):
                self.own_observation(name)
                np.logical_or(gone, ended, out=gone)

    def revive(self, results: Mapping[str, GroupResult]) -> None:
        """Update the observations of coordinators again whose subordinates have returned."""
        for name, gone in self._gone.items():
            np.greater(gone, results[name].active, out=gone)

    def forget(self, mask: BoolArray) -> None:
        """Forget everything that was received in the masked copies."""
        for received in self.received:
            received.forget(mask)
        for gone in self._gone.values():
            gone[mask] = False

    def _latest_commands(self, group: VecGroup) -> npt.NDArray[Any]:
        """Return the latest commands of a group that has an upstream, ``(N, M, ...)``, valid until the next ones."""
        received = self._from_above[group.name]
        if received[0].edges.covers_below:
            return received[0].commands
        shape, dtype = group.command_layout
        commands = np.zeros((self._batch_env.num_envs, group.num_agents, *shape), dtype)
        for one in received:
            commands[:, one.edges.children] = one.commands
        return commands

    def _commanded(self, group: VecGroup) -> BoolArray:
        """Return ``(N, M) bool``, the agents that have received a command."""
        commanded = np.zeros((self._batch_env.num_envs, group.num_agents), dtype=bool)
        for received in self._from_above[group.name]:
            commanded[:, received.edges.children] = received.command_times > NEVER
        return commanded


def _newer(sent: Times, fresh: BoolArray, now: Times, known: Times) -> tuple[Times, BoolArray]:
    """Return the times of messages, and a mask of the fresh ones that are not older than the known, ``(N, E)`` each."""
    # A time later than the copy's would hide all later messages.
    sent = np.minimum(sent, now[:, None])
    return sent, fresh & (sent >= known)
