"""Steps of a vector env in which there is one group of agents, and nobody to command them."""

from typing import Any

import numpy as np

from heron.batch.action_check import checked_actions, errors_of_agents
from heron.batch.batch_env import BoolArray
from heron.vector.group_result import GroupResult
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv


class FlatSteps:
    """What is left of ``HierarchicalVectorEnv.advance`` where no messages go, and no one decides but the field agents.

    Args:
        venv: The vector env, of one group.
    """

    def __init__(self, venv: HierarchicalVectorEnv) -> None:
        (self._group,) = venv.field_groups
        self._venv = venv
        self._result = venv.results[self._group.name]
        self._returns = venv.returns[self._group.name]
        self._lives = venv.lives[self._group.name]

    def reset(self, mask: BoolArray) -> None:
        """Start a new episode in the masked copies, ``(num_envs,) bool``, all of which have had one before.

        Raises:
            ConfigurationError: If the environment cannot reset just these; none was reset then.
            EnvStepError: As by ``HierarchicalVectorEnv.reset_envs``.
        """
        venv = self._venv
        venv.check_open()
        venv.batch_env.check_reset(mask)
        venv.forget(mask)
        venv.batch_env.reset(mask)

    def advance(self, actions: Any, mask: BoolArray | None) -> GroupResult:
        """Step the environment once.

        Args:
            actions: ``(num_envs, num_agents, ...)``, as for ``HierarchicalVectorEnv.advance``.
            mask: ``(num_envs,) bool``, the copies to step, all of which are running; None if that is all there are.

        Returns:
            The group's result.

        Raises:
            InvalidActionError: If an action that counts does not lie in its space. Nothing was stepped then.
            EnvStepError: As by ``HierarchicalVectorEnv.advance``.
        """
        venv, group, result = self._venv, self._group, self._result
        venv.check_open()
        acting = result.active if mask is None else result.active & mask[:, None]
        was_active = result.active.copy()
        checked = checked_actions(actions, group.action_space, acting, errors_of_agents(group.agent_ids, venv.env_ids))
        try:
            venv.batch_env.step({group.name: checked}, mask)
        finally:  # beside a copy that raised, the others have been stepped
            venv.tick(mask)
            self._lives += result.active > was_active
            if mask is None:
                self._returns += result.env_rewards
            else:
                np.add(self._returns, result.env_rewards, out=self._returns, where=mask[:, None])
        return result
