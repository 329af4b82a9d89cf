"""One copy of a hierarchy as a PettingZoo AEC environment."""

from collections.abc import Mapping
from typing import Any

from pettingzoo import AECEnv

from heron.batch.array_tree import ArrayTree
from heron.errors import EnvError, ResetRequiredError
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers.pettingzoo.pettingzoo_view import PettingZooView


class HierarchyAECEnv(PettingZooView, AECEnv):  # type: ignore[misc] # PettingZoo ships no types
    """A PettingZoo ``AECEnv`` whose agents act in the turn order of ``decide`` and ``advance``.

    Before each environment step the coordinators that are due act, from the top of the hierarchy down. Then each
    field agent acts, and sees the command of the same step. A coordinator's reward in ``last()`` is the sum since its
    decision, and ``infos[coordinator]["decision_length"]`` is the number of environment steps since then.

    An agent that ends has one more turn, with action None, and then leaves ``agents``. A field agent returns if the
    environment brings it back, a coordinator when it is due again.

    Args:
        venv: The vector env. If it has one copy, this environment owns it from now on.
        env_id: The copy; may be left out if there is only one. The view does not affect other copies.

    Raises:
        ConfigurationError: If ``env_id`` is left out, but there are several copies.
        UnknownEnvError: If ``env_id`` is not an id of the vector env.
    """

    agent_selection: str

    def __init__(self, venv: HierarchicalVectorEnv, env_id: str | None = None) -> None:
        super().__init__(venv, env_id)
        # PettingZoo's conversion does not support coordinators that skip the steps in which they are not due.
        self.metadata["is_parallelizable"] = not venv.coordinator_groups
        self._chosen: dict[str, Any] = {}

    def reset(self, seed: int | None = None, options: Mapping[str, Any] | None = None) -> None:
        """Start a new episode.

        Args:
            seed: Seed of the copy's random stream; None continues the stream.
            options: Passed on to the environment.

        Raises:
            ConfigurationError: If the seed or the options are invalid. Nothing was reset.
            EnvStepError: If the environment raised. It needs another reset.
        """
        try:
            self.turns.reset(seed, options)
        except EnvError:
            self._begin()  # with no agents
            raise
        self._begin()

    def observe(self, agent: str) -> ArrayTree:
        """Return an agent's current observation. After its coordinator's turn it has the command of this step.

        Raises:
            UnknownAgentError: If the copy has no agent of that id.
            ResetRequiredError: If the copy has not been reset yet.
        """
        return self.turns.observe(agent)

    def last(self, observe: bool = True) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Return observation, reward, termination, truncation and info of the agent whose turn it is.

        The reward is the sum since the agent's last action.

        Raises:
            ResetRequiredError: If there is no running episode.
        """
        if not self.agents:
            raise ResetRequiredError(f"no running episode in {self._copy.env_id}: call reset()")
        return super().last(observe)  # type: ignore[no-any-return]

    def step(self, action: Any) -> None:
        """Apply the action of the agent whose turn it is.

        Args:
            action: The action; None for an agent that has ended.

        Raises:
            ResetRequiredError: If there is no running episode.
            InvalidActionError: If the action is outside its space. Nothing has changed.
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
        """Apply the actions of all agents of the turn together."""
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
        """Update agents, rewards, flags and infos after an environment step."""
        turns = self.turns
        self.agents = [agent for agent in self.possible_agents if agent in turns.present or agent in turns.ended]
        self.rewards = {agent: turns.rewards.get(agent, 0.0) for agent in self.agents}
        self._cumulative_rewards = {agent: self._cumulative_rewards.get(agent, 0.0) for agent in self.agents}
        self._accumulate_rewards()
        ends = {agent: turns.ended.get(agent, (False, False)) for agent in self.agents}
        self.terminations = {agent: terminated for agent, (terminated, _) in ends.items()}
        self.truncations = {agent: truncated for agent, (_, truncated) in ends.items()}
        self.infos = {agent: turns.info(agent) for agent in self.agents}
