"""Coordinators above coordinators, and the rewards and ends of coordinators."""

import numpy as np
import pytest
from gymnasium.spaces import Discrete, MultiDiscrete

from heron.agents import Hierarchy
from heron.errors import DecisionRequiredError
from heron.wrappers import make_vec

from ..wrappers.small_envs import Life, Scripted
from .vec_envs import GOAL, A, B, commands, step, still


class TestThreeLevels:
    @pytest.fixture
    def venv(self):
        tree = Hierarchy(
            {"system": ["north", "south"], "north": ["a", "b"], "south": ["c", "d"]},
            period={"system": 4, "north": 2, "south": 2},
            command_space={
                "system": Discrete(3),
                **dict.fromkeys(["north", "south"], Discrete(3)),
                **dict.fromkeys("abcd", GOAL),
            },
        )
        venv = make_vec(lambda: Scripted({name: Life() for name in "abcd"}, 9), 2, tree)
        venv.reset(seed=0)
        return venv

    def test_groups_levels_and_spaces(self, venv):
        assert [(g.name, g.level, g.agent_ids, g.period) for g in venv.groups.values()] == [
            ("system", "coordinator_1", ("system",), 4),
            ("north+south", "coordinator_2", ("north", "south"), 2),
            ("a+b+c+d", "field", ("a", "b", "c", "d"), 1),
        ]
        assert venv.groups["system"].action_space == MultiDiscrete([3, 3])
        assert venv.groups["north+south"].action_space.shape == (4,)
        assert venv.groups["north+south"].observation_space.shape == (2 * 6 + 3,)
        assert venv.groups["system"].observation_space.shape == (2 * (12 + 2),)

    def test_each_level_sees_its_command_before_it_decides(self, venv):
        venv.decide({"system": np.array([[[1, 2]], [[0, 1]]])})
        assert venv.observe("north+south")[..., 12:].tolist() == [
            [[0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 0]],
        ]  # fmt: skip
        with pytest.raises(DecisionRequiredError, match="'north'"):
            venv.advance(still(venv))
        venv.decide({"north+south": np.arange(16, dtype=np.float32).reshape(2, 2, 4) / 16})
        assert (venv.commands("a+b+c+d") * 16).tolist() == np.arange(16).reshape(2, 4, 2).tolist()

    def test_infos_climb_to_the_top_within_the_step(self, venv):
        venv.decide({"system": np.zeros((2, 1, 2), int)})
        venv.decide({"north+south": np.zeros((2, 2, 4), np.float32)})
        venv.advance(still(venv))
        middle, top = venv.observe("north+south"), venv.observe("system")

        assert middle[0, 0, [0, 1, 4, 5, 6, 7, 10, 11]].tolist() == [1, 0, 1, 0, 1, 1, 10, 0]
        assert middle[0, 1, [0, 1, 4, 5, 6, 7, 10, 11]].tolist() == [1, 2, 100, 0, 1, 3, 1000, 0]
        np.testing.assert_array_equal(top[:, 0, :12], middle[:, 0, :12])
        np.testing.assert_array_equal(top[:, 0, 14:26], middle[:, 1, :12])
        assert top[0, 0, [12, 13, 26, 27]].tolist() == [11, 0, 1100, 0]

    def test_rewards_add_up_level_by_level(self, venv):
        for _ in range(9):
            for name in ("system", "north+south"):
                venv.decide({name: commands(venv)[name]})
            results = venv.advance(still(venv))
        assert results["north+south"].rewards.tolist() == [[9 * 11, 9 * 1100]] * 2
        assert results["system"].rewards.tolist() == [[9 * 1111]] * 2
        assert venv.returns["system"].tolist() == [[45 * 1111]] * 2
        assert results["system"].truncated.all()
        assert not results["system"].active.any()

    def test_periods_of_the_levels(self, venv):
        due = []
        for _ in range(9):
            due.append((venv.due("system")[0, 0], venv.due("north+south")[0, 0]))
            venv.decide(commands(venv))
            venv.advance(still(venv))
        assert [top for top, _ in due] == [step % 4 == 0 for step in range(9)]
        assert [middle for _, middle in due] == [step % 2 == 0 for step in range(9)]


class TestCoordinatorResults:
    def teams(self, lives, horizon=6):
        tree = Hierarchy({"red": [A], "blue": [B, "agent_2"]}, command_space=GOAL)
        venv = make_vec(lambda: Scripted(lives, horizon), 1, tree)
        venv.reset()
        return venv

    def play(self, venv, name):
        found = []
        while venv.running.any():
            step(venv)
            result = venv.results[name]
            found.append((result.rewards.item(), result.terminated.item(), result.truncated.item(),
                          result.active.item()))  # fmt: skip
        return found

    def test_coordinator_ends_with_its_last_subordinate(self):
        venv = self.teams({A: Life(leaves=2), B: Life(leaves=1), "agent_2": Life(leaves=3)}, 6)
        assert self.play(venv, "blue") == [
            (110, False, False, True), (200, False, False, True), (300, True, False, False),
        ]  # fmt: skip

    def test_coordinator_that_ends_before_the_copy_is_not_due_again(self):
        venv = self.teams({A: Life(leaves=1), B: Life(), "agent_2": Life()}, 3)
        assert self.play(venv, "red") == [
            (1, True, False, False), (0, False, False, False), (0, False, False, False),
        ]  # fmt: skip

    def test_truncated_if_any_subordinate_ever_was(self):
        venv = self.teams({A: Life(), B: Life(leaves=1, how="truncated"), "agent_2": Life(leaves=2)})
        assert self.play(venv, "blue")[:2] == [(110, False, False, True), (200, False, True, False)]

    def test_truncation_of_the_last_episode_is_forgotten(self):
        venv = self.teams({A: Life(), B: Life(leaves=1, how="truncated"), "agent_2": Life(leaves=2)}, 3)
        self.play(venv, "blue")
        venv.batch_env.envs[0].lives[B] = Life(leaves=1)
        venv.reset()
        assert not venv.results["blue"].truncated.any()
        assert self.play(venv, "blue")[1] == (200, True, False, False)

    def test_observation_of_one_that_has_ended_stays(self):
        venv = self.teams({A: Life(leaves=1), B: Life(), "agent_2": Life()}, 4)
        step(venv)
        seen = venv.observe("red").copy()
        assert seen[0, 0, [0, 4, 5]].tolist() == [1, 1, 0]
        step(venv)
        step(venv)
        np.testing.assert_array_equal(venv.observe("red"), seen)
        venv.reset()
        assert venv.observe("red")[0, 0, [0, 4, 5]].tolist() == [0, 0, 0]

    def test_observation_of_one_that_has_ended_stays_though_nobody_looked(self):
        venv = self.teams({A: Life(leaves=1), B: Life(), "agent_2": Life()}, 4)
        step(venv)
        step(venv)
        assert venv.observe("red")[0, 0, [0, 4, 5]].tolist() == [1, 1, 0]

    def test_one_whose_subordinate_comes_back_sees_again(self):
        venv = self.teams({A: Life(leaves=1, returns=3), B: Life(), "agent_2": Life()}, 6)
        seen = []
        for _ in range(4):
            step(venv)
            seen.append(venv.observe("red")[0, 0, [0, 4, 5]].tolist())
        assert seen[1] == seen[0] == [1, 1, 0]
        assert seen[2] == [3, 0, 0]
