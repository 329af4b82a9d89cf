"""Agents that speak through a broker, and the hierarchy above them."""

from heron.agents.agent import Agent
from heron.agents.coordinator_agent import CoordinatorAgent
from heron.agents.field_agent import FieldAgent
from heron.agents.hierarchy import Hierarchy

__all__ = ["Agent", "CoordinatorAgent", "FieldAgent", "Hierarchy"]
