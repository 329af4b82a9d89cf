"""From any environment to a vector env of communicating agents, and on to the libraries that train."""

from heron.wrappers.intrinsic import GoalReward
from heron.wrappers.make_vec import make_vec
from heron.wrappers.policies import ModelPolicy, RandomPolicy
from heron.wrappers.processes.process_env import ProcessEnv
from heron.wrappers.registration import register_envs
from heron.wrappers.sources.declared_agents import declare_agents
from heron.wrappers.sources.loop_env import LoopEnv
from heron.wrappers.sources.split_env import AgentPart, split_env
from heron.wrappers.sources.vector_source import VectorEnvSource
from heron.wrappers.vector.group_result import GroupResult
from heron.wrappers.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers.vector.vec_group import VecGroup
from heron.wrappers.views.gym_env import GymEnv
from heron.wrappers.views.gym_vector_env import GymVectorEnv
from heron.wrappers.views.hierarchy_aec_env import HierarchyAECEnv
from heron.wrappers.views.hierarchy_parallel_env import HierarchyParallelEnv

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
