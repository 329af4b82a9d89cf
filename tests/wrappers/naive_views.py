"""Reference implementation of the views of several copies.

The slots of a copy are its learners. The result of a step for a slot is a `Row`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from .naive_copy import End, FailedError

NEXT, SAME, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED


class NoEpisodeError(Exception):
    """The error of a copy without a running episode."""


class TornError(Exception):
    """The error of a mask that names only some of the active slots of a copy."""


@dataclass
class Row:
    """The result of a step for one slot."""

    observation: Any
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    length: int = 0
    info: dict[str, Any] = field(default_factory=dict)


class NaiveView:
    """Copies that are each reset according to the autoreset mode.

    `cut` has the copies that were reset in the middle of a rollout of SB3, and stand still in the next step.
    """

    def __init__(self, copies, mode):
        self.copies, self.mode, self.cut = copies, mode, set()

    def seen(self):
        return [copy.seen(agent) for copy in self.copies for agent in copy.learners]

    def reset(self, index, seed=None, options=None):
        self.cut.discard(index)
        self.copies[index].reset(seed, options)

    def reset_in_rollout(self, index, seed=None, options=None):
        """Reset a copy in the middle of a rollout. The next step reports its slots as truncated."""
        copy, ends = self.copies[index], dict(self.copies[index].ends)
        if index not in self.cut:
            ends |= {agent: End(copy.seen(agent), False, True) for agent in copy.learners if agent in copy.active}
        copy.reset(seed, options)
        copy.ends = ends
        self.cut.add(index)

    def begin(self, moving, phase, actions):
        """Play a phase in all copies in parallel, so that an error in one stops the others at the same step."""
        games = [getattr(copy, phase)(actions[self.copies.index(copy)]) for copy in moving]
        while games:
            failed, left = False, []
            for game in games:
                try:
                    left += [game] if next(game, game) is None else []
                except FailedError:
                    failed = True
            if failed:
                raise FailedError
            games = left

    def step(self, actions):
        """Take one decision in every copy. `actions` has for each copy agent id -> action."""
        was_over = [copy.over for copy in self.copies]
        if any(not copy.begun or (copy.over and self.mode is DISABLED) for copy in self.copies):
            raise NoEpisodeError
        moving = [copy for index, copy in enumerate(self.copies) if not copy.over and index not in self.cut]
        for copy in self.copies:
            copy.gain, copy.lengths = copy.nothing(), copy.nothing()
        self.begin(moving, "rest", actions)
        self.begin(moving, "play", actions)
        for copy in moving:
            copy.decide()
        still, self.cut = self.cut, set()
        return [row for index in range(len(self.copies)) for row in self.tell(index, was_over[index], index in still)]

    def tell(self, index, was_over, stood_still):
        copy = self.copies[index]
        infos, gain, lengths, ends = copy.infos, copy.gain, copy.lengths, copy.ends
        copy.ends = {}
        reset = (self.mode is SAME and copy.over) or (self.mode is NEXT and was_over and not ends)
        if reset:
            copy.reset()
        for agent in copy.learners:
            end = ends.get(agent)
            flags = (end is not None and end.terminated, end is not None and end.truncated)
            row = Row(copy.seen(agent), gain[agent], *flags, lengths[agent])
            self.write_info(row, agent, infos, copy, end, lengths[agent], reset, stood_still)
            yield row


class NaiveGym(NaiveView):
    """The reference with the semantics of Gymnasium's vector envs."""

    def named_by(self, mask):
        """Return the copies that a mask of slots resets."""
        named, left = [], iter(mask)
        for index, copy in enumerate(self.copies):
            agents = {agent for agent in copy.learners if next(left)}
            active = {agent for agent in copy.learners if agent in copy.active}
            if agents & active and active - agents:
                raise TornError
            named += [index] if agents and not active - agents else []
        return named

    def write_info(self, row, agent, infos, copy, end, length, reset, stood_still):
        row.info |= copy.infos.get(agent, {})
        if end is not None and self.mode is SAME:
            row.info |= {"final_obs": end.observation, "final_info": infos.get(agent, {})}
        if length == 0 and end is None and not (reset and self.mode is NEXT):
            row.info["inert"] = True
        if agent in copy.tree.below:
            row.info["decision_length"] = length


class NaiveSb3(NaiveView):
    """The reference with the semantics of SB3's vector envs; `plain` is true for Gymnasium environments."""

    plain = False

    def write_info(self, row, agent, infos, copy, end, length, reset, stood_still):
        row.info |= infos.get(agent, {})
        if agent in copy.tree.below:
            row.info["decision_length"] = length
        if length == 0 and (stood_still or end is not None):
            row.info |= {"stale": True, "decision_length": 0}
        elif length == 0:
            row.info["inert"] = True
        if self.plain:
            row.info["TimeLimit.truncated"] = False
        if end is not None:
            row.info["TimeLimit.truncated"] = end.truncated and not end.terminated
            row.info["terminal_observation"] = end.observation


def infos_of_slot(infos, slot):
    """Return the infos of one slot from Gymnasium's batched infos, according to their masks."""
    assert all(f"_{key}" in infos for key in infos if not key.startswith("_"))
    keys = [key for key in infos if not key.startswith("_") and infos[f"_{key}"][slot]]
    return {key: infos_of_slot(infos[key], slot) if isinstance(infos[key], dict) else infos[key][slot] for key in keys}


def row_of(batch, slot):
    """Return one slot of a batch of observations."""
    if isinstance(batch, dict):
        return {key: row_of(part, slot) for key, part in batch.items()}
    return tuple(row_of(part, slot) for part in batch) if isinstance(batch, tuple) else batch[slot]


def same(left, right):
    """Return True if two values, or trees of them, are equal to the bit, regardless of their number types."""
    left, right = (list(one) if getattr(one, "dtype", None) == np.dtype(object) else one for one in (left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return np.array_equal(np.asarray(left), np.asarray(right))
