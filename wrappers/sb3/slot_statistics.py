"""SB3's statistics wrappers, without the rows of inert slots."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv, VecMonitor, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from heron.batch.batch_env import BoolArray
from heron.wrappers.sb3.slot_recorder import SlotRecorder, row_lengths, rows_waited


class SlotMonitor(VecMonitor):
    """A ``VecMonitor`` that reports episodes of the right return and length.

    Inert rows do not count; SB3's own monitor adds them to the slot's next episode. An end that is told by a stale row,
    as after ``reset_envs``, lies before it: the row's reward belongs to the next episode. Lengths are in decisions, so
    rows in which an agent waited for its turn do not count for them; what it was rewarded with then counts for the
    return. An agent whose turn never came has an episode of length 0.
    """

    def __init__(self, venv: VecEnv, *args: Any, **kwargs: Any) -> None:
        super().__init__(venv, *args, **kwargs)
        self._begun = np.zeros(self.num_envs, dtype=bool)

    def reset(self) -> VecEnvObs:
        self._begun[:] = False
        return super().reset()

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        infos = list(infos)
        stale = np.array([bool(info.get("stale")) for info in infos])
        live = row_lengths(infos) > 0
        self._report(dones & stale, infos)
        self.episode_returns += rewards
        self.episode_lengths += live & ~rows_waited(infos)
        self._begun |= live
        self._report(dones & ~stale, infos)
        return observations, rewards, dones, infos

    def _report(self, ended: BoolArray, infos: list[dict[str, Any]]) -> None:
        """Put the episodes that have ended in these slots into new infos, and begin new ones.

        An episode that was cut before its first step is none.
        """
        for slot in np.flatnonzero(ended & self._begun).tolist():
            episode = {
                "r": self.episode_returns[slot],
                "l": self.episode_lengths[slot],
                "t": round(time.time() - self.t_start, 6),
            } | {key: infos[slot][key] for key in self.info_keywords}
            infos[slot] = infos[slot] | {"episode": episode}
            self.episode_count += 1
            self.episode_returns[slot] = self.episode_lengths[slot] = 0
            self._begun[slot] = False
            if self.results_writer is not None:
                self.results_writer.write_row(episode)


class SlotNormalize(VecNormalize):
    """A ``VecNormalize`` whose scale of rewards is that of what the learner learns from.

    Inert rows do not count, and a return is discounted by ``gamma ** length`` for a decision of ``length`` environment
    steps. Rows in which an agent waited for its turn are environment steps like others: it is rewarded in them, too.
    Statistics of observations are SB3's own: they count what an inert slot repeats.
    """

    def __init__(self, venv: VecEnv, *args: Any, **kwargs: Any) -> None:
        super().__init__(SlotRecorder(venv), *args, **kwargs)

    def set_venv(self, venv: VecEnv) -> None:
        super().set_venv(SlotRecorder(venv))

    def _update_reward(self, reward: npt.NDArray[Any]) -> None:
        assert isinstance(self.venv, SlotRecorder)  # noqa: S101 -- put there by __init__ or set_venv
        lengths = self.venv.rows.lengths
        live = lengths > 0
        self.returns = np.where(live, self.returns * self.gamma**lengths + reward, self.returns)
        if live.any():
            self.ret_rms.update(self.returns[live])
