"""Views of scripted copies, and their steps."""

import numpy as np
from gymnasium.spaces import Box

from heron.agents import Hierarchy
from heron.wrappers import make_vec

from ..small_envs import Life, Scripted

GOAL = Box(-1, 1, (2,), np.float32)

A, B = "agent_0", "agent_1"

SPREAD = "mpe2.simple_spread_v3"

FIELD, TOP = "agent", "coordinator"


def star(period=1):
    return lambda ids: Hierarchy.star(ids, period=period, command_space=GOAL)


def copies(*specs, hierarchy=None, **kwargs):
    """Return a vector env of one Scripted copy for each (lives, horizon)."""
    return make_vec([lambda lives=lives, horizon=horizon: Scripted(lives, horizon) for lives, horizon in specs],
                    hierarchy=hierarchy, **kwargs)  # fmt: skip


def plays(view, steps, action=0):
    """Return the outcome of each of some steps, as lists."""
    space = view.action_space
    actions = np.broadcast_to(np.asarray(action, space.dtype), (view.num_envs, *space.shape))
    return [view.step(actions) for _ in range(steps)]


BOTH = {A: Life(), B: Life()}
