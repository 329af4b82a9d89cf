"""Evaluation of policies: mean team return, confidence interval and number of episodes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from heron.errors import checked_count
from heron.play.group_policies import policies_by_group
from heron.play.policies import AnyPolicy, PolicyLike, RandomPolicy
from heron.play.turn_engine import Episode, TurnEngine
from heron.vector.vec_group import ByGroup
from heron.wrappers import HierarchicalVectorEnv

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Evaluation:
    """Results of some episodes.

    A team return is the sum of the environment's rewards over all steps and field agents of an episode.

    Attributes:
        returns: Team returns, ``(episodes,) float64``, in the order of the episodes' seeds.
        lengths: Number of environment steps of each episode, ``(episodes,) int64``.
        agent_returns: Group name -> returns of its agents, ``(episodes, num_agents) float64``.
        field_groups: Names of the groups that make up the team.
    """

    returns: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    agent_returns: Mapping[str, npt.NDArray[np.float64]]
    field_groups: Sequence[str] = ()

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
        """95% confidence interval of the mean by Student's t; the mean itself for a single episode."""
        return confidence_interval(self.returns)

    def of_group(self, name: str) -> "Evaluation":
        """Return the results of the same episodes for one group: returns are summed over its agents.

        Raises:
            UnknownGroupError: If no group has this name.
        """
        returns = self.agent_returns[name]
        return Evaluation(returns.sum(axis=1), self.lengths, ByGroup({name: returns}), (name,))

    def to_mapping(self) -> dict[str, Any]:
        """Return the results as nested dicts, lists and numbers, for JSON."""
        low, high = self.interval
        return {
            "mean_return": self.mean,
            "interval": [low, high],
            "confidence": CONFIDENCE,
            "episodes": self.episodes,
            "mean_length": float(self.lengths.mean()),
            "agent_returns": {name: returns.mean(axis=0).tolist() for name, returns in self.agent_returns.items()},
            "group_intervals": {name: list(self.of_group(name).interval) for name in self.agent_returns},
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
    """Play whole episodes, each from a seed of its own.

    The k-th episode is reset with ``seed + k`` in the next free copy, so evaluations with the same seed play the
    same episodes in any number of copies. An episode that ends at its reset counts with length and return 0.

    Args:
        venv: The vector env; its copies are reset.
        policies: Group or level name -> policy.
        episodes: Number of episodes.
        seed: Seed of the first episode.
        on_episode: Called after each episode.

    Raises:
        ConfigurationError: If ``episodes`` is not a positive integer, ``seed`` is not a non-negative integer, or a
            policy is missing, superfluous or does not fit.
        EnvStepError: If a copy raises.
    """
    episodes, seed = checked_count("episodes", episodes), checked_count("seed", seed, least=0)
    chosen = policies_by_group(policies, venv.groups, None)
    finished: dict[int, Episode] = {}
    for place, episode in _finished_episodes(venv, chosen, episodes, seed):
        finished[place] = episode
        if on_episode is not None:
            on_episode()
    ordered = [finished[place] for place in range(episodes)]
    fields = [group.name for group in venv.field_groups]
    return Evaluation(
        np.array([episode.team_return(fields) for episode in ordered]),
        np.array([episode.length for episode in ordered]),
        ByGroup({name: np.array([episode.returns[name] for episode in ordered]) for name in venv.groups}),
        fields,
    )


def confidence_interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95% confidence interval of the mean of ``(n,)`` values by Student's t.

    For equal values, both ends are the mean.
    """
    mean = float(values.mean())
    error = float(stats.sem(values)) if len(values) > 1 else 0.0
    if error == 0.0:
        return mean, mean
    low, high = stats.t.interval(CONFIDENCE, len(values) - 1, loc=mean, scale=error)
    return float(low), float(high)


def _finished_episodes(
    venv: HierarchicalVectorEnv, policies: Mapping[str, AnyPolicy], episodes: int, seed: int
) -> Iterator[tuple[int, Episode]]:
    """Yield each episode and its number, in the order in which the episodes end."""
    ended: dict[str, Episode] = {}
    engine = TurnEngine(venv, policies, lambda episode: ended.update({episode.env_id: episode}))
    engine.reset(range(venv.num_envs), seed)
    current = dict(zip(venv.env_ids, range(episodes), strict=False))  # further copies run, but are not counted
    upcoming = len(current)
    while current:
        for env_id in [venv.env_ids[index] for index in np.flatnonzero(~venv.running)]:
            if env_id not in current:
                continue
            # An episode that ends at its reset is not reported.
            yield current.pop(env_id), ended.pop(env_id) if env_id in ended else _empty_episode(venv, env_id)
            if upcoming < episodes:
                current[env_id] = upcoming
                engine.reset([env_id], seed + upcoming)
                upcoming += 1
        if np.count_nonzero(running := venv.running):
            engine.advance(running)
            engine.decide(running & venv.running)


def _empty_episode(venv: HierarchicalVectorEnv, env_id: str) -> Episode:
    return Episode(env_id, 0, {name: np.zeros(group.num_agents) for name, group in venv.groups.items()})


def random_policies(venv: HierarchicalVectorEnv, seed: int = 0) -> dict[str, RandomPolicy]:
    """Return a uniformly random policy for each group, each with its own random stream.

    Raises:
        ConfigurationError: If an action space is unbounded.
    """
    return {
        name: RandomPolicy(group.action_space, seed + place) for place, (name, group) in enumerate(venv.groups.items())
    }
