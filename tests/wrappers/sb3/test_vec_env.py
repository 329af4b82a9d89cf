"""The SB3 view: slots, ends, episodes, attributes."""

import numpy as np
import pytest
from gymnasium.spaces import MultiDiscrete
from stable_baselines3.common.vec_env import VecEnvWrapper

from heron.play.learner_env import LearnerEnv
from heron.play.policies import RandomPolicy
from heron.wrappers import make_vec
from heron.wrappers.sb3 import Sb3VecEnv

from ..small_envs import Life, Menagerie, Scripted
from .sb3_views import BOTH, FIELD, TOP, A, B, copies, plays, star


class TestSlots:
    def test_go_copy_by_copy_and_agent_by_agent(self):
        view = Sb3VecEnv(copies((BOTH, 4), (BOTH, 4), (BOTH, 4)))
        assert view.num_envs == 6
        assert view.reset()[:, 1].tolist() == [0, 1] * 3
        _, rewards, _, _ = view.step(np.arange(6) % 5)
        assert rewards.tolist() == [1, 10] * 3
        assert rewards.dtype == np.float32
        assert [env.received[0] for env in view.venv.batch_env.envs] == [{A: 0, B: 1}, {A: 2, B: 3}, {A: 4, B: 0}]
        assert [view.learner.agent_id(slot) for slot in range(6)] == [A, B] * 3
        assert [view.learner.env_index(slot) for slot in range(6)] == [0, 0, 1, 1, 2, 2]

    def test_observations_given_are_not_changed_later(self):
        view = Sb3VecEnv(copies((BOTH, 4)))
        first = view.reset()
        kept = first.copy()
        second = plays(view, 1)[0][0]
        second_kept = second.copy()
        plays(view, 2)
        np.testing.assert_array_equal(first, kept)
        np.testing.assert_array_equal(second, second_kept)

    def test_choices_count_from_zero(self):
        space = MultiDiscrete([2, 3], start=[4, -1])
        view = Sb3VecEnv(make_vec(lambda: Scripted(action_space=space)))
        assert view.action_space == MultiDiscrete([2, 3])
        view.reset()
        view.step(np.array([[0, 0], [1, 2]]))
        assert {k: v.tolist() for k, v in view.venv.batch_env.envs[0].received[0].items()} == {A: [4, -1], B: [5, 1]}

    @pytest.mark.parametrize("agent", ["dict", "image", "choice", "bits"])
    def test_every_kind_of_observation(self, agent):
        others = {name: RandomPolicy(space, 0) for name, (_, space) in Menagerie.kinds.items() if name != agent}
        view = Sb3VecEnv(make_vec(Menagerie, 2), agent, others)
        view.seed(3)
        view.reset()
        for _ in range(3):
            observations, _, dones, infos = plays(view, 1)[0]
        assert dones.all()
        rows = observations if not isinstance(observations, dict) else observations["x"]
        assert len(rows) == 2
        assert view.observation_space.contains(infos[1]["terminal_observation"])


