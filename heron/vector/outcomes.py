"""What the last reset or step has led to, for every group of a vector env."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from heron.batch.array_tree import ArrayTree, map_arrays
from heron.batch.batch_env import BatchEnv, BoolArray
from heron.errors import ConfigurationError, summary
from heron.vector.exchange import MessageExchange
from heron.vector.group_result import GroupResult
from heron.vector.intrinsic import IntrinsicReward
from heron.vector.vec_group import ByGroup, VecGroup


class Outcomes:
    """Results by group: the environment's of field agents, and those of coordinators summed up from below.

    Args:
        batch_env: The environment copies.
        groups: Group name -> what its agents see and do, from the top of the hierarchy down.
        exchange: Carries the messages of these groups.
        intrinsic: Group name -> what it learns from instead of the environment's reward.

    Attributes:
        results: Group name -> what the last reset or step said.
        returns: Group name -> ``(num_envs, num_agents) float64``, sums of ``env_rewards`` since the reset.
        lives: Group name -> ``(num_envs, num_agents) int64``, how often each agent has begun anew.
    """

    def __init__(
        self,
        batch_env: BatchEnv,
        groups: Mapping[str, VecGroup],
        exchange: MessageExchange,
        intrinsic: Mapping[str, IntrinsicReward],
    ) -> None:
        self._exchange = exchange
        self._intrinsic = intrinsic
        self._groups, self._env_ids = groups, batch_env.env_ids
        self._field_groups = [name for name, group in groups.items() if group.is_field]
        self.results: Mapping[str, GroupResult] = ByGroup(
            (
                name,
                GroupResult.of_field_agents(batch_env.states[name], intrinsic=name in intrinsic)
                if group.is_field
                else GroupResult.of_coordinators(batch_env.num_envs, group.num_agents, intrinsic=name in intrinsic),
            )
            for name, group in groups.items()
        )
        # From the bottom up, as each coordinator sums up what those below it have.
        self._below = {
            name: [(edge.families, self.results[edge.below.name]) for edge in exchange.edges_below(name)]
            for name, group in reversed(list(groups.items()))
            if not group.is_field
        }
        self.returns = {name: np.zeros_like(result.rewards) for name, result in self.results.items()}
        self.lives = {name: np.zeros(result.active.shape, dtype=np.int64) for name, result in self.results.items()}

    def active(self) -> dict[str, BoolArray]:
        """Group name -> ``(num_envs, num_agents) bool``, who takes part, new arrays."""
        return {name: result.active.copy() for name, result in self.results.items()}

    def begin(self, mask: BoolArray) -> None:
        """Forget the masked copies' last episode, as they are about to be reset."""
        for name, returns in self.returns.items():
            returns[mask] = 0.0
            self.lives[name][mask] += 1

    def follow_reset(self, mask: BoolArray) -> None:
        """Bring everything above the environment up to date with a reset of the masked copies."""
        for name in self._intrinsic:
            self.results[name].rewards[mask] = 0.0
        self._sum_up(mask, None)

    def follow_step(self, stepped: BoolArray, took_part: Mapping[str, BoolArray]) -> dict[str, BoolArray]:
        """Bring everything above the environment up to date with a step of some copies.

        Args:
            stepped: ``(num_envs,) bool``, the copies.
            took_part: Group name -> ``(num_envs, num_agents) bool``, who was active before.

        Returns:
            The same for those who have something to tell: whoever took part, or has just come.
        """
        if any(self.results[name].anyone_changed(took_part[name]) for name in self._field_groups):
            self._sum_up(stepped, took_part)
            # One that has just come tells what it sees, too, as all do at the reset.
            senders = {name: took_part[name] | active for name, active in self.active().items()}
            for name, took in took_part.items():
                self.lives[name] += senders[name] & ~took
        else:
            self._sum_up_rewards(stepped)
            senders = dict(took_part)
        for name, returns in self.returns.items():
            np.add(returns, self.results[name].env_rewards, out=returns, where=stepped[:, None])
        return senders

    def seen_by_commanded(self) -> dict[str, ArrayTree]:
        """Group name -> what its agents see now, copies, for the groups that have an intrinsic reward."""
        return {name: map_arrays(np.copy, self._exchange.own_observation(name)) for name in self._intrinsic}

    def reward_commands(
        self, before: Mapping[str, ArrayTree], stepped: BoolArray, took_part: Mapping[str, BoolArray]
    ) -> None:
        """Set the rewards of the groups whose commands carry an intrinsic one.

        Raises:
            ConfigurationError: If a function raises, or its rewards have another shape or are NaN.
        """
        for name in self._intrinsic:
            result = self.results[name]
            rewards = np.where(took_part[name], self._worth(name, before[name]), 0.0)
            if np.isnan(np.minimum.reduce(rewards[stepped], axis=None, initial=0.0)):
                copy, agent = np.argwhere(np.isnan(rewards) & stepped[:, None])[0].tolist()
                raise ConfigurationError(
                    f"intrinsic_reward of group {name!r} is NaN for {self._groups[name].agent_ids[agent]!r} of "
                    f"{self._env_ids[copy]}"
                )
            result.rewards[stepped] = rewards[stepped]

    def _worth(self, name: str, before: ArrayTree) -> npt.NDArray[np.float64]:
        """What a group's intrinsic reward says of a step, ``(num_envs, num_agents)``."""
        result = self.results[name]
        after, commands = self._exchange.own_observation(name), self._exchange.latest_commands(name)
        given = None if commands is None else commands.copy()
        try:
            rewards = np.asarray(self._intrinsic[name](before, given, after, result.env_rewards), dtype=np.float64)
        except Exception as error:
            raise ConfigurationError(f"intrinsic_reward of group {name!r} raised {summary(error)}") from error
        if rewards.shape != result.rewards.shape:
            raise ConfigurationError(
                f"intrinsic_reward of group {name!r} must return rewards of shape {result.rewards.shape} "
                f"(copies, agents), got {rewards.shape}"
            )
        return rewards

    def _sum_up(self, mask: BoolArray, took_part: Mapping[str, BoolArray] | None) -> None:
        """Bring the coordinators' results up to date with the levels below; None stands for a reset."""
        self._sum_up_rewards(mask)
        for name, below in self._below.items():
            self.results[name].follow(below, mask, None if took_part is None else took_part[name])
        self._exchange.revive(self.results)

    def _sum_up_rewards(self, mask: BoolArray) -> None:
        """Bring the coordinators' rewards up to date with the levels below, who act on as before."""
        for name, below in self._below.items():
            self.results[name].sum_up_rewards(below, mask)
