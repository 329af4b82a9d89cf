"""Resets of the SB3 view: seeds, options, single copies in the middle of a rollout, and stale actions."""

import numpy as np
import pytest

from heron.errors import ConfigurationError, EnvStepError
from heron.wrappers import make_vec
from heron.wrappers.sb3 import Sb3VecEnv

from ..small_envs import Life, Scripted
from .sb3_views import BOTH, FIELD, TOP, A, B, copies, plays, star


class TestResets:
    def test_seed_and_options_reach_the_copies(self):
        view = Sb3VecEnv(copies((BOTH, 4), (BOTH, 4)))
        assert view.seed(5) == [5, 5, 6, 6]
        options = {"wind": 1}
        view.set_options(options)
        view.reset()
        view.reset()
        calls = [env.reset_calls for env in view.venv.batch_env.envs]
        seen = {"wind": 1, "seen": True}
        assert calls == [[(5, seen), (None, None)], [(6, seen), (None, None)]]
        assert options == {"wind": 1}

    def test_options_with_arrays_may_be_given_slot_by_slot(self):
        view = Sb3VecEnv(copies((BOTH, 4), (BOTH, 4)))
        view.set_options([{"wind": np.array([slot, slot])} for slot in range(4)])
        view.reset()
        assert [env.reset_calls[0][1]["wind"].tolist() for env in view.venv.batch_env.envs] == [[0, 0], [2, 2]]

    def test_options_may_differ_by_copy(self):
        view = Sb3VecEnv(copies((BOTH, 4), (BOTH, 4)))
        view.set_options([{"wind": 1}, {"wind": 1}, {}, {}])
        view.reset()
        assert [env.reset_calls for env in view.venv.batch_env.envs] == [
            [(None, {"wind": 1, "seen": True})], [(None, None)],
        ]  # fmt: skip
        assert view.venv.running.all()

    def test_a_seed_holds_for_one_reset_only(self):
        view = Sb3VecEnv(copies((BOTH, 1)))
        view.seed(5)
        view.reset()
        plays(view, 2)
        assert [seed for seed, _ in view.venv.batch_env.envs[0].reset_calls] == [5, None, None]

    def test_some_seed_is_chosen_if_none_is_given(self):
        view = Sb3VecEnv(copies((BOTH, 1), (BOTH, 1)))
        seeds = view.seed()
        assert seeds[2] == seeds[0] + 1 >= 1

    @pytest.mark.parametrize("again", ["reset_envs", "reset"])
    def test_a_refused_reset_drops_no_unreported_end(self, again):
        view = Sb3VecEnv(copies((BOTH, 4), (BOTH, 4)))
        view.reset()
        plays(view, 1)
        view.reset_envs(0)
        reset = view.reset_envs if again == "reset_envs" else view._autoreset.reset
        with pytest.raises(ConfigurationError):
            reset([0], seed=[1, 2])
        _, _, dones, infos = plays(view, 1)[0]
        assert dones.tolist() == [True, True, False, False]
        assert infos[0]["terminal_observation"][0] == 1

    def test_reset_of_one_copy_does_not_affect_the_others(self):
        view = Sb3VecEnv(copies((BOTH, 4), (BOTH, 4), hierarchy=star()), FIELD, {TOP: np.full(4, 0.5)})
        view.reset()
        before = plays(view, 1)[0][0]
        observations = view.reset_envs("env_0", seed=3)
        assert observations[:, 0].tolist() == [0, 0, 1, 1]
        np.testing.assert_array_equal(observations[2:], before[2:])
        assert observations[0, 4:].tolist() == [0.5, 0.5]

    def test_reset_before_the_episode_ends(self):
        view = Sb3VecEnv(copies((BOTH, 4), hierarchy=star(3)), TOP, {FIELD: 0})
        view.reset()
        plays(view, 1)
        assert view.reset()[0, [0, 4, 5]].tolist() == [0, 0, 0]
        assert plays(view, 1)[0][1].tolist() == [66]


