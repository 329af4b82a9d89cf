"""A scripted turn-based game of two players, with known rewards."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import AECEnv

from heron.wrappers import make_vec
from heron.wrappers.sb3 import Sb3VecEnv

PLAYERS = ME, YOU = ("player_0", "player_1")
STATES = 8
"""Most moves of a game, and one."""


class Script(NamedTuple):
    """The player of each move, the reward of ME for it, and a flag for truncation after the last move."""

    movers: tuple[str, ...]
    rewards: tuple[float, ...]
    truncated: bool = False


SCRIPTS = (
    Script((ME, YOU, ME, YOU), (1.0, -2.0, 0.5, 3.0)),  # ended by the opponent's move
    Script((YOU, ME, YOU, YOU, YOU, ME), (-1.0, 2.0, 0.25, -0.75, 4.0, 1.5)),
    Script((ME, ME, YOU), (0.5, 0.0, -1.5), truncated=True),  # truncated after the opponent's move
    Script((YOU, YOU, ME, YOU, ME), (0.0, 3.0, 0.0, 2.0, -4.0), truncated=True),
    Script((YOU, YOU), (1.0, 2.5)),  # over before my first turn
)


class Row(NamedTuple):
    """One step of the game from the view of ME."""

    state: int
    waited: bool
    action: int | None
    reward: float
    next_state: int
    terminated: bool
    truncated: bool

    @property
    def done(self):
        return self.terminated or self.truncated


class ScriptedGame(AECEnv):
    """The game. Players observe the number of moves.

    Attributes:
        log: A ``Row`` for each step of the view, None where it stood still after a reset by hand.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "scripted_game_v0", "is_parallelizable": False}
    render_mode = None

    def __init__(self, script):
        super().__init__()
        self.script = script
        self.possible_agents = list(PLAYERS)
        self._spaces = {
            agent: {"observation": Box(0, 1, (STATES,), np.float32), "action": Discrete(2)} for agent in PLAYERS
        }
        self.agents = []
        self.log = []

    def observation_space(self, agent):
        return self._spaces[agent]["observation"]

    def action_space(self, agent):
        return self._spaces[agent]["action"]

    def observe(self, agent):
        return np.eye(STATES, dtype=np.float32)[self.state]

    def reset(self, seed=None, options=None):
        if self.agents:
            self.log.append(None)
        self.state = 0
        self.agents = list(PLAYERS)
        self.rewards = dict.fromkeys(PLAYERS, 0.0)
        self._cumulative_rewards = dict.fromkeys(PLAYERS, 0.0)
        self.terminations = dict.fromkeys(PLAYERS, False)
        self.truncations = dict.fromkeys(PLAYERS, False)
        self._choose()

    def step(self, action):
        mover = self.agent_selection
        if self.terminations[mover] or self.truncations[mover]:
            self._was_dead_step(action)
            return
        state, reward = self.state, self.script.rewards[self.state]
        self.state += 1
        self.rewards = {ME: reward, YOU: -reward}
        self._cumulative_rewards[mover] = 0.0
        self._accumulate_rewards()
        over, cut = self.state == len(self.script.movers), self.script.truncated
        self.terminations = dict.fromkeys(PLAYERS, over and not cut)
        self.truncations = dict.fromkeys(PLAYERS, over and cut)
        waited = mover != ME
        self.log.append(
            Row(state, waited, None if waited else int(action), reward, self.state, over and not cut, over and cut)
        )
        if not over:
            self._choose()

    def _choose(self):
        self.agent_selection = self.script.movers[self.state]
        self.infos = {
            agent: {"action_mask": np.array([1, 0], np.int8) * (agent == self.agent_selection)} for agent in PLAYERS
        }


def scripted_view(scripts=SCRIPTS):
    """Return the games, and a view in which ME learns."""
    games = [ScriptedGame(script) for script in scripts]
    venv = make_vec([lambda game=game: game for game in games], groups={"first": [ME], "second": [YOU]})
    return games, Sb3VecEnv(venv, "first", {"second": 0})


class Decision(NamedTuple):
    """The outcome of one move of ME until its next move, the end of the game, or the last known row.

    Attributes:
        row: The row of the move.
        total: The discounted sum of the rewards.
        length: Number of steps that it lasted.
        last: The last of these steps.
        following: The row of the next move in the same episode, None if there is none.
    """

    row: int
    total: float
    length: int
    last: Row
    following: int | None


def decisions(log, gamma):
    """Return every decision of ME in these rows, looking ahead from each move."""
    found = []
    for row, move in enumerate(log):
        if move is None or move.waited:
            continue
        total, at = move.reward, row
        while not log[at].done and at + 1 < len(log) and log[at + 1] is not None and log[at + 1].waited:
            at += 1
            total += gamma ** (at - row) * log[at].reward
        goes_on = not log[at].done and at + 1 < len(log) and log[at + 1] is not None
        found.append(Decision(row, total, at - row + 1, log[at], at + 1 if goes_on else None))
    return found
