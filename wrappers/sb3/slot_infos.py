"""Info dicts of a view's slots, as SB3 expects them."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from heron.batch.array_tree import any_true
from heron.batch.batch_env import BoolArray
from heron.messaging.snapshot import snapshot
from heron.play.autoreset import AutoresetLearner
from heron.play.slot_step import Info, InfosByAgent, SlotStep

_OURS = frozenset({"inert", "stale", "waited"})
"""Names that only the view uses in infos."""


class SlotInfos:
    """Info dicts of all slots: what the environments say, and the view's additions.

    Args:
        autoreset: The slots.
        is_plain: True for infos as those of SB3's ``DummyVecEnv``: deep copies, each with ``"TimeLimit.truncated"``.

    Attributes:
        of_resets: For each slot the info of its last reset, a new list where one of them is new.
    """

    def __init__(self, autoreset: AutoresetLearner, *, is_plain: bool) -> None:
        self._learner = autoreset.learner
        self._agents = autoreset.learner.group.agent_ids
        self._resets_later = autoreset.mode is AutoresetMode.NEXT_STEP
        self._is_plain = is_plain
        num_slots = autoreset.learner.num_slots
        self.of_resets: list[dict[str, Any]] = [{} for _ in range(num_slots)]
        self._steps, self._steps_taken = np.zeros(num_slots, dtype=np.int64), np.zeros(num_slots, dtype=np.int64)

    def note_resets(self, copies: Iterable[int]) -> None:
        """Keep the infos of copies that have just been reset."""
        infos, size = list(self.of_resets), len(self._agents)
        for copy in copies:
            said = self._learner.venv.infos[copy]
            infos[copy * size : (copy + 1) * size] = [snapshot(said.get(agent, {})) for agent in self._agents]
        self.of_resets = infos

    def begin_counts(self) -> None:
        """Begin to count the steps of all episodes, which have just been reset by hand."""
        self._steps[:] = self._steps_taken[:] = 0

    def of_step(self, step: SlotStep, dones: BoolArray) -> list[dict[str, Any]]:
        """Return one new dict per slot: the environment's info of its agent, and the view's own entries.

        Args:
            step: The record of the step.
            dones: ``(S,) bool``, slots whose episode has ended.
        """
        infos = self._by_slot(self._learner.venv.infos if self._resets_later else step.infos)
        if any_true(step.reset):
            self.note_resets(np.flatnonzero(step.reset).tolist())
        if not self._learner.group.is_field:
            for info, length in zip(infos, step.lengths.tolist(), strict=True):
                info["decision_length"] = length
        if np.count_nonzero(step.lengths) < len(infos):
            _mark_idle(infos, step)
        if any_true(step.waited):
            for slot in np.flatnonzero(step.waited).tolist():
                infos[slot]["waited"] = True
        if self._is_plain:
            for info in infos:
                info["TimeLimit.truncated"] = False
        for slot, end in step.ends.items():
            infos[slot]["TimeLimit.truncated"] = end.truncated and not end.terminated
            infos[slot]["terminal_observation"] = end.observation
        self._count_steps(infos, step, dones)
        return infos

    def now(self, slots: Sequence[int]) -> list[Info]:
        """Return the last info of the environment of each of these slots, that of its reset if it is later."""
        learner = self._learner
        return [learner.venv.infos[learner.env_index(slot)].get(learner.agent_id(slot), {}) for slot in slots]

    def _by_slot(self, said: Sequence[InfosByAgent]) -> list[dict[str, Any]]:
        """Return the environments' infos, as dicts that nothing else writes into."""
        if not any(said):
            return [{} for _ in self.of_resets]
        own = _as_sb3_does if self._is_plain else snapshot
        infos = [own(copy.get(agent, {})) for copy in said for agent in self._agents]
        for info in infos:
            if not _OURS.isdisjoint(info):  # an environment must not exclude its steps from a learner's loss
                info.update(dict.fromkeys(_OURS.intersection(info), False))
        return infos

    def _count_steps(self, infos: list[dict[str, Any]], step: SlotStep, dones: BoolArray) -> None:
        """Count the steps of each episode, and let ``VecMonitor`` know of those in which its slot took no part."""
        self._steps += 1
        self._steps_taken += step.lengths > 0
        if any_true(dones):
            for slot in np.flatnonzero(dones & (self._steps != self._steps_taken)).tolist():
                infos[slot] = _InfoForMonitor(infos[slot], int(self._steps_taken[slot]))
            self._steps[dones] = self._steps_taken[dones] = 0


class _InfoForMonitor(dict[str, Any]):
    """The info of an end, which corrects the episode length that ``VecMonitor`` writes to it.

    ``VecMonitor`` counts all steps, including inert ones, and writes the count to ``"episode"`` in a copy of the info.
    """

    _length: int | None = None

    def __init__(self, info: Mapping[str, Any], length: int | None) -> None:
        super().__init__(info)
        self._length = length

    def copy(self) -> "_InfoForMonitor":
        return _InfoForMonitor(self, self._length)

    def __setitem__(self, key: str, value: Any) -> None:
        if key == "episode" and self._length is not None:
            value["l"] = self._length  # the monitor writes the same dict to its file
        super().__setitem__(key, value)


def _as_sb3_does(info: Info) -> dict[str, Any]:
    return deepcopy(dict(info))


def _mark_idle(infos: list[dict[str, Any]], step: SlotStep) -> None:
    stale = step.stale
    for slot in np.flatnonzero(step.idle).tolist():
        if stale[slot]:
            infos[slot] |= {"stale": True, "decision_length": 0}
        else:
            infos[slot]["inert"] = True
