"""Transport of commands down and of infos up, on two lanes for each two groups that have edges."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from heron.batch.action_check import inside_space
from heron.batch.array_tree import all_true, any_true, flatten
from heron.batch.batch_env import BoolArray
from heron.errors import InvalidMessageError, raise_first
from heron.messaging import ChannelManager, Clock, Lane, LaneBatch, MessageBroker, MessageType, Route
from heron.vector.results import GroupResult
from heron.vector.sight import Received, Sight, Times
from heron.vector.vec_group import VecGroup


class EdgeLanes:
    """The two lanes of the edges from one group to another, in every copy. N copies, E edges.

    Args:
        received: Storage of received messages.
        env_ids: Names of the copies.
        broker: The broker that carries the messages.
        refused: List to which errors of unusable messages are added.
    """

    def __init__(
        self, received: Received, env_ids: Sequence[str], broker: MessageBroker, refused: list[InvalidMessageError]
    ) -> None:
        self._received = received
        self.edges = edges = received.edges
        self._refused = refused
        self._shape = (len(env_ids), len(edges.pairs))
        self._command_rows = (-1, *received.commands.shape[2:])
        routes = [(env_id, above, below) for env_id in env_ids for above, below in edges.pairs]
        down = [Route(ChannelManager.action_channel(up, to, env), up, to, env) for env, up, to in routes]
        up = [Route(ChannelManager.info_channel(of, to, env), of, to, env) for env, to, of in routes]
        observation = ((edges.info_size,), np.float32)
        self._down = broker.open_lane(down, {"action": edges.below.command_layout}, MessageType.ACTION)
        self._up = broker.open_lane(up, {"observation": observation, "reward": ((), np.float64)}, MessageType.INFO)

    def send_commands(self, actions: npt.NDArray[Any], due: BoolArray, active: BoolArray, now: Times) -> None:
        """Split actions into commands, and send them down to active subordinates.

        Args:
            actions: ``(N, num_coordinators, ...)``, the coordinators' actions.
            due: ``(N, num_coordinators) bool``, the coordinators that decide.
            active: ``(N, num_subordinates) bool``, the active subordinates.
            now: ``(N,) float64``, the simulation time of each copy.
        """
        where = due[:, self.edges.parents] & active[:, self.edges.children]
        commands = self.edges.command_parts.read(actions).reshape(self._command_rows)
        self._down.send({"action": commands}, where.ravel(), self._by_row(now))

    def receive_commands(self, mask: BoolArray | None, now: Times) -> BoolArray | None:
        """Receive commands in the masked copies, and refuse those outside the command space.

        Args:
            mask: ``(N,) bool``; None for all copies.
            now: ``(N,) float64``, the simulation time of each copy.

        Returns:
            ``(N, P) bool``, the coordinators of ``edges.families`` from which a command has arrived that was sent at
            the current time; None if nothing has arrived.
        """
        batch = self._receive(self._down, mask)
        if not any_true(batch.fresh):
            return None
        commands = batch.arrays["action"].reshape(self._received.commands.shape)
        fresh = self._allowed(commands, batch.fresh.reshape(self._shape))
        sent = batch.timestamp.reshape(self._shape)
        return self.edges.families.any_edge(self._received.take_commands(commands, sent, fresh, now))

    def send_infos(
        self, observations: npt.NDArray[np.float32], rewards: npt.NDArray[np.float64], where: BoolArray, now: Times
    ) -> None:
        """Send the subordinates' infos up.

        Args:
            observations: ``(N, num_subordinates, info_size) float32``.
            rewards: ``(N, num_subordinates) float64``.
            where: ``(N, num_subordinates) bool``, the subordinates that send.
            now: ``(N,) float64``, the simulation time of each copy.
        """
        if not self.edges.covers_below:
            children = self.edges.children
            observations, rewards, where = observations[:, children], rewards[:, children], where[:, children]
        rows: dict[str, npt.NDArray[Any]] = {
            "observation": observations.reshape(-1, self.edges.info_size),
            "reward": rewards.ravel(),
        }
        self._up.send(rows, where.ravel(), self._by_row(now))

    def receive_infos(self, mask: BoolArray | None, now: Times) -> None:
        """Receive infos in the masked copies; arguments as for ``receive_commands``."""
        batch = self._receive(self._up, mask)
        if any_true(batch.fresh):
            self._received.take_infos(
                batch.arrays["observation"].reshape(*self._shape, -1),
                batch.arrays["reward"].reshape(self._shape),
                batch.timestamp.reshape(self._shape),
                batch.fresh.reshape(self._shape),
                now,
            )

    def close(self) -> None:
        """Close both lanes."""
        self._down.close()
        self._up.close()

    def _receive(self, lane: Lane, mask: BoolArray | None) -> LaneBatch:
        """Receive on a lane in the masked copies, and refuse messages that do not fit it."""
        rows = None if mask is None else self._by_row(mask)
        try:
            return lane.receive(rows)
        except InvalidMessageError as error:
            self._refused.append(error)
            return lane.receive(rows)  # all other messages

    def _allowed(self, commands: npt.NDArray[Any], fresh: BoolArray) -> BoolArray:
        """Return the fresh commands that lie in the command space, ``(N, E) bool``, and refuse the others."""
        space: Any = self.edges.below.command_space  # never None, since the group has an upstream
        inside = inside_space(commands, space)
        if all_true(inside):
            return fresh
        allowed = inside.reshape(*self._shape, -1).all(axis=-1)
        for copy, edge in np.argwhere(fresh & ~allowed).tolist():
            route = self._down.routes[copy * self._shape[1] + edge]
            self._refused.append(
                InvalidMessageError(
                    f"{route.env_id}: command from {route.sender_id!r} to {route.recipient_id!r} must lie in {space}, "
                    f"got {commands[copy, edge]}"
                )
            )
        return fresh & allowed

    def _by_row(self, by_copy: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Repeat a value of each copy for each of its rows in the lanes."""
        return by_copy.repeat(self._shape[1])


