"""One copy of a hierarchy as an RLlib environment."""

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


class HierarchyMultiAgentEnv(MultiAgentEnv):  # type: ignore[misc] # Ray is not there where types are checked
    """Coordinators and field agents in turn, with the very semantics of ``decide`` and ``advance``.

    Observations go to those whose turn it is, and to those that have just ended: at first to the coordinators that are
    due, level by level from the top, and then to the field agents, who see the command of this very step. With its
    observation an agent gets the reward that it has earned since it acted, and a coordinator
    ``infos[coordinator]["decision_length"]``, over how many environment steps. RLlib counts each turn as a step.

    RLlib counts choices from zero, whatever an agent's space says, and so do ``action_spaces`` here.

    Where an episode is cut off, only ``truncateds["__all__"]`` says so: if every agent were flagged, RLlib would take
    the episode for terminated, and learn that nothing comes after it. RLlib knows no agents that come back after their
    end, and raises an error then.

    Args:
        venv: The vector env; the view owns it from now on if it has one copy.
        env_id: The copy to show; may be left out if there is only one. All others stay as they are.

    Attributes:
        venv: The vector env.
        possible_agents: All agents, from the top of the hierarchy down.
        agents: Those that take part now, or have just ended.

    Raises:
        ConfigurationError: If ``env_id`` is left out, but there are several copies.
        UnknownEnvError: If there is no such copy.
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
            seed: None lets the copy's random stream go on.
            options: Passed on to the environment.

        Returns:
            What those see whose turn it is, and their infos.

        Raises:
            ConfigurationError: If seed or options cannot be used; nothing was reset then.
            EnvStepError: If the environment raised. It needs another reset then.
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
        """Let those act whose turn it is.

        Args:
            action_dict: Agent id -> its action. Those of others are not used.

        Returns:
            Observations, rewards, terminateds, truncateds and infos of those whose turn it is now, and of those that
            have just ended.

        Raises:
            ResetRequiredError: If there is no running episode.
            InvalidActionError: If one is missing or does not lie in its space; nothing was done then.
            EnvStepError: If the environment raised. No agents are left then.
        """
        turns = self._turns
        turns.check_running()
        stepped = turns.act(turns.checked(self._own_actions(action_dict), turns.acting))
        ended = turns.ended if stepped else {}
        self.agents = [agent for agent in self.possible_agents if agent in turns.present or agent in ended]
        told = [*ended, *turns.acting]
        terminateds, truncateds = _flags(ended, is_over=not turns.present)
        return (
            {agent: turns.observe(agent) for agent in told},
            {agent: turns.earned[agent] for agent in told},
            terminateds,
            truncateds,
            {agent: turns.info(agent) for agent in told},
        )

    def render(self) -> Any:
        """The environment's own picture."""
        return self._copy.call("render")

    def close(self) -> None:
        """Close the vector env. One with other copies is left open, since somebody may still use those."""
        self._copy.close()

    def _own_actions(self, actions: Any) -> Any:
        """The actions as the agents' own spaces count them; what is none of theirs is left to be refused."""
        spaces = self._copy.action_spaces
        if not isinstance(actions, Mapping):
            return actions
        return {agent: _from_start(action, spaces.get(agent)) for agent, action in actions.items()}


def one_module_per(by: Literal["group", "level"], venv: HierarchicalVectorEnv) -> dict[str, Any]:
    """One RLlib module for each group of agents, or for each level: what ``AlgorithmConfig.multi_agent`` needs.

    Args:
        by: ``"group"``, or ``"level"`` where all agents of a level see and do the same.
        venv: Whose groups.

    Returns:
        Its ``policies``, and a ``policy_mapping_fn`` that can be pickled.

    Raises:
        ConfigurationError: If ``by`` is neither, or a level has groups with different spaces.
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
                f"groups {[other.name for other in same]} of level {group.level!r} have different spaces, "
                "so they cannot share a module: use 'group'"
            )
    return {"policies": set(modules.values()), "policy_mapping_fn": partial(_module_of, modules)}


def _module_of(modules: Mapping[str, str], agent_id: str, *_: Any, **__: Any) -> str:
    return modules[agent_id]


def _from_zero(space: Space[Any]) -> Space[Any]:
    """A space of the same choices, counted from zero."""
    if isinstance(space, Dict):
        return Dict(OrderedDict((key, _from_zero(part)) for key, part in space.spaces.items()))
    if isinstance(space, Tuple):
        return Tuple(map(_from_zero, space.spaces))
    return counted_from_zero(space)


def _from_start(action: Any, space: Space[Any] | None) -> Any:
    """Choices that were counted from zero, as the space counts them; what does not fit is left as it is."""
    if isinstance(space, Dict) and isinstance(action, Mapping):
        return {key: _from_start(part, space.spaces.get(key)) for key, part in action.items()}
    if isinstance(space, Tuple) and isinstance(action, (tuple, list)) and len(action) == len(space.spaces):
        return tuple(_from_start(part, own) for part, own in zip(action, space.spaces, strict=True))
    if not isinstance(space, (Discrete, MultiDiscrete)) or not np.any(space.start):
        return action
    array = np.asarray(action)
    return array + space.start if array.dtype.kind in "iu" else action


def _flags(ended: Mapping[str, tuple[bool, bool]], *, is_over: bool) -> tuple[dict[str, bool], dict[str, bool]]:
    """Terminateds and truncateds for those that have ended, and for ``"__all__"``."""
    terminateds = {agent: True for agent, (terminated, _) in ended.items() if terminated}
    truncateds = {agent: True for agent in ended if agent not in terminateds}
    is_cut_off = is_over and bool(truncateds)
    if is_cut_off:
        truncateds = {}  # or RLlib would count all agents as done, and so the episode as terminated
    return {**terminateds, "__all__": is_over and not is_cut_off}, {**truncateds, "__all__": is_cut_off}
