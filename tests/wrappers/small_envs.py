"""Small deterministic environments whose outcome can be computed by hand."""

from copy import deepcopy
from typing import Any, ClassVar, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from gymnasium.utils import seeding
from pettingzoo import ParallelEnv


def total(action):
    """Return the sum of all numbers in an action of any kind."""
    if isinstance(action, dict):
        action = tuple(action.values())
    return sum(map(total, action)) if isinstance(action, tuple) else np.sum(action)


class Life(NamedTuple):
    """The environment steps in which an agent is present, and the way it ends."""

    joins: int = 0
    leaves: int | None = None
    how: str = "terminated"
    """"terminated", "truncated", "both", or "silent": absent without a flag."""
    returns: int | None = None
    """The step in which the agent returns, for that step only."""


class Scripted(ParallelEnv):
    """Agents that appear and end as scripted. Those that are left are truncated at the horizon.

    Agent number k observes [step, k, a random number of the episode's stream, its last action] and is rewarded
    with ``10**k`` times the number of the step. A talkative environment also reports agents that have ended or have
    not appeared yet.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "scripted_v0", "render_modes": []}

    def __init__(
        self,
        lives=None,
        horizon=4,
        *,
        action_space=None,
        observation_space=None,
        talkative=False,
        fail_at=None,
        fail_on_reset=False,
    ):
        self.lives = lives or {"agent_0": Life(), "agent_1": Life()}
        self.possible_agents = list(self.lives)
        self.horizon = horizon
        self._action_space = Discrete(5) if action_space is None else action_space
        self._observation_space = observation_space or Box(-np.inf, np.inf, (4,), np.float32)
        self.talkative = talkative
        self.fail_at = fail_at
        self.fail_on_reset = fail_on_reset
        self.agents = []
        self.render_mode = None
        self.closed = 0
        self.received = []
        self.reset_calls = []
        self.np_random, _ = seeding.np_random(0)

    def observation_space(self, agent):
        return self._observation_space

    def action_space(self, agent):
        return self._action_space

    def reset(self, seed=None, options=None):
        self.reset_calls.append((seed, options))
        if self.fail_on_reset:
            raise RuntimeError("no power at reset")
        if seed is not None:
            self.np_random, _ = seeding.np_random(seed)
        if options:
            options.setdefault("seen", True)
        self.steps = 0
        self.agents = [agent for agent, life in self.lives.items() if life.joins == 0]
        return self._observe(self.agents, {}), {agent: {"start": agent} for agent in self.agents}

    def step(self, actions):
        self.received.append(dict(actions))
        if self.fail_at == self.steps:
            raise RuntimeError("no power")
        self.steps += 1
        acting = list(self.agents)
        terminations, truncations, self.agents = {}, {}, []
        told = []
        for agent, life in self.lives.items():
            leaves = agent in acting and life.leaves is not None and self.steps >= life.leaves
            cut = self.steps >= self.horizon
            if agent in acting and not (leaves and life.how == "silent"):
                told.append(agent)
                terminations[agent] = leaves and life.how in ("terminated", "both")
                truncations[agent] = cut or (leaves and life.how in ("truncated", "both"))
            comes = agent not in acting and self.steps in (life.joins, life.returns)
            if (comes or (agent in acting and not leaves)) and not cut:
                self.agents.append(agent)
        told += [agent for agent in self.agents if agent not in told]
        if self.talkative:
            told = self.possible_agents
            gone = [agent for agent, life in self.lives.items() if life.leaves is not None and self.steps > life.leaves]
            gone = [agent for agent in gone if agent not in (*acting, *self.agents)]
            terminations |= dict.fromkeys(gone, True)
            truncations |= dict.fromkeys(gone, True)
        rewards = {agent: float(10 ** self.possible_agents.index(agent) * self.steps) for agent in told}
        infos = {agent: {"step": self.steps} for agent in told}
        return self._observe(told, actions), rewards, terminations, truncations, infos

    def _observe(self, agents, actions):
        noise = self.np_random.random()
        return {
            agent: np.array(
                [self.steps, self.possible_agents.index(agent), noise, total(actions.get(agent, 0))], np.float32
            )
            for agent in agents
        }

    def double(self, number, *, plus=0):
        return 2 * number + plus

    def close(self):
        self.closed += 1


class FailsOnce(Scripted):
    """An environment that raises once, at a given step."""

    def step(self, actions):
        if self.fail_at == self.steps:
            self.fail_at = None
            raise RuntimeError("no power")
        return super().step(actions)


class Handy(Scripted):
    """Agents of three kinds, two of them with Dict or Tuple actions. One of the arms ends early."""

    spaces: ClassVar[dict[str, Any]] = {
        "arm_0": Dict(grip=Discrete(3, start=-1), arm=Box(-2, 2, (2,), np.float32)),
        "arm_1": Dict(grip=Discrete(3, start=-1), arm=Box(-2, 2, (2,), np.float32)),
        "pair_0": Tuple((MultiBinary(3), Dict(x=Box(-1, 1, (), np.float64), y=MultiDiscrete([2, 3], start=[4, -2])))),
        "wheel_0": Discrete(3, start=1),
    }

    def __init__(self, horizon=6, **kwargs):
        super().__init__({**dict.fromkeys(self.spaces, Life()), "arm_1": Life(leaves=4)}, horizon, **kwargs)

    def action_space(self, agent):
        return self.spaces[agent]


PAIR = (np.ones(3, np.int8), {"x": -0.5, "y": np.array([5, 0])})
"""An action of ``pair_0`` among ``Handy``."""


class Menagerie(ParallelEnv):
    """One agent per kind of observation, which is a sample of its space."""

    metadata: ClassVar[dict[str, Any]] = {"name": "menagerie_v0"}
    kinds: ClassVar[dict[str, tuple[Any, Any]]] = {
        "vector": (Box(-1, 1, (3,), np.float64), Box(-2, 2, (2,), np.float32)),
        "image": (Box(0, 255, (4, 5, 3), np.uint8), Discrete(4)),
        "choice": (Discrete(5, start=-2), Discrete(3, start=1)),
        "choices": (MultiDiscrete([2, 3, 4]), MultiDiscrete([2, 3])),
        "bits": (MultiBinary(6), MultiBinary(2)),
        "dict": (Dict(x=Box(0, 1, (2,), np.float32), deep=Dict(y=Discrete(3), z=MultiBinary(2))), Discrete(2)),
        "tuple": (Tuple((Discrete(2), Box(0, 1, (2, 2), np.float32))), Box(0, 1, (1,), np.float64)),
    }

    def __init__(self):
        self.possible_agents = list(self.kinds)
        self.agents = []
        self._spaces = {agent: space for agent, (space, _) in self.kinds.items()}

    def observation_space(self, agent):
        return self.kinds[agent][0]

    def action_space(self, agent):
        return self.kinds[agent][1]

    def reset(self, seed=None, options=None):
        self._spaces = {agent: deepcopy(space) for agent, (space, _) in self.kinds.items()}
        for place, space in enumerate(self._spaces.values()):
            space.seed(None if seed is None else seed + place)
        self.steps = 0
        self.agents = list(self.possible_agents)
        return {agent: space.sample() for agent, space in self._spaces.items()}, {}

    def step(self, actions):
        self.steps += 1
        rewards = {agent: float(np.sum(actions[agent])) for agent in self.agents}
        observations = {agent: space.sample() for agent, space in self._spaces.items()}
        ended = dict.fromkeys(self.agents, self.steps >= 3)
        if self.steps >= 3:
            self.agents = []
        return observations, rewards, ended, dict.fromkeys(ended, False), {}
