"""Checks of a Gymnasium ``VectorEnv`` of another library, with errors that name slot, step and seed."""

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
"""Key of the terminal observation in SB3's infos."""


class SlotWatch:
    """Checks of a vector env's actions and results, with one slot per environment.

    Args:
        env: The vector env.

    Attributes:
        env_ids: Ids of its environments.
        log: Seeds and steps with which each environment's current step can be reproduced.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        self.env = env
        self.env_ids = tuple(f"env_{slot}" for slot in range(env.num_envs))
        self.log = EpisodeLog(env.num_envs)

    @contextmanager
    def errors_translated(self) -> Iterator[None]:
        """Translate errors of the environments, and errors in reading their results.

        Raises:
            EnvStepError: In place of any error that is not a ``HeronError``.
        """
        try:
            yield
        except HeronError:
            raise
        except Exception as error:
            raise EnvStepError(
                f"{shown(self.env_ids)}: {self.env} raised {summary(error)}, or its results do not fit its spaces; "
                f"call reset() ({self.log.place(0)})"
            ) from error

    def checked_actions(self, actions: Any) -> npt.NDArray[Any]:
        """Return the actions of an SB3 model as actions of the environments' space.

        Raises:
            InvalidActionError: If there is not one action per slot, or one is outside its space.
        """
        space = self.env.single_action_space
        try:
            chosen = actions_from_sb3(np.asarray(actions), space)
        except ValueError as error:
            raise InvalidActionError(f"expected an array of actions, got {actions!r:.200}") from error
        shape = (len(self.env_ids), *(space.shape or ()))
        if chosen.shape != shape:
            raise InvalidActionError(f"expected actions of shape {shape}, one per slot, got shape {chosen.shape}")
        everybody = np.ones((len(self.env_ids), 1), dtype=bool)
        return checked_actions(chosen[:, None], space, everybody, errors_of_agents([AGENT], self.env_ids))[:, 0]

    def check_numbers(
        self, observations: ArrayTree, rewards: npt.NDArray[Any], infos: Sequence[Mapping[str, Any]]
    ) -> None:
        """Check that there is no NaN.

        Args:
            observations: ``(S, ...)``.
            rewards: ``(S,)``.
            infos: One per slot, of which the terminal observations are checked.

        Raises:
            InvalidObservationError: If there is a NaN.
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
            error.add_note(f"also {other}")
        raise error
