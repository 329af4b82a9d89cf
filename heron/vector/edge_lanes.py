"""The two lanes between a group of coordinators and a group of their subordinates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box

from heron.agents import Hierarchy
from heron.batch.action_check import inside_space
from heron.batch.batch_env import BoolArray
from heron.errors import InvalidMessageError
from heron.messaging import ChannelManager, Lane, LaneBatch, MessageBroker, MessageType, Route
from heron.vector.group_result import Families
from heron.vector.vec_group import INFO_EXTRAS, VecGroup

NEVER = -np.inf
"""The timestamp of a message that has not come yet."""


class EdgeLanes:
    """All edges from one group to another, in every copy: commands go down, infos go up.

    What has been received is kept here, by edge: it is all that either side may know of the other. N is the
    number of copies, E that of edges.

    Args:
        above: The commanding group.
        below: The group of its subordinates.
        hierarchy: The tree both belong to.
        env_ids: The copies' names.
        broker: Carries the messages.
        info_sizes: Agent id -> number of values of its flat own observation, of all agents.

    Attributes:
        parents: ``(E,) int``, the place of each edge's coordinator in its group.
        children: ``(E,) int``, the place of each edge's subordinate in its group.
        families: Who is whose subordinate, for sums.
        covers_below: Whether the edges lead to all subordinates of the group, in its order.
        commands: ``(N, E, *command_shape)``, the latest command received, zero before the first.
        command_time: ``(N, E) float64``, when it was sent, ``NEVER`` before the first.
        infos: ``(N, E, info_size + 1) float32``, the latest observation and reward received, zero before.
        info_time: ``(N, E) float64``, when it was sent, ``NEVER`` before the first.
        refused: What was wrong with messages that did not count, and that nobody has been told of yet.
    """

    def __init__(
        self,
        above: VecGroup,
        below: VecGroup,
        hierarchy: Hierarchy,
        env_ids: Sequence[str],
        broker: MessageBroker,
        info_sizes: Mapping[str, int],
    ) -> None:
        self.above = above
        self.below = below
        place_above = {agent: place for place, agent in enumerate(above.agent_ids)}
        place_below = {agent: place for place, agent in enumerate(below.agent_ids)}
        edges = [
            (parent, child)
            for parent in above.agent_ids
            for child in hierarchy.subordinates[parent]
            if child in place_below
        ]
        self.parents = np.array([place_above[parent] for parent, _ in edges])
        self.children = np.array([place_below[child] for _, child in edges])
        self.families = Families(self.parents, self.children)
        self.covers_below = np.array_equal(self.children, np.arange(below.num_agents))
        self._action_columns, self._info_columns = _columns(edges, hierarchy, info_sizes)
        self._shape = (len(env_ids), len(edges))
        command_shape, command_dtype = below.command_layout
        info_size = info_sizes[below.agent_ids[0]]
        self.commands = np.zeros((*self._shape, *command_shape), command_dtype)
        self.command_time = np.full(self._shape, NEVER)
        self.infos = np.zeros((*self._shape, info_size + 1), np.float32)
        self.info_time = np.full(self._shape, NEVER)
        self.refused: list[InvalidMessageError] = []
        down = [
            Route(ChannelManager.action_channel(parent, child, env_id), parent, child, env_id)
            for env_id in env_ids
            for parent, child in edges
        ]
        up = [
            Route(ChannelManager.info_channel(child, parent, env_id), child, parent, env_id)
            for env_id in env_ids
            for parent, child in edges
        ]
        self._down = broker.open_lane(down, {"action": (command_shape, command_dtype)}, MessageType.ACTION)
        self._up = broker.open_lane(
            up, {"observation": ((info_size,), np.float32), "reward": ((), np.float64)}, MessageType.INFO
        )

    def send_commands(self, actions: npt.NDArray[Any], where: BoolArray, time: npt.NDArray[np.float64]) -> None:
        """Split actions into commands and send them down.

        Args:
            actions: ``(N, num_coordinators, ...)``, the coordinators' actions.
            where: ``(N, E) bool``, the edges to send on.
            time: ``(N,) float64``, the simulation time of each copy.
        """
        commands = actions[:, self.parents[:, None], self._action_columns]
        rows = commands.reshape(-1, *self.commands.shape[2:])
        self._down.send({"action": rows}, where.ravel(), self._rows(time))

    def receive_commands(self, mask: BoolArray | None, time: npt.NDArray[np.float64]) -> BoolArray | None:
        """Take in the commands that have come in the masked copies, and refuse those outside the command space.

        Args:
            mask: ``(N,) bool``; None for all copies.
            time: ``(N,) float64``, the simulation time of each copy.

        Returns:
            ``(N, E) bool``, the edges on which one has come that was sent at this very time; None if nothing came.
        """
        batch = self._receive(self._down, mask)
        if not np.count_nonzero(batch.fresh):
            return None
        commands = batch.arrays["action"].reshape(self.commands.shape)
        fresh = batch.fresh.reshape(self._shape) & self._allowed(commands, batch.fresh)
        # A link may deliver an older command after a newer one; then the newer one stands.
        times, newer = _newer(fresh, batch, time, self.command_time)
        self.commands[newer] = commands[newer]
        self.command_time[newer] = times[newer]
        sent_now: BoolArray = newer & (times == time[:, None])
        return sent_now

    def send_infos(
        self,
        observations: npt.NDArray[np.float32],
        rewards: npt.NDArray[np.float64],
        where: BoolArray,
        time: npt.NDArray[np.float64],
    ) -> None:
        """Send the subordinates' infos up.

        Args:
            observations: ``(N, num_subordinates, info_size) float32``.
            rewards: ``(N, num_subordinates) float64``.
            where: ``(N, num_subordinates) bool``, the subordinates that send.
            time: ``(N,) float64``, the simulation time of each copy.
        """
        if not self.covers_below:
            observations, rewards = observations[:, self.children], rewards[:, self.children]
            where = where[:, self.children]
        rows: dict[str, npt.NDArray[Any]] = {
            "observation": observations.reshape(-1, observations.shape[-1]),
            "reward": rewards.ravel(),
        }
        self._up.send(rows, where.ravel(), self._rows(time))

    def receive_infos(self, mask: BoolArray | None, time: npt.NDArray[np.float64]) -> None:
        """Take in the infos that have come in the masked copies.

        Args:
            mask: ``(N,) bool``; None for all copies.
            time: ``(N,) float64``, the simulation time of each copy.
        """
        batch = self._receive(self._up, mask)
        if not np.count_nonzero(batch.fresh):
            return
        times, newer = _newer(batch.fresh.reshape(self._shape), batch, time, self.info_time)
        observations = batch.arrays["observation"].reshape(*self._shape, -1)
        np.copyto(self.infos[..., :-1], observations, where=newer[..., None])
        np.copyto(self.infos[..., -1], batch.arrays["reward"].reshape(self._shape), "same_kind", newer)
        np.copyto(self.info_time, times, where=newer)

    def show_infos(
        self,
        out: npt.NDArray[np.float32],
        looking: BoolArray,
        time: npt.NDArray[np.float64],
        step_length: float,
    ) -> None:
        """Write what each coordinator knows of its subordinates into its observation.

        Args:
            out: ``(N, num_coordinators, own_size) float32``.
            looking: ``(N, num_coordinators) bool``, the coordinators whose observation is written.
            time: ``(N,) float64``, the simulation time of each copy.
            step_length: Simulation time of one environment step.
        """
        known = self.info_time > NEVER
        age = np.full(self._shape, -1.0)
        np.subtract(time[:, None], self.info_time, out=age, where=known)
        age[known] /= step_length
        seen = np.concatenate([self.infos, age[..., None]], axis=-1, dtype=np.float32)
        columns = (slice(None), self.parents[:, None], self._info_columns)
        out[columns] = np.where(looking[:, self.parents, None], seen, out[columns])

    def close(self) -> None:
        """Give up both lanes."""
        self._down.close()
        self._up.close()

    def clear(self, mask: BoolArray) -> None:
        """Forget what was received in the masked copies."""
        self.commands[mask] = 0
        self.command_time[mask] = NEVER
        self.infos[mask] = 0
        self.info_time[mask] = NEVER

    def _receive(self, lane: Lane, mask: BoolArray | None) -> LaneBatch:
        """What has come on a lane in the masked copies, but for messages that do not fit it."""
        rows = None if mask is None else self._rows(mask)
        try:
            return lane.receive(rows)
        except InvalidMessageError as error:
            self.refused.append(error)
            return lane.receive(rows)  # all that came beside it

    def _allowed(self, commands: npt.NDArray[Any], fresh: BoolArray) -> BoolArray:
        """``(N, E) bool``, the commands that lie in the command space; fresh ones that do not are refused."""
        space: Any = self.below.command_space  # never None, since the group has an upstream
        allowed = np.asarray(inside_space(commands, space).reshape(*self._shape, -1).all(axis=-1))
        for row in np.flatnonzero(fresh & ~allowed.ravel()).tolist():
            route = self._down.routes[row]
            self.refused.append(
                InvalidMessageError(
                    f"{route.env_id}: command from {route.sender_id!r} to {route.recipient_id!r} must lie in {space}, "
                    f"got {commands.reshape(-1, *commands.shape[2:])[row]}"
                )
            )
        return allowed

    def _rows(self, of_copies: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What holds for each copy, for each row of the lanes."""
        return of_copies.repeat(self._shape[1])


