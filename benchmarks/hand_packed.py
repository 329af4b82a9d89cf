"""The rival of the SB3 view: a minimal SB3 ``VecEnv`` of one environment, packed by hand."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pettingzoo import ParallelEnv
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from benchmarks.packed import PackedArrays, PackedCopies
from benchmarks.tasks import Task


class HandPackedVecEnv(VecEnv):
    """One slot for each copy and agent, with what PPO needs and nothing else."""

    def __init__(self, task: Task, make: Callable[[], ParallelEnv]) -> None:
        envs = [make() for _ in range(task.copies)]
        agent = envs[0].possible_agents[0]
        self._agents = list(envs[0].possible_agents)
        self._shape = (task.copies, task.agents)
        self._copies = PackedCopies(envs, PackedArrays.make(task.copies, task.agents, task.size))
        self._actions: npt.NDArray[np.int64] = np.zeros(self._shape, np.int64)
        super().__init__(task.copies * task.agents, envs[0].observation_space(agent), envs[0].action_space(agent))

    def reset(self) -> npt.NDArray[np.float32]:
        self._copies.reset()
        return self._observations()

    def step_async(self, actions: npt.NDArray[np.int64]) -> None:
        self._actions = actions.reshape(self._shape)

    def step_wait(self) -> VecEnvStepReturn:
        self._copies.step(self._actions)
        arrays = self._copies.arrays
        dones = arrays.terminated | arrays.truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for copy, last in self._copies.last.items():
            for place, agent in enumerate(self._agents):
                cut = bool(arrays.truncated[copy, place] and not arrays.terminated[copy, place])
                slot = copy * len(self._agents) + place
                infos[slot] = {"terminal_observation": last[agent], "TimeLimit.truncated": cut}
        return self._observations(), arrays.rewards.ravel().copy(), dones.ravel(), infos

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
        return self._copies.arrays.observations.reshape(self.num_envs, -1).copy()
