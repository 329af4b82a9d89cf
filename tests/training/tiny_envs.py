"""Environments that are learned in seconds, or with returns that can be computed by hand."""

from typing import ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import seeding
from pettingzoo import ParallelEnv

TINY = {"policy_kwargs": {"net_arch": [8]}, "n_steps": 4, "n_epochs": 1, "batch_size": 4}
"""Options for PPO that make it fast, not good."""


class Relay(ParallelEnv):
    """Each agent should choose the target that only the other one sees: +1 for each that does.

    An agent observes the other's target of this step and its own last action, both one-hot. Unless a coordinator
    passes the targets on, guessing is optimal. With ``own=True`` each agent sees its own target instead.
    """

    metadata: ClassVar[dict[str, str]] = {"name": "relay_v0"}
    choices = 3

    def __init__(self, horizon=8, *, own=False, start=0):
        self.possible_agents = ["agent_0", "agent_1"]
        self.agents = []
        self.horizon, self.own, self.start = horizon, own, start
        self.resets, self.actions = 0, []
        self.np_random, _ = seeding.np_random(0)

    def observation_space(self, agent):
        return Box(0, 1, (2 * self.choices,), np.float32)

    def action_space(self, agent):
        return Discrete(self.choices, start=self.start)

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.np_random, _ = seeding.np_random(seed)
        self.resets += 1
        self.steps = 0
        self.agents = list(self.possible_agents)
        return self._observe({}), {}

    def step(self, actions):
        self.actions.append([int(actions[agent]) for agent in self.possible_agents])
        chosen = {agent: int(action) - self.start for agent, action in actions.items()}
        rewards = {
            agent: float(chosen[agent] == target)
            for agent, target in zip(self.possible_agents, self.targets, strict=True)
        }
        self.steps += 1
        cut = dict.fromkeys(self.agents, self.steps >= self.horizon)
        if self.steps >= self.horizon:
            self.agents = []
        return self._observe(chosen), rewards, dict.fromkeys(cut, False), cut, {}

    def _observe(self, chosen):
        self.targets = self.np_random.integers(self.choices, size=2)
        shown = self.targets if self.own else self.targets[::-1]
        one_hot = np.eye(self.choices, dtype=np.float32)
        last = [one_hot[chosen[agent]] if chosen else np.zeros(self.choices) for agent in self.possible_agents]
        return {
            agent: np.concatenate([one_hot[shown[place]], last[place]], dtype=np.float32)
            for place, agent in enumerate(self.possible_agents)
        }


def obeyed(observations, commands, next_observations, rewards):
    """Reward agents of ``Relay`` for the action that was commanded."""
    return (next_observations[..., Relay.choices :].argmax(axis=-1) == commands).astype(float)


class Varying(ParallelEnv):
    """Episodes of 1 to 12 steps, depending on the seed; the reward is the difference of action and observation."""

    metadata: ClassVar[dict[str, str]] = {"name": "varying_v0"}

    def __init__(self, longest=12):
        self.possible_agents = ["left", "right"]
        self.agents = []
        self.longest = longest
        self.np_random, _ = seeding.np_random(0)

    def observation_space(self, agent):
        return Box(-1, 1, (3,), np.float64)

    def action_space(self, agent):
        return Box(-1, 1, (1,), np.float32)

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.np_random, _ = seeding.np_random(seed)
        self.left = int(self.np_random.integers(1, self.longest + 1))
        self.agents = list(self.possible_agents)
        return self._observe(), {}

    def step(self, actions):
        rewards = {agent: float(actions[agent][0] - self.seen[agent][0]) for agent in self.agents}
        self.left -= 1
        ended = dict.fromkeys(self.agents, self.left == 0)
        if self.left == 0:
            self.agents = []
        return self._observe(), rewards, ended, dict.fromkeys(ended, False), {}

    def _observe(self):
        self.seen = {agent: self.np_random.uniform(-1, 1, 3) for agent in self.possible_agents}
        return dict(self.seen)


class Steady(ParallelEnv):
    """The same in every episode: in its n-th step the first agent earns n, and the second 10 n."""

    metadata: ClassVar[dict[str, str]] = {"name": "steady_v0"}

    def __init__(self, horizon=4, action_space=None):
        self.possible_agents = ["agent_0", "agent_1"]
        self.agents = []
        self.horizon, self.resets = horizon, 0
        self._action_space = action_space or Discrete(2)

    def observation_space(self, agent):
        return Box(0, np.inf, (1,), np.float32)

    def action_space(self, agent):
        return self._action_space

    def reset(self, seed=None, options=None):
        self.resets += 1
        self.steps = 0
        self.agents = list(self.possible_agents)
        return self._observe(), {}

    def step(self, actions):
        self.steps += 1
        cut = dict.fromkeys(self.agents, self.steps >= self.horizon)
        rewards = {"agent_0": 1.0 * self.steps, "agent_1": 10.0 * self.steps}
        if self.steps >= self.horizon:
            self.agents = []
        return self._observe(), rewards, dict.fromkeys(cut, False), cut, {}

    def _observe(self):
        return {agent: np.array([self.steps], np.float32) for agent in self.possible_agents}


class Recall(ParallelEnv):
    """One of two lights is shown in the first step; in each later step +1 for naming it, otherwise -1."""

    metadata: ClassVar[dict[str, str]] = {"name": "recall_v0"}

    def __init__(self, horizon=4):
        self.possible_agents = ["agent"]
        self.agents = []
        self.horizon = horizon
        self.np_random, _ = seeding.np_random(0)

    def observation_space(self, agent):
        return Box(0, 1, (3,), np.float32)

    def action_space(self, agent):
        return Discrete(2)

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.np_random, _ = seeding.np_random(seed)
        self.light = int(self.np_random.integers(2))
        self.steps = 0
        self.agents = list(self.possible_agents)
        return {"agent": np.array([self.light == 0, self.light == 1, 0], np.float32)}, {}

    def step(self, actions):
        reward = (1.0 if actions["agent"] == self.light else -1.0) if self.steps else 0.0
        self.steps += 1
        over = self.steps >= self.horizon
        if over:
            self.agents = []
        seen = np.array([0, 0, 1], np.float32)
        return {"agent": seen}, {"agent": reward}, {"agent": over}, {"agent": False}, {}
