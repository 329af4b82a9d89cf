"""Batched environments: copies of a multi-agent environment stepped together, and the base of worlds on arrays."""

from heron.batch.array_env import ArrayEnv
from heron.batch.array_tree import ArrayTree
from heron.batch.batch_env import AgentGroup, BatchEnv, GroupState
from heron.batch.counter_random import RandomDraws
from heron.batch.world_results import GroupActions, GroupInfos, GroupTrees, GroupValues

__all__ = [
    "AgentGroup",
    "ArrayEnv",
    "ArrayTree",
    "BatchEnv",
    "GroupActions",
    "GroupInfos",
    "GroupState",
    "GroupTrees",
    "GroupValues",
    "RandomDraws",
]
