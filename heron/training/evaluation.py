"""How good are these policies? Mean, interval and number of episodes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from heron.errors import ConfigurationError
from heron.wrappers import HierarchicalVectorEnv
from heron.wrappers.learner_env import Episode, LearnerEnv
from heron.wrappers.policies import PolicyLike, RandomPolicy, policies_by_group

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Evaluation:
    """Team returns of some episodes: the sum of the environment's rewards over all steps and field agents.

    Attributes:
        returns: ``(episodes,) float64``, by the order of the episodes' seeds.
        lengths: ``(episodes,) int64``, environment steps of each.
        agent_returns: Group name -> ``(episodes, num_agents) float64``.
    """

    returns: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    agent_returns: Mapping[str, npt.NDArray[np.float64]]

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.returns)

    @property
    def mean(self) -> float:
        """Mean team return."""
        return float(self.returns.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% confidence interval of the mean by Student's t; the mean itself for a single episode."""
        if self.episodes < 2:  # noqa: PLR2004 -- one value has no spread
            return self.mean, self.mean
        error = float(stats.sem(self.returns))
        if error == 0.0:
            return self.mean, self.mean
        low, high = stats.t.interval(CONFIDENCE, self.episodes - 1, loc=self.mean, scale=error)
        return float(low), float(high)

    def to_mapping(self) -> dict[str, Any]:
        """The figures, as JSON has them."""
        low, high = self.interval
        return {
            "mean_return": self.mean,
            "interval": [low, high],
            "confidence": CONFIDENCE,
            "episodes": self.episodes,
            "mean_length": float(self.lengths.mean()),
            "agent_returns": {name: returns.mean(axis=0).tolist() for name, returns in self.agent_returns.items()},
        }

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.mean:.2f} (95% interval {low:.2f} to {high:.2f}, {self.episodes} episodes)"


def evaluate(
    venv: HierarchicalVectorEnv,
    policies: Mapping[str, PolicyLike],
    episodes: int = 100,
    seed: int = 10_000,
    on_episode: Callable[[], None] | None = None,
) -> Evaluation:
    """Run whole episodes, each from a seed of its own.

    The k-th episode is reset with ``seed + k`` in whichever copy is free, so any two evaluations with one seed
    see the same episodes, however many copies there are.

    Args:
        venv: The vector env; its copies are reset.
        policies: Group or level name -> what decides for it.
        episodes: How many episodes.
        seed: Of the first one.
        on_episode: Called after each.

    Raises:
        ConfigurationError: If ``episodes`` is not positive, or a policy is missing, superfluous or does not fit.
        EnvStepError: If a copy raised.
    """
    if not isinstance(episodes, int) or episodes < 1:
        raise ConfigurationError(f"episodes must be a positive integer, got {episodes!r}")
    chosen = policies_by_group(policies, venv.groups, None)
    actor = venv.field_groups[0].name
    finished: dict[int, Episode] = {}
    current = dict(zip(venv.env_ids, range(episodes), strict=False))

    def note(episode: Episode) -> None:
        if episode.env_id in current:  # copies beyond the number of episodes only run along
            finished[current[episode.env_id]] = episode
            if on_episode is not None:
                on_episode()

    others = {name: policy for name, policy in chosen.items() if name != actor}
    driver = LearnerEnv(venv, actor, others, on_episode=note)
    observations = driver.reset(seed=seed)
    upcoming = len(current)
    while len(finished) < episodes:
        step = driver.step(chosen[actor](observations))
        observations = step.observations
        for env_id in [venv.env_ids[index] for index in np.flatnonzero(step.finished)]:
            if upcoming < episodes:
                current[env_id] = upcoming
                observations = driver.reset(env_id, seed + upcoming)
                upcoming += 1
    ordered = [finished[place] for place in range(episodes)]
    returns = {name: np.array([episode.returns[name] for episode in ordered]) for name in venv.groups}
    fields = [group.name for group in venv.field_groups]
    return Evaluation(
        np.array([episode.team_return(fields) for episode in ordered]),
        np.array([episode.length for episode in ordered]),
        returns,
    )


def random_policies(venv: HierarchicalVectorEnv, seed: int = 0) -> dict[str, RandomPolicy]:
    """A uniformly random policy for each group, each with its own stream.

    Raises:
        ConfigurationError: If an action space is not bounded.
    """
    return {
        name: RandomPolicy(group.action_space, seed + place) for place, (name, group) in enumerate(venv.groups.items())
    }
