"""What goes wrong in a vector env that is not ours, told with the slot, the step and the seed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv

from heron.batch.action_check import checked_actions, errors_of_agents
from heron.batch.array_tree import ArrayTree, row
from heron.batch.nan_watch import has_nan, nan_in
from heron.errors import EnvStepError, HeronError, InvalidActionError, InvalidObservationError, shown, summary
from heron.play.sb3_actions import actions_from_sb3
from heron.wrappers.sources.episode_log import EpisodeLog
from heron.wrappers.sources.gym_parallel_env import AGENT

FINAL = "terminal_observation"
"""Where SB3 looks for it in an info."""


class SlotWatch:
    """Checks what goes into a vector env and what comes out, one environment a slot.

    Args:
        env: The vector env.

    Attributes:
        env_ids: What its environments are called.
        log: How to come back to the step that each of them is in.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        self.env = env
        self.env_ids = tuple(f"env_{slot}" for slot in range(env.num_envs))
        self.log = EpisodeLog(env.num_envs)

    @contextmanager
    def errors_told(self) -> Iterator[None]:
        """Translate what the environments raise, or what reading their results does.

        Raises:
            EnvStepError: Instead of anything that is no error of ours.
        """
        try:
            yield
        except HeronError:
            raise
        except Exception as error:
            raise EnvStepError(
                f"{shown(self.env_ids)}: {self.env} raised {summary(error)}, or returned what does not fit its "
                f"spaces; call reset() ({self.log.place(0)})"
            ) from error

    def checked_actions(self, actions: Any) -> npt.NDArray[Any]:
        """The actions of an SB3 model as the environments take them.

        Raises:
            InvalidActionError: If there is not one for each slot, or one does not lie in its space.
        """
        space = self.env.single_action_space
        try:
            chosen = actions_from_sb3(np.asarray(actions), space)
        except ValueError as error:
            raise InvalidActionError(f"actions must make one array, got {actions!r:.200}") from error
        shape = (len(self.env_ids), *(space.shape or ()))
        if chosen.shape != shape:
            raise InvalidActionError(f"expected actions of shape {shape}, one a slot, got {chosen.shape}")
        everybody = np.ones((len(self.env_ids), 1), dtype=bool)
        return checked_actions(chosen[:, None], space, everybody, errors_of_agents([AGENT], self.env_ids))[:, 0]

    def check_numbers(
        self, observations: ArrayTree, rewards: npt.NDArray[Any], infos: Sequence[Mapping[str, Any]]
    ) -> None:
        """Check that there is no NaN.

        Args:
            observations: ``(S, ...)``.
            rewards: ``(S,)``.
            infos: One a slot; their terminal observations are looked at.

        Raises:
            InvalidObservationError: If there is; it says what, where and when.
        """
        finals = {slot: info[FINAL] for slot, info in enumerate(infos) if FINAL in info}
        if not any(map(has_nan, (observations, rewards, *finals.values()))):
            return
        found = []
        for slot, env_id in enumerate(self.env_ids):
            words = nan_in(row(observations, slot), "observation") + nan_in(finals.get(slot, ()), "last observation")
            if words := words + nan_in(rewards[slot], "reward"):
                found.append(f"{env_id}: {'; '.join(words)}; call reset() ({self.log.place(slot)})")
        error = InvalidObservationError(found[0])
        for other in found[1:]:
            error.add_note(f"beside it, {other}")
        raise error
