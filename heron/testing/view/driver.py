"""The vector envs of Gymnasium and of SB3 as the checks drive them: one step after the other, slot by slot."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from gymnasium.spaces import Space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array

from heron.batch.batch_env import BoolArray
from heron.errors import ConfigurationError
from heron.testing.env.env_step import ActionSource
from heron.testing.sameness import difference, frozen

MakeView: TypeAlias = Callable[[], Any]
"""Makes a new Gymnasium ``VectorEnv`` or SB3 ``VecEnv``."""


@dataclass(frozen=True, slots=True)
class ViewStep:
    """What one step of a view said. S slots.

    Attributes:
        observations: A batch of S.
        rewards: ``(S,)``.
        ended: ``(S,) bool``, slots whose episode ended.
        truncated: ``(S,) bool``, of these the ones that were cut off, and did not come to an end of their own.
        terminal: Slot -> its last observation, for the slots that the view gives one for.
        infos: What came as infos, as it came.
        raw: All arrays that the view returned, as it returned them.
    """

    observations: Any
    rewards: Any
    ended: BoolArray
    truncated: BoolArray
    terminal: Mapping[int, Any]
    infos: Any
    raw: tuple[Any, ...]


class ViewDriver(Protocol):
    """One view, whichever library's."""

    view: Any
    observation_space: Space[Any]
    """Of one slot."""
    action_space: Space[Any]
    """Of one slot."""
    num_slots: int
    rewards_dtype: Any
    copies_results: bool
    """Whether what was returned is the caller's for good."""
    resets_in_next_step: bool
    """Whether the step after an end is a reset instead."""
    can_reset_some: bool

    def reset(self, seed: int | None) -> Any:
        """Reset all slots; the batch of observations."""

    def step(self, actions: Any) -> ViewStep:
        """Take a step, and reset what has ended if the view does not do so itself."""

    def reset_some(self, slots: Sequence[int], slots_per_env: int) -> Any:
        """Reset the copies of these slots; the batch of observations."""

    def slot_info(self, infos: Any, slot: int) -> Mapping[str, Any]:
        """What infos say of one slot."""

    def set_attr(self, name: str, values: Sequence[Any]) -> None:
        """Set an attribute of the environments, to one value a slot."""

    def call(self, name: str, *args: Any, **kwargs: Any) -> Sequence[Any]:
        """What a method of each slot's environment returns."""


