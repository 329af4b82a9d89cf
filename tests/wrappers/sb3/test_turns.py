"""Views that take turns on one vector env, and must be reset at their turn."""

from contextlib import nullcontext

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback

from heron.errors import ResetRequiredError
from heron.wrappers import GymVectorEnv, make_vec
from heron.wrappers.sb3 import Sb3VecEnv

from ..small_envs import Scripted
from .sb3_views import FIELD, TOP, star


def plays(view, steps):
    return [view.step(np.zeros(view.num_envs, int)) for _ in range(steps)]


STILL = {"agent": np.zeros((2, 2), int)}


@pytest.mark.parametrize("kind", [Sb3VecEnv, GymVectorEnv])
@pytest.mark.parametrize("disturb", [lambda venv: venv.reset_envs("env_1"), lambda venv: plays(Other(venv), 1)])
def test_a_view_raises_until_its_reset_if_its_vector_env_was_changed(kind, disturb):
    venv = make_vec(Scripted, 2)
    view = kind(venv)
    view.reset()
    plays(view, 1)
    disturb(venv)
    steps = venv.steps.tolist()
    for _ in range(2):
        with pytest.raises(ResetRequiredError, match="env_0, env_1"):
            plays(view, 1)
    assert venv.steps.tolist() == steps
    view.reset()
    assert [outcome[1].tolist() for outcome in plays(view, 2)] == [[1, 10, 1, 10], [2, 20, 2, 20]]


class Other(Sb3VecEnv):
    """Another view, which begins its turn with a reset."""

    def __init__(self, venv):
        super().__init__(venv)
        self.reset()


@pytest.mark.parametrize("mask", [[False, False], [True, False]])
@pytest.mark.parametrize(
    "disturb", [lambda venv, mask: venv.reset_envs(mask), lambda venv, mask: venv.advance(STILL, mask)]
)
def test_a_mask_without_copies_changes_nothing(disturb, mask):
    venv = make_vec(Scripted, 2)
    view = Sb3VecEnv(venv)
    view.reset()
    disturb(venv, np.array(mask))
    with pytest.raises(ResetRequiredError, match="env_0, env_1") if any(mask) else nullcontext():
        plays(view, 1)


def test_a_reset_of_some_copies_clears_the_error_only_for_these():
    venv = make_vec(Scripted, 2)
    view = GymVectorEnv(venv)
    view.reset()
    venv.reset()
    view.reset(options={"reset_mask": np.array([True, True, False, False])})
    with pytest.raises(ResetRequiredError, match="of env_1 "):
        plays(view, 1)
    view.reset(options={"reset_mask": np.array([False, False, True, True])})
    plays(view, 1)


def test_a_cut_does_not_report_ends_of_other_views():
    venv = make_vec(Scripted, 2)
    view = Sb3VecEnv(venv)
    view.reset()
    plays(Other(venv), 2)
    view.reset_envs([0, 1])
    with pytest.raises(ResetRequiredError, match="env_0, env_1"):
        plays(view, 1)
    view.set_options({"start": 1})
    view.reset()
    assert not any(dones.any() for _, _, dones, _ in plays(view, 3))


@pytest.mark.parametrize("own", [False, True])
def test_an_evaluation_in_a_rollout_needs_its_own_vector_env(own):
    venv = make_vec(Scripted, 2)
    evaluated = Sb3VecEnv(make_vec(Scripted, 2) if own else venv)
    model = PPO("MlpPolicy", Sb3VecEnv(venv), n_steps=4, batch_size=16, n_epochs=1)
    with nullcontext() if own else pytest.raises(ResetRequiredError, match="env_0, env_1"):
        model.learn(16, EvalCallback(evaluated, eval_freq=2, n_eval_episodes=1, verbose=0, warn=False))


def test_a_learner_whose_turn_begins_without_a_reset_raises():
    venv = make_vec(Scripted, 2, star())
    field = PPO("MlpPolicy", Sb3VecEnv(venv, FIELD, {TOP: np.zeros(4)}), n_steps=4, batch_size=8, n_epochs=1)
    above = PPO("MlpPolicy", Sb3VecEnv(venv, TOP, {FIELD: 0}), n_steps=4, batch_size=8, n_epochs=1)
    field.learn(16)
    above.learn(8)
    with pytest.raises(ResetRequiredError, match="force_reset=True"):
        field.learn(16, reset_num_timesteps=False)
    field.set_env(field.env, force_reset=True)
    field.learn(16, reset_num_timesteps=False)
