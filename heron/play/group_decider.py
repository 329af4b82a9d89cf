"""Asks a policy for the actions of one group, and keeps for it what it remembers of each agent."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Space

from heron.batch.action_check import inside_space
from heron.batch.action_records import as_actions, is_record_space, map_leaves, zero_actions
from heron.batch.array_tree import ArrayTree, map_arrays
from heron.batch.batch_env import BoolArray
from heron.errors import PolicyError, summary
from heron.play.policies import AnyPolicy, RecurrentPolicy
from heron.play.slot_memory import SlotMemory
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.vector.vec_group import VecGroup


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
        self._acts_in_records = is_record_space(group.action_space)

    def ask(self, where: BoolArray) -> npt.NDArray[Any]:
        """``(N, M, ...)``, the policy's actions for the agents in ``where``, ``(N, M) bool``, and zeros for the others.

        Those in ``Dict`` and ``Tuple`` spaces are records.

        Raises:
            PolicyError: If the policy raises, or returns actions of a wrong shape or dtype or outside their space.
        """
        space = self.group.action_space
        actions = zero_actions(space, where.shape)
        if where.any():
            decided = self._decide(where)
            check = self._checked_records if self._acts_in_records else self._checked
            actions[where] = check(decided, where, space)
        return actions

    def keep(self, decided: BoolArray) -> None:
        """Remember the last decision of those for whom it came into effect, ``(N, M) bool`` or ``(N, 1) bool``."""
        if isinstance(self.policy, RecurrentPolicy):
            self._memory.keep(decided)

    def _decide(self, where: BoolArray) -> Any:
        observations: ArrayTree = map_arrays(lambda array: array[where], self.venv.observe(self.group.name))
        policy = self.policy
        if not isinstance(policy, RecurrentPolicy):
            return self._asked(where, lambda: policy(observations))
        known, begins = self._memory.recall(where, self.venv.lives[self.group.name])
        actions, memory = self._asked(where, lambda: policy.decide(observations, known, begins))
        try:
            self._memory.note(memory)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise PolicyError(
                f"policy of group {self.group.name!r} must remember one row for each of {len(begins)} agents, of the "
                f"same shapes each time: {error}"
            ) from error
        return actions

    def _asked(self, where: BoolArray, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as error:
            first, *others = (self._place(copy, agent) for copy, agent in np.argwhere(where).tolist())
            beside = f" and {len(others)} more" if others else ""
            raise PolicyError(
                f"policy of group {self.group.name!r} raised {summary(error)}, when it was asked for {first}{beside}"
            ) from error

    def _checked(self, decided: Any, where: BoolArray, space: Space[Any], leaf: str = "") -> npt.NDArray[Any]:
        """Actions, or a part of them, as an array of the right shape."""
        chosen = self._as_array(decided, leaf)
        shape = (int(where.sum()), *(space.shape or ()))
        if chosen.shape != shape or not np.can_cast(chosen.dtype, np.dtype(space.dtype), "same_kind"):
            raise PolicyError(
                f"policy of group {self.group.name!r} must return actions{leaf and ' '}{leaf} of shape {shape} and "
                f"dtype {space.dtype}, got {chosen.shape} and {chosen.dtype}"
            )
        self._check_inside(chosen, where, space, leaf)
        return chosen

    def _checked_records(self, decided: Any, where: BoolArray, space: Space[Any]) -> npt.NDArray[Any]:
        def checked(part: Space[Any], chosen: Any, leaf: str) -> npt.NDArray[Any]:
            return self._checked(chosen, where, part, leaf)

        owner = f"what the policy of group {self.group.name!r} returns"
        return as_actions(space, map_leaves(space, decided, checked, owner, PolicyError), (int(where.sum()),))

    def _check_inside(self, chosen: npt.NDArray[Any], where: BoolArray, space: Space[Any], leaf: str) -> None:
        """Check that the actions lie in their space, as they are before they are cast."""
        cast = chosen.astype(space.dtype) if chosen.dtype.kind == "f" else chosen  # rounding may be needed to fit
        inside = inside_space(cast, space)
        if np.count_nonzero(inside) < inside.size:
            row = int(np.argmin(inside.reshape(len(chosen), -1).all(axis=1)))
            copy, agent = np.argwhere(where)[row].tolist()
            raise PolicyError(
                f"policy of group {self.group.name!r} must return actions{leaf and ' '}{leaf} in {space}, but got "
                f"{chosen[row]} for {self._place(copy, agent)}"
            )

    def _place(self, copy: int, agent: int) -> str:
        venv = self.venv
        return f"{self.group.agent_ids[agent]!r} of {venv.env_ids[copy]} at step {venv.steps[copy]}"

    def _as_array(self, actions: Any, leaf: str) -> npt.NDArray[Any]:
        try:
            return np.asarray(actions)
        except ValueError as error:
            raise PolicyError(
                f"policy of group {self.group.name!r} must return actions{leaf and ' '}{leaf} that make one array, got "
                f"{actions!r}"
            ) from error
