"""All wrappers of ``gymnasium.wrappers.vector`` on the Gymnasium view, compared with SyncVectorEnv."""

import gymnasium
import numpy as np
import pygame
import pytest
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as wrappers

from heron.wrappers import GymVectorEnv, make_vec

from ..media import keep_clips, scale_with_pillow
from ..single_envs import OBSERVATIONS, Sampled
from ..small_envs import Life, Scripted
from .test_gym_vector_env import REFUSALS, assert_same

NEXT, SAME, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED
BOUNDED = Box(-1, 1, (3,), np.float32)

STACKED = {
    "TransformObservation": lambda env: wrappers.TransformObservation(env, lambda seen: seen + 1),
    "FilterObservation": lambda env: wrappers.FilterObservation(env, ["x"]),
    "FlattenObservation": wrappers.FlattenObservation,
    "GrayscaleObservation": wrappers.GrayscaleObservation,
    "ReshapeObservation": lambda env: wrappers.ReshapeObservation(env, (3, 1)),
    "RescaleObservation": lambda env: wrappers.RescaleObservation(env, 0.0, 5.0),
    "DtypeObservation": lambda env: wrappers.DtypeObservation(env, np.float64),
    "NormalizeObservation": wrappers.NormalizeObservation,
    "VectorizeTransformObservation": lambda env: wrappers.VectorizeTransformObservation(
        env, gymnasium.wrappers.RescaleObservation, min_obs=np.zeros(3), max_obs=np.ones(3)
    ),
    "TransformAction": lambda env: wrappers.TransformAction(env, lambda actions: actions / 2, env.action_space),
    "ClipAction": wrappers.ClipAction,
    "RescaleAction": lambda env: wrappers.RescaleAction(env, -1.0, 1.0),
    "VectorizeTransformAction": lambda env: wrappers.VectorizeTransformAction(
        env, gymnasium.wrappers.TransformAction, func=lambda action: action / 2, action_space=env.single_action_space
    ),
    "TransformReward": lambda env: wrappers.TransformReward(env, lambda rewards: 2 * rewards),
    "ClipReward": lambda env: wrappers.ClipReward(env, -1.0, 2.0),
    "NormalizeReward": wrappers.NormalizeReward,
    "VectorizeTransformReward": lambda env: wrappers.VectorizeTransformReward(
        env, gymnasium.wrappers.TransformReward, func=lambda reward: 2 * reward
    ),
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "DictInfoToList": wrappers.DictInfoToList,
}
"""Name -> a function that wraps a vector env."""

ELSEWHERE = {"RecordVideo", "HumanRendering", "ResizeObservation", "NumpyToTorch"}
"""Wrappers with tests of their own below: they do not return arrays, or need more than Gymnasium."""

NEED_JAX = {"JaxToNumpy", "JaxToTorch", "ArrayConversion"}
"""Wrappers for environments on JAX arrays, which neither Gymnasium's vector envs nor ours support."""

SPACES = {"FilterObservation": "dict", "FlattenObservation": "dict", "GrayscaleObservation": "image"}


def test_no_wrapper_is_left_out():
    names = {name for name in wrappers.__all__ if name[0].isupper() and not name.startswith(("Vector", "Array"))}
    names |= {"VectorizeTransformObservation", "VectorizeTransformAction", "VectorizeTransformReward"}
    assert names - STACKED.keys() - ELSEWHERE - NEED_JAX <= set()


def observed(name):
    return {"dict": OBSERVATIONS["dict"], "image": Box(0, 255, (4, 5, 3), np.uint8)}.get(SPACES.get(name), BOUNDED)


def without_times(results):
    """Return the results without the wall-clock time of episodes."""
    *rest, infos = results
    if isinstance(infos, dict) and "episode" in infos:
        infos = {**infos, "episode": {key: value for key, value in infos["episode"].items() if key != "t"}}
    return (*rest, infos)


@pytest.mark.filterwarnings(
    "ignore:.*precision lowered", "ignore:overflow encountered in cast"
)  # raised by the wrappers
@pytest.mark.parametrize("mode", [NEXT, SAME, DISABLED])
@pytest.mark.parametrize("name", STACKED)
def test_does_the_same_as_on_sync_vector_env(name, mode):
    factories = [lambda: Sampled(observed(name))] * 3
    base = [kind(factories, autoreset_mode=mode) for kind in (SyncVectorEnv, GymVectorEnv)]
    try:
        theirs = STACKED[name](base[0])
    except REFUSALS as refusal:  # the wrapper does not support this mode
        with pytest.raises(type(refusal)):
            STACKED[name](base[1])
        return
    ours = STACKED[name](base[1])
    assert theirs.observation_space == ours.observation_space
    assert theirs.action_space == ours.action_space
    assert_same(theirs.reset(seed=3), ours.reset(seed=3))
    ours.action_space.seed(0)
    for _ in range(30):
        actions = ours.action_space.sample()
        results = [without_times(view.step(actions.copy())) for view in (theirs, ours)]  # some wrappers change them
        assert_same(*results)
        done = results[0][2] | results[0][3]
        if mode is DISABLED and done.any():
            mask = done | (
                name == "RecordEpisodeStatistics"
            )  # this wrapper is wrong after partial resets of a SyncVectorEnv
            assert_same(*(view.reset(options={"reset_mask": mask.copy()}, seed=5) for view in (theirs, ours)))


