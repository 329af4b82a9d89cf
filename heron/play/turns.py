"""Turns of the agents of one copy: coordinators from the top down, then the field agents."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy.typing as npt

from heron.agents.hierarchy import FIELD_LEVEL
from heron.batch.action_check import checked_action
from heron.batch.action_records import zero_actions
from heron.batch.array_tree import ArrayTree, row
from heron.errors import EnvStepError, InvalidActionError, InvalidObservationError, ResetRequiredError, meant
from heron.play.env_copy import EnvCopy
from heron.play.turn_engine import TurnEngine


class Turns:
    """The turns of the agents of one copy, in the order in which commands go down.

    A turn belongs to all coordinators of one level that are due, or to all field agents. The field agents' turn ends
    with an environment step. A field agent takes part as soon as it is active. A coordinator takes part from its
    first turn on, so that it earns no reward from before its first decision.

    Args:
        copy: The copy. It must not be reset or stepped elsewhere.

    Attributes:
        present: The agents that take part, from the top down.
        acting: The agents whose turn it is, a part of ``present``. Empty once the episode is over.
        rewards: Agent id -> its reward of the last environment step, for agents that took part in it.
        ended: Agent id -> its ``terminated`` and ``truncated`` flags, for agents that ended in the last environment
            step.
        earned: Agent id -> the sum of its rewards since its last action.
        lengths: Agent id -> number of environment steps since its last action.
    """

    def __init__(self, copy: EnvCopy) -> None:
        self.copy = copy
        self._engine = TurnEngine(copy.venv, {})  # the caller decides for all agents
        self.present: list[str] = []
        self.acting: list[str] = []
        self.rewards: dict[str, float] = {}
        self.ended: dict[str, tuple[bool, bool]] = {}
        self.earned: dict[str, float] = {}
        self.lengths: dict[str, int] = {}
        self._steps = 0
        self._commands_received = False
        self._seen: dict[str, ArrayTree] = {}
        venv = copy.venv
        self._actions: dict[str, npt.NDArray[Any]] = {
            name: zero_actions(group.action_space, (venv.num_envs, group.num_agents))
            for name, group in venv.groups.items()
        }

    def reset(self, seed: int | None = None, options: Mapping[str, Any] | None = None) -> None:
        """Start a new episode.

        Args:
            seed: Seed of the copy's random stream; None continues the stream.
            options: Passed on to the environment.

        Raises:
            ConfigurationError: If the seed or the options are invalid. Nothing was reset.
            EnvStepError: If the environment raised. It needs another reset.
            InvalidObservationError: If the environment returned an invalid observation. It needs another reset.
        """
        try:
            self.copy.venv.reset_envs([self.copy.index], [seed], options)
        except (EnvStepError, InvalidObservationError):
            self._begin()
            raise
        self._begin()

    def checked(self, actions: Mapping[str, Any], agents: Collection[str]) -> dict[str, npt.NDArray[Any]]:
        """Return the actions of ``agents`` in the dtypes of their spaces. Actions of other agents are ignored.

        Raises:
            InvalidActionError: If an action is missing or outside its space, or belongs to an unknown agent.
        """
        if not isinstance(actions, Mapping):
            raise InvalidActionError(f"actions must be a dict of agent id -> action, got a {type(actions).__name__}")
        if unknown := [agent for agent in actions if agent not in self.copy.agents]:
            raise InvalidActionError(
                f"{self.copy.env_id}: actions of unknown agents {unknown}, expected {list(self.copy.agents)}"
                f"{meant(unknown[0], self.copy.agents)}"
            )
        if missing := [agent for agent in agents if agent not in actions]:
            raise InvalidActionError(f"{self.copy.env_id}: actions of agents {missing} are missing")
        return {agent: self._checked(agent, actions[agent]) for agent in agents}

    def act(self, actions: Mapping[str, npt.NDArray[Any]]) -> bool:
        """Apply the actions of the agents whose turn it is.

        Args:
            actions: Agent id -> its checked action. Actions of other agents are ignored.

        Returns:
            True if this was an environment step, at the end of the field agents' turn.

        Raises:
            ResetRequiredError: If the copy has no running episode, or was reset or stepped elsewhere.
            EnvStepError: If the environment raised. Its agents are truncated.
            InvalidMessageError: If a message that was published by hand did not fit. It was dropped, and the turn
                was completed.
        """
        self.check_running()
        for agent in self.acting:
            group, place = self.copy.place(agent)
            self._actions[group.name][self.copy.index, place] = actions[agent]
            self.earned[agent], self.lengths[agent] = 0.0, 0
        self._seen.clear()
        level = self.copy.level(self.acting[0])
        groups = [group.name for group in self.copy.venv.groups.values() if group.level == level]
        batch = {name: self._actions[name] for name in groups}
        if level == FIELD_LEVEL:
            self._advance(batch)
            return True
        self._decide(batch)
        return False

    def check_running(self) -> None:
        """Check that the copy has a running episode.

        Raises:
            EnvClosedError: If the vector env is closed.
            ResetRequiredError: If the copy has no running episode, or was reset or stepped elsewhere.
        """
        self.copy.venv.check_open()
        if not self.acting:
            raise ResetRequiredError(f"no running episode in {self.copy.env_id}: call reset()")
        if self.copy.steps != self._steps:
            raise ResetRequiredError(
                f"{self.copy.env_id} is at step {self.copy.steps}, but this view expected step {self._steps}: it was "
                "reset or stepped outside this view; call reset()"
            )

    def observe(self, agent: str) -> ArrayTree:
        """Return the current observation of an agent, new arrays.

        Raises:
            UnknownAgentError: If the copy has no agent of that id.
            ResetRequiredError: If the copy has not been reset yet.
        """
        group, place = self.copy.place(agent)
        if group.name not in self._seen:
            self._seen[group.name] = self.copy.observations(group.name)
        return row(self._seen[group.name], place)

    def info(self, agent: str) -> dict[str, Any]:
        """Return an agent's info, a new dict.

        A field agent's info comes from the environment. A coordinator's has the length of its decision so far.
        """
        if self.copy.level(agent) == FIELD_LEVEL:
            return self.copy.info(agent)
        return {"decision_length": self.lengths.get(agent, 0)}

    def _checked(self, agent: str, action: Any) -> npt.NDArray[Any]:
        checked: npt.NDArray[Any] = checked_action(action, self.copy.action_spaces[agent], agent, self.copy.env_id)
        return checked

    def _begin(self) -> None:
        self.present, self.rewards, self.ended = [], {}, {}
        self._seen.clear()
        self._steps = self.copy.steps
        self._commands_received = False
        self._update_present()
        self._update_acting()

    def _decide(self, actions: Mapping[str, npt.NDArray[Any]]) -> None:
        try:
            self._engine.decide(self.copy.mask, actions)
        finally:  # all messages except a rejected one were delivered
            self._commands_received = True
            self._update_acting()

    def _advance(self, actions: Mapping[str, npt.NDArray[Any]]) -> None:
        try:
            self._engine.advance(self.copy.mask, actions)
        finally:  # an environment that raised has ended
            if self.copy.steps > self._steps:
                self._follow_step()

    def _follow_step(self) -> None:
        self._steps = self.copy.steps
        self._commands_received = False
        self.rewards = {agent: self.copy.reward(agent) for agent in self.present}
        for agent, reward in self.rewards.items():
            self.earned[agent] += reward
            self.lengths[agent] += 1
        ends = {agent: self.copy.ended(agent) for agent in self.present}
        self.ended = {agent: end for agent, end in ends.items() if any(end)}
        self._update_present()
        self._update_acting()

    def _update_present(self) -> None:
        """Add the agents that can act from now on to those present, and remove those that have ended."""
        awaited = set(self.copy.awaited())
        staying = set(self.present) - set(self.ended)
        for agent in awaited - staying:
            self.earned[agent], self.lengths[agent] = 0.0, 0
        self.present = [agent for agent in self.copy.agents if agent in staying or agent in awaited]

    def _update_acting(self) -> None:
        """Set ``acting`` to the agents whose turn it is."""
        awaited = self.copy.awaited()
        levels = [self.copy.level(agent) for agent in awaited]
        self.acting = [agent for agent, level in zip(awaited, levels, strict=True) if level == levels[0]]
        if self.acting and levels[0] == FIELD_LEVEL and not self._commands_received and self.copy.venv.hierarchy.edges:
            self._decide({})  # receive commands that a link has delayed
