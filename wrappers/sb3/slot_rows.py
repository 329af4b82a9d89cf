"""The last step of a view, for the wrappers and buffers of its learner."""

from typing import Any
from weakref import WeakSet

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from heron.batch.batch_env import BoolArray
from heron.errors import ConfigurationError
from heron.play.slot_step import SlotStep

_OTHER_ENV = (
    "the model steps another vector env than its buffer has the rows of: make the model, or load it with "
    "load(path, env=env), with **buffer_options(env, ...) of the same env"
)


class SlotRows:
    """The record of a view's last step. A pickle of it is empty.

    Attributes:
        step: The record.
        rewards: ``(S,) float64``, the rewards as the outermost ``SlotRecorder`` saw them, or else the view's.
        dones: ``(S,) bool``, the array that the view returned to SB3.
    """

    def __init__(self) -> None:
        self.step: SlotStep | None = None
        self.rewards: npt.NDArray[np.float64] = np.zeros(0)
        self.dones: BoolArray = np.zeros(0, dtype=bool)
        self._fresh = False
        _ALL.add(self)

    @property
    def is_fresh(self) -> bool:
        """True if the last record has not been taken yet."""
        return self._fresh

    def put(self, step: SlotStep, dones: BoolArray) -> None:
        """Keep the record of a new step."""
        self.step, self.rewards, self.dones = step, step.rewards, dones
        self._fresh = True

    def take(self, gamma: float) -> SlotStep:
        """Return the record of the last step for a buffer with this ``gamma``. Each record can be taken once.

        Raises:
            ConfigurationError: If there is no new record, because the model steps another vector env, or if the view
                discounts the rewards of coordinators by another factor.
        """
        if not self._fresh or self.step is None:
            raise ConfigurationError(_OTHER_ENV)
        if self.step.discount not in (None, gamma):
            raise ConfigurationError(
                f"the buffer has gamma={gamma}, but the view discounts the rewards within a decision by "
                f"{self.step.discount}: load the model with **buffer_options(env, ..., gamma={gamma}), or make the "
                f"view with discount={gamma}"
            )
        self._fresh = False
        return self.step

    def __reduce__(self) -> tuple[type["SlotRows"], tuple[()]]:
        return SlotRows, ()


_ALL: WeakSet[SlotRows] = WeakSet()


def rows_of(env: VecEnv) -> SlotRows:
    """Return the rows of the view in some wrappers.

    Raises:
        ConfigurationError: If there is no ``Sb3VecEnv`` in them.
    """
    rows = getattr(env.unwrapped, "rows", None)
    if not isinstance(rows, SlotRows):
        raise ConfigurationError(f"expected an Sb3VecEnv, in any wrappers, got a {type(env.unwrapped).__name__}")
    return rows


def rows_with(dones: Any) -> SlotRows:
    """Return the rows of the view whose last step returned this array of dones, for a buffer loaded from a file.

    If a wrapper has copied the array, the rows are those of the only view whose last step returned the same values.

    Raises:
        ConfigurationError: If it is not the array of any view, or its values are those of several.
    """
    fresh = [rows for rows in list(_ALL) if rows.is_fresh]
    for rows in fresh:
        if rows.dones is dones:
            return rows
    equal = [rows for rows in fresh if np.array_equal(rows.dones, dones)]
    if len(equal) != 1:
        raise ConfigurationError(_OTHER_ENV)
    return equal[0]


class SlotRecorder(VecEnvWrapper):
    """A wrapper that records the learner's rewards, for the rollout buffers of this package.

    It must be the outermost wrapper. Where a time limit truncated an episode, SB3 adds a bootstrap value to the rewards
    that it receives, and the buffers subtract it again.

    Args:
        venv: An ``Sb3VecEnv``, in any wrappers.

    Attributes:
        rows: The record of the last step.

    Raises:
        ConfigurationError: If there is no ``Sb3VecEnv`` in the wrappers.
    """

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.rows = rows_of(venv)

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        self.rows.rewards = np.array(rewards, dtype=np.float64)
        return observations, rewards, dones, infos
