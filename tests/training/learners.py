"""Learners that are fast rather than good, and comparisons of their weights."""

import torch
from gymnasium.spaces import Discrete

from heron.agents import Hierarchy
from heron.training import LearnerConfig
from heron.wrappers import make_vec

from .tiny_envs import TINY, Relay

PPO = LearnerConfig(options=TINY)
BOTH = {"field": PPO, "coordinator": PPO}


def relay(num_envs=2, period=1, command=None, intrinsic=None, **kwargs):
    """Make a vector env of ``Relay`` with one coordinator, and return its environments, too."""
    space = command or Discrete(Relay.choices)
    envs = [Relay(**kwargs) for _ in range(num_envs)]
    venv = make_vec(
        [lambda env=env: env for env in envs],
        hierarchy=lambda ids: Hierarchy.star(ids, period=period, command_space=space),
        intrinsic_reward=intrinsic,
    )
    return venv, envs


def weights(model):
    """Copy the weights of a model."""
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


def equal(one, other):
    """Compare weights to the bit."""
    return all(torch.equal(one[name], other[name]) for name in one | other)
