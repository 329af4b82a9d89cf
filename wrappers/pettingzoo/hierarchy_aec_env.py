"""One copy of a hierarchy as a PettingZoo AEC environment."""

from collections.abc import Mapping
from typing import Any

from pettingzoo import AECEnv

from heron.batch.array_tree import ArrayTree
from heron.errors import EnvError, ResetRequiredError
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers.pettingzoo.pettingzoo_view import PettingZooView


class HierarchyAECEnv(PettingZooView, AECEnv):  # type: ignore[misc] # PettingZoo ships no types
    """Coordinators and field agents in turn, with the very semantics of ``decide`` and ``advance``.

    Before each environment step the coordinators that are due get a turn, from the top of the hierarchy down, and
    then every field agent does: it sees the command of this very step. A coordinator's reward in ``last()`` is what it
    has earned since its decision, and ``infos[coordinator]["decision_length"]`` over how many environment steps.

    An agent that ends gets one more turn, in which it acts None, and then leaves ``agents``. It may come back later, if
    the environment says so; a coordinator does when it is due again.

    Args:
        venv: The vector env; the view owns it from now on if it has one copy.
        env_id: The copy to show; may be left out if there is only one. All others stay as they are.

    Raises:
        ConfigurationError: If ``env_id`` is left out, but there are several copies.
        UnknownEnvError: If there is no such copy.
    """

    agent_selection: str

    def __init__(self, venv: HierarchicalVectorEnv, env_id: str | None = None) -> None:
        super().__init__(venv, env_id)
        # Coordinators skip rounds in which they are not due, which PettingZoo's own conversion does not know.
        self.metadata["is_parallelizable"] = not venv.coordinator_groups
        self._chosen: dict[str, Any] = {}

    def reset(self, seed: int | None = None, options: Mapping[str, Any] | None = None) -> None:
        """Start a new episode.

        Args:
            seed: None lets the copy's random stream go on.
            options: Passed on to the environment.

        Raises:
            ConfigurationError: If seed or options cannot be used; nothing was reset then.
            EnvStepError: If the environment raised. It needs another reset then.
        """
        try:
            self.turns.reset(seed, options)
        except EnvError:
            self._begin()  # without anybody
            raise
        self._begin()

    def observe(self, agent: str) -> ArrayTree:
        """What an agent sees now: after its coordinator's turn, the command of this step.

        Raises:
            UnknownAgentError: If there is no such agent.
            ResetRequiredError: Before the first reset.
        """
        return self.turns.observe(agent)

    def last(self, observe: bool = True) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """What the agent sees whose turn it is, what it has earned since it acted, how it has ended, and its info.

        Raises:
            ResetRequiredError: If there is nobody whose turn it could be.
        """
        if not self.agents:
            raise ResetRequiredError(f"no running episode in {self._copy.env_id}: call reset()")
        return super().last(observe)  # type: ignore[no-any-return]

    def step(self, action: Any) -> None:
        """Let the agent act whose turn it is.

        Args:
            action: None for an agent that has ended.

        Raises:
            ResetRequiredError: If there is no running episode.
            InvalidActionError: If the action does not lie in its space; nothing has changed then.
            ValueError: If the agent has ended, and the action is not None.
            EnvStepError: If the environment raised. Its agents are truncated.
        """
        if self.agents and self.agent_selection in self.turns.ended:
            self._was_dead_step(action)
            return
        self.turns.check_running()
        agent = self.agent_selection
        acting = self.turns.acting
        self._chosen |= self.turns.checked({agent: action}, [agent])
        self._cumulative_rewards[agent] = 0.0
        self._clear_rewards()
        if len(self._chosen) < len(acting):
            self.agent_selection = acting[len(self._chosen)]
        else:
            self._end_turn()

    def _begin(self) -> None:
        self.agents = list(self.turns.present)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: self.turns.info(agent) for agent in self.agents}
        self._chosen.clear()
        self._skip_agent_selection = None
        self._select_first()

    def _end_turn(self) -> None:
        """Let all those act at once whose turn it was."""
        chosen, self._chosen = self._chosen, {}
        steps = self._copy.steps
        try:
            self.turns.act(chosen)
        finally:  # an environment that raised has ended
            if self._copy.steps > steps:
                self._follow_step()
            self._select_first()
            self._deads_step_first()

    def _select_first(self) -> None:
        if self.turns.acting:
            self.agent_selection = self.turns.acting[0]

    def _follow_step(self) -> None:
        """Take over what the environment step has led to."""
        turns = self.turns
        self.agents = [agent for agent in self.possible_agents if agent in turns.present or agent in turns.ended]
        self.rewards = {agent: turns.rewards.get(agent, 0.0) for agent in self.agents}
        self._cumulative_rewards = {agent: self._cumulative_rewards.get(agent, 0.0) for agent in self.agents}
        self._accumulate_rewards()
        ends = {agent: turns.ended.get(agent, (False, False)) for agent in self.agents}
        self.terminations = {agent: terminated for agent, (terminated, _) in ends.items()}
        self.truncations = {agent: truncated for agent, (_, truncated) in ends.items()}
        self.infos = {agent: turns.info(agent) for agent in self.agents}
