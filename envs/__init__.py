"""Ready-made worlds, and the contract that they implement."""

from heron.batch import AgentGroup, ArrayTree, BatchEnv, GroupState

__all__ = ["AgentGroup", "ArrayTree", "BatchEnv", "GroupState"]
