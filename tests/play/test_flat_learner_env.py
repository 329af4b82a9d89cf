"""The short way of a learner whom nobody commands, beside the way that asks everybody."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from heron.batch.array_tree import equal
from heron.errors import ConfigurationError, EnvClosedError, EnvError, InvalidActionError
from heron.messaging import Message, MessageType
from heron.play.autoreset import AutoresetLearner
from heron.play.flat_learner_env import FlatLearnerEnv, learner_env
from heron.play.learner_env import LearnerEnv
from heron.wrappers import GymVectorEnv, HierarchicalVectorEnv, LoopEnv, make_vec

from ..wrappers.single_envs import OBSERVATIONS, Sampled
from ..wrappers.small_envs import Life, Scripted

LIVES = {
    "stays": Life(),
    "dies": Life(leaves=2, how="terminated"),
    "cut": Life(leaves=1, how="truncated"),
    "late": Life(joins=2, leaves=4),
    "silent": Life(leaves=2, how="silent"),
}


class Unlucky(Sampled):
    """Raises now and then, also at the beginning of an episode."""

    def step(self, action):
        results = super().step(action)
        if self.np_random.random() < 0.1:
            raise RuntimeError("no power")
        return results

    def reset(self, *, seed=None, options=None):
        results = super().reset(seed=seed, options=options)
        if len(self.resets) % 4 == 0:
            raise RuntimeError("no start")
        return results


class Biased(Scripted):
    """Raises in its third step in some episodes."""

    def step(self, actions):
        results = super().step(actions)
        if self.steps == 3 and self.np_random.random() < 0.3:
            raise RuntimeError("no power")
        return results


COPIES = {
    "single": [Sampled] * 3,
    "dict": [lambda: Sampled(OBSERVATIONS["dict"])] * 2,
    "one": [lambda: Sampled(ends=0.4)],
    "unlucky": [Sampled, Unlucky, Unlucky],
    "several": [lambda: Scripted(LIVES, horizon=5), lambda: Scripted(LIVES, horizon=7)],
    "several unlucky": [lambda: Biased(LIVES, horizon=6)] * 3,
}


def both(factories, mode):
    """Two learners over the same copies, and the episodes that each tells of."""
    learners, episodes = [], ([], [])
    for kind, told in zip((FlatLearnerEnv, LearnerEnv), episodes, strict=True):
        venv = HierarchicalVectorEnv(LoopEnv(factories))
        learners.append(AutoresetLearner(kind(venv, on_episode=told.append), mode))
    return *learners, episodes


def outcome(call, *args, **kwargs):
    try:
        return call(*args, **kwargs)
    except EnvError as error:
        return type(error), str(error), getattr(error, "__notes__", [])


def fields(step):
    """Everything that a step says, as trees and text."""
    if isinstance(step, tuple):
        return step
    arrays = {name: getattr(step, name) for name in ("observations", "rewards", "lengths", "terminated", "truncated",
                                                     "reset", "stood_still")}  # fmt: skip
    return arrays, repr(dict(step.ends)), repr(list(step.infos))


def assert_alike(one, other):
    one, other = fields(one), fields(other)
    assert one[1:] == other[1:]
    assert equal(one[0], other[0]) if isinstance(one[0], dict) else one[0] == other[0]


def assert_same_state(one, other):
    for name in ("steps", "total_steps", "running", "infos"):
        assert repr(getattr(one.learner.venv, name)) == repr(getattr(other.learner.venv, name)), name
    assert equal(one.learner.venv.returns, other.learner.venv.returns)
    assert equal(one.learner.venv.lives, other.learner.venv.lives)
    for name in ("terminated", "truncated"):
        assert getattr(one.learner, name).tolist() == getattr(other.learner, name).tolist()


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("name", COPIES)
def test_all_is_the_same_as_on_the_long_way(name, mode):
    """Steps, resets and cuts of any copies, and errors amid them."""
    flat, plain, episodes = both(COPIES[name], mode)
    rng = np.random.default_rng(0)
    space, count = flat.learner.group.action_space, len(COPIES[name])
    space.seed(0)
    answers = [outcome(one.reset, None, 5) for one in (flat, plain)]
    for _ in range(60):
        assert_same_state(flat, plain)
        over, chance = ~flat.learner.venv.running, rng.random()
        actions = np.stack([space.sample() for _ in range(flat.learner.num_slots)])
        if over.any() and (mode is AutoresetMode.DISABLED or not flat._begun[over].all()):
            answers = [outcome(one.reset, over) for one in (flat, plain)]
        elif chance < 0.1:
            which = [int(rng.integers(count))]
            answers = [outcome(one.cut, which, 3) for one in (flat, plain)]
        else:
            answers = [outcome(one.step, actions) for one in (flat, plain)]
        if any(isinstance(answer, (np.ndarray, dict)) for answer in answers):
            assert equal(*answers)
        else:
            assert_alike(*answers)
    assert repr(episodes[0]) == repr(episodes[1])
    assert len(episodes[0]) > count


def test_wrong_actions_step_nothing():
    flat, plain, _ = both([Sampled] * 2, AutoresetMode.SAME_STEP)
    for one in (flat, plain):
        one.reset(None, 0)
    for wrong in (np.zeros((3, 2), np.float32), np.full((2, 2), np.nan, np.float32), np.full((2, 2), 9.0, np.float32)):
        told = [outcome(one.step, wrong) for one in (flat, plain)]
        assert told[0] == told[1]
        assert told[0][0] is InvalidActionError
        assert flat.learner.venv.steps.tolist() == [0, 0]
    assert_alike(*(one.step(np.ones((2, 2), np.float32)) for one in (flat, plain)))


class Refusing(LoopEnv):
    """Can do no more resets once it is told so."""

    refuses = False

    def check_reset(self, mask=None, seeds=None, options=None):
        if self.refuses:
            raise ConfigurationError("not now")


@pytest.mark.parametrize("kind", [FlatLearnerEnv, LearnerEnv])
def test_a_reset_that_is_refused_forgets_nothing(kind):
    venv = HierarchicalVectorEnv(Refusing([lambda: Sampled(horizon=1)] * 2))
    learner = kind(venv)
    learner.reset()
    learner.step(np.zeros((2, 2), np.float32))
    venv.batch_env.refuses = True
    with pytest.raises(ConfigurationError, match="not now"):
        learner.restart(np.array([True, True]))
    assert venv.steps.tolist() == [1, 1]


def test_messages_of_a_copy_go_at_its_reset():
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


def test_a_closed_one_is_not_stepped():
    view = GymVectorEnv([Sampled] * 2)
    view.reset()
    view.venv.close()
    with pytest.raises(EnvClosedError):
        view.step(np.zeros((2, 2), np.float32))


def test_who_takes_the_short_way():
    one, several = make_vec(Scripted, 2), make_vec(Scripted, 2, groups={"a": ["agent_0"], "b": ["agent_1"]})
    assert type(learner_env(one)) is FlatLearnerEnv
    assert type(learner_env(several, "a", {"b": 0})) is LearnerEnv
    assert type(GymVectorEnv([Sampled]).learner) is FlatLearnerEnv
