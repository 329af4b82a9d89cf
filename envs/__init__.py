"""The contract of batched environments, and how samples of spaces become arrays."""

from heron.envs.array_tree import ArrayTree
from heron.envs.batch_env import AgentGroup, BatchEnv, GroupState

__all__ = ["AgentGroup", "ArrayTree", "BatchEnv", "GroupState"]
