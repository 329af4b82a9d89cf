"""Agents and spaces that all copies of an environment share."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from heron.batch.batch_env import AgentGroup
from heron.batch.space_fit import space_difference
from heron.errors import ConfigurationError, shown

if TYPE_CHECKING:
    from gymnasium.spaces import Space
    from pettingzoo import ParallelEnv

KINDS = ("observation_space", "action_space")


class AgentSpaces:
    """Agents and spaces that all copies of an environment share.

    Args:
        envs: The copies.
        env_ids: Their names.
        groups: Their agents in groups, by the first copy.

    Attributes:
        known: For each copy the spaces that have been compared with those of the groups, by kind and agent.

    Raises:
        ConfigurationError: If the copies differ in their agents or spaces.
    """

    def __init__(self, envs: "Sequence[ParallelEnv]", env_ids: Sequence[str], groups: Mapping[str, AgentGroup]) -> None:
        self._envs = envs
        self._env_ids = env_ids
        self._groups = {agent: group for group in groups.values() for agent in group.agent_ids}
        self.known: list[dict[tuple[str, str], Space[Any]]] = [{} for _ in envs]
        self._check_alike()

    def check(self, index: int, agents: Sequence[str]) -> None:
        """Check that new agents of one copy are known, and have the spaces of their group.

        Raises:
            ConfigurationError: If they do not.
        """
        if unknown := [agent for agent in agents if agent not in self._groups]:
            raise ConfigurationError(
                f"agents {unknown} of {self._env_ids[index]} are not in possible_agents {shown(list(self._groups))}: "
                "state all ids that may ever appear, see heron.wrappers.declare_agents"
            )
        env, known = self._envs[index], self.known[index]
        for agent, kind in product(agents, KINDS):
            space = getattr(env, kind)(agent)
            # Comparing bounds is slow, and most environments hand out the same space again.
            if space is known.get((kind, agent)):
                continue
            expected = getattr(self._groups[agent], kind)
            if differs := space_difference(space, expected):
                raise ConfigurationError(
                    f"the {kind} of {agent!r} has changed to {space}; expected {expected}, as at the start: {differs}"
                )
            known[kind, agent] = space

    def _check_alike(self) -> None:
        agents = list(self._envs[0].possible_agents)
        for env, env_id in zip(self._envs, self._env_ids, strict=True):
            own = list(getattr(env, "possible_agents", ()))
            if own != agents:
                raise ConfigurationError(f"{env_id} has agents {own}, but {self._env_ids[0]} has {agents}")
            for agent, kind in product(self._groups, KINDS):
                group = self._groups[agent]
                space, expected = getattr(env, kind)(agent), getattr(group, kind)
                if differs := space_difference(space, expected):
                    raise ConfigurationError(
                        f"{env_id}: the {kind} of {agent!r} is {space}, but that of group {group.name!r} is "
                        f"{expected}: {differs}"
                    )
