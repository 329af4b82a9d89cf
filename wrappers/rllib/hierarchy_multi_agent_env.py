"""One copy of a hierarchy as an RLlib ``MultiAgentEnv``."""

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Dict, Discrete, MultiDiscrete, Space, Tuple
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from heron.errors import ConfigurationError
from heron.play.env_copy import EnvCopy
from heron.play.sb3_actions import counted_from_zero
from heron.play.turns import Turns
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv


class HierarchyMultiAgentEnv(MultiAgentEnv):  # type: ignore[misc] # Ray is not installed for type checks
    """An RLlib ``MultiAgentEnv`` whose agents act in the turn order of ``decide`` and ``advance``.

    Each step returns the observations of the agents whose turn it is, and of those that have just ended. First the
    coordinators that are due act, level by level from the top. Then the field agents act, and see the command of the
    same step. An agent's reward is the sum since its last action. ``infos[coordinator]["decision_length"]`` is the
    number of environment steps since then. RLlib counts each turn as a step.

    RLlib counts choices from zero and ignores the ``start`` of a space, so ``action_spaces`` start at zero here.

    When an episode is truncated, only ``truncateds["__all__"]`` is set. If every agent were flagged, RLlib would
    treat the episode as terminated, and learn a value of zero for what follows. RLlib does not support agents that
    return after their end; it raises an error.

    Args:
        venv: The vector env. If it has one copy, this environment owns it from now on.
        env_id: The copy; may be left out if there is only one. The view does not affect other copies.

    Attributes:
        venv: The vector env.
        possible_agents: All agents, from the top of the hierarchy down.
        agents: The agents that take part now or have just ended.

    Raises:
        ConfigurationError: If ``env_id`` is left out, but there are several copies.
        UnknownEnvError: If ``env_id`` is not an id of the vector env.
    """

    def __init__(self, venv: HierarchicalVectorEnv, env_id: str | None = None) -> None:
        super().__init__()
        self._copy = EnvCopy(venv, env_id)
        self._turns = Turns(self._copy)
        self.venv = venv
        self.possible_agents = list(self._copy.agents)
        self.agents = list(self._copy.agents)
        self.observation_spaces = self._copy.observation_spaces
        self.action_spaces = {agent: _from_zero(space) for agent, space in self._copy.action_spaces.items()}
        self.metadata = dict(self._copy.get_attr("metadata", {}))
        self.render_mode = self._copy.get_attr("render_mode", None)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start a new episode.

        Args:
            seed: Seed of the copy's random stream; None continues the stream.
            options: Passed on to the environment.

        Returns:
            Observations and infos of the agents whose turn it is.

        Raises:
            ConfigurationError: If the seed or the options are invalid. Nothing was reset.
            EnvStepError: If the environment raised. It needs another reset.
        """
        self._turns.reset(seed, options)
        self.agents = list(self._turns.present)
        acting = self._turns.acting
        return {agent: self._turns.observe(agent) for agent in acting}, {
            agent: self._turns.info(agent) for agent in acting
        }

    def step(
        self, action_dict: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Apply the actions of the agents whose turn it is.

        Args:
            action_dict: Agent id -> its action. Actions of other agents are ignored.

        Returns:
            Observations, rewards, terminateds, truncateds and infos of the agents whose turn it is now, and of those
            that have just ended.

        Raises:
            ResetRequiredError: If there is no running episode.
            InvalidActionError: If an action is missing or outside its space. Nothing has changed.
            EnvStepError: If the environment raised. ``agents`` is empty afterwards.
        """
        turns = self._turns
        turns.check_running()
        stepped = turns.act(turns.checked(self._own_actions(action_dict), turns.acting))
        ended = turns.ended if stepped else {}
        self.agents = [agent for agent in self.possible_agents if agent in turns.present or agent in ended]
        reported = [*ended, *turns.acting]
        terminateds, truncateds = _flags(ended, is_over=not turns.present)
        return (
            {agent: turns.observe(agent) for agent in reported},
            {agent: turns.earned[agent] for agent in reported},
            terminateds,
            truncateds,
            {agent: turns.info(agent) for agent in reported},
        )

    def render(self) -> Any:
        """Return the environment's own rendering."""
        return self._copy.call("render")

    def close(self) -> None:
        """Close the vector env, unless it has other copies, which may still be in use."""
        self._copy.close()

    def _own_actions(self, actions: Any) -> Any:
        """Return the actions with choices counted from the spaces' ``start``. Invalid input stays unchanged."""
        spaces = self._copy.action_spaces
        if not isinstance(actions, Mapping):
            return actions
        return {agent: _from_start(action, spaces.get(agent)) for agent, action in actions.items()}


