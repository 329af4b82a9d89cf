"""How much of a view is played, and what it is compared with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """How a view is checked.

    Attributes:
        make_env: Makes one of the environments under the view, on its own: a Gymnasium ``Env`` or a PettingZoo
            ``ParallelEnv``. The view is compared with it, step by step, if it is given.
        agents: With a ``ParallelEnv``, the agents of a copy whose slots follow each other; all by default.
        slots_per_env: How many slots belong to one copy; one by default.
        steps: How many steps are played.
        seed: Of the first copy.
    """

    make_env: Callable[[], Any] | None = None
    agents: Sequence[str] | None = None
    slots_per_env: int = 1
    steps: int = 60
    seed: int = 0