class TestCutShort:
    def test_a_reset_in_a_rollout_is_an_end(self):
        view = Sb3VecEnv(copies((BOTH, 9), ({A: Life(), B: Life(leaves=2)}, 9)))
        view.reset()
        plays(view, 2)
        view.reset_envs([0, 1])
        _, rewards, dones, infos = plays(view, 1)[0]
        assert dones.tolist() == [True, True, True, False]
        assert [info["terminal_observation"][0] for info in infos[:3]] == [2, 2, 2]
        assert [info["TimeLimit.truncated"] for info in infos[:3]] == [True] * 3
        assert [sorted({"stale", "inert"} & set(info)) for info in infos] == [["stale"]] * 4
        assert rewards.tolist() == [0] * 4
        assert view.venv.steps.tolist() == [0, 0]
        _, rewards, dones, _ = plays(view, 1)[0]
        assert rewards.tolist() == [1, 10, 1, 10]
        assert not dones.any()

    def test_a_reset_of_all_copies_is_not_an_end(self):
        view = Sb3VecEnv(copies((BOTH, 9)))
        view.reset()
        plays(view, 1)
        view.reset_envs(0)
        view.reset()
        assert plays(view, 1)[0][2].tolist() == [False, False]

    def test_a_refused_reset_ends_nothing(self):
        view = Sb3VecEnv(copies((BOTH, 9)))
        view.reset()
        plays(view, 1)
        with pytest.raises(ConfigurationError, match="seed"):
            view.reset_envs(0, seed=-1)
        assert plays(view, 1)[0][2].tolist() == [False, False]


class TestStaleSteps:
    """Stale actions, chosen for a slot's observation from before its copy was reset."""

    def flags(self, view, steps=1):
        return [[info.get("stale", False) for info in infos] for *_, infos in plays(view, steps)]

    def test_are_those_right_after_a_reset_by_hand_of_living_and_dead_slots(self):
        view = Sb3VecEnv(copies((BOTH, 9), ({A: Life(), B: Life(leaves=2)}, 9)))
        view.reset()
        assert not np.any(self.flags(view, 3))
        view.reset_envs(1)
        (_, _, dones, infos), after = plays(view, 2)
        assert [info.get("stale", False) for info in infos] == [False, False, True, True]
        assert [info["decision_length"] for info in infos[2:]] == [0, 0]
        assert dones.tolist() == [False, False, True, False]
        assert not any("stale" in info for info in after[3])

    def test_are_not_those_after_a_reset_of_its_own_or_of_everything(self):
        view = Sb3VecEnv(copies((BOTH, 2)))
        view.reset()
        assert not np.any(self.flags(view, 5))
        view.reset_envs(0)
        view.reset()
        assert not np.any(self.flags(view))

    def test_report_one_end_and_the_following_step_reports_its_own(self):
        view = Sb3VecEnv(copies((BOTH, 1), ({A: Life(), B: Life(leaves=1)}, 3)))
        view.reset()
        plays(view, 1)
        view.reset_envs([0, 1])
        first, second, third = plays(view, 3)
        assert [step[2].tolist() for step in (first, second, third)] == [
            [True, True, True, False], [True, True, False, True], [True, True, False, False],
        ]  # fmt: skip
        assert [[bool(info.get("stale")) for info in step[3]] for step in (first, second, third)] == [
            [True] * 4, [False] * 4, [False] * 4,
        ]  # fmt: skip

    def test_are_those_in_the_step_after_one_that_raised(self):
        venv = make_vec([lambda: Scripted(BOTH, 1), lambda: Scripted(BOTH, 9, fail_at=0)])
        view = Sb3VecEnv(venv)
        view.reset()
        with pytest.raises(EnvStepError):
            plays(view, 1)
        _, _, dones, infos = plays(view, 1)[0]
        assert dones.all()
        assert [(info["stale"], info["decision_length"]) for info in infos] == [(True, 0)] * 4