class TestEnds:
    def test_terminal_observation_is_the_last_one_and_the_new_episode_begins(self):
        view = Sb3VecEnv(copies((BOTH, 2), (BOTH, 3)))
        view.reset()
        *_, (observations, rewards, dones, infos) = plays(view, 2)

        assert dones.tolist() == [True, True, False, False]
        assert observations[:, 0].tolist() == [0, 0, 2, 2]
        assert rewards.tolist() == [2, 20, 2, 20]
        assert [info["terminal_observation"][:2].tolist() for info in infos[:2]] == [[2, 0], [2, 1]]
        assert [info["TimeLimit.truncated"] for info in infos[:2]] == [True, True]
        assert not any("terminal_observation" in info or "TimeLimit.truncated" in info for info in infos[2:])
        assert [info["step"] for info in infos] == [2] * 4
        assert view.reset_infos == [{"start": A}, {"start": B}] * 2

    def test_reset_infos_are_those_of_each_copys_last_reset(self):
        class Counts(Scripted):
            def reset(self, seed=None, options=None):
                observations, _ = super().reset(seed, options)
                return observations, {agent: {"episode": len(self.reset_calls)} for agent in observations}

        view = Sb3VecEnv(make_vec([lambda: Counts(BOTH, 2), lambda: Counts(BOTH, 5)]))
        view.reset()
        plays(view, 4)
        assert [info["episode"] for info in view.reset_infos] == [3, 3, 1, 1]
        view.reset_envs("env_1")
        assert [info["episode"] for info in view.reset_infos] == [3, 3, 2, 2]

    def test_terminal_observation_is_the_environments_to_the_bit(self):
        view = Sb3VecEnv(copies((BOTH, 2)))
        view.seed(9)
        view.reset()
        infos = plays(view, 2)[-1][3]
        plain = Scripted(BOTH, 2)
        plain.reset(seed=9)
        plain.step({A: 0, B: 0})
        last = plain.step({A: 0, B: 0})[0]
        for info, agent in zip(infos, (A, B), strict=True):
            np.testing.assert_array_equal(info["terminal_observation"], last[agent])

    @pytest.mark.parametrize(
        ("how", "truncated"), [("terminated", False), ("truncated", True), ("both", False), ("silent", True)]
    )
    def test_agent_that_ends_early_is_done_once_and_then_inert(self, how, truncated):
        view = Sb3VecEnv(copies(({A: Life(), B: Life(leaves=1, how=how)}, 4)))
        view.reset()
        history = plays(view, 5)

        assert [dones.tolist() for _, _, dones, _ in history] == [
            [False, True], [False, False], [False, False], [True, False], [False, True],
        ]  # fmt: skip
        assert [rewards.tolist() for _, rewards, _, _ in history] == [
            [1, 0 if how == "silent" else 10], [2, 0], [3, 0], [4, 0], [1, 0 if how == "silent" else 10],
        ]  # fmt: skip
        ended = history[0][3][1]
        assert ended["TimeLimit.truncated"] is truncated
        assert ended["terminal_observation"][0] == (0 if how == "silent" else 1)
        for observations, _, _, infos in history[1:3]:
            np.testing.assert_array_equal(observations[1], ended["terminal_observation"])
            assert infos[1]["inert"] is True
            assert "terminal_observation" not in infos[1]
        assert "inert" not in history[4][3][1]
        assert history[3][0][:, 0].tolist() == [0, 0]
        assert [("inert" in infos[0]) for _, _, _, infos in history] == [False] * 5

    def test_actions_of_inert_slots_are_ignored(self):
        view = Sb3VecEnv(copies(({A: Life(), B: Life(leaves=1)}, 4)))
        view.reset()
        plays(view, 1)
        view.step(np.array([1, 99]))
        assert view.venv.batch_env.envs[0].received[1] == {A: 1}

    def test_agent_that_joins_late_is_inert_before(self):
        view = Sb3VecEnv(copies(({A: Life(), B: Life(joins=1)}, 4)))
        view.reset()
        history = plays(view, 2)
        assert ["inert" in infos[1] for _, _, _, infos in history] == [True, False]
        assert [rewards.tolist() for _, rewards, _, _ in history] == [[1, 0], [2, 20]]

    def test_copies_of_different_length_are_reset_on_their_own(self):
        view = Sb3VecEnv(copies((BOTH, 2), (BOTH, 3)))
        view.reset()
        history = plays(view, 6)
        assert [dones[::2].tolist() for _, _, dones, _ in history] == [
            [False, False], [True, False], [False, True], [True, False], [False, False], [True, True],
        ]  # fmt: skip
        assert [len(env.reset_calls) for env in view.venv.batch_env.envs] == [4, 3]


class TestEpisodes:
    def test_are_reported_with_the_environments_rewards(self):
        found = []
        one = lambda observations, commands, after, rewards: np.ones(rewards.shape)  # noqa: E731
        venv = copies((BOTH, 2), (BOTH, 3), hierarchy=star(2), intrinsic_reward=one)
        view = Sb3VecEnv(venv, FIELD, {TOP: np.zeros(4)}, on_episode=found.append)
        view.reset()
        history = plays(view, 4)
        assert [rewards.tolist() for _, rewards, _, _ in history] == [[1] * 4] * 4
        assert [(episode.env_id, episode.length) for episode in found] == [("env_0", 2), ("env_1", 3), ("env_0", 2)]
        assert found[0].returns[FIELD].tolist() == [3, 30]
        assert found[1].returns[FIELD].tolist() == [6, 60]
        assert found[1].returns[TOP].tolist() == [66]


