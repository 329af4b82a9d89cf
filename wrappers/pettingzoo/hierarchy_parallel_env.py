"""One copy of a hierarchy as a PettingZoo parallel environment."""

from collections.abc import Iterable, Mapping
from typing import Any

from pettingzoo import ParallelEnv

from heron.agents.hierarchy import FIELD_LEVEL
from heron.batch.array_tree import ArrayTree
from heron.wrappers.pettingzoo.pettingzoo_view import PettingZooView


class HierarchyParallelEnv(PettingZooView, ParallelEnv):  # type: ignore[misc] # PettingZoo ships no types
    """Coordinators and field agents all at once; one step is one environment step.

    This interface knows no turns, which costs two things that ``HierarchyAECEnv`` does not:

    - A coordinator is in ``agents`` also in steps in which it is not due. ``infos[coordinator]["due"]`` says whether
      its next action counts; one that does not may be left out, and is not looked at. Its rewards are those of each
      environment step, so their sum is right for any learner. For correct credit learn from the due steps alone, with
      ``infos[coordinator]["decision_reward"]``, the sum since its last decision, at the next one as the reward, and
      ``"decision_length"`` for how many environment steps that took.
    - A field agent chooses its action before it can see a command of the same step: it sees that command from the next
      step on, while it already counts for an intrinsic reward.

    An agent that ends leaves ``agents``. It may come back later, if the environment says so; a coordinator does when
    it is due again.

    Args:
        venv: The vector env; the view owns it from now on if it has one copy.
        env_id: The copy to show; may be left out if there is only one. All others stay as they are.

    Raises:
        ConfigurationError: If ``env_id`` is left out, but there are several copies.
        UnknownEnvError: If there is no such copy.
    """

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, ArrayTree], dict[str, dict[str, Any]]]:
        """Start a new episode.

        Args:
            seed: None lets the copy's random stream go on.
            options: Passed on to the environment.

        Returns:
            Agent id -> what it sees, and agent id -> its info.

        Raises:
            ConfigurationError: If seed or options cannot be used; nothing was reset then.
            EnvStepError: If the environment raised. It needs another reset then.
        """
        self.turns.reset(seed, options)
        self.agents = list(self.turns.present)
        return {agent: self.turns.observe(agent) for agent in self.agents}, self._infos(self.agents)

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, ArrayTree], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Let every coordinator that is due and every field agent act, and step the environment.

        Args:
            actions: Agent id -> its action. Those of coordinators that are not due are not used.

        Returns:
            Agent id -> its observation, reward, whether it was terminated, whether it was truncated, and its info,
            for all that took part in the step or came by it.

        Raises:
            ResetRequiredError: If there is no running episode.
            InvalidActionError: If one that counts is missing or does not lie in its space; nothing was done then.
            EnvStepError: If the environment raised. No agents are left then.
        """
        turns = self.turns
        turns.check_running()
        chosen = turns.checked(actions, self._copy.awaited())
        try:
            while not turns.act(chosen):
                pass  # the next level's turn
        finally:
            self.agents = list(turns.present)
        told = [agent for agent in self.possible_agents if agent in turns.present or agent in turns.ended]
        ends = {agent: turns.ended.get(agent, (False, False)) for agent in told}
        return (
            {agent: turns.observe(agent) for agent in told},
            {agent: turns.rewards.get(agent, 0.0) for agent in told},
            {agent: terminated for agent, (terminated, _) in ends.items()},
            {agent: truncated for agent, (_, truncated) in ends.items()},
            self._infos(told),
        )

    def _infos(self, agents: Iterable[str]) -> dict[str, dict[str, Any]]:
        due = set(self._copy.awaited())
        infos = {agent: self.turns.info(agent) for agent in agents}
        for agent, info in infos.items():
            if self._copy.level(agent) != FIELD_LEVEL:
                info["due"] = agent in due
                info["decision_reward"] = self.turns.earned[agent]
        return infos
