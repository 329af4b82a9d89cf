"""Policies of groups that are trained, and of groups that have not learned yet."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.base_class import BaseAlgorithm

from heron.batch.array_tree import ArrayTree
from heron.errors import ConfigurationError
from heron.play.policies import Model, ModelPolicy, Policy, RandomPolicy, is_bounded
from heron.wrappers import VecGroup

if TYPE_CHECKING:
    from gymnasium.spaces import Space


class TurnPolicy:
    """Policy of a group while another group takes its turn to learn: random until the group has learned itself.

    Attributes:
        model: The group's SB3 model, once there is one.
    """

    def __init__(self, group: VecGroup, seed: int) -> None:
        self.model: BaseAlgorithm | None = None
        self._space = space = group.action_space
        self._random: Policy | None = RandomPolicy(space, seed) if is_bounded(space) else None

    def decide(
        self, observations: ArrayTree, memory: "ArrayTree | None", begins: npt.NDArray[np.bool_]
    ) -> "tuple[ArrayTree, ArrayTree | None]":
        """Decide as a ``RecurrentPolicy``; there is no memory until the group has learned."""
        untrained = self.model is None or self.model.num_timesteps == 0
        if self._random is not None and untrained:
            return self._random(observations), None
        if self.model is None:
            raise ConfigurationError("an unbounded action space has no random policy: give the group a model first")
        return ModelPolicy(self.model, action_space=self._space).decide(observations, memory, begins)

    def __repr__(self) -> str:
        return "TurnPolicy(random actions until the group has learned)"


class RandomModel:
    """Stand-in for a model that never learned; it predicts uniformly random actions."""

    def __init__(self, untrained: Model, seed: int) -> None:
        self.observation_space: Space[Any] = untrained.observation_space
        self.action_space: Space[Any] = untrained.action_space
        self._policy = RandomPolicy(self.action_space, seed)

    def predict(self, observation: ArrayTree, *, deterministic: bool) -> tuple[npt.NDArray[Any], None]:  # noqa: ARG002
        """Return actions for a batch of observations; discrete actions count from zero, as in SB3."""
        return np.asarray(self._policy(observation)), None


def learned_policies(models: Mapping[str, BaseAlgorithm], seed: int, *, deterministic: bool) -> dict[str, ModelPolicy]:
    """Return the policy of each group, from its model.

    A group that never learned gets random actions, as in training, unless its action space is unbounded.
    """
    policies = {}
    for place, (name, model) in enumerate(models.items()):
        if model.num_timesteps == 0 and is_bounded(model.action_space):
            policies[name] = ModelPolicy(RandomModel(model, seed + place))
        else:
            policies[name] = ModelPolicy(model, deterministic=deterministic)
    return policies
