"""SB3's own wrappers and learners on the view: episodes of the right length, masks, and training."""

from collections import Counter
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.vector import SyncVectorEnv
from pettingzoo import ParallelEnv
from pettingzoo.classic.connect_four import connect_four
from pettingzoo.utils import BaseWrapper
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.vec_env import VecFrameStack, VecMonitor, VecNormalize, VecVideoRecorder

from heron.errors import ConfigurationError
from heron.wrappers import ModelPolicy, RandomPolicy, make_vec
from heron.wrappers.sb3 import Sb3VecEnv

from ..media import keep_clips
from ..single_envs import Sampled
from ..small_envs import Life, Scripted

A, B = "agent_0", "agent_1"
BOTH = {A: Life(), B: Life()}


def view_of(*specs):
    return Sb3VecEnv(
        make_vec([lambda lives=lives, horizon=horizon: Scripted(lives, horizon) for lives, horizon in specs])
    )


def plays(view, steps):
    return [view.step(np.zeros(view.num_envs, int)) for _ in range(steps)]


def episodes(history):
    return [
        (slot, float(info["episode"]["r"]), int(info["episode"]["l"]))
        for *_, infos in history
        for slot, info in enumerate(infos)
        if "episode" in info
    ]


class TestWrappersAfterAResetOfSome:
    def test_monitor_reports_the_played_episodes(self, tmp_path):
        view = VecMonitor(view_of((BOTH, 4), (BOTH, 4)), str(tmp_path / "log"))
        view.reset()
        before = plays(view, 2)
        view.env_method("double", 1)
        view.reset_envs([0])
        assert episodes(before + plays(view, 5)) == [
            (0, 3, 2), (1, 30, 2), (2, 10, 4), (3, 100, 4), (0, 10, 4), (1, 100, 4),
        ]  # fmt: skip
        view.close()
        written = (tmp_path / "log.monitor.csv").read_text().splitlines()[2:]
        assert [int(line.split(",")[1]) for line in written] == [2, 2, 4, 4, 4, 4]

    def test_monitor_does_not_count_steps_of_slots_that_wait(self):
        lives = {A: Life(), B: Life(leaves=1)}
        view = VecMonitor(view_of((lives, 3)))
        view.reset()
        assert episodes(plays(view, 6)) == [(1, 10, 1), (0, 6, 3), (1, 10, 1), (0, 6, 3)]

    def test_normalize_forgets_the_return_of_the_interrupted_episode(self):
        view = VecNormalize(view_of((BOTH, 9), (BOTH, 9)), norm_obs=False, gamma=0.5)
        view.reset()
        plays(view, 2)
        view.reset_envs([0])
        plays(view, 1)
        assert view.returns[:2].tolist() == [0, 0]
        assert view.returns[2] == 1 / 4 + 2 / 2 + 3
        plays(view, 1)
        assert view.returns[0] == 1

    def test_frame_stack_begins_with_the_first_frame_of_the_new_episode(self):
        view = VecFrameStack(view_of((BOTH, 9)), 2)
        view.reset()
        plays(view, 2)
        view.reset_envs([0], seed=3)
        (first, _, _, _), (second, _, _, _) = plays(view, 2)
        stacks = np.stack([first, second])[:, 0].reshape(2, 2, 4)
        first, second = stacks.copy()
        assert not first[0].any()
        assert first[1, 0] == 0
        np.testing.assert_array_equal(second[0], first[1])
        assert second[1, 0] == 1


@pytest.mark.parametrize("make", [make_vec, list, SyncVectorEnv])
def test_a_video_shows_the_reset_of_one_copy(make, tmp_path, monkeypatch):
    clips = keep_clips(monkeypatch)
    view = Sb3VecEnv(make([lambda: Sampled(render_mode="rgb_array", ends=0)] * 2))
    recorder = VecVideoRecorder(view, str(tmp_path), lambda step: step == 0, video_length=4)
    recorder.reset()
    for step in range(4):
        if step == 1:
            view.reset_envs([0], seed=3)
        recorder.step(np.zeros((2, 2), np.float32))
    (clip,) = clips
    assert clip.fps == Sampled.metadata["render_fps"]
    steps = [
        (int(frame[0, 0, 0]), int(frame[4, 0, 0])) for frame in clip.frames
    ]  # the copies' images are stacked vertically
    assert steps == [(0, 0), (1, 1), (0, 2), (1, 3), (2, 4)]
    recorder.close()


class Masked(ParallelEnv):
    """Agents with exactly one legal action in each step, the next one of their space."""

    metadata: ClassVar[dict[str, Any]] = {"name": "masked_v0"}

    def __init__(self, where="observation"):
        self.where = where
        self.possible_agents = [A, B]
        self.agents = []
        self.render_mode = None

    def observation_space(self, agent):
        own = Box(0, 9, (1,), np.float32)
        return own if self.where == "info" else Dict(observation=own, action_mask=Box(0, 1, (3,), np.int8))

    def action_space(self, agent):
        return Discrete(3)

    def _mask(self, agent):
        return np.eye(3, dtype=np.int8)[(self.steps + self.possible_agents.index(agent)) % 3]

    def _seen(self, agent):
        own = np.full(1, self.steps, np.float32)
        return own if self.where == "info" else {"observation": own, "action_mask": self._mask(agent)}

    def _told(self):
        infos = {agent: {"action_mask": self._mask(agent)} if self.where == "info" else {} for agent in [A, B]}
        return {agent: self._seen(agent) for agent in [A, B]}, infos

    def reset(self, seed=None, options=None):
        self.steps, self.agents = 0, [A, B]
        return self._told()

    def step(self, actions):
        for agent, action in actions.items():
            if not self._mask(agent)[action]:
                raise ValueError(f"{agent} may not take {action}")
        self.steps += 1
        over = self.steps >= 5
        observations, infos = self._told()
        self.agents = [] if over else [A, B]
        return (
            observations,
            dict.fromkeys([A, B], 1.0),
            dict.fromkeys([A, B], over),
            dict.fromkeys([A, B], False),
            infos,
        )


