"""What the agents of all copies tell each other, and what each of them knows by it."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from heron.agents import Hierarchy
from heron.batch.array_tree import ArrayTree, flat_size, flatten
from heron.batch.batch_env import BatchEnv, BoolArray
from heron.messaging import Clock, MessageBroker
from heron.vector.edge_lanes import NEVER, EdgeLanes
from heron.vector.group_result import GroupResult
from heron.vector.vec_group import VecGroup


class MessageExchange:
    """All lanes of a hierarchy: commands go down and infos up, and what has arrived is kept.

    N is the number of copies, M that of a group's agents.

    Args:
        batch_env: The environment copies, whose observations the field agents tell.
        groups: Group name -> its agents, from the top of the hierarchy down.
        hierarchy: Who commands whom.
        broker: Carries the messages.
        clock: Tells when they are sent.
    """

    def __init__(
        self,
        batch_env: BatchEnv,
        groups: Mapping[str, VecGroup],
        hierarchy: Hierarchy,
        broker: MessageBroker,
        clock: Clock,
    ) -> None:
        self._batch_env = batch_env
        self._groups = groups
        self._clock = clock
        self._bottom_up = [group for group in reversed(list(groups.values())) if not group.is_field]
        sizes = {agent: flat_size(group.own_space) for group in groups.values() for agent in group.agent_ids}
        self._edges = [
            EdgeLanes(above, below, hierarchy, batch_env.env_ids, broker, sizes)
            for above in groups.values()
            for below in groups.values()
            if not {hierarchy.upstream.get(agent) for agent in below.agent_ids}.isdisjoint(above.agent_ids)
        ]
        self._edges_below = {name: [edge for edge in self._edges if edge.above.name == name] for name in groups}
        self._edges_above = {name: [edge for edge in self._edges if edge.below.name == name] for name in groups}
        self._own = {
            group.name: np.zeros((batch_env.num_envs, group.num_agents, *(group.own_space.shape or ())), np.float32)
            for group in self._bottom_up
        }
        # Coordinators that have ended while their copy goes on; they keep what they saw last.
        self._gone = {
            group.name: np.zeros((batch_env.num_envs, group.num_agents), dtype=bool) for group in self._bottom_up
        }

    def edges_below(self, group: str) -> Sequence[EdgeLanes]:
        """The edges from a group to its subordinates, by group of those."""
        return self._edges_below[group]

    def send_commands(
        self, group: str, actions: npt.NDArray[np.generic], due: BoolArray, results: Mapping[str, GroupResult]
    ) -> None:
        """Split the actions of the coordinators in ``due`` into commands and send them to active subordinates."""
        for edge in self.edges_below(group):
            where = due[:, edge.parents] & results[edge.below.name].active[:, edge.children]
            edge.send_commands(actions, where, self._clock.time)

    def receive_commands(self, group: str, mask: BoolArray) -> BoolArray | None:
        """Take in the commands of a group's coordinators that have come in the masked copies.

        Returns:
            ``(N, M) bool``, the coordinators of whom a command has come that was sent at this very time; None if
            nothing has come.
        """
        heard_from: BoolArray | None = None
        rows = self._part(mask)
        for edge in self.edges_below(group):
            received = edge.receive_commands(rows, self._clock.time)
            if received is None:
                continue
            if heard_from is None:
                heard_from = np.zeros((self._batch_env.num_envs, self._groups[group].num_agents), dtype=bool)
            for place, parent in enumerate(edge.parents):
                heard_from[:, parent] |= received[:, place]
        return heard_from

    def pass_infos_up(
        self, mask: BoolArray, senders: Mapping[str, BoolArray], results: Mapping[str, GroupResult]
    ) -> None:
        """Let the senders of the masked copies inform upstream, from the bottom up, so that each tells the latest.

        Args:
            mask: ``(N,) bool``, the copies.
            senders: Group name -> ``(N, M) bool``, who sends.
            results: Group name -> the rewards to tell.
        """
        time, rows = self._clock.time, self._part(mask)
        for group in self._bottom_up:
            for edge in self.edges_below(group.name):
                below = edge.below
                told = flatten(below.own_space, self.own_observation(below.name), batch_dims=2)
                where = senders[below.name] & mask[:, None]
                edge.send_infos(told, results[below.name].env_rewards, where, time)
                edge.receive_infos(rows, time)

    def check_received(self) -> None:
        """Check that every message that has come could be used.

        Raises:
            InvalidMessageError: If one did not fit its lane or command space. It was dropped, and all others count.
        """
        if any(edge.refused for edge in self._edges):
            refused = [error for edge in self._edges for error in edge.refused]
            for edge in self._edges:
                edge.refused.clear()
            for other in refused[1:]:
                refused[0].add_note(f"beside it, {other}")
            raise refused[0]

    def own_observation(self, group: str) -> ArrayTree:
        """What the agents of a group observe, without their commands; valid until the next step.

        Returns:
            ``(N, M, ...)``: the environment's own arrays, or what coordinators have heard from below.
        """
        if self._groups[group].is_field:
            return self._batch_env.states[group].observations
        own = self._own[group]
        for edge in self.edges_below(group):
            edge.show_infos(own, ~self._gone[group], self._clock.time, self._clock.step_length)
        return own

    def latest_commands(self, group: str) -> npt.NDArray[np.generic] | None:
        """The latest command that each agent of a group has received, zero before the first.

        Returns:
            ``(N, M, ...)``, to be read only and valid until the next ones come; None if the group has no upstream.
        """
        spec = self._groups[group]
        if spec.command_space is None:
            return None
        edges = self._edges_above[group]
        if edges[0].covers_below:
            return edges[0].commands
        shape, dtype = spec.command_layout
        commands = np.zeros((self._batch_env.num_envs, spec.num_agents, *shape), dtype)
        for edge in edges:
            commands[:, edge.children] = edge.commands
        return commands

    def commanded(self, group: str) -> BoolArray:
        """``(N, M) bool``, the agents of a group that a command has come to, a new array."""
        commanded = np.zeros((self._batch_env.num_envs, self._groups[group].num_agents), dtype=bool)
        for edge in self._edges_above[group]:
            commanded[:, edge.children] = edge.command_time > NEVER
        return commanded

    def freeze_ended(self, mask: BoolArray, results: Mapping[str, GroupResult]) -> None:
        """Keep what coordinators of the masked copies saw that have just ended, before time goes on without them."""
        for group in self._bottom_up:
            result = results[group.name]
            ended = (result.terminated | result.truncated) & mask[:, None]
            if np.count_nonzero(ended):
                self.own_observation(group.name)
                self._gone[group.name] |= ended

    def revive(self, results: Mapping[str, GroupResult]) -> None:
        """Let coordinators see again whose subordinates have come back."""
        for name in self._gone:
            self._gone[name] &= ~results[name].active

    @staticmethod
    def _part(mask: BoolArray) -> BoolArray | None:
        """The mask, or None for all copies, which is cheaper."""
        return None if np.count_nonzero(mask) == len(mask) else mask

    def close(self) -> None:
        """Give up all lanes."""
        for edge in self._edges:
            edge.close()

    def clear(self, mask: BoolArray) -> None:
        """Forget everything that was received in the masked copies."""
        for edge in self._edges:
            edge.clear(mask)
        for gone in self._gone.values():
            gone[mask] = False
