"""One copy of a hierarchy as a PettingZoo parallel environment."""

from collections.abc import Iterable, Mapping
from typing import Any

from pettingzoo import ParallelEnv

from heron.agents.hierarchy import FIELD_LEVEL
from heron.batch.array_tree import ArrayTree
from heron.wrappers.pettingzoo.pettingzoo_view import PettingZooView


class HierarchyParallelEnv(PettingZooView, ParallelEnv):  # type: ignore[misc] # PettingZoo ships no types
    """A PettingZoo ``ParallelEnv`` in which all agents act together; one step is one environment step.

    The parallel API has no turns. It has two limitations that ``HierarchyAECEnv`` does not have:

    - A coordinator is in ``agents`` also in steps in which it is not due. ``infos[coordinator]["due"]`` is true if its
      next action counts; otherwise the action is ignored and may be left out. Its rewards are those of each
      environment step, so their sum is correct. For correct credit, learn from the due steps only: the reward of a
      decision is ``infos[coordinator]["decision_reward"]`` at the next one, the sum since the last decision, and
      ``"decision_length"`` is its number of environment steps.
    - A field agent acts before it can see a command of the same step. It sees the command from the next step on, but
      an intrinsic reward already applies to it.

    An agent that ends leaves ``agents``. A field agent returns if the environment brings it back, a coordinator when
    it is due again.

    Args:
        venv: The vector env. If it has one copy, this environment owns it from now on.
        env_id: The copy; may be left out if there is only one. The view does not affect other copies.

    Raises:
        ConfigurationError: If ``env_id`` is left out, but there are several copies.
        UnknownEnvError: If ``env_id`` is not an id of the vector env.
    """

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, ArrayTree], dict[str, dict[str, Any]]]:
        """Start a new episode.

        Args:
            seed: Seed of the copy's random stream; None continues the stream.
            options: Passed on to the environment.

        Returns:
            Agent id -> its observation, and agent id -> its info.

        Raises:
            ConfigurationError: If the seed or the options are invalid. Nothing was reset.
            EnvStepError: If the environment raised. It needs another reset.
        """
        self.turns.reset(seed, options)
        self.agents = list(self.turns.present)
        return {agent: self.turns.observe(agent) for agent in self.agents}, self._infos(self.agents)

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, ArrayTree], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Apply the actions of all coordinators that are due and of all field agents, and step the environment.

        Args:
            actions: Agent id -> its action. Actions of coordinators that are not due are ignored.

        Returns:
            Observations, rewards, terminations, truncations and infos, each a dict by agent id, of all agents that
            took part in the step or appeared in it.

        Raises:
            ResetRequiredError: If there is no running episode.
            InvalidActionError: If a required action is missing or outside its space. Nothing has changed.
            EnvStepError: If the environment raised. ``agents`` is empty afterwards.
        """
        turns = self.turns
        turns.check_running()
        chosen = turns.checked(actions, self._copy.awaited())
        try:
            while not turns.act(chosen):
                pass  # the next level's turn
        finally:
            self.agents = list(turns.present)
        reported = [agent for agent in self.possible_agents if agent in turns.present or agent in turns.ended]
        ends = {agent: turns.ended.get(agent, (False, False)) for agent in reported}
        return (
            {agent: turns.observe(agent) for agent in reported},
            {agent: turns.rewards.get(agent, 0.0) for agent in reported},
            {agent: terminated for agent, (terminated, _) in ends.items()},
            {agent: truncated for agent, (_, truncated) in ends.items()},
            self._infos(reported),
        )

    def _infos(self, agents: Iterable[str]) -> dict[str, dict[str, Any]]:
        due = set(self._copy.awaited())
        infos = {agent: self.turns.info(agent) for agent in agents}
        for agent, info in infos.items():
            if self._copy.level(agent) != FIELD_LEVEL:
                info["due"] = agent in due
                info["decision_reward"] = self.turns.earned[agent]
        return infos
