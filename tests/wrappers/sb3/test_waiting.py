"""Waiting slots in steps of another agent's turn."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from heron.wrappers import make_vec
from heron.wrappers.sb3 import Sb3VecEnv

from ..pettingzoo.pettingzoo_suite import api_test
from ..scripted_game import SCRIPTS, ScriptedGame, scripted_view


@pytest.mark.filterwarnings("ignore:Environment has not defined a render:UserWarning")
def test_the_game_is_sound():
    api_test(ScriptedGame(SCRIPTS[1]), num_cycles=20)


def test_infos_say_who_waited():
    games, view = scripted_view()
    view.reset()
    for step in range(25):
        infos = view.step(np.zeros(5, dtype=int))[3]
        for info, game in zip(infos, games, strict=True):
            row = game.log[step]
            assert (info.get("waited"), info.get("stale")) == (
                (None, True) if row is None else (row.waited or None, None)
            )
        view.reset_envs([copy for copy in range(5) if (step + copy) % 4 == 0])
    assert all(None in game.log for game in games)


class Namesake(gymnasium.Env):
    """An environment whose infos name an active agent that it does not have."""

    observation_space = Box(0, 1, (1,), np.float32)
    action_space = Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {"active_agent": "player_0"}

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {"active_agent": "player_0"}


@pytest.mark.parametrize("make", [lambda: Sb3VecEnv([Namesake]), lambda: Sb3VecEnv(make_vec([Namesake]))])
def test_no_slot_waits_for_an_unknown_agent(make):
    view = make()
    view.reset()
    assert not any("waited" in view.step(np.zeros(1, dtype=int))[3][0] for _ in range(3))
