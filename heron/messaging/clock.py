"""Simulation time of every environment copy."""

import numpy as np
import numpy.typing as npt


class Clock:
    """Simulation time of each copy, which timestamps its messages.

    Args:
        num_envs: Number of copies.
        step_length: Simulation time of one environment step.

    Attributes:
        steps: ``(num_envs,) int64``, environment steps since each copy's reset. The vector env advances them.
        step_length: Simulation time of one environment step.
    """

    def __init__(self, num_envs: int, step_length: float) -> None:
        self.steps = np.zeros(num_envs, dtype=np.int64)
        self.step_length = step_length

    @property
    def time(self) -> npt.NDArray[np.float64]:
        """``(num_envs,) float64``, the simulation time of each copy, a new array."""
        return self.steps.astype(np.float64) * self.step_length
