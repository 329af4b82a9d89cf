"""Gymnasium environments of every kind of space, whose outcome depends only on seeds and actions."""

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple

from .small_envs import total

OBSERVATIONS = {
    "vector": Box(-1, 1, (3,), np.float64),
    "image": Box(0, 255, (4, 5, 3), np.uint8),
    "choice": Discrete(5, start=-2),
    "choices": MultiDiscrete([2, 3, 4]),
    "bits": MultiBinary(6),
    "dict": Dict(x=Box(0, 1, (2,), np.float32), deep=Dict(y=Discrete(3), z=MultiBinary(2))),
    "tuple": Tuple((Discrete(2), Box(0, 1, (2, 2), np.float32))),
}

ACTIONS = {
    "box": Box(-2, 2, (2,), np.float32),
    "discrete": Discrete(4),
    "multi_discrete": MultiDiscrete([2, 3]),
    "multi_binary": MultiBinary(3),
}


RECORDS = {
    "dict": Dict(grip=Discrete(3, start=-1), arm=Box(-2, 2, (2,), np.float32)),
    "tuple": Tuple((Discrete(4, start=2), MultiBinary(3), Box(0, 255, (2, 2), np.uint8))),
    "nested": Dict(
        deep=Dict(pair=Tuple((Box(-1, 1, (), np.float64), MultiDiscrete([2, 3], start=[5, -4]))), last=Discrete(2)),
        first=MultiBinary((2, 2)),
    ),
    "one field": Tuple((Box(-1, 1, (1,), np.float64),)),
}
"""Spaces whose actions are records."""


class Sampled(gymnasium.Env):
    """An environment that observes samples of its space, and ends at random or after ``horizon`` steps.

    Its infos have numbers, text, arrays and a dict, some of them only in some steps.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 7}

    def __init__(self, observation_space=OBSERVATIONS["vector"], action_space=ACTIONS["box"], horizon=7, ends=0.1,
                 render_mode=None):  # fmt: skip
        self.observation_space = observation_space
        self.action_space = action_space
        self.horizon = horizon
        self.ends = ends
        self.render_mode = render_mode
        self.resets = []
        self.received = []
        self.closed = 0
        self.colour = "red"

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.resets.append((seed, options if options is None else dict(options)))
        if options is not None and "take_notes" in options:
            options["notes"] = "mine"
        self.steps = 0
        return self._observe(), {"start": len(self.resets), "why": "asked" if options else "over"}

    def step(self, action):
        self.received.append(action)
        self.steps += 1
        info = {"step": self.steps, "where": np.full(2, self.steps / 2), "deep": {"steps": self.steps}}
        if self.steps % 2:
            info["odd"] = "yes"
        terminated = bool(self.np_random.random() < self.ends)
        reward = float(total(action)) + self.steps
        return self._observe(), reward, terminated, self.steps >= self.horizon, info

    def render(self):
        return np.full((4, 6, 3), self.steps, np.uint8)

    def twice(self, number, *, plus=0):
        return 2 * number + plus

    def close(self):
        self.closed += 1

    def _observe(self):
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        return self.observation_space.sample()
