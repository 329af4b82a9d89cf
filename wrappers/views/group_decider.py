"""Asks a policy for the actions of one group, and keeps for it what it remembers of each agent."""

from typing import Any

import numpy as np
import numpy.typing as npt

from heron.envs.array_tree import ArrayTree, map_arrays
from heron.envs.batch_env import BoolArray
from heron.errors import ConfigurationError
from heron.wrappers.policies import AnyPolicy, RecurrentPolicy
from heron.wrappers.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers.vector.vec_group import VecGroup
from heron.wrappers.views.slot_memory import SlotMemory


class GroupDecider:
    """Asks a policy for the actions of one group. N copies, M agents.

    A policy that remembers is given back what it knew of each agent after the last decision that came into effect. An
    agent that has begun anew since then, at a reset or by coming back, begins with nothing.

    Args:
        venv: The vector env.
        group: Whose actions.
        policy: What decides.
    """

    def __init__(self, venv: HierarchicalVectorEnv, group: VecGroup, policy: AnyPolicy) -> None:
        self.venv = venv
        self.group = group
        self.policy = policy
        self._memory = SlotMemory((venv.num_envs, group.num_agents))

    def ask(self, where: BoolArray) -> npt.NDArray[Any]:
        """``(N, M, ...)``, the policy's actions for the agents in ``where``, ``(N, M) bool``, and zeros for the others.

        Raises:
            ConfigurationError: If the actions have a wrong shape or dtype.
        """
        shape = self.group.action_space.shape or ()
        actions = np.zeros((*where.shape, *shape), self.group.action_space.dtype)
        if where.any():
            chosen = self._as_array(self._decide(where))
            fits = chosen.shape == (where.sum(), *shape)
            if not fits or not np.can_cast(chosen.dtype, actions.dtype, "same_kind"):
                raise ConfigurationError(
                    f"policy of group {self.group.name!r} must return actions of shape "
                    f"{(int(where.sum()), *shape)} and dtype {actions.dtype}, got {chosen.shape} and {chosen.dtype}"
                )
            actions[where] = chosen
        return actions

    def keep(self, decided: BoolArray) -> None:
        """Remember the last decision of those for whom it came into effect, ``(N, M) bool`` or ``(N, 1) bool``."""
        if isinstance(self.policy, RecurrentPolicy):
            self._memory.keep(decided)

    def _decide(self, where: BoolArray) -> Any:
        observations: ArrayTree = map_arrays(lambda array: array[where], self.venv.observe(self.group.name))
        policy = self.policy
        if not isinstance(policy, RecurrentPolicy):
            return policy(observations)
        known, begins = self._memory.recall(where, self.venv.lives[self.group.name])
        actions, memory = policy.decide(observations, known, begins)
        try:
            self._memory.note(memory)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ConfigurationError(
                f"policy of group {self.group.name!r} must remember one row for each of {len(begins)} agents, of the "
                f"same shapes each time: {error}"
            ) from error
        return actions

    def _as_array(self, actions: Any) -> npt.NDArray[Any]:
        try:
            return np.asarray(actions)
        except ValueError as error:
            raise ConfigurationError(
                f"policy of group {self.group.name!r} must return actions that make one array, got {actions!r}"
            ) from error
