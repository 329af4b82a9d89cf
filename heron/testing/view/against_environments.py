"""Check of a view against its environments, each played on its own."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete

from heron.batch.array_tree import zeros
from heron.testing.comparison import difference
from heron.testing.env.step_record import Subject
from heron.testing.env.subjects import subject_of
from heron.testing.view.view_player import DEFAULT_PLAN, MakeView, ViewPlan, ViewPlayer, opened
from heron.testing.view.view_subject import ViewStep, slot_of


def check_against_environments(make: MakeView, plan: ViewPlan = DEFAULT_PLAN) -> None:
    """Slots have the observations, rewards, ends and terminal observations of the environments on their own."""
    if plan.make_env is None:
        return
    with opened(make) as player, ExitStack() as stack:
        per_env = plan.slots_per_env
        copies = []
        for index in range(player.subject.num_slots // per_env):
            subject = stack.enter_context(closing(subject_of(plan.make_env())))
            agents = list(plan.agents or subject.possible_agents)
            assert len(agents) == per_env, f"a copy has {per_env} slots, but agents {agents}"
            copies.append(_Copy(subject, agents, range(index * per_env, (index + 1) * per_env)))
        observations = player.reset(plan.seed)
        for index, copy in enumerate(copies):
            copy.reset(plan.seed + index)
            copy.compare_observations(observations, "the reset")
        for number in range(1, plan.steps + 1):
            _compare_step(player, copies, number)


def _compare_step(player: ViewPlayer, copies: "list[_Copy]", number: int) -> None:
    actions = player.actions()
    step = player.step(actions)
    for copy in copies:
        copy.step(actions, player)
        copy.compare(step, f"step {number}")


class _Copy:
    """One environment, and the expected results of its slots.

    Args:
        subject: The environment.
        agents: The agents of its slots.
        slots: The slots.
    """

    def __init__(self, subject: Subject, agents: Sequence[Any], slots: range) -> None:
        self._subject = subject
        self._agents = agents
        self._slots = slots
        self._observations: dict[Any, Any] = {}
        self._rewards: dict[Any, float] = {}
        self._ends: dict[Any, tuple[bool, Any]] = {}
        self._over = False

    def reset(self, seed: int | None) -> None:
        """Start an episode."""
        empty = {agent: zeros(self._subject.observation_space(agent), ()) for agent in self._agents}
        self._observations = empty | copied(self._subject.reset(seed).observations)
        self._over = False

    def step(self, actions: list[Any], player: ViewPlayer) -> None:
        """Take the step that the view takes, or the reset that it does instead."""
        self._rewards, self._ends = {}, {}
        if self._over:
            self.reset(None)
            return
        acting = [agent for agent in self._agents if agent in self._subject.agents]
        chosen = {agent: self._action(agent, actions[self._slot(agent)], player) for agent in acting}
        result = self._subject.step(chosen)
        observations = copied(result.observations)
        self._observations |= {agent: observations[agent] for agent in self._agents if agent in observations}
        for agent in acting:
            self._rewards[agent] = float(result.rewards[agent])
            if agent not in self._subject.agents:
                cut = not result.terminations.get(agent, False)
                self._ends[agent] = (cut, self._observations[agent])
        if not self._subject.agents:
            self._over = player.subject.resets_in_next_step
            if not self._over:
                self.reset(None)

    def compare_observations(self, observations: Any, when: str) -> None:
        """Fail unless the slots have the observations of the agents."""
        for agent in self._agents:
            slot = self._slot(agent)
            self._expect(
                slot_of(observations, slot), self._observations[agent], f"the observation of slot {slot} at {when}"
            )

    def compare(self, step: ViewStep, when: str) -> None:
        """Fail unless a step of the view has the results of the environment."""
        self.compare_observations(step.observations, when)
        for agent in self._agents:
            slot = self._slot(agent)
            reward = np.asarray(self._rewards.get(agent, 0.0), step.rewards.dtype)
            self._expect(step.rewards[slot], reward, f"the reward of slot {slot} at {when}")
            ended = agent in self._ends
            assert bool(step.ended[slot]) == ended, f"slot {slot} at {when}: expected {ended=}, got {step.ended[slot]}"
            if ended:
                cut, last = self._ends[agent]
                self._expect(step.terminal.get(slot), last, f"the terminal observation of slot {slot} at {when}")
                got = bool(step.truncated[slot])
                assert got == cut, f"slot {slot} at {when}: truncated is {got}, in the environment {cut}"

    def _slot(self, agent: Any) -> int:
        return self._slots[self._agents.index(agent)]

    def _action(self, agent: Any, action: Any, player: ViewPlayer) -> Any:
        """Return a view's action in the environment's own space, since SB3 counts actions from 0."""
        own, view = self._subject.action_space(agent), player.subject.action_space
        if isinstance(own, Discrete) and isinstance(view, Discrete):
            return action + (own.start - view.start)
        return action

    def _expect(self, got: Any, expected: Any, what: str) -> None:
        how = difference(as_stored(expected, got), got)
        assert how is None, f"{what}: the environment and the view have {how}"


def copied(value: Any) -> Any:
    """Return a copy of an observation, or of a dict or tuple of observations."""
    if isinstance(value, Mapping):
        return {key: copied(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(copied(part) for part in value)
    return np.array(value)


def as_stored(value: Any, like: Any) -> Any:
    """Return a value in the dtype of the view."""
    if isinstance(value, dict) and isinstance(like, dict):
        return {key: as_stored(part, like.get(key)) for key, part in value.items()}
    if isinstance(value, tuple) and isinstance(like, tuple):
        return tuple(as_stored(part, other) for part, other in zip(value, like, strict=False))
    return np.asarray(value, getattr(like, "dtype", None))
