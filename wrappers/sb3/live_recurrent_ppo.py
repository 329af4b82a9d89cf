"""RecurrentPPO that leaves out inert rows and discounts by how long a decision lasted."""

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
    """Minibatches keep the order of rows: a sequence ends where its slot's next row is not live.

    The memory goes through rows in which an agent waited, as it did when they were played. They are masked as SB3 masks
    padding, so that no loss has a part of them.
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
        recurrent: Any = super()  # SB3's recurrent buffer, whose samples need to know where sequences start
        samples = recurrent._get_samples(indices, self._sequence_starts)  # noqa: SLF001 -- of its own base class
        acted = self.pad_and_flatten(self._acted[indices].astype(np.float32))
        return samples._replace(mask=samples.mask * acted)

    def _keep_live_rows(self) -> None:
        acted = self._rows_to_learn_from()
        kept = self._kept_rows()
        starts = kept & np.insert(~kept[:-1], 0, values=True, axis=0)
        self._sequence_starts = starts.T.ravel()[kept.T.ravel()][:, None]
        self._acted = acted.T.ravel()[kept.T.ravel()]
        for name in STATES:  # layers of the network come before slots
            setattr(self, name, getattr(self, name).swapaxes(1, 2))
        super()._keep_live_rows()

    def _kept_rows(self) -> BoolArray:
        return self._rows_to_learn_from() | (self.lengths > 0)

    def _sampled(self) -> tuple[str, ...]:
        return (*super()._sampled(), "episode_starts", *STATES)


class LiveRecurrentRolloutBuffer(_LiveSequences, RecurrentRolloutBuffer):
    """For RecurrentPPO."""


class LiveRecurrentDictRolloutBuffer(_LiveSequences, RecurrentDictRolloutBuffer):
    """For RecurrentPPO on ``Dict`` observations."""


class LiveRecurrentPPO(RecurrentPPO):
    """``sb3_contrib.RecurrentPPO``, which takes no buffer class, with these buffers.

    A slot's memory takes in what its agent sees while it waits for its turn; nothing is learned from these rows. Behind
    an inert row a slot's memory begins anew, as it does for policies of others: what a slot saw while it was
    inert is no part of any episode.

    Args:
        args: As for ``RecurrentPPO``. The environment's outermost wrapper must be a ``SlotRecorder``.
        kwargs: As for ``RecurrentPPO``.

    Raises:
        ConfigurationError: If the environment is not one for these buffers.
    """

    @property
    def _last_episode_starts(self) -> Any:
        """``(S,) bool``, slots whose memory begins anew in the next step; SB3 sets it to those that are done."""
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
