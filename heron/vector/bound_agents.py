"""The hierarchy's agents of one copy as objects of their own."""

from collections.abc import Callable

from heron.agents import Agent, CoordinatorAgent, FieldAgent, Hierarchy
from heron.messaging import MessageBroker


def bind_agents(
    hierarchy: Hierarchy, env_id: str, broker: MessageBroker, clock: Callable[[], float]
) -> dict[str, Agent]:
    """One ``CoordinatorAgent`` or ``FieldAgent`` for each agent, from the top of the hierarchy down.

    Args:
        hierarchy: The tree.
        env_id: The copy they live in.
        broker: Through which they speak.
        clock: Tells the copy's simulation time.

    Returns:
        Agent id -> the agent.
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
