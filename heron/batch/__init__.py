"""Many copies of a multi-agent environment, stepped together as arrays: the contract under everything."""

from heron.batch.array_tree import ArrayTree
from heron.batch.batch_env import AgentGroup, BatchEnv, GroupState

__all__ = ["AgentGroup", "ArrayTree", "BatchEnv", "GroupState"]
