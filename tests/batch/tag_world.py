"""A small world on arrays, with all that worlds may have: groups, ends of single agents, parameters, options, infos."""

from dataclasses import dataclass, replace

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

from heron.batch import AgentGroup, ArrayEnv

SPACE = Box(-10, 10, (5,), np.float32)
MOVES = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
ACTIONS = {"prey": Discrete(5), "hunter": Box(-1, 1, (2,), np.float32)}


@dataclass(frozen=True)
class Tag:
    """Two hunters and their prey on a plane."""

    prey: np.ndarray  # (n, 2)
    hunters: np.ndarray  # (n, 2, 2)
    energy: np.ndarray  # (n, 2)
    color: np.ndarray  # (n,) int64
    speed: np.ndarray  # (n,)


class TagEnv(ArrayEnv[Tag]):
    """Hunters get tired and drop out; the prey is caught, or time runs out."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(self, num_envs=1, *, speed=0.3, energy=20.0, env_ids=None, render_mode=None, max_episode_steps=15):
        groups = [
            AgentGroup("hunter", ("hunter_0", "hunter_1"), SPACE, ACTIONS["hunter"]),
            AgentGroup("prey", ("prey",), Dict(place=Box(-10, 10, (2,)), color=Discrete(3)), ACTIONS["prey"]),
        ]
        tag = Tag(
            prey=np.zeros((num_envs, 2)),
            hunters=np.zeros((num_envs, 2, 2)),
            energy=np.full((num_envs, 2), energy),
            color=np.zeros(num_envs, np.int64),
            speed=np.full(num_envs, speed),
        )
        super().__init__(
            num_envs, groups, tag, max_episode_steps=max_episode_steps, env_ids=env_ids, render_mode=render_mode
        )

    def _begin(self, state, random, options):
        return replace(
            state,
            prey=random.uniform("prey", -1, 1, (2,)) + options.get("offset", 0.0),
            hunters=random.uniform("hunters", -2, 2, (2, 2)),
            energy=state.energy * random.uniform("energy", 0.5, 1, (2,)),
            color=random.integers("color", 0, 3),
        )

    def _advance(self, state, actions, random):
        chase = actions["hunter"] * state.speed[:, None, None] * (state.energy > 0)[..., None]
        flight = MOVES[actions["prey"][:, 0]] * state.speed[:, None] + random.normal("wind", 0, 0.1, (2,))
        hunters = np.clip(state.hunters + chase, -3, 3)
        prey = np.clip(state.prey + flight, -3, 3)
        energy = state.energy - np.abs(actions["hunter"]).sum(axis=2)
        distance = np.sqrt(((hunters - prey[:, None]) ** 2).sum(axis=2))
        is_near = (distance < 0.6) & (energy > 0)
        is_caught = is_near.any(axis=1, keepdims=True)
        rewards = {"hunter": is_caught - 0.01 * distance, "prey": -1.0 * is_caught}
        terminated = {"hunter": is_caught | (energy <= 0), "prey": is_caught}
        return replace(state, prey=prey, hunters=hunters, energy=energy), rewards, terminated

    def _observe(self, state):
        prey = np.broadcast_to(state.prey[:, None], state.hunters.shape)
        return {
            "hunter": np.concatenate([state.hunters, prey, state.energy[..., None]], axis=2).clip(-10, 10),
            "prey": {"place": state.prey[:, None], "color": state.color[:, None]},
        }

    def _infos(self, state):
        return {"prey": {"is_cornered": (np.abs(state.prey) == 3).all(axis=1, keepdims=True)}}

    def _render(self, state):
        return np.full((2, 2, 3), 80 * state.color[0], np.uint8)
