"""Waiting slots of turn-based environments."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from heron.batch.batch_env import BoolArray

ACTIVE_AGENT: Final = "active_agent"
"""Key of an info under which a turn-based environment names the agent whose action counts next."""


def waiting_slots(
    infos: Sequence[Mapping[str, Mapping[str, Any]]], agent_ids: Sequence[str]
) -> tuple[BoolArray, BoolArray]:
    """Return the slots whose action the next step ignores, and all slots whose agents act in turn.

    Args:
        infos: For each copy, agent id -> the info of its last reset or step.
        agent_ids: The agents that have a slot in each copy.

    Returns:
        Two arrays ``(num_envs * num_agents,) bool``.
    """
    shape = (len(infos), len(agent_ids))
    waiting, in_turn = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for copy, by_agent in enumerate(infos):
        # A turn-based environment names the active agent in all of its infos, so the first info settles it.
        if not by_agent or ACTIVE_AGENT not in next(iter(by_agent.values())):
            continue
        for place, agent in enumerate(agent_ids):
            active = by_agent.get(agent, {}).get(ACTIVE_AGENT)
            in_turn[copy, place] = active is not None
            waiting[copy, place] = isinstance(active, str) and active in by_agent and active != agent
    return waiting.ravel(), in_turn.ravel()
