"""Which coordinators have to decide before the next environment step."""

from collections.abc import Mapping, Sequence

import numpy as np

from heron.batch.batch_env import BoolArray
from heron.errors import DecisionRequiredError
from heron.messaging import Clock
from heron.vector.group_result import GroupResult
from heron.vector.vec_group import VecGroup


class DecisionSchedule:
    """Remembers who has decided since the last environment step. N copies, M agents of a group.

    Args:
        coordinators: The groups that decide, from the top down.
        results: Group name -> who is active.
        clock: Tells how many steps each copy has taken.
        env_ids: The copies' names.
    """

    def __init__(
        self,
        coordinators: Sequence[VecGroup],
        results: Mapping[str, GroupResult],
        clock: Clock,
        env_ids: Sequence[str],
    ) -> None:
        self._coordinators = coordinators
        self._results = results
        self._clock = clock
        self._env_ids = env_ids
        self._decided = {group.name: np.zeros((len(env_ids), group.num_agents), dtype=bool) for group in coordinators}
        # Asked for several times between two steps.
        self._known_due: dict[str, BoolArray] = {}
        self._known_undecided: BoolArray | None = None

    def due(self, group: VecGroup) -> BoolArray:
        """``(N, M) bool``, the agents of a group that must decide before the next step, to be read only."""
        due = self._known_due.get(group.name)
        if due is None:
            due = self._known_due[group.name] = self._find_due(group)
            due.flags.writeable = False
        return due

    @property
    def undecided(self) -> BoolArray:
        """``(N,) bool``, the copies in which anyone must decide before the next step, to be read only."""
        if self._known_undecided is None:
            self._known_undecided = np.zeros(len(self._env_ids), dtype=bool)
            for group in self._coordinators:
                self._known_undecided |= np.logical_or.reduce(self.due(group), axis=1)
        return self._known_undecided

    def note(self, group: VecGroup, decided: BoolArray) -> None:
        """Remember who has decided, ``(N, M) bool``."""
        self._decided[group.name] |= decided
        self._known_due.pop(group.name, None)
        self._known_undecided = None

    def forget(self, mask: BoolArray) -> None:
        """Begin anew in the masked copies, because they were stepped or reset, once their results are known."""
        for decided in self._decided.values():
            decided[mask] = False
        self._known_due.clear()
        self._known_undecided = None

    def _find_due(self, group: VecGroup) -> BoolArray:
        if group.is_field:
            return np.zeros((len(self._env_ids), group.num_agents), dtype=bool)
        on_time: BoolArray = (self._clock.steps % group.period == 0)[:, None]
        return self._results[group.name].active & on_time & ~self._decided[group.name]

    def check_nobody_due(self, mask: BoolArray) -> None:
        """Check that the masked copies may be stepped.

        Raises:
            DecisionRequiredError: If a coordinator is due in one of them.
        """
        if not np.count_nonzero(self.undecided & mask):
            return
        for group in self._coordinators:
            waiting = self.due(group) & mask[:, None]
            if np.count_nonzero(waiting):
                env, agent = np.argwhere(waiting)[0]
                raise DecisionRequiredError(
                    f"{self._env_ids[env]}: coordinator {group.agent_ids[agent]!r} is due at step "
                    f"{self._clock.steps[env]}: call decide({{{group.name!r}: actions}}) before advance; a view whose "
                    "turn begins after another's must be reset first"
                )
