"""The agent that acts on the environment."""

from heron.agents.agent import Agent


class FieldAgent(Agent):
    """An agent that acts on the environment, under a coordinator or on its own.

    >>> from heron.agents import CoordinatorAgent
    >>> from heron.messaging import InMemoryBroker
    >>> broker = InMemoryBroker()
    >>> coordinator = CoordinatorAgent("coordinator", env_id="env_0")
    >>> field = FieldAgent("field_0", env_id="env_0", upstream_id="coordinator")
    >>> coordinator.set_message_broker(broker)
    >>> field.set_message_broker(broker)
    >>> coordinator.send_action_to_subordinate("field_0", 0.5)
    >>> field.receive_action_messages()
    [0.5]
    >>> field.send_info_to_upstream({"reward": 1.0})
    >>> coordinator.receive_subordinate_info()
    {'field_0': [{'reward': 1.0}]}
    """
