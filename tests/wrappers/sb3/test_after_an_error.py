"""The SB3 view after an error: it loses no end, and no copy waits forever."""

from itertools import count

import numpy as np
import pytest

from heron.agents import Hierarchy
from heron.errors import EnvStepError, PolicyError
from heron.wrappers import make_vec
from heron.wrappers.sb3 import Sb3VecEnv

from ..small_envs import FailsOnce, Life, Scripted
from .sb3_views import BOTH, FIELD, GOAL, TOP, A, B, copies, plays, star


def raises_once(function, call):
    """Wrap a function so that it raises in its n-th call."""
    calls = count(1)

    def wrapped(*args):
        if next(calls) == call:
            raise ZeroDivisionError
        return function(*args)

    return wrapped


class TestAfterAnError:
    """The next step reports the results of a step that raised."""

    def failing(self, *specs, fail_at, **kwargs):
        factories = [
            lambda horizon=horizon, at=at: FailsOnce(BOTH, horizon, fail_at=at)
            for horizon, at in zip(specs, fail_at, strict=True)
        ]
        return make_vec(factories, **kwargs)

    def test_no_copy_waits_for_a_decision_forever(self):
        venv = self.failing(9, 9, fail_at=(1, None), hierarchy=star(2))
        view = Sb3VecEnv(venv, FIELD, {TOP: np.zeros(4)})
        view.reset()
        plays(view, 1)
        with pytest.raises(EnvStepError, match="env_0"):
            plays(view, 1)
        plays(view, 3)
        assert venv.steps.tolist() == [2, 5]

    def test_a_policy_that_raised_is_asked_again(self):
        top = raises_once(lambda seen: np.zeros((len(seen), 4), np.float32), 2)
        view = Sb3VecEnv(copies((BOTH, 9), hierarchy=star(2)), FIELD, {TOP: top})
        view.reset()
        plays(view, 1)
        with pytest.raises(PolicyError, match="raised ZeroDivisionError"):
            plays(view, 1)
        plays(view, 2)
        assert view.venv.steps.tolist() == [4]

    def test_ends_of_other_copies_than_the_one_that_raised_are_reported(self):
        episodes = []
        view = Sb3VecEnv(self.failing(2, 3, 9, fail_at=(None, 1, None)), on_episode=episodes.append)
        view.reset()
        plays(view, 1)
        with pytest.raises(EnvStepError, match="env_1"):
            plays(view, 1)
        assert [(episode.env_id, episode.length) for episode in episodes] == [("env_0", 2), ("env_1", 2)]
        observations, rewards, dones, infos = plays(view, 1)[0]
        assert dones[::2].tolist() == [True, True, False]
        assert rewards[::2].tolist() == [0, 0, 3]
        assert [info["terminal_observation"][0] for info in infos[:4:2]] == [2, 1]
        assert [info["TimeLimit.truncated"] for info in infos[:4]] == [True] * 4
        assert observations[::2, 0].tolist() == [0, 0, 3]
        assert plays(view, 1)[0][2].tolist() == [False] * 6

    def test_ends_are_reported_even_if_a_callback_raised(self):
        told = []
        view = Sb3VecEnv(copies((BOTH, 1), (BOTH, 1)), on_episode=raises_once(told.append, 1))
        view.reset()
        with pytest.raises(ZeroDivisionError):
            plays(view, 1)
        assert plays(view, 1)[0][2].tolist() == [True] * 4
        assert [episode.env_id for episode in told] == ["env_1"]

    def test_ends_are_reported_even_if_the_reset_after_them_raised(self):
        view = Sb3VecEnv(copies((BOTH, 2), (BOTH, 2)))
        view.reset()
        plays(view, 1)
        broken = view.venv.batch_env.envs[0]
        broken.fail_on_reset = True
        with pytest.raises(EnvStepError, match="env_0: reset"):
            plays(view, 1)
        broken.fail_on_reset = False
        _, _, dones, infos = plays(view, 1)[0]
        assert dones.tolist() == [True] * 4
        assert [info["terminal_observation"][0] for info in infos] == [2] * 4
        # The reset that raised has begun the other copy's episode. It stands still in the step that reports its end.
        assert [step[2].tolist() for step in plays(view, 2)] == [[False] * 4, [True] * 4]

    def test_an_interrupted_decision_is_completed_without_reward(self):
        venv = self.failing(20, 20, fail_at=(5, None), hierarchy=star(4))
        view = Sb3VecEnv(venv, TOP, {FIELD: 0})
        view.reset()
        plays(view, 1)
        with pytest.raises(EnvStepError, match="env_0"):
            plays(view, 1, 0.25)
        assert venv.steps.tolist() == [6, 6]
        _, rewards, dones, infos = plays(view, 1, 0.5)[0]
        assert dones.tolist() == [True, False]
        assert rewards.tolist() == [0, 11 * (9 + 10 + 11 + 12)]
        assert [info["decision_length"] for info in infos] == [0, 4]
        assert venv.commands(FIELD)[1].tolist() == [[0.5, 0.5]] * 2

    def test_a_decision_before_whose_first_step_a_policy_raised_is_played_first(self):
        field = raises_once(lambda seen: np.zeros(len(seen), int), 3)
        view = Sb3VecEnv(copies((BOTH, 20), hierarchy=star(2)), TOP, {FIELD: field})
        view.reset()
        plays(view, 1)
        with pytest.raises(PolicyError, match="raised ZeroDivisionError"):
            plays(view, 1, 0.25)
        assert plays(view, 1, 0.5)[0][1].tolist() == [11 * (5 + 6)]

    def test_a_coordinator_that_appears_in_an_interrupted_decision_has_no_end(self):
        tree = Hierarchy({"red_0": [A], "red_1": [B]}, period=3, command_space=GOAL)
        late = {A: Life(), B: Life(joins=1)}
        venv = make_vec([lambda: FailsOnce(BOTH, fail_at=0), lambda: Scripted(late, 3)], hierarchy=tree)
        view = Sb3VecEnv(venv, "red", {FIELD: 0})
        view.reset()
        with pytest.raises(EnvStepError, match="env_0"):
            plays(view, 1)
        _, _, dones, infos = plays(view, 1)[0]
        assert dones.tolist() == [True, True, True, False]
        assert ["inert" in info for info in infos] == [False, False, False, True]

    def test_an_end_is_reported_with_its_own_observation_after_the_agent_has_returned(self):
        back = {A: Life(), B: Life(leaves=1, returns=2)}
        view = Sb3VecEnv(make_vec([lambda: FailsOnce(BOTH, fail_at=0), lambda: Scripted(back, 9)]))
        view.reset()
        with pytest.raises(EnvStepError, match="env_0"):
            plays(view, 1)
        observations, _, dones, infos = plays(view, 1)[0]
        assert dones.tolist() == [True, True, False, True]
        assert (infos[3]["terminal_observation"][0], observations[3, 0]) == (1, 2)
