"""Slots of a Gymnasium ``VectorEnv`` of another library, in any autoreset mode."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from heron.batch.array_tree import ArrayTree, check_supported, row, write, zeros
from heron.batch.batch_env import BoolArray
from heron.batch.copy_selection import EnvSelection, select_envs, spread_seeds
from heron.errors import (
    ConfigurationError,
    EnvClosedError,
    ResetRequiredError,
)
from heron.play.sb3_actions import counted_from_zero
from heron.play.slot_step import SlotStep
from heron.wrappers.gym.gym_vector_env import GymVectorEnv, checked_mode
from heron.wrappers.sb3.slot_watch import FINAL, SlotWatch
from heron.wrappers.sb3.source import SlotSource, all_same, check_acts_in_one_array
from heron.wrappers.sources.driver_choice import needs_driver
from heron.wrappers.sources.vector_drivers import joint_seed, split_infos

_HONOUR_RESET_MASK = (SyncVectorEnv, AsyncVectorEnv, GymVectorEnv)


class VectorEnvSlots(SlotSource):
    """Slots that are the environments of a Gymnasium ``VectorEnv``.

    After an error all environments need a reset, because the ends of that step are lost.

    Args:
        env: The vector env.
        can_mask: True if it supports ``options["reset_mask"]``, False if not, None if unknown.

    Raises:
        ConfigurationError: If its spaces are not supported, its metadata have no autoreset mode, or the mode would
            not give SB3 whole episodes.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], can_mask: bool | None) -> None:
        self.env = self.venv = env
        self.mode = _mode_of(env)
        self.num_slots = env.num_envs
        self.metadata = env.metadata
        self.observation_space = env.single_observation_space
        check_supported(self.observation_space, f"single_observation_space of {env}")
        check_acts_in_one_array(env.single_action_space, f"single_action_space of {env}")
        self.action_space = counted_from_zero(env.single_action_space)
        self.reset_infos = [{} for _ in range(self.num_slots)]
        self.infos_now = self.reset_infos
        known = self.mode is AutoresetMode.DISABLED or isinstance(env.unwrapped, _HONOUR_RESET_MASK)
        self.can_reset_some = known if can_mask is None else can_mask
        self._check_can_reset(can_mask)
        self._observations: ArrayTree | None = None
        self._watch = SlotWatch(env)
        self._closed = False
        self._due = np.zeros(self.num_slots, dtype=bool)
        self._requested: dict[int, tuple[int | None, Mapping[str, Any] | None]] = {}

    def seeds(self, first: int) -> list[int | None]:
        return [first + slot for slot in range(self.num_slots)]

    def reset(self, seeds: Sequence[int | None], options: Sequence[Mapping[str, Any]]) -> ArrayTree:
        self._check_open()
        if not all_same(options):
            raise ConfigurationError(f"{self.env} takes the same options for all of its environments, got {options!r}")
        for slot, seed in enumerate(seeds):
            self._watch.log.begin(slot, seed)
        with self._errors_translated():
            observations, infos = self.env.reset(seed=joint_seed(seeds), options=dict(options[0]) or None)
            self.reset_infos = self.infos_now = split_infos(infos, self.num_slots)
            seen = self._keep(observations)
            self._watch.check_numbers(seen, np.zeros(self.num_slots), ())
        self._due[:] = False
        self._requested.clear()
        return seen

    def reset_envs(
        self, which: EnvSelection, seed: int | Sequence[int | None] | None, options: Mapping[str, Any] | None
    ) -> ArrayTree:
        if self._observations is None:
            raise ResetRequiredError(f"{self.env} has no running episode: call reset() first")
        if not self.can_reset_some:
            raise ConfigurationError(
                f"{self.env} is not known to reset only some of its environments: pass reset_mask=True if it supports "
                "options['reset_mask']"
            )
        slots = select_envs(which, self._watch.env_ids)
        self._requested |= {
            slot: (one, options) for slot, one in zip(slots, spread_seeds(seed, len(slots)), strict=True)
        }
        return self._observations

    def step(self, actions: npt.NDArray[Any]) -> tuple[SlotStep, list[dict[str, Any]]]:
        self._check_open()
        if self._observations is None:
            raise ResetRequiredError(f"{self.env} has no running episode: call reset() first")
        chosen = self._watch.checked_actions(actions)
        self._watch.log.note_steps(None)
        with self._errors_translated():
            return self._follow(*self.env.step(chosen))

    def _follow(
        self, observations: Any, rewards: Any, terminated: Any, truncated: Any, said: Any
    ) -> tuple[SlotStep, list[dict[str, Any]]]:
        """Return the record and the infos of a step from its results."""
        infos = split_infos(said, self.num_slots)
        took_part = ~self._due
        truncated = np.array(truncated, dtype=bool)
        for slot in self._requested:
            truncated[slot] |= not terminated[slot]
        dones = np.asarray(terminated | truncated, dtype=bool)
        self._follow_extra_steps(infos)
        for slot in np.flatnonzero(dones).tolist():
            infos[slot]["TimeLimit.truncated"] = bool(truncated[slot] and not terminated[slot])
        rewards = np.asarray(rewards, dtype=np.float64)
        if not rewards.shape == dones.shape == (self.num_slots,):
            raise ValueError(
                f"expected rewards and ends of shape ({self.num_slots},), got {rewards.shape} and {dones.shape}"
            )
        seeds = {slot: seed for slot, (seed, _) in self._requested.items()}
        seen = self._after_resets(self._keep(observations), dones, infos)
        self._watch.check_numbers(seen, rewards, infos)
        for slot in np.flatnonzero(dones).tolist():
            self._watch.log.begin(slot, seeds.get(slot))
        nothing = np.zeros(self.num_slots, dtype=bool)
        return SlotStep(
            observations=seen,
            rewards=rewards,
            lengths=took_part.astype(np.int64),
            ends={},
            terminated=np.array(terminated, dtype=bool),
            truncated=truncated,
            finished=dones,
            waited=nothing,
            in_turn=nothing,
            infos=(),
            reset=dones,
            stood_still=nothing,
        ), infos

    def get_attr(self, name: str, slots: Sequence[int]) -> list[Any]:
        self._check_open()
        base: Any = self.env.unwrapped
        if name == "render_mode" or not hasattr(base, "get_attr"):
            return [getattr(base, name)] * len(slots)
        values = base.get_attr(name)
        return [values[slot] for slot in slots]

    def set_attr(self, name: str, value: Any, slots: Sequence[int]) -> None:
        base: Any = self.env.unwrapped
        if not hasattr(base, "set_attr"):
            raise ConfigurationError(f"{base} cannot set {name!r} of its environments: it has no set_attr")
        values = [value] * self.num_slots
        if len(set(slots)) < self.num_slots:
            values = [value if slot in slots else old for slot, old in enumerate(base.get_attr(name))]
        base.set_attr(name, values)

    def call(self, name: str, slots: Sequence[int], *args: Any, **kwargs: Any) -> list[Any]:
        base: Any = self.env.unwrapped
        if envs := getattr(base, "envs", None):
            return [envs[slot].get_wrapper_attr(name)(*args, **kwargs) for slot in slots]
        if sorted(slots) != list(range(self.num_slots)):
            raise ConfigurationError(
                f"{base} can call {name!r} only in all of its {self.num_slots} environments, got slots {list(slots)}"
            )
        if not hasattr(base, "call"):
            raise AttributeError(f"{base} cannot call {name!r} of its environments: it has no call")
        values = base.call(name, *args, **kwargs)
        return [values[slot] for slot in slots]

    def current_infos(self, slots: Sequence[int]) -> list[Mapping[str, Any]]:
        return [self.infos_now[slot] for slot in slots]

    def single_envs(self, slots: Sequence[int]) -> list[gymnasium.Env[Any, Any] | None]:
        envs = getattr(self.env.unwrapped, "envs", None)
        return [envs[slot] if envs else None for slot in slots]

    def images(self) -> list[npt.NDArray[np.uint8] | None]:
        images: Any = self.env.render() or ()
        return list(images)

    def describe(self) -> str:
        shared = ", all with the same parameters" * (self.num_slots > 1)
        return f"{self.env}, autoreset mode {self.mode.value}\n{self.num_slots} slots, one per environment{shared}"

    def close(self) -> None:
        self._closed = True
        self.env.close()

    def _check_open(self) -> None:
        if self._closed:
            raise EnvClosedError(f"{self.env} is closed: make a new one")

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        """Translate errors, and require a reset of all environments after one."""
        try:
            with self._watch.errors_translated():
                yield
        except BaseException:
            self._observations = None
            raise

    def _check_can_reset(self, can_mask: bool | None) -> None:
        if self.mode is AutoresetMode.NEXT_STEP and not self.can_reset_some and can_mask is None:
            wrapped = needs_driver(self.env.unwrapped)
            better = "unwrapped, with wrappers on the view instead" if wrapped else "in SAME_STEP or DISABLED"
            raise ConfigurationError(
                f"{self.env} resets an environment one step after its end, which SB3 does not support, and is not "
                f"known to reset only some of its environments. Pass the same environment {better}. Or pass "
                "reset_mask=True if it supports options['reset_mask']. Or pass reset_mask=False to accept the extra "
                "step, which has infos[slot]['inert'] and which SB3's own buffers learn from"
            )
        if self.mode is AutoresetMode.DISABLED and not self.can_reset_some:
            raise ConfigurationError(
                f"{self.env} has autoreset mode DISABLED, but does not support options['reset_mask']: use SAME_STEP"
            )

    def _keep(self, observations: Any) -> ArrayTree:
        """Return the observations as new arrays, because a vector env may reuse its own."""
        self._observations = zeros(self.observation_space, (self.num_slots,))
        write(self._observations, slice(None), observations)
        return self._observations

    def _follow_extra_steps(self, infos: list[dict[str, Any]]) -> None:
        """Mark slots whose step was only the reset after an end in the step before as inert."""
        if not self._due.any():
            return
        self.reset_infos = list(self.reset_infos)
        for slot in np.flatnonzero(self._due).tolist():
            self.reset_infos[slot] = dict(infos[slot])
            infos[slot]["inert"] = True
        self._due[:] = False

    def _after_resets(self, observations: ArrayTree, dones: BoolArray, infos: list[dict[str, Any]]) -> ArrayTree:
        """Write the terminal observations to the infos, and reset the environments that still need it."""
        self.infos_now = infos
        if not dones.any():
            return observations
        ended = np.flatnonzero(dones).tolist()
        self.reset_infos, self.infos_now = list(self.reset_infos), list(infos)
        if self.mode is AutoresetMode.SAME_STEP:
            self._take_finals(ended, observations, infos)
            left = [slot for slot in ended if slot in self._requested]
        else:
            for slot in ended:
                infos[slot][FINAL] = row(observations, slot)
            left = ended if self.can_reset_some else []
            if not left:
                self._due[:] = dones
        for slots, seeds, options in self._resets(left):
            observations = self._reset_some(slots, seeds, options)
        return observations

    def _take_finals(self, ended: Sequence[int], observations: ArrayTree, infos: list[dict[str, Any]]) -> None:
        """Separate the infos of resets from those of the ends in the same step."""
        for slot in ended:
            said = infos[slot]
            if "final_obs" not in said:
                if slot in self._requested:  # truncated by reset_envs: the vector env has not reset it
                    said[FINAL] = row(observations, slot)
                    continue
                raise ConfigurationError(
                    f"{self.env} has autoreset mode SAME_STEP, but infos['final_obs'] of environment {slot} is "
                    "missing at the end of its episode"
                )
            last = {FINAL: self._as_sample(said.pop("final_obs"))}
            last |= {key: said.pop(key) for key in ("TimeLimit.truncated", "episode") if key in said}
            infos[slot] = {**said.pop("final_info", {}), **last}
            self.reset_infos[slot] = self.infos_now[slot] = said

    def _as_sample(self, observation: Any) -> ArrayTree:
        kept = zeros(self.observation_space, (1,))
        write(kept, 0, observation)
        return row(kept, 0)

    def _resets(
        self, slots: Sequence[int]
    ) -> list[tuple[list[int], list[int | None] | None, Mapping[str, Any] | None]]:
        """Return the slots to reset now with their seeds and options, grouped by options."""
        found: list[tuple[list[int], list[int | None] | None, Mapping[str, Any] | None]] = []
        plain = [slot for slot in slots if slot not in self._requested]
        if plain:
            found.append((plain, None, None))
        for slot in slots:
            if slot in self._requested:
                seed, options = self._requested.pop(slot)
                seeds: list[int | None] = [None] * self.num_slots
                seeds[slot] = seed
                found.append(([slot], seeds, options))
        return found

    def _reset_some(
        self, slots: list[int], seeds: list[int | None] | None, options: Mapping[str, Any] | None
    ) -> ArrayTree:
        mask = np.zeros(self.num_slots, dtype=bool)
        mask[slots] = True
        observations, said = self.env.reset(seed=seeds, options={**(options or {}), "reset_mask": mask})  # type: ignore[arg-type]  # a list, as SyncVectorEnv takes it
        infos = split_infos(said, self.num_slots)
        for slot in slots:
            self.reset_infos[slot] = self.infos_now[slot] = infos[slot]
        return self._keep(observations)


def _mode_of(env: VectorEnv[Any, Any, Any]) -> AutoresetMode:
    mode = env.metadata.get("autoreset_mode")
    if mode is None:
        raise ConfigurationError(
            f"{env} has no metadata['autoreset_mode']: set it to the AutoresetMode in which it resets its environments"
        )
    return checked_mode(mode)
