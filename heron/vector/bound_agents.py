"""Agents of the hierarchy in one copy, as objects that speak through its broker."""

from collections.abc import Callable

from heron.agents import Agent, CoordinatorAgent, FieldAgent, Hierarchy
from heron.messaging import MessageBroker


def bind_agents(
    hierarchy: Hierarchy, env_id: str, broker: MessageBroker, clock: Callable[[], float]
) -> dict[str, Agent]:
    """Make a ``CoordinatorAgent`` or ``FieldAgent`` for each agent.

    Args:
        hierarchy: The tree.
        env_id: The copy.
        broker: The broker that carries their messages.
        clock: Returns the copy's simulation time.

    Returns:
        Agent id -> the agent, from the top of the hierarchy down.
    """
    agents: dict[str, Agent] = {}
    for agent_id in hierarchy.agents:
        upstream = hierarchy.upstream.get(agent_id)
        below = hierarchy.subordinates.get(agent_id)
        agent = (
            FieldAgent(agent_id, env_id, upstream)
            if below is None
            else CoordinatorAgent(agent_id, env_id, upstream, below)
        )
        agent.set_message_broker(broker)
        agent.clock = clock
        agents[agent_id] = agent
    return agents