class Lanes:
    """All lanes of a hierarchy. N copies, M agents of a group.

    Args:
        sight: Storage of received messages; returns own observations.
        groups: Group name -> its agents, from the top of the hierarchy down.
        env_ids: Names of the copies.
        broker: The broker that carries the messages.
        clock: The simulation time of each copy, for the timestamps of messages.

    Attributes:
        refused: Errors of messages that did not fit their lane or command space, and have not been reported yet.
    """

    def __init__(
        self, sight: Sight, groups: Mapping[str, VecGroup], env_ids: Sequence[str], broker: MessageBroker, clock: Clock
    ) -> None:
        self._sight = sight
        self._clock = clock
        self._now = clock.time
        self.refused: list[InvalidMessageError] = []
        pairs = [EdgeLanes(received, env_ids, broker, self.refused) for received in sight.received]
        self._below = {name: [lanes for lanes in pairs if lanes.edges.above.name == name] for name in groups}
        self._bottom_up = [lanes for name in reversed(list(groups)) for lanes in self._below[name]]

    def send_commands(
        self, group: str, actions: npt.NDArray[Any], due: BoolArray, results: Mapping[str, GroupResult]
    ) -> None:
        """Split actions of a group's coordinators into commands, and send them to active subordinates.

        Args:
            group: The group.
            actions: ``(N, M, ...)``, the actions.
            due: ``(N, M) bool``, the coordinators that decide.
            results: Group name -> result, by which subordinates are active.
        """
        for lanes in self._below[group]:
            lanes.send_commands(actions, due, results[lanes.edges.below.name].active, self._now)

    def receive_commands(self, group: VecGroup, mask: BoolArray | None) -> BoolArray | None:
        """Receive the commands of a group's coordinators in the masked copies.

        Returns:
            ``(N, M) bool``, the coordinators from which a command has arrived that was sent at the current time; None
            if nothing has arrived.
        """
        heard_from: BoolArray | None = None
        for lanes in self._below[group.name]:
            heard = lanes.receive_commands(mask, self._now)
            if heard is not None:
                if heard_from is None:
                    heard_from = np.zeros((len(heard), group.num_agents), dtype=bool)
                heard_from[:, lanes.edges.families.parents] |= heard
        return heard_from

    def pass_infos_up(
        self, mask: BoolArray | None, took_part: Mapping[str, BoolArray] | None, results: Mapping[str, GroupResult]
    ) -> None:
        """Send infos upstream after a reset or step, from the bottom up, so that each coordinator sends the latest.

        Args:
            mask: ``(N,) bool``, the copies; None for all.
            took_part: Group name -> ``(N, M) bool``, the agents that send besides the active ones, or None.
            results: Group name -> result, whose rewards are sent.
        """
        self._now = now = self._clock.time
        self._sight.expire(now)
        for lanes in self._bottom_up:
            below, result = lanes.edges.below, results[lanes.edges.below.name]
            where = result.active if took_part is None else result.active | took_part[below.name]
            if mask is not None:
                where = where & mask[:, None]
            observations = flatten(below.own_space, self._sight.own_observation(below.name), batch_dims=2)
            lanes.send_infos(observations, result.env_rewards, where, now)
            lanes.receive_infos(mask, now)

    def raise_refused(self) -> None:
        """Report the messages that could not be used.

        Raises:
            InvalidMessageError: If there are any. They were dropped, and all others count.
        """
        refused = self.refused.copy()
        self.refused.clear()
        raise_first(refused)

    def close(self) -> None:
        """Close all lanes."""
        for lanes in self._bottom_up:
            lanes.close()
