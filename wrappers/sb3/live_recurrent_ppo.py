"""RecurrentPPO that leaves out inert rows, and discounts decisions by their length."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.spaces import Dict
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer, RecurrentRolloutBuffer

from heron.batch.batch_env import BoolArray
from heron.wrappers.sb3.buffer_options import last_rows
from heron.wrappers.sb3.rollout_buffers import LiveRows, evenly

STATES = ("hidden_states_pi", "cell_states_pi", "hidden_states_vf", "cell_states_vf")


class _LiveSequences(LiveRows):
    """A rollout buffer of sequences. Minibatches keep the order of rows, and a sequence ends before an inert row.

    The LSTM also processes rows in which an agent waited, as it did during the rollout. They are masked like SB3's
    padding, so that they do not contribute to the loss.
    """

    pad_and_flatten: Callable[[npt.NDArray[Any]], torch.Tensor]

    def _batches(self, batch_size: int | None) -> list[npt.NDArray[np.intp]]:
        rows = len(self.returns)
        order = np.roll(np.arange(rows), np.random.randint(rows))  # noqa: NPY002 -- the stream that SB3 seeds
        parts = evenly(np.flatnonzero(self._acted[order]), batch_size)
        if len(np.unique(parts[0])) == 1:
            return [order[parts[0]]]
        return np.split(order, [part[0] for part in parts[1:]])

    def _minibatch(self, indices: npt.NDArray[np.intp]) -> Any:
        recurrent: Any = super()  # SB3's recurrent buffer, whose samples depend on the sequence starts
        samples = recurrent._get_samples(indices, self._sequence_starts)  # noqa: SLF001 -- a method of the base class
        acted = self.pad_and_flatten(self._acted[indices].astype(np.float32))
        return samples._replace(mask=samples.mask * acted)

    def _keep_live_rows(self) -> None:
        acted = self._rows_to_learn_from()
        kept = self._kept_rows()
        starts = kept & np.insert(~kept[:-1], 0, values=True, axis=0)
        self._sequence_starts = starts.T.ravel()[kept.T.ravel()][:, None]
        self._acted = acted.T.ravel()[kept.T.ravel()]
        for name in STATES:  # the network's layers are the axis before the slots
            setattr(self, name, getattr(self, name).swapaxes(1, 2))
        super()._keep_live_rows()

    def _kept_rows(self) -> BoolArray:
        return self._rows_to_learn_from() | (self.lengths > 0)

    def _sampled(self) -> tuple[str, ...]:
        return (*super()._sampled(), "episode_starts", *STATES)


class LiveRecurrentRolloutBuffer(_LiveSequences, RecurrentRolloutBuffer):
    """Rollout buffer for RecurrentPPO."""


class LiveRecurrentDictRolloutBuffer(_LiveSequences, RecurrentDictRolloutBuffer):
    """Rollout buffer for RecurrentPPO with ``Dict`` observations."""


class LiveRecurrentPPO(RecurrentPPO):
    """``sb3_contrib.RecurrentPPO``, which accepts no buffer class, with the buffers of this module.

    A slot's LSTM also processes the observations of rows in which its agent waits for its turn, but nothing is learned
    from these rows. After an inert row a slot's memory is cleared, as it is for recurrent policies of other groups,
    because the observations of inert rows do not belong to an episode.

    Args:
        args: As for ``RecurrentPPO``. The environment's outermost wrapper must be a ``SlotRecorder``.
        kwargs: As for ``RecurrentPPO``.

    Raises:
        ConfigurationError: If the environment is not an ``Sb3VecEnv`` in a ``SlotRecorder``, or has another discount.
    """

    @property
    def _last_episode_starts(self) -> Any:
        """``(S,) bool``, slots whose memory is cleared before the next step. SB3 sets it to the dones."""
        return self._starts

    @_last_episode_starts.setter
    def _last_episode_starts(self, dones: npt.NDArray[np.bool_] | None) -> None:
        self._starts = dones
        buffer = getattr(self, "rollout_buffer", None)
        step = buffer.rows.step if isinstance(buffer, LiveRows) else None
        if dones is not None and step is not None and step.lengths.shape == dones.shape:
            self._starts = dones | step.idle

    def _setup_model(self) -> None:
        super()._setup_model()
        if self.env is None:
            return
        buffer: Any = self.rollout_buffer
        is_dict = isinstance(self.observation_space, Dict)
        kind = LiveRecurrentDictRolloutBuffer if is_dict else LiveRecurrentRolloutBuffer
        self.rollout_buffer = kind(
            self.n_steps,
            self.observation_space,
            self.action_space,
            buffer.hidden_state_shape,
            self.device,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            n_envs=self.n_envs,
            rows=last_rows(self.env, self.gamma),
        )
