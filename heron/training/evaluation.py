"""How good are these policies? Mean, interval and number of episodes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from heron.play.group_decider import GroupDecider
from heron.play.group_policies import policies_by_group
from heron.play.learner_env import LearnerEnv
from heron.play.policies import AnyPolicy, PolicyLike, RandomPolicy
from heron.play.turn_engine import Episode
from heron.training.config_checks import checked_count
from heron.vector.vec_group import ByGroup
from heron.wrappers import HierarchicalVectorEnv

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Evaluation:
    """Team returns of some episodes: the sum of the environment's rewards over all steps and field agents.

    Attributes:
        returns: ``(episodes,) float64``, by the order of the episodes' seeds.
        lengths: ``(episodes,) int64``, environment steps of each.
        agent_returns: Group name -> ``(episodes, num_agents) float64``.
        field_groups: The groups that the team consists of.
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
        """The 95% confidence interval of the mean by Student's t; the mean itself for a single episode."""
        return confidence_interval(self.returns)

    def of_group(self, name: str) -> "Evaluation":
        """The same episodes with the returns of one group, summed over its agents.

        Raises:
            UnknownGroupError: If there is no such group.
        """
        returns = self.agent_returns[name]
        return Evaluation(returns.sum(axis=1), self.lengths, ByGroup({name: returns}), (name,))

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
    """Run whole episodes, each from a seed of its own.

    The k-th episode is reset with ``seed + k`` in whichever copy is free, so any two evaluations with one seed
    see the same episodes, however many copies there are. One that ends at its reset counts with length and return 0.

    Args:
        venv: The vector env; its copies are reset.
        policies: Group or level name -> what decides for it.
        episodes: How many episodes.
        seed: Of the first one.
        on_episode: Called after each.

    Raises:
        ConfigurationError: If ``episodes`` is no positive integer, ``seed`` no non-negative one, or a policy is
            missing, superfluous or does not fit.
        EnvStepError: If a copy raised.
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
    """The 95% confidence interval of the mean of ``(n,)`` values by Student's t; the mean itself if they are equal."""
    mean = float(values.mean())
    error = float(stats.sem(values)) if len(values) > 1 else 0.0
    if error == 0.0:
        return mean, mean
    low, high = stats.t.interval(CONFIDENCE, len(values) - 1, loc=mean, scale=error)
    return float(low), float(high)


def _finished_episodes(
    venv: HierarchicalVectorEnv, policies: Mapping[str, AnyPolicy], episodes: int, seed: int
) -> Iterator[tuple[int, Episode]]:
    """Each episode and its place, as they come to their ends."""
    ended: dict[str, Episode] = {}
    actor = venv.field_groups[0]
    others = {name: policy for name, policy in policies.items() if name != actor.name}
    decider, everyone = (
        GroupDecider(venv, actor, policies[actor.name]),
        np.ones((venv.num_envs, actor.num_agents), bool),
    )
    driver = LearnerEnv(venv, actor.name, others, on_episode=lambda episode: ended.update({episode.env_id: episode}))
    driver.reset(seed=seed)
    current = dict(zip(venv.env_ids, range(episodes), strict=False))  # copies beyond these only run along
    upcoming = len(current)
    while current:
        for env_id in [venv.env_ids[index] for index in np.flatnonzero(~venv.running)]:
            if env_id not in current:
                continue
            # Nobody reports an episode that ends at its reset.
            yield current.pop(env_id), ended.pop(env_id) if env_id in ended else _empty_episode(venv, env_id)
            if upcoming < episodes:
                current[env_id] = upcoming
                driver.reset(env_id, seed + upcoming)
                upcoming += 1
        driver.step(decider.ask(everyone).reshape(driver.num_slots, *(actor.action_space.shape or ())))
        decider.keep(everyone)


def _empty_episode(venv: HierarchicalVectorEnv, env_id: str) -> Episode:
    return Episode(env_id, 0, {name: np.zeros(group.num_agents) for name, group in venv.groups.items()})


def random_policies(venv: HierarchicalVectorEnv, seed: int = 0) -> dict[str, RandomPolicy]:
    """A uniformly random policy for each group, each with its own stream.

    Raises:
        ConfigurationError: If an action space is not bounded.
    """
    return {
        name: RandomPolicy(group.action_space, seed + place) for place, (name, group) in enumerate(venv.groups.items())
    }
