"""Ready-made worlds, and the contract of batched environments."""

from heron.batch import AgentGroup, ArrayTree, BatchEnv, GroupState

__all__ = ["AgentGroup", "ArrayTree", "BatchEnv", "GroupState"]
