"""The slots of a learner in a vector env without a hierarchy."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from heron.errors import ConfigurationError, EnvClosedError, InvalidActionError
from heron.messaging import Message, MessageType
from heron.play.autoreset import AutoresetLearner
from heron.play.learner_env import LearnerEnv
from heron.wrappers import GymVectorEnv, HierarchicalVectorEnv, LoopEnv

from ..wrappers.single_envs import Sampled


def test_wrong_actions_step_nothing():
    learner = LearnerEnv(HierarchicalVectorEnv(LoopEnv([Sampled] * 2)))
    view = AutoresetLearner(learner, AutoresetMode.SAME_STEP)
    view.reset(None, 0)
    for wrong in (np.zeros((3, 2), np.float32), np.full((2, 2), np.nan, np.float32), np.full((2, 2), 9.0, np.float32)):
        with pytest.raises(InvalidActionError):
            view.step(wrong)
        assert learner.venv.steps.tolist() == [0, 0]
    view.step(np.ones((2, 2), np.float32))
    assert learner.venv.steps.tolist() == [1, 1]


class Refusing(LoopEnv):
    """An environment that refuses resets once ``refuses`` is set."""

    refuses = False

    def check_reset(self, mask=None, seeds=None, options=None):
        if self.refuses:
            raise ConfigurationError("not now")


def test_a_refused_reset_changes_nothing():
    venv = HierarchicalVectorEnv(Refusing([lambda: Sampled(horizon=1)] * 2))
    learner = LearnerEnv(venv)
    learner.reset()
    learner.step(np.zeros((2, 2), np.float32))
    venv.batch_env.refuses = True
    with pytest.raises(ConfigurationError, match="not now"):
        learner.reset(np.array([True, True]))
    assert venv.steps.tolist() == [1, 1]


def test_a_reset_clears_the_messages_of_its_copy():
    view = GymVectorEnv([lambda: Sampled(horizon=1), lambda: Sampled(horizon=9, ends=0)], autoreset_mode="SameStep")
    view.reset(seed=0)
    broker = view.venv.broker
    for env_id in ("env_0", "env_1"):
        broker.publish(f"{env_id}__note", message(env_id))
    view.step(np.zeros((2, 2), np.float32))
    assert not broker.consume("env_0__note", "agent", "env_0")
    assert len(broker.consume("env_1__note", "agent", "env_1")) == 1


def message(env_id):
    return Message(env_id=env_id, sender_id="me", recipient_id="agent", timestamp=0.0,
                   message_type=MessageType.INFO, payload={})  # fmt: skip


def test_a_closed_view_cannot_be_stepped():
    view = GymVectorEnv([Sampled] * 2)
    view.reset()
    view.venv.close()
    with pytest.raises(EnvClosedError):
        view.step(np.zeros((2, 2), np.float32))
