"""Vector envs of scripted environments, whole steps of them, and a broker that loses and delays."""

import numpy as np
from gymnasium.spaces import Box

from heron.agents import Hierarchy
from heron.messaging import InMemoryBroker, MessageBroker
from heron.wrappers import make_vec

from ..wrappers.small_envs import Scripted

GOAL = Box(-1, 1, (2,), np.float32)

A, B = "agent_0", "agent_1"


def star(**kwargs):
    return Hierarchy.star([A, B], **{"command_space": GOAL, **kwargs})


def scripted(num_envs=1, hierarchy=None, broker=None, *, lives=None, horizon=4, **kwargs):
    return make_vec(lambda: Scripted(lives, horizon), num_envs, hierarchy, broker, **kwargs)


def commands(venv, value=0.0):
    """Return actions that send the same command to every subordinate, for every coordinator group."""
    return {
        group.name: np.full(
            (venv.num_envs, group.num_agents, *group.action_space.shape), value, group.action_space.dtype
        )
        for group in venv.coordinator_groups
    }


def still(venv):
    """Return action 0 for every field agent."""
    return {
        group.name: np.zeros((venv.num_envs, group.num_agents, *group.action_space.shape), group.action_space.dtype)
        for group in venv.field_groups
    }


def step(venv, value=0.0):
    """Take one whole step in which every coordinator that is due sends ``value``."""
    venv.decide({name: array for name, array in commands(venv, value).items() if venv.due(name).any()})
    return venv.advance(still(venv))


class SevenMethods(MessageBroker):
    """A broker with only the methods of the specification, which may lose or delay messages.

    Args:
        delay: Returns the number of vain requests for a message before it is delivered.
        loses: Returns whether a message is lost.
    """

    def __init__(self, delay=lambda message: 0, loses=lambda message: False):
        self.inner = InMemoryBroker()
        self.delay = delay
        self.loses = loses
        self.under_way = []

    def create_channel(self, channel_name):
        self.inner.create_channel(channel_name)

    def publish(self, channel, message):
        if self.loses(message):
            return
        if self.delay(message):
            self.under_way.append([self.delay(message), channel, message])
        else:
            self.inner.publish(channel, message)

    def consume(self, channel, recipient_id, env_id, clear=True):
        for waiting in [item for item in self.under_way if item[1] == channel]:
            if waiting[0] == 0:
                self.under_way.remove(waiting)
                self.inner.publish(channel, waiting[2])
            waiting[0] -= 1
        return self.inner.consume(channel, recipient_id, env_id, clear)

    def subscribe(self, channel, callback):
        self.inner.subscribe(channel, callback)

    def clear_environment(self, env_id):
        self.under_way = [item for item in self.under_way if item[2].env_id != env_id]
        self.inner.clear_environment(env_id)

    def get_environment_channels(self, env_id):
        return self.inner.get_environment_channels(env_id)

    def close(self):
        self.inner.close()
