"""Schedule of decisions: the coordinators that must decide before the next environment step."""

from collections.abc import Mapping, Sequence

import numpy as np

from heron.batch.array_tree import any_true
from heron.batch.batch_env import BoolArray
from heron.errors import DecisionRequiredError
from heron.messaging import Clock
from heron.vector.results import GroupResult
from heron.vector.vec_group import VecGroup


class Schedule:
    """Decisions that are due before the next environment step. N copies, M agents of a group.

    Args:
        groups: Group name -> its agents, from the top of the hierarchy down.
        results: Group name -> result, by which agents are active.
        clock: The number of steps that each copy has taken.
        env_ids: Names of the copies.

    Attributes:
        due: Group name -> ``(N, M) bool``, the agents that must decide before the next step, read-only.
        undecided: ``(N,) bool``, the copies in which a coordinator must decide before the next step, read-only.
    """

    def __init__(
        self, groups: Mapping[str, VecGroup], results: Mapping[str, GroupResult], clock: Clock, env_ids: Sequence[str]
    ) -> None:
        self._coordinators = [group for group in groups.values() if not group.is_field]
        self._results = results
        self._clock = clock
        self._env_ids = env_ids
        self._none_due = {
            name: np.zeros((len(env_ids), group.num_agents), dtype=bool) for name, group in groups.items()
        }
        self._decided = {group.name: self._none_due[group.name].copy() for group in self._coordinators}
        self._no_copy = np.zeros(len(env_ids), dtype=bool)
        for array in (self._no_copy, *self._none_due.values()):
            array.flags.writeable = False
        self.due, self.undecided = dict(self._none_due), self._no_copy

    def note(self, group: VecGroup, decided: BoolArray) -> None:
        """Note the coordinators that have decided, ``(N, M) bool``."""
        self._decided[group.name] |= decided
        self._find_due()

    def start_anew(self, mask: BoolArray | None) -> None:
        """Forget the decisions in the masked copies, or in all, when the results of their step or reset are known."""
        for decided in self._decided.values():
            decided[... if mask is None else mask] = False
        self._find_due()

    def check_all_decided(self, mask: BoolArray | None) -> None:
        """Check that no coordinator of the masked copies, or of all, is due.

        Raises:
            DecisionRequiredError: If a coordinator is due in one of them.
        """
        if not any_true(self.undecided if mask is None else self.undecided & mask):
            return
        for group in self._coordinators:
            due = self.due[group.name] if mask is None else self.due[group.name] & mask[:, None]
            if any_true(due):
                env, agent = np.argwhere(due)[0]
                raise DecisionRequiredError(
                    f"{self._env_ids[env]}: coordinator {group.agent_ids[agent]!r} is due at step "
                    f"{self._clock.steps[env]}: call decide({{{group.name!r}: actions}}) before advance; a view whose "
                    "turn begins after another's must be reset first"
                )

    def _find_due(self) -> None:
        undecided = self._no_copy
        for group in self._coordinators:
            due = self._none_due[group.name]
            on_time = self._clock.steps % group.period == 0
            if any_true(on_time):
                due = on_time[:, None] & self._results[group.name].active & ~self._decided[group.name]
                due.flags.writeable = False
                undecided = undecided | np.logical_or.reduce(due, axis=1)
            self.due[group.name] = due
        undecided.flags.writeable = False
        self.undecided = undecided
