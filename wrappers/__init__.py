"""From any environment to a vector env of communicating agents, and on to the libraries that train."""

from heron.wrappers.declared_agents import declare_agents
from heron.wrappers.group_result import GroupResult
from heron.wrappers.gym_env import GymEnv
from heron.wrappers.gym_vector_env import GymVectorEnv
from heron.wrappers.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers.hierarchy_aec_env import HierarchyAECEnv
from heron.wrappers.hierarchy_parallel_env import HierarchyParallelEnv
from heron.wrappers.intrinsic import GoalReward
from heron.wrappers.loop_env import LoopEnv
from heron.wrappers.make_vec import make_vec
from heron.wrappers.policies import ModelPolicy, RandomPolicy
from heron.wrappers.process_env import ProcessEnv
from heron.wrappers.registration import register_envs
from heron.wrappers.split_env import AgentPart, split_env
from heron.wrappers.vec_group import VecGroup
from heron.wrappers.vector_source import VectorEnvSource

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
