"""The slots of a learning group for SB3."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from heron.batch.array_tree import ArrayTree, any_true
from heron.batch.copy_selection import EnvSelection
from heron.messaging.snapshot import snapshot
from heron.play.action_masks import MASKS_METHOD
from heron.play.autoreset import AutoresetLearner
from heron.play.learner_env import LearnerEnv
from heron.play.sb3_actions import actions_from_sb3, counted_from_zero
from heron.play.slot_step import InfosByAgent, SlotStep
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers.sb3.source import SlotSource, all_same, check_acts_in_one_array

_OURS = frozenset({"inert", "stale", "waited"})
"""Keys of infos that only the view may set."""


class LearnerSource(SlotSource):
    """The slots of a learning group.

    Args:
        learner: The ``LearnerEnv`` with the slots.
        envs: The Gymnasium environments, if the vector env was made from plain factories.

    Raises:
        ConfigurationError: If SB3 has no algorithms for the group's actions.
    """

    learner: LearnerEnv
    venv: HierarchicalVectorEnv

    def __init__(self, learner: LearnerEnv, envs: list[gymnasium.Env[Any, Any]] | None = None) -> None:
        group = learner.group
        check_acts_in_one_array(group.action_space, f"action_space of group {group.name!r}")
        self.learner = learner
        self.venv = learner.venv
        self.envs = envs
        self._autoreset = AutoresetLearner(learner, AutoresetMode.SAME_STEP)
        self._agents = group.agent_ids
        self.num_slots = learner.num_slots
        self.observation_space = group.observation_space if envs is None else envs[0].observation_space
        self.action_space = counted_from_zero(group.action_space)
        self.can_reset_some = self.venv.batch_env.steps_some
        self.reset_infos = [{} for _ in range(self.num_slots)]
        try:
            self.metadata = self.venv.batch_env.get_attr("metadata", [0])[0]
        except AttributeError:
            self.metadata = {}

    def seeds(self, first: int) -> list[int | None]:
        return [first + self.learner.env_index(slot) for slot in range(self.num_slots)]

    def reset(self, seeds: Sequence[int | None], options: Sequence[Mapping[str, Any]]) -> ArrayTree:
        # Seeds and options are per slot, but a copy takes only one of each: that of its first slot.
        by_copy, options = list(seeds[:: len(self._agents)]), options[:: len(self._agents)]
        copies = range(self.venv.num_envs)
        if all_same(options):
            observations = self._autoreset.reset(None, by_copy, options[0] or None)
        else:
            for copy in copies:
                observations = self._autoreset.reset(copy, [by_copy[copy]], options[copy] or None)
        self._note_reset_infos(copies)
        return observations

    def reset_envs(
        self, which: EnvSelection, seed: int | Sequence[int | None] | None, options: Mapping[str, Any] | None
    ) -> ArrayTree:
        copies = self.venv.indices(which)
        observations = self._autoreset.cut(copies, seed, options)
        self._note_reset_infos(copies)
        return observations

    def step(self, actions: npt.NDArray[Any]) -> tuple[SlotStep, list[dict[str, Any]]]:
        step = self._autoreset.step(actions_from_sb3(np.asarray(actions), self.learner.group.action_space))
        infos = self._infos(step)
        if any_true(step.reset):
            self._note_reset_infos(np.flatnonzero(step.reset).tolist())
        return step, infos

    def get_attr(self, name: str, slots: Sequence[int]) -> list[Any]:
        copies, places = self._copies(slots)
        try:
            values = self.venv.batch_env.get_attr(name, copies)
        except AttributeError:
            if name != "render_mode":
                raise
            values = [None] * len(copies)
        return [values[place] for place in places]

    def set_attr(self, name: str, value: Any, slots: Sequence[int]) -> None:
        copies, _ = self._copies(slots)
        self.venv.batch_env.set_attr(name, [value] * len(copies), copies)

    def call(self, name: str, slots: Sequence[int], *args: Any, **kwargs: Any) -> list[Any]:
        copies, places = self._copies(slots)
        values = self.venv.batch_env.call(name, copies, *args, **kwargs)
        by_slot = [values[place] for place in places]
        if name == MASKS_METHOD and isinstance(values[0], Mapping):
            return [value[self.learner.agent_id(slot)] for value, slot in zip(by_slot, slots, strict=True)]
        return by_slot

    def current_infos(self, slots: Sequence[int]) -> list[Mapping[str, Any]]:
        learner = self.learner
        return [self.venv.infos[learner.env_index(slot)].get(learner.agent_id(slot), {}) for slot in slots]

    def single_envs(self, slots: Sequence[int]) -> list[gymnasium.Env[Any, Any] | None]:
        return [None if self.envs is None else self.envs[slot] for slot in slots]

    def images(self) -> list[npt.NDArray[np.uint8] | None]:
        return self.venv.batch_env.call("render", list(range(self.venv.num_envs)))

    def describe(self) -> str:
        return self.learner.describe()

    def close(self) -> None:
        self.venv.close()

    def _infos(self, step: SlotStep) -> list[dict[str, Any]]:
        """Return one new dict per slot: the environment's info of its agent, and the view's own entries."""
        infos = self._by_slot(step.infos)
        if not self.learner.group.is_field:
            for info, length in zip(infos, step.lengths.tolist(), strict=True):
                info["decision_length"] = length
        if np.count_nonzero(step.lengths) < self.num_slots:
            _mark_idle(infos, step)
        if step.waited.any():
            for slot in np.flatnonzero(step.waited).tolist():
                infos[slot]["waited"] = True
        if self.envs is not None:  # as SB3's own vector envs do
            for info in infos:
                info["TimeLimit.truncated"] = False
        for slot, end in step.ends.items():
            infos[slot]["TimeLimit.truncated"] = end.truncated and not end.terminated
            infos[slot]["terminal_observation"] = end.observation
        return infos

    def _by_slot(self, said: Sequence[InfosByAgent]) -> list[dict[str, Any]]:
        """Return the environment's info of each slot, new dicts."""
        if not any(said):
            return [{} for _ in range(self.num_slots)]
        own = snapshot if self.envs is None else _as_sb3_does
        infos = [own(copy.get(agent, {})) for copy in said for agent in self._agents]
        for info in infos:
            if not _OURS.isdisjoint(info):  # an environment must not exclude its steps from a learner's loss
                info.update(dict.fromkeys(_OURS.intersection(info), False))
        return infos

    def _note_reset_infos(self, copies: Sequence[int]) -> None:
        infos, size = list(self.reset_infos), len(self._agents)
        for copy in copies:
            said = self.venv.infos[copy]
            infos[copy * size : (copy + 1) * size] = [snapshot(said.get(agent, {})) for agent in self._agents]
        self.reset_infos = infos

    def _copies(self, slots: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return the distinct copies of some slots, and for each slot the index of its copy among them."""
        of_slots = [self.learner.env_index(slot) for slot in slots]
        copies = list(dict.fromkeys(of_slots))
        places = {copy: place for place, copy in enumerate(copies)}
        return copies, [places[copy] for copy in of_slots]


def _as_sb3_does(info: Mapping[str, Any]) -> dict[str, Any]:
    return deepcopy(dict(info))


def _mark_idle(infos: list[dict[str, Any]], step: SlotStep) -> None:
    stale = step.stale
    for slot in np.flatnonzero(step.idle).tolist():
        if stale[slot]:
            infos[slot] |= {"stale": True, "decision_length": 0}
        else:
            infos[slot]["inert"] = True
