"""The view beside the environments that it is made of, each played on its own."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete

from heron.batch.array_tree import zeros
from heron.testing.env.env_step import Subject
from heron.testing.env.subjects import subject_of
from heron.testing.sameness import difference
from heron.testing.view.driver import MakeView, ViewPlayer, ViewStep, opened, slot_of
from heron.testing.view.plan import ViewPlan


def check_against_environments(make: MakeView, plan: ViewPlan = ViewPlan()) -> None:  # noqa: B008 - immutable
    """Slots see, earn and end as the environments do on their own, with the true last observation at the end."""
    if plan.make_env is None:
        return
    with opened(make) as player, ExitStack() as stack:
        per_env = plan.slots_per_env
        copies = []
        for index in range(player.driver.num_slots // per_env):
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
    """One environment, and what its slots must say.

    Args:
        subject: The environment.
        agents: The agents of its slots.
        slots: Which slots these are.
    """

    def __init__(self, subject: Subject, agents: Sequence[Any], slots: range) -> None:
        self._subject = subject
        self._agents = agents
        self._slots = slots
        self._seen: dict[Any, Any] = {}
        self._rewards: dict[Any, float] = {}
        self._ends: dict[Any, tuple[bool, Any]] = {}
        self._over = False

    def reset(self, seed: int | None) -> None:
        """Start an episode."""
        empty = {agent: zeros(self._subject.observation_space(agent), ()) for agent in self._agents}
        self._seen = empty | dict(frozen_rows(self._subject.reset(seed).observations))
        self._over = False

    def step(self, actions: list[Any], player: ViewPlayer) -> None:
        """Take the step that the view takes, or the reset that it makes instead."""
        self._rewards, self._ends = {}, {}
        if self._over:
            self.reset(None)
            return
        acting = [agent for agent in self._agents if agent in self._subject.agents]
        chosen = {agent: self._action(agent, actions[self._slot(agent)], player) for agent in acting}
        turn = self._subject.step(chosen)
        self._seen |= {agent: seen for agent, seen in frozen_rows(turn.observations).items() if agent in self._agents}
        for agent in acting:
            self._rewards[agent] = float(turn.rewards[agent])
            if agent not in self._subject.agents:
                cut = not turn.terminations.get(agent, False)
                self._ends[agent] = (cut, self._seen[agent])
        if not self._subject.agents:
            self._over = player.driver.resets_in_next_step
            if not self._over:
                self.reset(None)

    def compare_observations(self, observations: Any, when: str) -> None:
        """Fail unless the slots see what the environment's agents do."""
        for agent in self._agents:
            slot = self._slot(agent)
            self._expect(slot_of(observations, slot), self._seen[agent], f"the observation of slot {slot} at {when}")

    def compare(self, step: ViewStep, when: str) -> None:
        """Fail unless a step of the view said what the environment did."""
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
                assert got == cut, f"slot {slot} at {when}: cut off is {got}, in the environment {cut}"

    def _slot(self, agent: Any) -> int:
        return self._slots[self._agents.index(agent)]

    def _action(self, agent: Any, action: Any, player: ViewPlayer) -> Any:
        """A view's action as the environment takes it, since SB3 counts actions from 0."""
        own, view = self._subject.action_space(agent), player.driver.action_space
        if isinstance(own, Discrete) and isinstance(view, Discrete):
            return action + (own.start - view.start)
        return action

    def _expect(self, got: Any, expected: Any, what: str) -> None:
        how = difference(as_stored(expected, got), got)
        assert how is None, f"{what}: the environment and the view have {how}"


def frozen_rows(observations: Any) -> dict[Any, Any]:
    """Copies of observations, whole."""
    return {agent: _copied(observation) for agent, observation in observations.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_copied(part) for part in value)
    return np.array(value)


def as_stored(value: Any, like: Any) -> Any:
    """A value in the dtype in which a view keeps it."""
    if isinstance(value, dict) and isinstance(like, dict):
        return {key: as_stored(part, like.get(key)) for key, part in value.items()}
    if isinstance(value, tuple) and isinstance(like, tuple):
        return tuple(as_stored(part, other) for part, other in zip(value, like, strict=False))
    return np.asarray(value, getattr(like, "dtype", None))
