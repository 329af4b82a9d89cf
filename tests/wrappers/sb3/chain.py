"""A chain of states with known values, for agents that terminate, are truncated, and are reset by hand."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete
from pettingzoo import ParallelEnv

GAMMA = 0.9
A, B, C = AGENTS = ("agent_0", "agent_1", "agent_2")
STARTS = {A: 0, B: 3, C: 7}
"""Start states of the agents in most tests."""
REWARDS = np.array([1.0, -2.0, 0.5, 3.0, -1.0, 2.0, 0.25, -0.75, 4.0, 1.5])
STATES = len(REWARDS)
"""Number of states on the chain; the task ends after the last one."""


class Move(NamedTuple):
    """One step of one agent."""

    state: int
    action: int
    reward: float
    next_state: int
    terminated: bool
    truncated: bool


def value(gamma):
    """Return the value of each state ``(STATES + 1,)`` when each step advances by one; 0 at the end."""
    transition = np.eye(STATES, k=1)
    return np.append(np.linalg.solve(np.eye(STATES) - gamma * transition, REWARDS), 0.0)


class Chain(ParallelEnv):
    """The chain. Agents begin at ``starts``, and advance by one state per step, or by their action with ``strides``.

    Leaving a state earns its reward, minus 0.5 for a stride of 2. An agent terminates at the end of the chain. It is
    truncated after its number of steps in ``cuts``, and at the horizon.

    Attributes:
        log: For each step of the view the moves of the agents that took part.
        cut_by_hand: Indices of the steps in ``log`` in which the view stood still after a reset by hand.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "chain_v0"}

    def __init__(self, starts, horizon=100, *, cuts=None, strides=False, as_dict=False):
        self.starts, self.horizon, self.cuts, self.strides, self.as_dict = starts, horizon, cuts or {}, strides, as_dict
        self.possible_agents = list(starts)
        self.agents = []
        self.log, self.cut_by_hand = [], set()

    def observation_space(self, agent):
        one_hot = Box(0, 1, (STATES + 1,), np.float32)
        return Dict(state=one_hot, place=Discrete(STATES + 1)) if self.as_dict else one_hot

    def action_space(self, agent):
        return Discrete(2)

    def action_masks(self):
        return np.array([True, False])

    def reset(self, seed=None, options=None):
        if self.agents:
            self.cut_by_hand.add(len(self.log))
            self.log.append({})
        self.agents = list(self.possible_agents)
        self.states = dict(self.starts)
        self.steps = 0
        return {agent: self._observe(agent) for agent in self.agents}, {}

    def step(self, actions):
        self.steps += 1
        moves = {agent: self._move(agent, int(actions[agent])) for agent in self.agents}
        self.log.append(moves)
        self.states |= {agent: move.next_state for agent, move in moves.items()}
        self.agents = [agent for agent, move in moves.items() if not (move.terminated or move.truncated)]
        return (
            {agent: self._observe(agent) for agent in moves},
            {agent: move.reward for agent, move in moves.items()},
            {agent: move.terminated for agent, move in moves.items()},
            {agent: move.truncated for agent, move in moves.items()},
            {},
        )

    def _move(self, agent, action):
        state = self.states[agent]
        stride = 1 + action * self.strides
        next_state = min(state + stride, STATES)
        terminated = next_state == STATES
        truncated = not terminated and self.steps >= min(self.horizon, self.cuts.get(agent, self.horizon))
        return Move(state, action, REWARDS[state] - 0.5 * (stride - 1), next_state, terminated, truncated)

    def _observe(self, agent):
        state = self.states[agent]
        one_hot = np.eye(STATES + 1, dtype=np.float32)[state]
        return {"state": one_hot, "place": state} if self.as_dict else one_hot
