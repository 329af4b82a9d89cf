"""Whose turn it is in one environment copy: coordinators from the top down, then the field agents."""

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
    """Lets the agents of one copy act in the order in which commands go down.

    A turn belongs to all coordinators of one level that are due, or to all field agents. The end of the field agents'
    turn is an environment step. A coordinator takes part from its first turn on, so that it is never credited for
    what it did not decide; a field agent from when it is there.

    Args:
        copy: The copy. Nobody else may reset or step it.

    Attributes:
        present: The agents that take part, from the top down.
        acting: Those of them whose turn it is; nobody's once the episode is over.
        rewards: Agent id -> what it earned in the last environment step, for those that took part in it.
        ended: Agent id -> whether it was terminated and whether it was truncated, for those that the last
            environment step was the end of.
        earned: Agent id -> the sum of its rewards since it acted.
        lengths: Agent id -> environment steps since it acted.
    """

    def __init__(self, copy: EnvCopy) -> None:
        self.copy = copy
        self._engine = TurnEngine(copy.venv, {})  # all agents are the caller's
        self.present: list[str] = []
        self.acting: list[str] = []
        self.rewards: dict[str, float] = {}
        self.ended: dict[str, tuple[bool, bool]] = {}
        self.earned: dict[str, float] = {}
        self.lengths: dict[str, int] = {}
        self._steps = 0
        self._has_heard = False
        self._seen: dict[str, ArrayTree] = {}
        venv = copy.venv
        self._actions: dict[str, npt.NDArray[Any]] = {
            name: zero_actions(group.action_space, (venv.num_envs, group.num_agents))
            for name, group in venv.groups.items()
        }

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
            self.copy.venv.reset_envs([self.copy.index], [seed], options)
        except (EnvStepError, InvalidObservationError):
            self._begin()
            raise
        self._begin()

    def checked(self, actions: Mapping[str, Any], agents: Collection[str]) -> dict[str, npt.NDArray[Any]]:
        """The actions of ``agents`` in the dtype of their spaces. Those of others are not used.

        Raises:
            InvalidActionError: If one is missing or does not lie in its space, or somebody acts who is no agent.
        """
        if not isinstance(actions, Mapping):
            raise InvalidActionError(f"expected a dict of actions by agent, got a {type(actions).__name__}")
        if unknown := [agent for agent in actions if agent not in self.copy.agents]:
            raise InvalidActionError(
                f"{self.copy.env_id}: no agents {unknown}, only {list(self.copy.agents)}"
                f"{meant(unknown[0], self.copy.agents)}"
            )
        if missing := [agent for agent in agents if agent not in actions]:
            raise InvalidActionError(
                f"{self.copy.env_id}: agents {missing} have to act, but there is no action of theirs"
            )
        return {agent: self._checked(agent, actions[agent]) for agent in agents}

    def act(self, actions: Mapping[str, npt.NDArray[Any]]) -> bool:
        """Let those act whose turn it is.

        Args:
            actions: Agent id -> its checked action. Those of others are not used.

        Returns:
            Whether this was an environment step, the end of the field agents' turn.

        Raises:
            ResetRequiredError: If the copy has no running episode, or somebody else has stepped it.
            EnvStepError: If the environment raised. Its agents are cut off.
            InvalidMessageError: If a message that was sent by hand did not fit. It was dropped; all else has been
                done.
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
        """Check that there is somebody to act.

        Raises:
            EnvClosedError: If the vector env is closed.
            ResetRequiredError: If the copy has no running episode, or somebody else has stepped it.
        """
        self.copy.venv.check_open()
        if not self.acting:
            raise ResetRequiredError(f"no running episode in {self.copy.env_id}: call reset()")
        if self.copy.steps != self._steps:
            raise ResetRequiredError(
                f"{self.copy.env_id} is at step {self.copy.steps}, but this view has taken it to step {self._steps}: "
                "somebody else has reset or stepped it; call reset()"
            )

    def observe(self, agent: str) -> ArrayTree:
        """What the agent sees now, new arrays.

        Raises:
            UnknownAgentError: If there is no such agent.
            ResetRequiredError: Before the first reset.
        """
        group, place = self.copy.place(agent)
        if group.name not in self._seen:
            self._seen[group.name] = self.copy.observations(group.name)
        return row(self._seen[group.name], place)

    def info(self, agent: str) -> dict[str, Any]:
        """What the environment said of a field agent, or how long a coordinator's decision has lasted; a new dict."""
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
        self._has_heard = False
        self._let_in()
        self._pass_turn()

    def _decide(self, actions: Mapping[str, npt.NDArray[Any]]) -> None:
        try:
            self._engine.decide(self.copy.mask, actions)
        finally:  # beside a message that was refused, all others have come
            self._has_heard = True
            self._pass_turn()

    def _advance(self, actions: Mapping[str, npt.NDArray[Any]]) -> None:
        try:
            self._engine.advance(self.copy.mask, actions)
        finally:  # an environment that raised has ended
            if self.copy.steps > self._steps:
                self._follow_step()

    def _follow_step(self) -> None:
        self._steps = self.copy.steps
        self._has_heard = False
        self.rewards = {agent: self.copy.reward(agent) for agent in self.present}
        for agent, reward in self.rewards.items():
            self.earned[agent] += reward
            self.lengths[agent] += 1
        ends = {agent: self.copy.ended(agent) for agent in self.present}
        self.ended = {agent: end for agent, end in ends.items() if any(end)}
        self._let_in()
        self._pass_turn()

    def _let_in(self) -> None:
        """Let those take part who can act from now on, and no longer those who have ended."""
        awaited = set(self.copy.awaited())
        staying = set(self.present) - set(self.ended)
        for agent in awaited - staying:
            self.earned[agent], self.lengths[agent] = 0.0, 0
        self.present = [agent for agent in self.copy.agents if agent in staying or agent in awaited]

    def _pass_turn(self) -> None:
        """Find out whose turn it is."""
        awaited = self.copy.awaited()
        levels = [self.copy.level(agent) for agent in awaited]
        self.acting = [agent for agent, level in zip(awaited, levels, strict=True) if level == levels[0]]
        if self.acting and levels[0] == FIELD_LEVEL and not self._has_heard and self.copy.venv.hierarchy.edges:
            self._decide({})  # a link may deliver commands long after they were sent
