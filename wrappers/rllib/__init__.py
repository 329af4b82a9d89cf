"""RLlib view of one copy. Needs Ray, the extra ``rllib``."""

from heron.wrappers.rllib.hierarchy_multi_agent_env import HierarchyMultiAgentEnv, one_module_per

__all__ = ["HierarchyMultiAgentEnv", "one_module_per"]
