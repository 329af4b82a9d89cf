"""SB3's statistics wrappers without the rows of inert slots."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv, VecMonitor, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from heron.batch.array_tree import any_true
from heron.batch.batch_env import BoolArray
from heron.errors import ResetRequiredError
from heron.play.slot_step import SlotStep
from heron.wrappers.sb3.slot_rows import SlotRows, rows_of


class SlotMonitor(VecMonitor):
    """A ``VecMonitor`` that reports the correct return and length of each episode.

    Inert rows do not count; SB3's own monitor adds them to the slot's next episode. A stale row, as after
    ``reset_envs``, reports an earlier end, so its reward belongs to the next episode. Lengths are in decisions: rows in
    which an agent waited for its turn count for the return, but not for the length. An agent that never had a turn has
    an episode of length 0.

    Args:
        venv: An ``Sb3VecEnv``, in any wrappers.
        args: As for ``VecMonitor``.
        kwargs: As for ``VecMonitor``.

    Raises:
        ConfigurationError: If there is no ``Sb3VecEnv`` under the wrappers.
    """

    def __init__(self, venv: VecEnv, *args: Any, **kwargs: Any) -> None:
        super().__init__(venv, *args, **kwargs)
        self._rows = rows_of(venv)
        self._begun = np.zeros(self.num_envs, dtype=bool)

    def reset(self) -> VecEnvObs:
        self._begun[:] = False
        return super().reset()

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        step = _last_step(self._rows)
        live = step.lengths > 0
        ended = any_true(dones)
        if ended:
            infos = list(infos)
            stale = step.stale
            self._report(dones & stale, infos)
        self.episode_returns += rewards
        self.episode_lengths += live & ~step.waited
        self._begun |= live
        if ended:
            self._report(dones & ~stale, infos)
        return observations, rewards, dones, infos

    def _report(self, ended: BoolArray, infos: list[dict[str, Any]]) -> None:
        """Write the episodes that ended in these slots to new infos, and begin new ones.

        An episode that was interrupted before its first step does not count.
        """
        slots = np.flatnonzero(ended & self._begun)
        now = round(time.time() - self.t_start, 6)
        totals = zip(slots.tolist(), self.episode_returns[slots], self.episode_lengths[slots], strict=True)
        for slot, total, length in totals:
            episode = {"r": total, "l": length, "t": now}
            for key in self.info_keywords:
                episode[key] = infos[slot][key]
            infos[slot] = {**infos[slot], "episode": episode}
            if self.results_writer is not None:
                self.results_writer.write_row(episode)
        self.episode_count += len(slots)
        self.episode_returns[slots] = self.episode_lengths[slots] = 0
        self._begun[slots] = False


class SlotNormalize(VecNormalize):
    """A ``VecNormalize`` whose reward statistics count only live rows.

    A return is discounted by ``gamma ** length`` for a decision of ``length`` environment steps. Rows in which an agent
    waited for its turn count like others, because it is rewarded in them, too. The statistics of observations are
    SB3's own, and include the observations that an inert slot repeats.

    Args:
        venv: An ``Sb3VecEnv``, in any wrappers.
        args: As for ``VecNormalize``.
        kwargs: As for ``VecNormalize``.

    Raises:
        ConfigurationError: If there is no ``Sb3VecEnv`` under the wrappers.
    """

    def __init__(self, venv: VecEnv, *args: Any, **kwargs: Any) -> None:
        super().__init__(venv, *args, **kwargs)
        self._rows = rows_of(venv)

    def set_venv(self, venv: VecEnv) -> None:
        super().set_venv(venv)
        self._rows = rows_of(venv)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        state.pop("_rows", None)
        return state

    def step_wait(self) -> VecEnvStepReturn:
        if self.norm_obs:
            return super().step_wait()
        # SB3's own step would copy the observations twice and loop over all slots without need.
        observations, rewards, dones, infos = self.venv.step_wait()
        self.old_obs, self.old_reward = observations, rewards  # type: ignore[assignment]  # SB3 has no tuples of observations
        if self.training:
            self._update_reward(rewards)
        self.returns[dones] = 0
        return observations, self.normalize_reward(rewards), dones, infos

    def _update_reward(self, reward: npt.NDArray[Any]) -> None:
        lengths = _last_step(self._rows).lengths
        if lengths.min() == lengths.max() == 1:  # most steps of field agents
            self.returns = self.returns * self.gamma + reward
            self.ret_rms.update(self.returns)
            return
        live = lengths > 0
        self.returns = np.where(live, self.returns * self.gamma**lengths + reward, self.returns)
        if live.any():
            self.ret_rms.update(self.returns[live])


def _last_step(rows: SlotRows) -> SlotStep:
    if rows.step is None:
        raise ResetRequiredError("the view has not been stepped yet: call reset() and step() first")
    return rows.step