class TestActionMasks:
    @pytest.mark.parametrize("where", ["observation", "info"])
    def test_are_by_slot_and_used(self, where):
        view = Sb3VecEnv(make_vec(lambda: Masked(where), 2))
        view.reset()
        assert is_masking_supported(view)
        assert get_action_masks(view).astype(int).tolist() == [[1, 0, 0], [0, 1, 0]] * 2
        assert view.get_attr("action_masks", 1)[0]().tolist() == [False, True, False]
        policy = "MultiInputPolicy" if where == "observation" else "MlpPolicy"
        model = MaskablePPO(policy, view, n_steps=16, batch_size=16, n_epochs=1, device="cpu", seed=0)
        model.learn(64)  # an illegal action raises

    def test_are_the_environments_own_method(self):
        class Own(Sampled):
            def action_masks(self):
                return [True, False, True, False]

        view = Sb3VecEnv([lambda: Own(action_space=Discrete(4))] * 2)
        view.reset()
        assert get_action_masks(view).tolist() == [[True, False, True, False]] * 2

    def test_of_wrong_length(self):
        class Own(Sampled):
            def action_masks(self):
                return [True]

        with pytest.raises(ConfigurationError, match=r" 4 .*Discrete\(4\).* 1 "):
            Sb3VecEnv([lambda: Own(action_space=Discrete(4))]).env_method("action_masks")

    def test_where_there_are_none(self):
        view = view_of((BOTH, 4))
        view.reset()
        assert not is_masking_supported(view)


class Referee(BaseWrapper):
    """An environment that counts its moves and its illegal moves."""

    def reset(self, seed=None, options=None):
        super().reset(seed=seed, options=options)
        if not hasattr(self, "moves"):
            self.moves, self.illegal = Counter(), Counter()

    def step(self, action):
        if action is not None:
            player = self.agent_selection
            self.moves[player] += 1
            self.illegal[player] += not self.observe(player)["action_mask"][action]
        super().step(action)


class TestConnectFour:
    """The real game in two copies, where a move into a full column ends it."""

    def referee(self):
        referees = self.__dict__.setdefault("referees", [])
        referees.append(Referee(connect_four.env()))
        return referees[-1]

    def counted(self):
        """Return moves and illegal moves by player."""
        return sum((one.moves for one in self.referees), Counter()), sum(
            (one.illegal for one in self.referees), Counter()
        )

    def model(self, view):
        policy_kwargs = {"net_arch": [16]}
        return MaskablePPO("MultiInputPolicy", view, n_steps=64, batch_size=64, n_epochs=2, learning_rate=0.01,
                           policy_kwargs=policy_kwargs, device="cpu", seed=0)  # fmt: skip

    @pytest.mark.parametrize("use_masking", [True, False])
    def test_no_illegal_move_is_played_in_training_unless_masks_are_not_used(self, use_masking):
        view = Sb3VecEnv(make_vec([self.referee] * 2))
        model = self.model(view)
        model.learn(512, use_masking=use_masking)
        moves, illegal = self.counted()
        assert moves.total() == 256  # one of two slots of a copy moves in each step
        assert (illegal.total() > 0) is not use_masking

    @pytest.mark.parametrize(
        ("policy_of", "plays_by_the_rules"),
        [
            (ModelPolicy, True),
            (lambda model: ModelPolicy(model, deterministic=True), True),
            (lambda model: lambda seen: model.predict(seen, deterministic=True)[0], False),
        ],
    )
    def test_a_model_that_decides_for_others(self, policy_of, plays_by_the_rules):
        venv = make_vec([self.referee] * 2, groups={"first": ["player_0"], "second": ["player_1"]})
        random = RandomPolicy(venv.groups["first"].action_space, seed=1)
        model = self.model(Sb3VecEnv(venv, "second", {"first": random}))
        view = Sb3VecEnv(venv, "first", {"second": policy_of(model)})
        observations = view.reset()
        for _ in range(200):
            observations, *_ = view.step(random(observations))
        moves, illegal = self.counted()
        assert moves["player_1"] > 150
        assert illegal["player_0"] == 0
        assert (illegal["player_1"] == 0) is plays_by_the_rules


LEARNERS = {
    PPO: {"n_steps": 16, "batch_size": 16},
    A2C: {},
    DQN: {"learning_starts": 32},
    SAC: {"learning_starts": 32},
    RecurrentPPO: {"n_steps": 16, "batch_size": 16},
}


@pytest.mark.parametrize("kind", LEARNERS)
def test_learners_train(kind):
    lives = {A: Life(), B: Life(leaves=3)}
    space = Box(-1, 1, (2,), np.float32) if kind is SAC else Discrete(3)
    view = VecMonitor(Sb3VecEnv(make_vec(lambda: Scripted(lives, 7, action_space=space), 2)))
    policy = "MlpLstmPolicy" if kind is RecurrentPPO else "MlpPolicy"
    model = kind(policy, view, device="cpu", seed=0, **LEARNERS[kind])
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(192)
    after = model.policy.state_dict()
    assert any(not torch.equal(before[name], value) for name, value in after.items())
    assert {episode["l"] for episode in model.ep_info_buffer} == {3, 7}


def test_plain_environments_learn():
    view = Sb3VecEnv([lambda: gymnasium.make("CartPole-v1")] * 2)
    PPO("MlpPolicy", view, n_steps=32, batch_size=32, n_epochs=1, device="cpu", seed=0).learn(128)