class GymDriver:
    """A Gymnasium ``VectorEnv`` in any of its three autoreset modes."""

    rewards_dtype: Any = np.float64
    can_reset_some = True

    def __init__(self, view: VectorEnv[Any, Any, Any]) -> None:
        self.view: Any = view
        self.observation_space = view.single_observation_space
        self.action_space = view.single_action_space
        self.num_slots = view.num_envs
        self.copies_results = bool(getattr(view, "copy", True))
        self._mode = AutoresetMode(view.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self.resets_in_next_step = self._mode == AutoresetMode.NEXT_STEP

    def reset(self, seed: int | None) -> Any:
        observations, self.infos = self.view.reset(seed=seed)
        return observations

    def step(self, actions: Any) -> ViewStep:
        observations, rewards, terminations, truncations, infos = self.view.step(actions)
        raw = (observations, rewards, terminations, truncations)
        ended = np.asarray(terminations | truncations)
        self.infos = infos
        terminal: dict[int, Any] = {}
        if self._mode == AutoresetMode.SAME_STEP:
            given = infos.get("_final_obs", np.zeros(self.num_slots, dtype=bool))
            terminal = {slot: slot_of(infos["final_obs"], slot) for slot in np.flatnonzero(given).tolist()}
        else:
            terminal = {slot: deepcopy(slot_of(observations, slot)) for slot in np.flatnonzero(ended).tolist()}
        if self._mode == AutoresetMode.DISABLED and ended.any():
            observations, self.infos = self.view.reset(options={"reset_mask": ended.copy()})
        return ViewStep(observations, rewards, ended, ended & ~np.asarray(terminations), terminal, infos, raw)

    def reset_some(self, slots: Sequence[int], slots_per_env: int) -> Any:
        mask = np.zeros(self.num_slots, dtype=bool)
        for slot in slots:
            first = slot - slot % slots_per_env
            mask[first : first + slots_per_env] = True
        observations, self.infos = self.view.reset(options={"reset_mask": mask})
        return observations

    def set_attr(self, name: str, values: Sequence[Any]) -> None:
        self.view.set_attr(name, list(values))

    def call(self, name: str, *args: Any, **kwargs: Any) -> Sequence[Any]:
        answers: Sequence[Any] = self.view.call(name, *args, **kwargs)
        return answers

    def slot_info(self, infos: Any, slot: int) -> Mapping[str, Any]:
        if "action_mask" in infos and infos.get("_action_mask", np.zeros(0))[slot]:
            return {"action_mask": infos["action_mask"][slot]}
        return {}


class Sb3Driver:
    """An SB3 ``VecEnv``; one with ``reset_envs`` can reset some copies, unless its ``can_reset_some`` is False."""

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
        observations, rewards, dones, infos = self.view.step(actions)
        self.infos = infos
        terminal = {slot: info["terminal_observation"] for slot, info in enumerate(infos) if _has_end(info)}
        truncated = np.array([bool(info.get("TimeLimit.truncated", False)) for info in infos])
        return ViewStep(
            observations, rewards, np.asarray(dones), truncated, terminal, infos, (observations, rewards, dones)
        )

    def reset_some(self, slots: Sequence[int], slots_per_env: int) -> Any:
        return self.view.reset_envs(sorted({slot // slots_per_env for slot in slots}))

    def set_attr(self, name: str, values: Sequence[Any]) -> None:
        for slot, value in enumerate(values):
            self.view.set_attr(name, value, [slot])

    def call(self, name: str, *args: Any, **kwargs: Any) -> Sequence[Any]:
        answers: Sequence[Any] = self.view.env_method(name, *args, **kwargs)
        return answers

    def slot_info(self, infos: Any, slot: int) -> Mapping[str, Any]:
        info: Mapping[str, Any] = infos[slot]
        return info


def _has_end(info: Mapping[str, Any]) -> bool:
    return info.get("terminal_observation") is not None


def driver_of(view: Any) -> Any:
    """The driver for a view.

    Raises:
        ConfigurationError: If it is none of the two kinds.
    """
    if isinstance(view, VectorEnv):
        return GymDriver(view)
    # Whoever made an SB3 view has imported SB3, which nobody else needs.
    sb3 = sys.modules.get("stable_baselines3.common.vec_env")
    if sb3 is not None and isinstance(view, sb3.VecEnv):
        return Sb3Driver(view)
    raise ConfigurationError(f"expected a Gymnasium VectorEnv or an SB3 VecEnv, got {view!r}")


class ViewPlayer:
    """Random actions for a view; a slot's actions depend on its number alone.

    Args:
        driver: The view.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self._source = ActionSource(0)
        self._observations: Any = None

    def reset(self, seed: int | None = None) -> Any:
        """Reset all slots, and the random actions too."""
        self._source = ActionSource(0)
        self._observations = self.driver.reset(seed)
        return self._observations

    def actions(self) -> list[Any]:
        """One action a slot."""
        driver = self.driver
        return [
            self._source.sample(
                slot,
                driver.action_space,
                slot_of(self._observations, slot),
                driver.slot_info(driver.infos, slot),
            )
            for slot in range(driver.num_slots)
        ]

    def step(self, actions: list[Any] | None = None) -> ViewStep:
        """Take a step with random actions, or with these."""
        chosen = self.actions() if actions is None else actions
        step: ViewStep = self.driver.step(self.batch(chosen))
        self._observations = step.observations
        return step

    def reset_some(self, slots: Sequence[int], slots_per_env: int) -> Any:
        """Reset the copies of some slots."""
        self._observations = self.driver.reset_some(slots, slots_per_env)
        return self._observations

    def batch(self, actions: list[Any]) -> Any:
        """The actions of all slots as the view takes them."""
        space = self.driver.action_space
        empty: Any = create_empty_array(space, len(actions))
        return concatenate(space, actions, empty)


@contextmanager
def opened(make: MakeView) -> Iterator[ViewPlayer]:
    """A player of a new view, which is closed at the end."""
    view = make()
    try:
        yield ViewPlayer(driver_of(view))
    finally:
        view.close()


def slot_of(tree: Any, slot: int) -> Any:
    """One slot's part of a batch."""
    if isinstance(tree, Mapping):
        return {key: slot_of(part, slot) for key, part in tree.items()}
    if isinstance(tree, tuple):
        return tuple(slot_of(part, slot) for part in tree)
    return tree[slot]


def record(step: ViewStep, slots: Sequence[int]) -> list[Any]:
    """Copies of all that a step said of some slots, but for infos."""
    return [
        frozen(
            (
                slot_of(step.observations, slot),
                step.rewards[slot],
                bool(step.ended[slot]),
                bool(step.truncated[slot]),
                step.terminal.get(slot),
            )
        )
        for slot in slots
    ]


def expect_same(got: Any, expected: Any, promise: str) -> None:
    """Fail with the promise unless both are equal to the bit."""
    how = difference(expected, got)
    assert how is None, f"{promise}: {how}"
