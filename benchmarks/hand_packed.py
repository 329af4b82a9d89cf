"""Rivals written by hand: a loop that packs results into arrays, and a minimal SB3 ``VecEnv``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pettingzoo import ParallelEnv
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from benchmarks.tasks import Actions, Task


def packing_loop(task: Task, steps: int) -> Callable[[], None]:
    """Return the bare loop, with results written into arrays, as every learner needs them."""
    copies = PackedCopies([task.make() for _ in range(task.copies)])
    actions = task.actions(steps)

    def run() -> None:
        copies.reset()
        for row in actions:
            copies.step(row)

    return run


class PackedCopies:
    """Copies that are stepped one after the other and reset when they end; all agents must live equally long.

    Attributes:
        observations: ``(copies, agents, size) float32``; after an end, those of the new episode.
        rewards: ``(copies, agents) float32``.
        terminated: ``(copies, agents) bool``.
        truncated: ``(copies, agents) bool``.
        last: Copy -> last observations of the episode that ended in this step.
    """

    def __init__(self, envs: list[ParallelEnv]) -> None:
        agents = envs[0].possible_agents
        shape = (len(envs), len(agents))
        size = envs[0].observation_space(agents[0]).shape or ()
        self.observations: npt.NDArray[np.float32] = np.zeros((*shape, *size), np.float32)
        self.rewards: npt.NDArray[np.float32] = np.zeros(shape, np.float32)
        self.terminated: npt.NDArray[np.bool_] = np.zeros(shape, np.bool_)
        self.truncated: npt.NDArray[np.bool_] = np.zeros(shape, np.bool_)
        self.last: dict[int, Mapping[str, npt.NDArray[np.float32]]] = {}
        self._envs = envs
        self._agents = list(enumerate(agents))

    def reset(self) -> None:
        """Start a new episode in all copies."""
        for copy, env in enumerate(self._envs):
            self._write_observations(copy, env.reset(seed=copy)[0])

    def step(self, actions: Actions) -> None:
        """Step all copies with actions ``(copies, agents)``."""
        self.last.clear()
        for copy, (env, chosen) in enumerate(zip(self._envs, actions, strict=True)):
            observations, rewards, terminations, truncations, _ = env.step(dict(zip(env.agents, chosen, strict=True)))
            for place, agent in self._agents:
                self.rewards[copy, place] = rewards[agent]
                self.terminated[copy, place] = terminations[agent]
                self.truncated[copy, place] = truncations[agent]
            if not env.agents:
                self.last[copy] = observations
                observations, _ = env.reset()
            self._write_observations(copy, observations)

    def _write_observations(self, copy: int, observations: Mapping[str, npt.NDArray[np.float32]]) -> None:
        written = self.observations[copy]
        for place, agent in self._agents:
            written[place] = observations[agent]


class HandPackedVecEnv(VecEnv):
    """One slot for each copy and agent, with what PPO needs and nothing else."""

    def __init__(self, task: Task, make: Callable[[], ParallelEnv]) -> None:
        envs = [make() for _ in range(task.copies)]
        self._agents = list(envs[0].possible_agents)
        self._shape = (task.copies, task.agents)
        self._copies = PackedCopies(envs)
        self._actions: Actions = np.zeros(self._shape, np.int64)
        spaces = envs[0].observation_space(self._agents[0]), envs[0].action_space(self._agents[0])
        super().__init__(task.copies * task.agents, *spaces)

    def reset(self) -> npt.NDArray[np.float32]:
        self._copies.reset()
        return self._observations()

    def step_async(self, actions: Actions) -> None:
        self._actions = actions.reshape(self._shape)

    def step_wait(self) -> VecEnvStepReturn:
        self._copies.step(self._actions)
        terminated, truncated = self._copies.terminated, self._copies.truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for copy, last in self._copies.last.items():
            for place, agent in enumerate(self._agents):
                cut = bool(truncated[copy, place] and not terminated[copy, place])
                infos[copy * len(self._agents) + place] = {
                    "terminal_observation": last[agent],
                    "TimeLimit.truncated": cut,
                }
        return self._observations(), self._copies.rewards.ravel().copy(), (terminated | truncated).ravel(), infos

    def close(self) -> None:
        pass

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        del attr_name
        return [None for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        raise NotImplementedError

    def env_method(self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **_: Any) -> list[Any]:
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> Sequence[bool]:
        del wrapper_class
        return [False for _ in self._get_indices(indices)]

    def _observations(self) -> npt.NDArray[np.float32]:
        # SB3 still reads these after the next step.
        return self._copies.observations.reshape(self.num_envs, -1).copy()
