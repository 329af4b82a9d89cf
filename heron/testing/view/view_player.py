"""Views under random actions, and copies of their results to compare."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from gymnasium.vector.utils import concatenate, create_empty_array

from heron.testing.action_sampler import ActionSampler
from heron.testing.comparison import difference, frozen
from heron.testing.findings import Check
from heron.testing.view.view_subject import ViewStep, ViewSubject, slot_of, view_subject

MakeView: TypeAlias = Callable[[], Any]
"""Makes a new Gymnasium ``VectorEnv`` or SB3 ``VecEnv``."""


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """Plan for the checks of a view.

    Attributes:
        make_env: Makes one of the environments in the view: a Gymnasium ``Env`` or a PettingZoo ``ParallelEnv``. If
            given, the view is compared with it, step by step.
        agents: With a ``ParallelEnv``, the agents of a copy in the order of its slots; all by default.
        slots_per_env: Number of slots of one copy.
        steps: Number of steps to play.
        seed: Seed of the first copy.
    """

    make_env: Callable[[], Any] | None = None
    agents: Sequence[str] | None = None
    slots_per_env: int = 1
    steps: int = 60
    seed: int = 0


DEFAULT_PLAN: Final = ViewPlan()

ViewCheck: TypeAlias = Check[MakeView, ViewPlan]
"""A check of the views from ``make``."""


class ViewPlayer:
    """Player of random actions, which depend on the number of the slot and the step only.

    Args:
        subject: The view.
    """

    def __init__(self, subject: ViewSubject) -> None:
        self.subject = subject
        self._sampler = ActionSampler(0)
        self._observations: Any = None

    def reset(self, seed: int | None = None) -> Any:
        """Reset all slots, and restart the random actions."""
        self._sampler = ActionSampler(0)
        self._observations = self.subject.reset(seed)
        return self._observations

    def actions(self) -> list[Any]:
        """Return one random action for each slot."""
        subject = self.subject
        return [
            self._sampler.sample(slot, subject.action_space, slot_of(self._observations, slot), subject.slot_info(slot))
            for slot in range(subject.num_slots)
        ]

    def step(self, actions: list[Any] | None = None) -> ViewStep:
        """Take a step with the given actions; random ones by default."""
        chosen = self.actions() if actions is None else actions
        step = self.subject.step(self.batch(chosen))
        self._observations = step.observations
        return step

    def reset_some(self, slots: Sequence[int], slots_per_env: int) -> Any:
        """Reset the copies of some slots."""
        self._observations = self.subject.reset_some(slots, slots_per_env)
        return self._observations

    def batch(self, actions: list[Any]) -> Any:
        """Return the actions of all slots in the format of the view."""
        space = self.subject.action_space
        empty: Any = create_empty_array(space, len(actions))
        return concatenate(space, actions, empty)


@contextmanager
def opened(make: MakeView) -> Iterator[ViewPlayer]:
    """Open a player of a new view, which is closed at the end."""
    with closing(make()) as view:
        yield ViewPlayer(view_subject(view))


def frozen_slots(step: ViewStep, slots: Sequence[int]) -> list[Any]:
    """Return copies of the results of some slots, without infos."""
    return [
        frozen(
            (
                slot_of(step.observations, slot),
                step.rewards[slot],
                bool(step.ended[slot]),
                bool(step.truncated[slot]),
                step.terminal.get(slot),
            )
        )
        for slot in slots
    ]


def expect_same(got: Any, expected: Any, promise: str) -> None:
    """Fail with the promise unless both values are equal to the bit."""
    how = difference(expected, got)
    assert how is None, f"{promise}: {how}"
