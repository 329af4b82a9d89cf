"""Environments that go wrong in the middle: the error says where, and all other copies go on."""

import re

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Tuple

from heron.errors import EnvStepError, InvalidObservationError, ResetRequiredError
from heron.wrappers import LoopEnv, ProcessEnv

from ..small_envs import Life, Scripted

NUMBERS = Box(-np.inf, np.inf, (4,), np.float32)
HOLDING = {
    "array": (NUMBERS, lambda value: value, "the observation of 'agent_1' is NaN at entries 2"),
    "dict": (
        Dict(near=NUMBERS, far=Tuple((Discrete(3), Box(-9, 9, (2, 2), np.float64)))),
        lambda value: {"near": np.zeros(4, np.float32), "far": (1, np.array([[0, value[2]], [value[2], 1]]))},
        "the observation['far'][1] of 'agent_1' is NaN at entries (0, 1), (1, 0)",
    ),
    "scalar": (
        Box(-9, 9, (), np.float32),
        lambda value: np.float32(value[2]),
        "the observation of 'agent_1' is NaN",
    ),
}


class Faulty(Scripted):
    """Does something wrong to what ``agent_1`` gets in step ``at`` of every episode; 0 is the reset."""

    def __init__(self, fault, at=2, space=NUMBERS, wrap=lambda value: value, **kwargs):
        super().__init__(horizon=9, observation_space=space, **kwargs)
        self.fault, self.at, self.wrap = fault, at, wrap

    def reset(self, seed=None, options=None):
        observations, infos = super().reset(seed, options)
        if self.at == 0:
            self.fault(self, observations, {})
        return {agent: self.wrap(value) for agent, value in observations.items()}, infos

    def step(self, actions):
        observations, rewards, *rest = super().step(actions)
        if self.steps == self.at:
            self.fault(self, observations, rewards)
        return {agent: self.wrap(value) for agent, value in observations.items()}, rewards, *rest


def sound(env, observations, rewards):
    pass


def nan_seen(env, observations, rewards):
    observations["agent_1"][2] = np.nan


def nan_earned(env, observations, rewards):
    rewards["agent_1"] = float("nan")


def infinite(env, observations, rewards):
    observations["agent_1"][1], rewards["agent_1"] = -np.inf, np.inf


def raising(env, observations, rewards):
    raise RuntimeError("no power")


def observing(value):
    def fault(env, observations, rewards):
        observations["agent_1"] = value

    return fault


on_both_backends = pytest.mark.parametrize("make_batch", [LoopEnv, ProcessEnv], indirect=True)


def act(batch, mask=None):
    (name,) = batch.groups
    return batch.step({name: np.zeros((batch.num_envs, 2), int)}, mask)[name]


def batch_of(make_batch, fault, **kwargs):
    """Three copies, of which the last one is faulty."""
    good = {key: value for key, value in kwargs.items() if key in ("space", "wrap")}
    return make_batch([lambda: Faulty(sound, **good)] * 2 + [lambda: Faulty(fault, **kwargs)], ["a", "b", "c"])


@pytest.fixture
def make_batch(request):
    made = []

    def make(*args, **kwargs):
        made.append(getattr(request, "param", LoopEnv)(*args, **kwargs))
        return made[-1]

    yield make
    for batch in made:
        batch.close()


def assert_others_go_on(batch):
    """The faulty copy needs a reset, and all others play on to the end of their episode."""
    assert batch.running.tolist() == [True, True, False]
    (state,) = batch.states.values()
    assert state.truncated[2].all()
    assert not state.terminated[2].any()
    assert state.rewards[2].tolist() == [0.0, 0.0]
    with pytest.raises(ResetRequiredError, match="c"):
        act(batch)
    others = np.array([True, True, False])
    while batch.running.any():
        rewards = act(batch, others).rewards
    assert rewards[:2].tolist() == [[9.0, 90.0]] * 2
    batch.reset(seeds=[0, 1, 2])
    assert batch.running.all()
    act(batch)


WHERE = "(in step 2 of the episode that began with reset(seed=7) and 1 later reset without a seed)"


@pytest.mark.parametrize("kind", HOLDING)
def test_nan_in_an_observation(make_batch, kind):
    space, wrap, message = HOLDING[kind]
    batch = batch_of(make_batch, nan_seen, space=space, wrap=wrap)
    batch.reset(seeds=[5, 6, 7])
    batch.reset(np.array([False, False, True]))
    act(batch)
    with pytest.raises(InvalidObservationError) as caught:
        act(batch)
    assert str(caught.value) == f"c: {message} {WHERE}"
    assert_others_go_on(batch)


@on_both_backends
def test_nan_among_the_rewards(make_batch):
    batch = batch_of(make_batch, nan_earned)
    batch.reset(seeds=[5, 6, 7])
    batch.reset(np.array([False, False, True]))
    act(batch)
    with pytest.raises(InvalidObservationError) as caught:
        act(batch)
    assert str(caught.value) == f"c: the reward of 'agent_1' is NaN {WHERE}"
    assert_others_go_on(batch)


