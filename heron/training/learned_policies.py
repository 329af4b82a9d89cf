"""What a trained group decides by, and one that has not learned yet."""

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
    """Acts for a group while others learn: at random until the group has learned, then by its model."""

    def __init__(self, group: VecGroup, seed: int) -> None:
        self.model: BaseAlgorithm | None = None
        self._space = space = group.action_space
        self._random: Policy | None = RandomPolicy(space, seed) if is_bounded(space) else None

    def decide(
        self, observations: ArrayTree, memory: "ArrayTree | None", begins: npt.NDArray[np.bool_]
    ) -> "tuple[ArrayTree, ArrayTree | None]":
        """As ``RecurrentPolicy`` has it; nothing is remembered until the group has learned."""
        untrained = self.model is None or self.model.num_timesteps == 0
        if self._random is not None and untrained:
            return self._random(observations), None
        if self.model is None:
            raise ConfigurationError("an unbounded action space has no random policy: give the group a model first")
        return ModelPolicy(self.model, action_space=self._space).decide(observations, memory, begins)

    def __repr__(self) -> str:
        return "its own model, at random until that has learned"


class RandomModel:
    """Predicts uniformly random actions, in the place of a model that never learned."""

    def __init__(self, untrained: Model, seed: int) -> None:
        self.observation_space: Space[Any] = untrained.observation_space
        self.action_space: Space[Any] = untrained.action_space
        self._policy = RandomPolicy(self.action_space, seed)

    def predict(self, observation: ArrayTree, *, deterministic: bool) -> tuple[npt.NDArray[Any], None]:  # noqa: ARG002
        """Actions for a batch of observations, counted from zero as SB3 does."""
        return np.asarray(self._policy(observation)), None


def learned_policies(models: Mapping[str, BaseAlgorithm], seed: int, *, deterministic: bool) -> dict[str, ModelPolicy]:
    """Group name -> what its model has learned, or random actions if it never learned and they are bounded.

    An untrained network is no policy that anybody has met in training, where its group acted at random.
    """
    policies = {}
    for place, (name, model) in enumerate(models.items()):
        if model.num_timesteps == 0 and is_bounded(model.action_space):
            policies[name] = ModelPolicy(RandomModel(model, seed + place))
        else:
            policies[name] = ModelPolicy(model, deterministic=deterministic)
    return policies
