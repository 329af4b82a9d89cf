"""Adapters from and to other libraries, and ``make_vec``."""

from heron.play.policies import ModelPolicy, RandomPolicy
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.vector.intrinsic import GoalReward
from heron.vector.results import GroupResult
from heron.vector.vec_group import VecGroup
from heron.wrappers.gym.gym_env import GymEnv
from heron.wrappers.gym.gym_vector_env import GymVectorEnv
from heron.wrappers.gym.registration import register_envs
from heron.wrappers.make_vec import make_vec
from heron.wrappers.pettingzoo.hierarchy_aec_env import HierarchyAECEnv
from heron.wrappers.pettingzoo.hierarchy_parallel_env import HierarchyParallelEnv
from heron.wrappers.sources.declared_agents import declare_agents
from heron.wrappers.sources.loop_env import LoopEnv
from heron.wrappers.sources.split_env import AgentPart, split_env
from heron.wrappers.sources.vector_source import VectorEnvSource
from heron.wrappers.workers.process_env import ProcessEnv

__all__ = [
    "AgentPart",
    "GoalReward",
    "GroupResult",
    "GymEnv",
    "GymVectorEnv",
    "HierarchicalVectorEnv",
    "HierarchyAECEnv",
    "HierarchyParallelEnv",
    "LoopEnv",
    "ModelPolicy",
    "ProcessEnv",
    "RandomPolicy",
    "VecGroup",
    "VectorEnvSource",
    "declare_agents",
    "make_vec",
    "split_env",
]

register_envs()