@on_both_backends
def test_nan_at_the_reset(make_batch):
    batch = batch_of(make_batch, nan_seen, at=0)
    with pytest.raises(
        InvalidObservationError, match=r"^c: the observation of 'agent_1' is NaN at entries 2"
    ) as caught:
        batch.reset(seeds=[5, 6, 7])
    assert "(in step 0 of the episode that began with reset(seed=7))" in str(caught.value)
    assert batch.running.tolist() == [True, True, False]
    act(batch, batch.running)


def test_infinity_is_a_number(make_batch):
    batch = batch_of(make_batch, infinite)
    batch.reset(seeds=[0, 0, 0])
    act(batch)
    state = act(batch)
    assert state.observations[2, 1, 1] == -np.inf
    assert state.rewards[2, 1] == np.inf
    act(batch)


def test_nan_of_an_agent_that_dies(make_batch):
    lives = {"agent_0": Life(), "agent_1": Life(leaves=2)}
    batch = batch_of(make_batch, nan_seen, lives=lives)
    batch.reset(seeds=[5, 6, 7])
    act(batch)
    with pytest.raises(InvalidObservationError, match=r"^c: the observation of 'agent_1' is NaN"):
        act(batch)
    assert_others_go_on(batch)


@pytest.mark.parametrize("value", [np.zeros(5, np.float32), np.zeros(1, np.float32), np.float32(3.0), None, "warm"])
def test_observation_of_another_shape(make_batch, value):
    batch = batch_of(make_batch, observing(value))
    batch.reset(seeds=[5, 6, 7])
    batch.reset(np.array([False, False, True]))
    act(batch)
    with pytest.raises(InvalidObservationError, match=r"(?s)^c: 'agent_1' observed .*not in Box\(.*\(4,\)") as caught:
        act(batch)
    assert str(caught.value).endswith(WHERE)
    assert_others_go_on(batch)


@on_both_backends
def test_raising(make_batch):
    batch = batch_of(make_batch, raising)
    batch.reset(seeds=[5, 6, 7])
    batch.reset(np.array([False, False, True]))
    act(batch)
    with pytest.raises(EnvStepError, match=r"^c: step\(\{'agent_0': .*RuntimeError: no power") as caught:
        act(batch)
    assert str(caught.value).endswith(WHERE)
    assert_others_go_on(batch)


@on_both_backends
@pytest.mark.parametrize("kind", ["observation_space", "action_space"])
def test_spaces_that_change_at_a_reset(make_batch, kind):
    def change(env, observations, rewards):
        setattr(env, f"_{kind}", Discrete(7))

    batch = batch_of(make_batch, change, at=3)
    batch.reset(seeds=[5, 6, 7])
    for _ in range(3):
        act(batch)
    last = np.array([False, False, True])
    with pytest.raises(
        EnvStepError, match=rf"^c: reset.* the {kind} of 'agent_0' has changed to Discrete\(7\)"
    ) as caught:
        batch.reset(last)
    assert "reset(seed=7) and 1 later reset without a seed" in str(caught.value)
    assert batch.running.tolist() == [True, True, False]
    act(batch, ~last)


def test_the_told_seed_reproduces_the_fault():
    """What the error says leads there again in a new batch."""

    def rare(env, observations, rewards):
        if env.np_random.random() < 0.003:
            nan_seen(env, observations, rewards)

    class Rare(Faulty):
        def step(self, actions):
            self.at = self.steps + 1
            return super().step(actions)

    def play_until_it_fails(batch, episodes):
        batch.reset(seeds=[30 + k for k in range(batch.num_envs)])
        for _ in range(episodes):
            while batch.running.all():
                act(batch)
            batch.reset(~batch.running)

    batch = LoopEnv([lambda: Rare(rare)] * 3)
    with pytest.raises(InvalidObservationError) as caught:
        play_until_it_fails(batch, 100)
    told = re.match(r"env_(\d): .*in step (\d+) of .*seed=(\d+)\)(?: and (\d+) later)?", str(caught.value))
    index, step, seed, later = (int(number or 0) for number in told.groups())
    assert seed == 30 + index
    assert later >= 1

    again = LoopEnv([lambda: Rare(rare)])
    again.reset(seeds=[seed])
    for episode in range(later + 1):
        if episode:
            again.reset()
        for _ in range(step - 1 if episode == later else 9):
            act(again)
    with pytest.raises(InvalidObservationError, match=f"in step {step} of .*seed={seed}"):
        act(again)


def test_never_seeded_copies_are_told_to_take_a_seed():
    batch = LoopEnv([lambda: Faulty(nan_earned, at=1)])
    batch.reset()
    with pytest.raises(InvalidObservationError, match="reset number 1, none of which had a seed"):
        act(batch)


def test_several_faulty_copies_are_all_told():
    batch = LoopEnv([lambda: Faulty(nan_earned, at=1), lambda: Faulty(raising, at=1), lambda: Faulty(nan_seen, at=1)])
    batch.reset(seeds=[1, 2, 3])
    with pytest.raises(EnvStepError, match=r"^env_1") as caught:
        act(batch)
    assert ["env_0" in note or "env_2" in note for note in caught.value.__notes__] == [True, True]
    assert not batch.running.any()
