"""Gymnasium and SB3 vector envs as subjects of a check, with one interface for both."""

import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from heron.batch.array_tree import map_arrays
from heron.batch.batch_env import BoolArray
from heron.errors import ConfigurationError

if TYPE_CHECKING:
    from gymnasium.spaces import Space


@dataclass(frozen=True, slots=True)
class ViewStep:
    """Results of one step of a view with S slots.

    Attributes:
        observations: A batch of S.
        rewards: ``(S,)``.
        ended: ``(S,) bool``, slots whose episode ended.
        truncated: ``(S,) bool``, slots whose episode was truncated and not terminated.
        terminal: Slot -> its terminal observation, for the slots that the view returns one for.
        infos: Infos in the library's own format.
        raw: All arrays that the view returned, uncopied.
    """

    observations: Any
    rewards: Any
    ended: BoolArray
    truncated: BoolArray
    terminal: Mapping[int, Any]
    infos: Any
    raw: tuple[Any, ...]


class GymViewSubject:
    """A Gymnasium ``VectorEnv`` in any of its three autoreset modes.

    Attributes:
        view: The vector env.
        observation_space: Observation space of one slot.
        action_space: Action space of one slot.
        num_slots: Number of slots.
        rewards_dtype: Dtype of the rewards.
        copies_results: True if returned arrays are not reused by later steps.
        resets_in_next_step: True if the step after an end is a reset.
        can_reset_some: True if some copies can be reset alone.
        infos: Infos of the latest reset or step, in the library's own format.
    """

    rewards_dtype: Any = np.float64
    can_reset_some = True

    def __init__(self, view: VectorEnv[Any, Any, Any]) -> None:
        self.view: Any = view
        self.observation_space: Space[Any] = view.single_observation_space
        self.action_space: Space[Any] = view.single_action_space
        self.num_slots = view.num_envs
        self.copies_results = bool(getattr(view, "copy", True))
        self.infos: Any = {}
        self._mode = AutoresetMode(view.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self.resets_in_next_step = self._mode == AutoresetMode.NEXT_STEP

    def reset(self, seed: int | None) -> Any:
        """Reset all slots and return a batch of observations."""
        observations, self.infos = self.view.reset(seed=seed)
        return observations

    def step(self, actions: Any) -> ViewStep:
        """Take a step; reset what has ended if the view does not do so itself."""
        observations, rewards, terminations, truncations, infos = self.view.step(actions)
        raw = (observations, rewards, terminations, truncations)
        ended = np.asarray(terminations | truncations)
        self.infos = infos
        if self._mode == AutoresetMode.SAME_STEP:
            given = infos.get("_final_obs", np.zeros(self.num_slots, dtype=bool))
            terminal = {slot: slot_of(infos["final_obs"], slot) for slot in np.flatnonzero(given).tolist()}
        else:
            terminal = {slot: deepcopy(slot_of(observations, slot)) for slot in np.flatnonzero(ended).tolist()}
        if self._mode == AutoresetMode.DISABLED and ended.any():
            observations, self.infos = self.view.reset(options={"reset_mask": ended.copy()})
        return ViewStep(observations, rewards, ended, ended & ~np.asarray(terminations), terminal, infos, raw)

    def reset_some(self, slots: Sequence[int], slots_per_env: int) -> Any:
        """Reset the copies of these slots and return a batch of observations."""
        mask = np.zeros(self.num_slots, dtype=bool)
        for slot in slots:
            first = slot - slot % slots_per_env
            mask[first : first + slots_per_env] = True
        observations, self.infos = self.view.reset(options={"reset_mask": mask})
        return observations

    def slot_info(self, slot: int) -> Mapping[str, Any]:
        """Return the latest info of one slot, as far as actions depend on it."""
        infos = self.infos
        if "action_mask" in infos and infos.get("_action_mask", np.zeros(0))[slot]:
            return {"action_mask": infos["action_mask"][slot]}
        return {}

    def set_attr(self, name: str, values: Sequence[Any]) -> None:
        """Set an attribute of the environments, with one value for each slot."""
        self.view.set_attr(name, list(values))

    def call(self, name: str, *args: Any, **kwargs: Any) -> Sequence[Any]:
        """Call a method of each slot's environment and return the results."""
        results: Sequence[Any] = self.view.call(name, *args, **kwargs)
        return results


class Sb3ViewSubject:
    """An SB3 ``VecEnv``, with the attributes and methods of ``GymViewSubject``.

    One with a method ``reset_envs`` can reset some copies, unless its attribute ``can_reset_some`` is False.
    """

    rewards_dtype: Any = np.float32
    copies_results = True
    resets_in_next_step = False

    def __init__(self, view: Any) -> None:
        self.view = view
        self.observation_space: Space[Any] = view.observation_space
        self.action_space: Space[Any] = view.action_space
        self.num_slots: int = view.num_envs
        self.can_reset_some = hasattr(view, "reset_envs") and bool(getattr(view, "can_reset_some", True))
        self.infos: Any = [{}] * self.num_slots

    def reset(self, seed: int | None) -> Any:
        if seed is not None:
            self.view.seed(seed)
        observations = self.view.reset()
        self.infos = self.view.reset_infos
        return observations

    def step(self, actions: Any) -> ViewStep:
        observations, rewards, dones, self.infos = self.view.step(actions)
        terminal = {
            slot: info["terminal_observation"]
            for slot, info in enumerate(self.infos)
            if info.get("terminal_observation") is not None
        }
        truncated = np.array([bool(info.get("TimeLimit.truncated", False)) for info in self.infos])
        raw = (observations, rewards, dones)
        return ViewStep(observations, rewards, np.asarray(dones), truncated, terminal, self.infos, raw)

    def reset_some(self, slots: Sequence[int], slots_per_env: int) -> Any:
        return self.view.reset_envs(sorted({slot // slots_per_env for slot in slots}))

    def slot_info(self, slot: int) -> Mapping[str, Any]:
        info: Mapping[str, Any] = self.infos[slot]
        return info

    def set_attr(self, name: str, values: Sequence[Any]) -> None:
        for slot, value in enumerate(values):
            self.view.set_attr(name, value, [slot])

    def call(self, name: str, *args: Any, **kwargs: Any) -> Sequence[Any]:
        results: Sequence[Any] = self.view.env_method(name, *args, **kwargs)
        return results


ViewSubject: TypeAlias = GymViewSubject | Sb3ViewSubject


def view_subject(view: Any) -> ViewSubject:
    """Return a view as a subject.

    Raises:
        ConfigurationError: If it is of neither kind.
    """
    if isinstance(view, VectorEnv):
        return GymViewSubject(view)
    # An SB3 view exists only if SB3 has been imported, which other users do not need.
    sb3 = sys.modules.get("stable_baselines3.common.vec_env")
    if sb3 is not None and isinstance(view, sb3.VecEnv):
        return Sb3ViewSubject(view)
    raise ConfigurationError(f"expected a Gymnasium VectorEnv or an SB3 VecEnv, got {view!r}")


def slot_of(tree: Any, slot: int) -> Any:
    """Return the part of one slot in a batch."""
    return map_arrays(itemgetter(slot), tree)
