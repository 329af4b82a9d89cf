"""Decisions of one agent group by a policy, and the memory of a recurrent policy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from heron.batch.action_check import ActionErrors, checked_actions
from heron.batch.action_records import zero_actions
from heron.batch.array_tree import ArrayTree, map_arrays
from heron.batch.batch_env import BoolArray
from heron.errors import PolicyError, summary
from heron.play.policies import AnyPolicy, RecurrentPolicy
from heron.play.policy_memory import PolicyMemory
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.vector.vec_group import VecGroup


class GroupDecider:
    """The policy of one group, with its memory of each agent. N copies, M agents.

    A recurrent policy gets back its memory of each agent as of the last decision that took effect. The memory of an
    agent is cleared when its copy is reset, and when the agent returns after its end.

    Args:
        venv: The vector env.
        group: The agents that the policy decides for.
        policy: The policy.
    """

    def __init__(self, venv: HierarchicalVectorEnv, group: VecGroup, policy: AnyPolicy) -> None:
        self.venv = venv
        self.group = group
        self.policy = policy
        self._memory = PolicyMemory((venv.num_envs, group.num_agents))

    def ask(self, where: BoolArray) -> npt.NDArray[Any]:
        """Return the policy's actions for some agents, and zeros for the others.

        Args:
            where: ``(N, M) bool``, the agents.

        Returns:
            ``(N, M, ...)`` in the dtype of the action space, records for ``Dict`` and ``Tuple`` spaces.

        Raises:
            PolicyError: If the policy raises, or returns actions of the wrong shape or dtype or outside their space.
        """
        space = self.group.action_space
        actions = zero_actions(space, where.shape)
        if where.any():
            asked = np.argwhere(where)
            errors = ActionErrors(
                PolicyError,
                lambda: f"actions that the policy of group {self.group.name!r} returns",
                lambda row: (
                    f"action that the policy of group {self.group.name!r} returns for {self._place(*asked[row])}"
                ),
            )
            actions[where] = checked_actions(self._decide(where), space, np.ones(len(asked), dtype=bool), errors)
        return actions

    def keep(self, decided: BoolArray) -> None:
        """Keep the memory of agents whose last decision took effect, ``(N, M) bool`` or ``(N, 1) bool``."""
        if isinstance(self.policy, RecurrentPolicy):
            self._memory.keep(decided)

    def _decide(self, where: BoolArray) -> Any:
        observations: ArrayTree = map_arrays(lambda array: array[where], self.venv.observe(self.group.name))
        policy = self.policy
        if not isinstance(policy, RecurrentPolicy):
            return self._call_policy(where, lambda: policy(observations))
        known, begins = self._memory.recall(where, self.venv.lives[self.group.name])
        actions, memory = self._call_policy(where, lambda: policy.decide(observations, known, begins))
        try:
            self._memory.note(memory)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise PolicyError(
                f"policy of group {self.group.name!r} returned invalid memory: expected one row for each of "
                f"{len(begins)} agents, with the same shapes in every call: {error}"
            ) from error
        return actions

    def _call_policy(self, where: BoolArray, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as error:
            first, *others = (self._place(copy, agent) for copy, agent in np.argwhere(where).tolist())
            beside = f" and {len(others)} more" if others else ""
            raise PolicyError(
                f"policy of group {self.group.name!r} raised {summary(error)} when deciding for {first}{beside}"
            ) from error

    def _place(self, copy: int, agent: int) -> str:
        venv = self.venv
        return f"{self.group.agent_ids[agent]!r} of {venv.env_ids[copy]} at step {venv.steps[copy]}"