def test_statistics_after_a_reset_of_some_copies():
    """SyncVectorEnv removes the mask from the options, so its wrapper drops all episodes; the view keeps the mask."""
    view = wrappers.RecordEpisodeStatistics(GymVectorEnv([lambda: Sampled(horizon=4, ends=0)] * 2))
    view.reset(seed=0)
    view.step(np.zeros((2, 2), np.float32))
    view.reset(options={"reset_mask": np.array([True, False])})
    for _ in range(3):
        *_, infos = view.step(np.zeros((2, 2), np.float32))
    assert infos["episode"]["l"].tolist() == [0, 4]
    *_, infos = view.step(np.zeros((2, 2), np.float32))
    assert infos["episode"]["l"].tolist() == [4, 0]


def test_statistics_of_several_agents():
    lives = {"agent_0": Life(), "agent_1": Life(leaves=2)}
    view = wrappers.RecordEpisodeStatistics(GymVectorEnv(make_vec(lambda: Scripted(lives, 4)), autoreset_mode=SAME))
    view.reset(seed=0)
    returns = [view.step(np.zeros(2, int))[4].get("episode") for _ in range(4)]
    assert returns[1]["r"].tolist() == [0, 30]
    assert returns[3]["r"].tolist() == [10, 0]


def test_numpy_to_torch():
    plain, inner = (GymVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 2) for _ in range(2))
    wrapped = wrappers.NumpyToTorch(inner)
    np.testing.assert_array_equal(plain.reset(seed=1)[0], wrapped.reset(seed=1)[0].numpy())
    theirs, ours = plain.step(np.ones(2, int)), wrapped.step(torch.ones(2, dtype=torch.int64))
    for one, other in zip(theirs[:4], ours[:4], strict=True):
        np.testing.assert_array_equal(one, other.numpy())


def rendered(kind, mode=NEXT):
    return kind([lambda: Sampled(render_mode="rgb_array", horizon=3, ends=0)] * 2, autoreset_mode=mode)


@pytest.mark.filterwarnings("ignore:.*autoreset mode is same-step")  # videos lack the last frames then
@pytest.mark.parametrize("mode", [NEXT, SAME, DISABLED])
def test_record_video(tmp_path, monkeypatch, mode):
    clips = keep_clips(monkeypatch)
    for kind in (SyncVectorEnv, GymVectorEnv):
        view = wrappers.RecordVideo(rendered(kind, mode), str(tmp_path / kind.__name__), video_length=4)
        view.reset(seed=0)
        view.step(np.zeros((2, 2), np.float32))
        view.reset(options={"reset_mask": np.array([False, True])})
        for _ in range(2):
            view.step(np.zeros((2, 2), np.float32))
        view.close()
    theirs, ours = clips[: len(clips) // 2], clips[len(clips) // 2 :]
    assert [clip.fps for clip in ours] == [7] * len(theirs)
    frames = [[frame for clip in some for frame in clip.frames] for some in (theirs, ours)]
    assert_same(*frames)
    shown = [np.unique(frame).tolist() for frame in frames[1]]  # number of steps of each copy
    assert shown == [[0], [1], [0, 1], [1, 2], [0, 2] if mode is SAME else [2, 3]]


def test_resize_observation(monkeypatch):
    scale_with_pillow(monkeypatch)
    image = Box(0, 255, (4, 6, 3), np.uint8)
    theirs, ours = (
        wrappers.ResizeObservation(kind([lambda: Sampled(image)] * 2), (2, 3)) for kind in (SyncVectorEnv, GymVectorEnv)
    )
    assert ours.observation_space == theirs.observation_space
    assert ours.observation_space.shape == (2, 2, 3, 3)
    assert_same(theirs.reset(seed=0), ours.reset(seed=0))
    for _ in range(3):
        assert_same(*(view.step(np.ones((2, 2), np.float32)) for view in (theirs, ours)))


def test_human_rendering(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    scale_with_pillow(monkeypatch)
    windows = []
    for kind in (SyncVectorEnv, GymVectorEnv):
        view = wrappers.HumanRendering(rendered(kind, DISABLED), screen_size=(12, 4))
        assert view.render_mode == "human"
        view.reset(seed=0)
        view.step(np.zeros((2, 2), np.float32))
        view.reset(options={"reset_mask": np.array([True, False])})
        windows.append(pygame.surfarray.array3d(view.window))
        view.close()
    assert_same(*windows)
    assert np.unique(windows[1][:6]).tolist() == [0]
    assert np.unique(windows[1][6:]).tolist() == [1]