def one_module_per(by: Literal["group", "level"], venv: HierarchicalVectorEnv) -> dict[str, Any]:
    """Return the options of ``AlgorithmConfig.multi_agent`` for one RLlib module per group or level.

    Args:
        by: ``"group"``, or ``"level"`` if all agents of a level have the same spaces.
        venv: The vector env.

    Returns:
        ``policies``, and a ``policy_mapping_fn`` that can be pickled.

    Raises:
        ConfigurationError: If ``by`` is invalid, or a level has groups with different spaces.
    """
    if by not in ("group", "level"):
        raise ConfigurationError(f"by must be 'group' or 'level', got {by!r}")
    groups = list(venv.groups.values())
    modules = {
        agent: getattr(group, "name" if by == "group" else "level") for group in groups for agent in group.agent_ids
    }
    for group in groups:
        same = [other for other in groups if other.level == group.level]
        spaces = (group.observation_space, group.action_space)
        if by == "level" and any((other.observation_space, other.action_space) != spaces for other in same):
            raise ConfigurationError(
                f"groups {[other.name for other in same]} of level {group.level!r} cannot share a module, because "
                "their spaces differ: use by='group'"
            )
    return {"policies": set(modules.values()), "policy_mapping_fn": partial(_module_of, modules)}


def _module_of(modules: Mapping[str, str], agent_id: str, *_: Any, **__: Any) -> str:
    return modules[agent_id]


def _from_zero(space: Space[Any]) -> Space[Any]:
    """Return the space with its choices counted from zero."""
    if isinstance(space, Dict):
        return Dict(OrderedDict((key, _from_zero(part)) for key, part in space.spaces.items()))
    if isinstance(space, Tuple):
        return Tuple(map(_from_zero, space.spaces))
    return counted_from_zero(space)


def _from_start(action: Any, space: Space[Any] | None) -> Any:
    """Return choices counted from zero as choices of the space. Actions that do not fit stay unchanged."""
    if isinstance(space, Dict) and isinstance(action, Mapping):
        return {key: _from_start(part, space.spaces.get(key)) for key, part in action.items()}
    if isinstance(space, Tuple) and isinstance(action, (tuple, list)) and len(action) == len(space.spaces):
        return tuple(_from_start(part, own) for part, own in zip(action, space.spaces, strict=True))
    if not isinstance(space, (Discrete, MultiDiscrete)) or not np.any(space.start):
        return action
    array = np.asarray(action)
    return array + space.start if array.dtype.kind in "iu" else action


def _flags(ended: Mapping[str, tuple[bool, bool]], *, is_over: bool) -> tuple[dict[str, bool], dict[str, bool]]:
    """Return terminateds and truncateds for the agents that have ended, and for ``"__all__"``."""
    terminateds = {agent: True for agent, (terminated, _) in ended.items() if terminated}
    truncateds = {agent: True for agent in ended if agent not in terminateds}
    is_truncated = is_over and bool(truncateds)
    if is_truncated:
        truncateds = {}  # otherwise RLlib would count all agents as done, and the episode as terminated
    return {**terminateds, "__all__": is_over and not is_truncated}, {**truncateds, "__all__": is_truncated}
