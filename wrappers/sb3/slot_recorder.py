"""What the learner was told last of every slot, for buffers that SB3 does not tell it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from heron.batch.batch_env import BoolArray
from heron.errors import ConfigurationError


def row_lengths(infos: Sequence[dict[str, Any]]) -> npt.NDArray[np.int64]:
    """How long the decision of each slot has lasted, from the infos of a step of ``Sb3VecEnv``.

    Returns:
        ``(S,) int64``, environment steps; 0 for slots from which there is nothing to learn, as they were inert or their
        action was for an episode of before.
    """
    lengths = [0 if info.get("inert") or info.get("stale") else int(info.get("decision_length", 1)) for info in infos]
    return np.array(lengths, dtype=np.int64)


def rows_waited(infos: Sequence[dict[str, Any]]) -> BoolArray:
    """``(S,) bool``, slots whose action of a step was not used, because it was another agent's turn."""
    return np.array([bool(info.get("waited")) for info in infos], dtype=bool)


@dataclass
class LastRows:
    """What the last step of a vector env told of every slot. S slots.

    Attributes:
        rewards: ``(S,) float64``, as the learner got them.
        lengths: ``(S,) int64``, as by ``row_lengths``.
        waited: ``(S,) bool``, as by ``rows_waited``.
        fresh: Whether nobody has taken these rows yet.
    """

    rewards: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    lengths: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    waited: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    fresh: bool = False

    def take(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], BoolArray]:
        """The rewards and lengths of the last step, and who waited in it, each step's only once.

        Raises:
            ConfigurationError: If they have been taken, because another vector env is stepped than the one recorded.
        """
        if not self.fresh:
            raise ConfigurationError(
                "the model steps another vector env than the one its rollout buffer knows: make it, or load it with "
                "load(path, env=env), with **buffer_options(env, ...) for the very env that it gets"
            )
        self.fresh = False
        return self.rewards, self.lengths, self.waited


class SlotRecorder(VecEnvWrapper):
    """Remembers what the learner was told last of every slot, for the rollout buffers of this package.

    It must be the outermost wrapper, so that it sees the rewards that the learner sees.

    Args:
        venv: An ``Sb3VecEnv``, in whatever wrappers.

    Attributes:
        rows: What the last step told.
    """

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.rows = LastRows()

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        # A copy, because SB3 adds to the rewards that it is given.
        self.rows.rewards = np.array(rewards, dtype=np.float64)
        self.rows.lengths = row_lengths(infos)
        self.rows.waited = rows_waited(infos)
        self.rows.fresh = True
        return observations, rewards, dones, infos
