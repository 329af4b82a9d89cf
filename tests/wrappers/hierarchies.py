"""Real environments under hierarchies of every kind, and reference episodes for views of one copy."""

from copy import deepcopy
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from gymnasium.spaces import Box, Discrete

from heron.agents import Hierarchy
from heron.batch.action_records import as_actions
from heron.batch.array_tree import row
from heron.wrappers import make_vec

from .small_envs import Handy

GOAL = Box(-1, 1, (2,), np.float32)
SPREAD, TAG = "mpe2.simple_spread_v3", "mpe2.simple_tag_v3"


def star(ids):
    return Hierarchy.star(ids, "coordinator_0", period=3, command_space=GOAL)


def tree(ids):
    """Make three levels over simple_tag, with discrete commands at the top, Box commands below, different periods."""
    return Hierarchy(
        {"system_0": ["hunters_0", "prey_0"], "hunters_0": ids[:3], "prey_0": ids[3:]},
        period={"system_0": 6, "hunters_0": 3, "prey_0": 2},
        command_space={**dict.fromkeys(ids, GOAL), "hunters_0": Discrete(3), "prey_0": Discrete(3, start=1)},
    )


def by_kind(ids):
    """Make one coordinator for archers, and one for knights."""
    archers = [agent for agent in ids if agent.startswith("archer")]
    knights = [agent for agent in ids if agent.startswith("knight")]
    return Hierarchy({"bows_0": archers, "swords_0": knights}, period=4, command_space=Discrete(3))


def spread(num_envs=1, **kwargs):
    return make_vec(SPREAD, num_envs, star, env_kwargs={"max_cycles": 11}, **kwargs)


def flat(num_envs=1, **kwargs):
    return make_vec(SPREAD, num_envs, env_kwargs={"max_cycles": 11}, **kwargs)


def tag(num_envs=1, **kwargs):
    return make_vec(TAG, num_envs, star, env_kwargs={"max_cycles": 11}, **kwargs)


def three_levels(num_envs=1, **kwargs):
    return make_vec(TAG, num_envs, tree, env_kwargs={"max_cycles": 11}, **kwargs)


def zombies(num_envs=1, **kwargs):
    """Knights and archers die one by one."""
    # The inner module, because the outer one of PettingZoo 1.27 raises a deprecation warning.
    module = "pettingzoo.butterfly.knights_archers_zombies.knights_archers_zombies"
    options = {"max_zombies": 20, "spawn_delay": 3, "line_death": True, "max_cycles": 120}
    return make_vec(module, num_envs, by_kind, env_kwargs=options, **kwargs)


def handy(num_envs=1, **kwargs):
    """Make agents with Dict and Tuple actions."""
    return make_vec(Handy, num_envs, star, env_kwargs={"horizon": 11}, **kwargs)


VIEWED = {"spread": spread, "flat": flat, "tag": tag, "three_levels": three_levels, "zombies": zombies, "handy": handy}


class Turn(NamedTuple):
    """One agent's observation at its turn or its end, and its reward since its last action."""

    agent: str
    observation: Any
    reward: float
    ended: tuple[bool, bool] = (False, False)


class Step(NamedTuple):
    """The observations and rewards of all agents after one environment step."""

    observations: dict[str, Any]
    rewards: dict[str, float]


def action(space, agent, step):
    """Return a random action that depends only on the arguments."""
    own = deepcopy(space)
    own.seed(crc32(f"{agent} {step}".encode()))
    return own.sample()


def play_directly(venv, seed):
    """Play one episode of a vector env with one copy, through ``decide`` and ``advance``.

    Returns:
        All turns in order, and all steps.
    """
    turns, steps = [], []
    earned = dict.fromkeys((agent for group in venv.groups.values() for agent in group.agent_ids), 0.0)

    def act(group, where):
        rows = row(venv.observe(group.name), 0)
        for place in np.flatnonzero(where[0]):
            agent = group.agent_ids[place]
            turns.append(Turn(agent, row(rows, place), earned[agent]))
            earned[agent] = 0.0
        actions = [action(group.action_space, agent, venv.steps[0]) for agent in group.agent_ids]
        return {group.name: np.stack([as_actions(group.action_space, one, ()) for one in actions])[None]}

    venv.reset(seed=[seed])
    while venv.running[0]:
        for group in venv.coordinator_groups:
            if venv.due(group.name).any():
                venv.decide(act(group, venv.due(group.name)))
        actions = {}
        for group in venv.field_groups:
            actions |= act(group, venv.results[group.name].active)
        was_active = {name: result.active[0].copy() for name, result in venv.results.items()}
        venv.advance(actions)
        steps.append(Step({}, {}))
        for name, group in venv.groups.items():
            result, rows = venv.results[name], row(venv.observe(name), 0)
            for place in np.flatnonzero(was_active[name]):
                agent = group.agent_ids[place]
                steps[-1].observations[agent] = row(rows, place)
                steps[-1].rewards[agent] = float(result.rewards[0, place])
                earned[agent] += float(result.rewards[0, place])
                if not result.active[0, place]:
                    ended = (bool(result.terminated[0, place]), bool(result.truncated[0, place]))
                    turns.append(Turn(agent, row(rows, place), earned[agent], ended))
    return turns, steps
