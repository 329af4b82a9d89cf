"""The vector env as its one group of agents sees it, whom nobody commands."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from heron.batch.array_tree import ArrayTree
from heron.batch.batch_env import BoolArray
from heron.play.learner_env import Episode, LearnerEnv, LearnerStep
from heron.play.policies import PolicyLike
from heron.vector.flat_steps import FlatSteps
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv


def learner_env(
    venv: HierarchicalVectorEnv,
    learn: str | None = None,
    policies: Mapping[str, PolicyLike] | None = None,
    *,
    discount: float = 1.0,
    on_episode: Callable[[Episode], None] | None = None,
) -> LearnerEnv:
    """The slots of the group that learns, stepped in the shortest way that is open to them.

    The arguments and errors are those of ``LearnerEnv``.
    """
    kind = FlatLearnerEnv if FlatLearnerEnv.fits(venv) else LearnerEnv
    return kind(venv, learn, policies, discount=discount, on_episode=on_episode)


class FlatLearnerEnv(LearnerEnv):
    """A ``LearnerEnv`` in which a decision is one environment step, and there is nobody else to ask.

    It does what ``LearnerEnv`` does, with a fraction of the array operations; they are what steps of few or quick
    copies cost most.

    Args:
        venv: A vector env that ``fits``. All other arguments are those of ``LearnerEnv``.
    """

    def __init__(self, venv: HierarchicalVectorEnv, *args: Any, **kwargs: Any) -> None:
        super().__init__(venv, *args, **kwargs)
        self._flat = FlatSteps(venv)
        self._result = venv.results[self.group.name]

    @staticmethod
    def fits(venv: HierarchicalVectorEnv) -> bool:
        """Whether one group is all there is; it then has no coordinator, and so no intrinsic reward either."""
        return len(venv.groups) == 1

    def restart(self, mask: BoolArray) -> ArrayTree:
        self._flat.reset(mask)  # no end is waiting to be told: the last step has told them all
        return self.observations()

    def step(self, actions: Any, mask: BoolArray | None = None) -> LearnerStep:
        own = self._by_copy(actions)
        self._tell_episodes()
        before = self.venv.running
        stepped = before if mask is None else before & mask
        count = np.count_nonzero(stepped)
        everybody = count == stepped.size
        took_part = self._result.active.copy() if everybody else self._result.active & stepped[:, None]
        running = before
        if count:
            running = self._advance_flat(own, None if everybody else stepped, took_part, stepped)
        terminated, truncated, _ = self.take_ends()
        lengths = took_part.astype(np.int64).ravel()
        return LearnerStep(self.observations(), self._rewards(took_part), lengths, terminated, truncated, ~running)

    def _advance_flat(
        self, own: ArrayTree, mask: BoolArray | None, took_part: BoolArray, stepped: BoolArray
    ) -> BoolArray:
        """Step these copies once, and keep in mind who has ended by it.

        Returns:
            Which of all copies are running.
        """
        result = self._result
        try:
            self._flat.advance(own, mask)
        finally:  # beside a copy that raised, others may have ended
            running = self.venv.running
            if np.count_nonzero(result.terminated) or np.count_nonzero(result.truncated):
                # An agent that took part was flagged by this step, if it is: before, it was active.
                self.terminated |= (took_part & result.terminated).ravel()
                self.truncated |= (took_part & result.truncated).ravel()
            self._note_episodes(stepped > running)
            self._tell_episodes()
        return running

    def _rewards(self, took_part: BoolArray) -> npt.NDArray[np.float64]:
        rewards = self._result.rewards
        if np.count_nonzero(took_part) == took_part.size:
            return rewards.flatten()
        return np.where(took_part, rewards, 0.0).ravel()