class TestAttributes:
    @pytest.fixture
    def view(self):
        return Sb3VecEnv(copies((BOTH, 4), (BOTH, 6)))

    def test_get_is_by_slot(self, view):
        assert view.get_attr("horizon") == [4, 4, 6, 6]
        assert view.get_attr("horizon", 2) == [6]
        assert view.get_attr("horizon", [3, 0]) == [6, 4]
        assert view.get_attr("render_mode") == [None] * 4
        with pytest.raises(AttributeError, match="env_1"):
            view.get_attr("colour", 3)
        assert view.has_attr("horizon")
        assert not view.has_attr("colour")

    def test_render_mode_may_be_missing(self):
        assert Sb3VecEnv(make_vec(Menagerie), "bits", {name: RandomPolicy(space, 0) for name, (_, space)
                         in Menagerie.kinds.items() if name != "bits"}).get_attr("render_mode") == [None]  # fmt: skip

    def test_set_is_by_copy(self, view):
        view.set_attr("horizon", 9, [2])
        assert view.get_attr("horizon") == [4, 4, 9, 9]

    def test_method_is_called_once_a_copy(self, view):
        calls = []
        for env in view.venv.batch_env.envs:
            env.note = lambda *args, env=env, **kwargs: calls.append((env, args, kwargs)) or len(calls)
        assert view.env_method("note", 1, x=2) == [1, 1, 2, 2]
        assert len(calls) == 2
        assert calls[0][1:] == ((1,), {"x": 2})
        assert view.env_method("double", 4, indices=[3], plus=1) == [9]

    def test_no_slot_counts_as_wrapped(self, view):
        assert view.env_is_wrapped(VecEnvWrapper, [0, 1]) == [False, False]

    def test_close_closes_all(self, view):
        envs = list(view.venv.batch_env.envs)
        view.close()
        assert [env.closed for env in envs] == [1, 1]

    def test_describe(self):
        view = Sb3VecEnv(copies((BOTH, 4), (BOTH, 4), hierarchy=star()), FIELD, {TOP: np.zeros(4)})
        assert (
            "  driven by the learner: 4 slots (2 copies x 2 agents), all with the same parameters\n"
            "    slot 0 is agent_0 of env_0 ... slot 3 is agent_1 of env_1\n"
        ) in view.describe()
        assert "  driven by constant [0. 0. 0. 0.]" in view.describe()


class TestLearnerEnv:
    def test_copies_that_are_over_stay_over(self):
        learner = LearnerEnv(copies((BOTH, 1), (BOTH, 3)))
        learner.reset(seed=0)
        step = learner.step(np.zeros(4, int))
        assert step.finished.tolist() == [True, False]
        assert step.lengths.tolist() == [1, 1, 1, 1]
        step = learner.step(np.zeros(4, int))
        assert step.lengths.tolist() == [0, 0, 1, 1]
        assert step.rewards.tolist() == [0, 0, 2, 20]
        assert step.truncated.tolist() == [False] * 4
        assert step.finished.tolist() == [True, False]
        assert learner.reset([0])[:, 0].tolist() == [0, 0, 2, 2]

    @pytest.mark.parametrize("how", ["terminated", "truncated"])
    def test_ends_of_copies_that_are_over_are_not_reported_again(self, how):
        over = {A: Life(leaves=1, how=how), B: Life(leaves=1, how=how)}
        learner = LearnerEnv(copies((over, 9), (BOTH, 9)))
        learner.reset()
        step = learner.step(np.zeros(4, int))
        assert getattr(step, how).tolist() == [True, True, False, False]
        step = learner.step(np.zeros(4, int))
        assert getattr(step, how).tolist() == [False] * 4

    def test_a_reset_of_some_copies_does_not_take_in_what_waits_in_others(self):
        learner = LearnerEnv(copies((BOTH, 9), (BOTH, 9), hierarchy=star(5)), FIELD, {TOP: np.zeros(4)})
        learner.reset()
        learner.venv.agents("env_1")[TOP].send_action_to_subordinate(A, [1.0, 1.0])
        before = learner.venv.broker.statistics().messages
        learner.reset([0])
        assert learner.venv.broker.statistics().messages == before == 1
        learner.step(np.zeros(4, int))
        assert learner.venv.commands(FIELD)[1, 0].tolist() == [1, 1]
