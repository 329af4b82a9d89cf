"""Rollout buffers that leave out inert rows, and discount decisions by their length."""

from collections.abc import Generator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer, MaskableRolloutBuffer
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer

from heron.batch.array_tree import map_arrays
from heron.batch.batch_env import BoolArray
from heron.wrappers.sb3.slot_rows import SlotRows


class LiveRows(RolloutBuffer):
    """Mixin for the rollout buffers of this module, to be combined with one of SB3's.

    Rows of length 0 are left out of minibatches, returns and advantages. If the episode was not over, the row before
    one of length 0 is bootstrapped with the latter's value. So a reset by hand truncates an episode at the observation
    that it has reached.

    Where agents act in turn, an agent's decision lasts from its own move until its next one. Rows in which it waited
    are not in minibatches either, but their rewards and ends are credited to its last move. Waiting rows at the
    beginning of a rollout belong to a move of the rollout before, which was bootstrapped with the value of that
    rollout's last observation.

    A coordinator's decision of ``length`` environment steps is discounted by ``gamma ** length``, as in a semi-Markov
    decision process: R. S. Sutton, D. Precup and S. Singh, "Between MDPs and semi-MDPs: A framework for temporal
    abstraction in reinforcement learning", Artificial Intelligence 112 (1999), section 3. Advantages are those of
    J. Schulman et al., "High-Dimensional Continuous Control Using Generalized Advantage Estimation", ICLR 2016,
    equation 16, with ``gae_lambda`` counted by decision.

    Args:
        args: As for SB3's buffer.
        rows: The record of the view's last step, from its ``SlotRecorder``.
        kwargs: As for SB3's buffer; ``gamma`` is the discount of one environment step.
    """

    def __init__(self, *args: Any, rows: SlotRows, **kwargs: Any) -> None:
        self.rows = rows
        super().__init__(*args, **kwargs)

    def reset(self) -> None:
        super().reset()
        self.lengths = np.zeros((self.buffer_size, self.n_envs), dtype=np.int64)
        self.waited = np.zeros((self.buffer_size, self.n_envs), dtype=bool)

    def add(self, *args: Any, **kwargs: Any) -> None:
        observations, actions, reward, *others = args
        step, rewards = self.rows.take(self.gamma), self.rows.rewards
        # SB3 has added gamma * V(terminal observation) where an episode was truncated.
        bootstrap = reward - rewards
        self.lengths[self.pos], self.waited[self.pos] = step.lengths, step.waited
        reward = rewards + self.gamma ** np.maximum(step.lengths - 1, 0) * bootstrap
        super().add(observations, actions, reward, *others, **kwargs)

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: npt.NDArray[Any]) -> None:
        next_values = last_values.clone().cpu().numpy().flatten()
        going_on = 1.0 - dones
        advantages = np.zeros(self.n_envs)
        discounts = self.gamma**self.lengths
        live, waited = self.lengths > 0, self.waited
        for step in reversed(range(self.buffer_size)):
            following = discounts[step] * going_on
            values = self.rewards[step] + following * next_values
            # No lambda where the agent waited, because it took no decision.
            later = following * np.where(waited[step], 1.0, self.gae_lambda) * advantages
            # A row of length 0 starts no chain of advantages, but its value is used for bootstrapping.
            advantages = live[step] * np.where(waited[step], later, values - self.values[step] + later)
            self.advantages[step] = np.where(waited[step], 0.0, advantages)
            going_on = 1.0 - self.episode_starts[step]
            next_values = np.where(waited[step], values, self.values[step])
        self.returns = self.advantages + self.values

    def get(self, batch_size: int | None = None) -> Generator[Any, None, None]:
        """Yield minibatches of live rows, of sizes as even as possible, and never of a single row.

        A single live row is used twice, because the advantages of a minibatch are normalized. If no row is live, SB3
        still needs a minibatch: it gets all rows, with advantages of 0 and the values as returns.
        """
        assert self.full, "the rollout is not complete"  # noqa: S101 -- as in SB3
        if not self.generator_ready:
            self._keep_live_rows()
            self.generator_ready = True
        for batch in self._batches(batch_size):
            yield self._minibatch(batch)

    def _batches(self, batch_size: int | None) -> list[npt.NDArray[np.intp]]:
        """Return the rows of each minibatch."""
        return evenly(np.random.permutation(len(self.returns)), batch_size)  # noqa: NPY002 -- the stream that SB3 seeds

    def _minibatch(self, indices: npt.NDArray[np.intp]) -> Any:
        return self._get_samples(indices)

    def _keep_live_rows(self) -> None:
        """Reduce the arrays of minibatches to ``(live rows, ...)``."""
        kept = self._kept_rows().T.ravel()
        for name in self._sampled():
            value = getattr(self, name)
            rows: Any = map_arrays(lambda array: self.swap_and_flatten(array)[kept], value)
            setattr(self, name, rows)

    def _rows_to_learn_from(self) -> BoolArray:
        """Return a mask of the live rows, or of all if none is live, ``(buffer_size, n_envs) bool``."""
        live: BoolArray = (self.lengths > 0) & ~self.waited
        return live if live.any() else np.ones_like(live)

    def _kept_rows(self) -> BoolArray:
        """Return a mask of the rows that may be in a minibatch, ``(buffer_size, n_envs) bool``."""
        return self._rows_to_learn_from()

    def _sampled(self) -> tuple[str, ...]:
        """Return the names of the arrays from which minibatches are taken."""
        return ("observations", "actions", "values", "log_probs", "advantages", "returns")


def evenly(rows: npt.NDArray[np.intp], batch_size: int | None) -> list[npt.NDArray[np.intp]]:
    """Split rows into minibatches of sizes as even as possible, with at least two rows each.

    A single row is used twice.
    """
    if len(rows) == 1:
        rows = rows.repeat(2)
    batches = 1 if batch_size is None else -(-len(rows) // batch_size)
    return np.array_split(rows, max(min(batches, len(rows) // 2), 1))


class LiveRolloutBuffer(LiveRows, RolloutBuffer):
    """Rollout buffer for PPO, A2C and TRPO."""


class LiveDictRolloutBuffer(LiveRows, DictRolloutBuffer):
    """Rollout buffer for PPO, A2C and TRPO with ``Dict`` observations."""


class _LiveMaskedRows(LiveRows):
    def _sampled(self) -> tuple[str, ...]:
        return (*super()._sampled(), "action_masks")


class LiveMaskableRolloutBuffer(_LiveMaskedRows, MaskableRolloutBuffer):
    """Rollout buffer for MaskablePPO."""


class LiveMaskableDictRolloutBuffer(_LiveMaskedRows, MaskableDictRolloutBuffer):
    """Rollout buffer for MaskablePPO with ``Dict`` observations."""
