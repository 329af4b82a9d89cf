"""Batched environments: copies of a multi-agent environment stepped together, and the base of worlds on arrays."""

from heron.batch.array_env import ArrayEnv
from heron.batch.array_tree import ArrayTree
from heron.batch.batch_env import AgentGroup, BatchEnv, GroupState
from heron.batch.counter_random import RandomDraws

__all__ = ["AgentGroup", "ArrayEnv", "ArrayTree", "BatchEnv", "GroupState", "RandomDraws"]