def _columns(
    edges: Sequence[tuple[str, str]], hierarchy: Hierarchy, info_sizes: Mapping[str, int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where each edge's command stands in its coordinator's action, and its info in the observation.

    Returns:
        ``(E, command_width)`` and ``(E, info_size + INFO_EXTRAS)``.
    """
    actions: dict[str, npt.NDArray[np.intp]] = {}
    infos: dict[str, npt.NDArray[np.intp]] = {}
    for parent in dict.fromkeys(parent for parent, _ in edges):
        action_start = info_start = 0
        for child in hierarchy.subordinates[parent]:
            actions[child] = action_start + np.arange(_command_width(hierarchy, child))
            infos[child] = info_start + np.arange(info_sizes[child] + INFO_EXTRAS)
            action_start += len(actions[child])
            info_start += len(infos[child])
    return np.array([actions[child] for _, child in edges]), np.array([infos[child] for _, child in edges])


def _newer(
    fresh: BoolArray, batch: LaneBatch, now: npt.NDArray[np.float64], known: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], BoolArray]:
    """When messages were sent, and which of the fresh ones are not older than what is known, ``(N, E)`` each."""
    # No time is later than its copy's, or it would hide all that come after it.
    times = np.minimum(batch.timestamp.reshape(fresh.shape), now[:, None])
    return times, fresh & (times >= known)


def _command_width(hierarchy: Hierarchy, agent: str) -> int:
    """How many entries of its coordinator's action command the agent: a choice is one."""
    space = hierarchy.command_space(agent)
    return space.shape[0] if isinstance(space, Box) else 1
