"""Replay buffers that leave out inert rows, and discount decisions by their length."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.spaces import Space
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from heron.batch.batch_env import BoolArray
from heron.errors import ConfigurationError
from heron.wrappers.sb3.slot_rows import SlotRows, rows_with

Places = npt.NDArray[np.intp]


class LiveTransitions(ReplayBuffer):
    """Mixin for the replay buffers of this module, to be combined with one of SB3's.

    Rows of length 0 are not stored, so they take no memory and are never sampled. The rows of all slots share one
    ring buffer, which SB3 sees as a buffer of a single slot.

    Where agents act in turn, an agent's decision lasts from its own move until its next one. Rows in which it waited
    are not stored either: their rewards, end and last observation are merged into its last move, which is not sampled
    before it is complete. Waiting rows at the beginning of an episode belong to no move, and are left out.

    The ``discounts`` of samples are ``gamma ** length`` for a decision of ``length`` environment steps, as in a
    semi-Markov decision process: R. S. Sutton, D. Precup and S. Singh, "Between MDPs and semi-MDPs: A framework for
    temporal abstraction in reinforcement learning", Artificial Intelligence 112 (1999), section 3.

    Args:
        buffer_size: Maximum number of rows, of all slots together.
        observation_space: Observation space of one slot.
        action_space: Action space of one slot.
        device: Device of the samples.
        n_envs: Number of slots.
        optimize_memory_usage: Not supported, because consecutive rows usually belong to different slots.
        handle_timeout_termination: True to bootstrap where an episode was truncated.
        gamma: Discount of one environment step.
        rows: The record of the view's last step; by default it is found in the first step.
        n_steps: Number of decisions whose rewards are summed before bootstrapping.

    Raises:
        ConfigurationError: If ``optimize_memory_usage`` is true, or ``n_steps`` is not positive.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: Space[Any],
        action_space: Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        *,
        gamma: float,
        rows: SlotRows | None = None,
        n_steps: int = 1,
    ) -> None:
        if optimize_memory_usage:
            raise ConfigurationError("optimize_memory_usage is not supported, because the buffer leaves out inert rows")
        if n_steps < 1:
            raise ConfigurationError(f"n_steps must be a positive integer, got {n_steps!r}")
        super().__init__(
            buffer_size,
            observation_space,
            action_space,
            device,
            n_envs=1,
            handle_timeout_termination=handle_timeout_termination,
        )
        self.gamma = gamma
        self.rows = SlotRows() if rows is None else rows
        self.n_steps = n_steps
        self.discounts = np.ones((self.buffer_size, 1), dtype=np.float32)
        # Index of the same slot's next decision, -1 if unknown or in another episode.
        self._next = np.full(self.buffer_size, -1, dtype=np.intp)
        # Index of each slot's last decision, -1 if its episode is over; and a mask of slots that act in turn.
        self._last = np.full(n_envs, -1, dtype=np.intp)
        self._in_turn = np.zeros(n_envs, dtype=bool)

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: npt.NDArray[Any],
        reward: npt.NDArray[Any],
        done: npt.NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        del infos  # the typed record has all that is needed
        if self.rows.step is None:  # the buffer was loaded from a file
            self.rows = rows_with(done)
        step = self.rows.take(self.gamma)
        lengths, waited = step.lengths, step.waited
        self._in_turn |= step.in_turn
        acted = np.flatnonzero((lengths > 0) & ~waited)[-self.buffer_size :]
        places = (self.pos + np.arange(len(acted))) % self.buffer_size
        self._last[np.isin(self._last, places)] = -1  # overwritten
        waiting = self._follow(obs, np.flatnonzero(waited))
        self._link(obs, acted, places)
        _put(self.observations, obs, acted, places)
        _put(self.actions, action, acted, places)
        self.rewards[places], self.discounts[places] = 0, 1
        slots, places = np.append(waiting, acted), np.append(self._last[waiting], places)
        self.rewards[places, 0] += self.discounts[places, 0] * reward[slots]
        self.discounts[places, 0] *= self.gamma ** lengths[slots]
        _put(self.next_observations, next_obs, slots, places)
        self.dones[places, 0] = done[slots]
        if self.handle_timeout_termination:
            self.timeouts[places, 0] = (step.truncated & ~step.terminated)[slots]
        self._last[:] = -1
        self._last[slots] = np.where(done[slots], -1, places)
        self.full = self.full or self.pos + len(acted) >= self.buffer_size
        self.pos = (self.pos + len(acted)) % self.buffer_size

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> Any:
        """Return samples of complete decisions, or an empty batch, which has no effect, while there are none."""
        unfinished = np.sort(self._unfinished())
        choices = self.size() - len(unfinished)
        if not choices:
            return self._get_samples(np.zeros(0, dtype=np.intp), env)
        places = np.random.randint(0, choices, batch_size)  # noqa: NPY002 -- the stream that SB3 seeds
        skipped = np.searchsorted(unfinished - np.arange(len(unfinished)), places, side="right")
        return self._get_samples(places + skipped, env)

    def _get_samples(self, batch_inds: Places, env: VecNormalize | None = None) -> Any:
        samples: Any = super()._get_samples(batch_inds, env)
        if self.n_steps == 1:
            return samples._replace(discounts=self.to_torch(self.discounts[batch_inds]))
        last, returns, discounts = self._n_step_returns(batch_inds, env)
        # SB3 looks up and normalizes the last row of each sample, of which only its end is used.
        end: Any = super()._get_samples(last, env)
        return samples._replace(
            rewards=self.to_torch(returns.astype(np.float32)),
            discounts=self.to_torch(discounts.astype(np.float32)),
            next_observations=end.next_observations,
            dones=end.dones,
        )

    def _n_step_returns(
        self, first: Places, env: VecNormalize | None
    ) -> tuple[Places, npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the last rows of up to ``n_steps`` decisions ``(B,)``, and their returns and discounts ``(B, 1)``."""
        last = first.copy()
        returns = self._normalize_reward(self.rewards[first], env)
        discounts = self.discounts[first]
        unfinished = self._unfinished()
        for _ in range(self.n_steps - 1):
            following = self._next[last]
            known = ((following >= 0) & ~np.isin(following, unfinished))[:, None]
            returns = returns + known * discounts * self._normalize_reward(self.rewards[following], env)
            discounts = np.where(known, discounts * self.discounts[following], discounts)
            last = np.where(known[:, 0], following, last)
        return last, returns, discounts

    def _link(self, obs: Any, slots: Places, places: Places) -> None:
        """Link the rows at ``places`` to the last rows of their slots, where they follow these."""
        self._next[places] = -1
        follows = self._follow(obs, slots)
        self._next[self._last[follows]] = places[np.isin(slots, follows)]

    def _follow(self, obs: Any, slots: Places) -> Places:
        """Return the slots whose last row is followed by a row with these observations."""
        before = self._last[slots]
        # The current observation is the last row's next one, unless the vector env was reset in between.
        return slots[(before >= 0) & _equal(self.next_observations, before, obs, slots)]

    def _unfinished(self) -> Places:
        """Return the indices of incomplete decisions."""
        return self._last[self._in_turn & (self._last >= 0)]


class LiveReplayBuffer(LiveTransitions, ReplayBuffer):
    """Replay buffer for SAC, TD3, DDPG and DQN, and for TQC, QRDQN and CrossQ."""


class LiveDictReplayBuffer(LiveTransitions, DictReplayBuffer):
    """Replay buffer for the same algorithms with ``Dict`` observations."""


def _put(target: Any, values: Any, slots: Places, places: Places) -> None:
    """Copy the rows of some slots to the given places. ``target`` may be a dict of arrays."""
    if isinstance(target, Mapping):
        for key, array in target.items():
            _put(array, values[key], slots, places)
    else:
        target[places, 0] = np.asarray(values)[slots].reshape(len(slots), *target.shape[2:])


def _equal(stored: Any, places: Places, values: Any, slots: Places) -> BoolArray:
    """Return a mask of the stored rows that equal the slots' values, ``(slots,) bool``."""
    if isinstance(stored, Mapping):
        equal = np.array([_equal(array, places, values[key], slots) for key, array in stored.items()])
    else:
        shape = (len(slots), math.prod(stored.shape[2:]))
        equal = (stored[places, 0].reshape(shape) == np.asarray(values)[slots].reshape(shape)).T
    same: BoolArray = np.logical_and.reduce(equal, axis=0)
    return same
