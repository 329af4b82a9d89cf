"""Environments that go wrong in the middle: the error says where, and all other copies go on."""

import re
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple

from heron.batch.array_tree import equal, flatten, map_arrays
from heron.errors import EnvStepError, InvalidObservationError, ResetRequiredError
from heron.wrappers import LoopEnv, ProcessEnv

from ..small_envs import Life, Scripted

NUMBERS = Box(-np.inf, np.inf, (4,), np.float32)
OF_RESET, OF_STEP = ("observations", "infos"), ("observations", "rewards", "terminations", "truncations", "infos")


class Faulty(Scripted):
    """Does something wrong in step ``at`` of episode ``in_episode``, or of every one; 0 is the reset.

    A fault changes what would be returned, ``name -> dict by agent``, or says what to return in its stead.
    """

    def __init__(self, fault=None, at=2, in_episode=None, space=NUMBERS, wrap=lambda value: value, **kwargs):
        super().__init__(horizon=9, observation_space=space, **kwargs)
        self.fault, self.at, self.in_episode, self.wrap = fault, at, in_episode, wrap
        self.episodes = self.faults = 0

    def reset(self, seed=None, options=None):
        self.episodes += 1
        return self.spoilt(OF_RESET, super().reset(seed, options))

    def step(self, actions):
        return self.spoilt(OF_STEP, super().step(actions))

    def spoilt(self, names, results):
        results = dict(zip(names, results, strict=True))
        observations = results["observations"]
        given = None
        if self.fault and self.steps == self.at and self.in_episode in (None, self.episodes):
            self.faults += 1
            given = self.fault(self, results)
        if results["observations"] is observations:
            results["observations"] = {agent: self.wrap(value) for agent, value in observations.items()}
        return tuple(results.values()) if given is None else given[0]


def raising(env, results):
    raise RuntimeError("no power")


def nan_seen(env, results):
    results["observations"]["agent_1"][2] = np.nan


def infinite(env, results):
    results["observations"]["agent_1"][1], results["rewards"]["agent_1"] = -np.inf, np.inf


def putting(name, value):
    """For ``agent_1``."""
    return lambda env, results: results[name].update(agent_1=value)


def dropping(name):
    def fault(env, results):
        del results[name]["agent_1"]

    return fault


def replacing(name, value):
    """For all agents."""
    return lambda env, results: results.update({name: value})


def returning(value):
    return lambda env, results: [value]


def letting_in(agent):
    return lambda env, results: env.agents.append(agent)


nan_earned = putting("rewards", float("nan"))

ODD_OBSERVATION = r"'agent_1' observed (?s:.*), which is not in Box\(.*\(4,\), float32\): "
EVER_WRONG = {
    "it raises": (raising, EnvStepError, r"(step|reset)\(.*\) raised RuntimeError: no power"),
    "returns nothing": (returning(None), EnvStepError, "(step|reset) returned None; it must return observations"),
    "returns too little": (
        returning(({},)),
        EnvStepError,
        "(step|reset) returned 1 values; it must return observations",
    ),
    "observations are no dict": (replacing("observations", [1]), EnvStepError, r"but the observations are \[1\]"),
    "infos are no dict": (replacing("infos", None), EnvStepError, "each a dict by agent, but the infos are None"),
    "info is no dict": (putting("infos", [3]), EnvStepError, r"the info of 'agent_1' must be a dict, got \[3\]"),
    "unknown agent": (letting_in("x"), EnvStepError, r"agents \['x'\] of c are not in possible_agents agent_0, "),
    "NaN seen": (nan_seen, InvalidObservationError, "the observation of 'agent_1' is NaN at entries 2"),
    "nothing seen": (
        dropping("observations"),
        InvalidObservationError,
        r"agents \['agent_1'\] .*observations of \['agent_0'\]",
    ),
    **{
        f"seen: {value!r}": (putting("observations", value), InvalidObservationError, ODD_OBSERVATION + why)
        for value, why in [
            (np.zeros(5, np.float32), r"it is of shape \(5,\), expected \(4,\)"),
            (np.zeros(1, np.float32), r"it is of shape \(1,\), expected \(4,\)"),
            (np.float32(3.0), r"it is of shape \(\), expected \(4,\)"),
            (None, r"it is None, expected float32 \(4,\)"),
            ("warm", r"it is 'warm', expected float32 \(4,\)"),
            ({"x": 1}, r"it is {'x': 1}, expected float32 \(4,\)"),
        ]
    },
}
WRONG_IN_STEPS = {
    "NaN earned": (nan_earned, InvalidObservationError, "the reward of 'agent_1' is NaN"),
    "nothing earned": (
        dropping("rewards"),
        InvalidObservationError,
        r"'agent_1' .*there are rewards of \['agent_0'\]",
    ),
    **{
        f"earned: {value!r}": (
            putting("rewards", value),
            InvalidObservationError,
            rf"'agent_1' got reward {re.escape(repr(value))}; expected one number",
        )
        for value in (None, "lots", np.ones(2), 1j)
    },
    "rewards are no dict": (replacing("rewards", 0.0), EnvStepError, r"but the rewards are 0\.0"),
    "neither true nor false": (
        putting("truncations", np.ones(2)),
        InvalidObservationError,
        r"the truncations have array\(\[1\., 1\.\]\) for 'agent_1'; expected True or False",
    ),
}
WRONG = EVER_WRONG | WRONG_IN_STEPS
PLACES = [(kind, 2) for kind in WRONG] + [(kind, 0) for kind in EVER_WRONG]
IN_PROCESSES = [("it raises", 2), ("NaN earned", 2), ("NaN seen", 0), ("nothing earned", 2)]


@pytest.fixture
def make_batch(request):
    made = []

    def make(*args, **kwargs):
        made.append(getattr(request, "param", LoopEnv)(*args, **kwargs))
        return made[-1]

    yield make
    for batch in made:
        batch.close()


def act(batch, mask=None):
    (name,) = batch.groups
    return batch.step({name: np.zeros((batch.num_envs, 2), int)}, mask)[name]


def batch_of(make_batch, fault, **kwargs):
    """Three copies, of which the last one is faulty."""
    good = {key: value for key, value in kwargs.items() if key in ("space", "wrap")}
    return make_batch([partial(Faulty, **good)] * 2 + [partial(Faulty, fault, **kwargs)], ["a", "b", "c"])


def play_to_fault(batch, at=2):
    """Two resets of all copies, and then ``at`` steps."""
    batch.reset(seeds=[5, 6, 7])
    batch.reset()
    for _ in range(at):
        act(batch)


def same(one, other, rows):
    """Return True if two batches have the same results for these copies."""
    (state,), (expected,) = one.states.values(), other.states.values()
    return one.infos[rows] == other.infos[rows] and all(
        equal(
            map_arrays(lambda array: array[rows], getattr(state, name)),
            map_arrays(lambda array: array[rows], getattr(expected, name)),
        )
        for name in ("observations", "rewards", "terminated", "truncated", "active")
    )


def assert_others_go_on(batch, undisturbed, *, is_step=True):
    """The faulty copy needs a reset, all others play on as if nothing had been, and so does it from its reset on."""
    others = np.array([True, True, False])
    assert batch.running.tolist() == others.tolist()
    (state,) = batch.states.values()
    assert state.truncated[2].tolist() == [is_step] * 2
    assert not state.terminated[2].any()
    assert state.rewards[2].tolist() == [0.0, 0.0]
    assert not batch.infos[2]
    assert same(batch, undisturbed, slice(2))
    with pytest.raises(ResetRequiredError, match="c"):
        act(batch)
    for one, mask in ((batch, others), (undisturbed, None)):
        act(one, mask)
    assert same(batch, undisturbed, slice(2))
    for one in (batch, undisturbed):
        one.reset(~others, [None, None, 8])
    while batch.running.all():
        assert same(batch, undisturbed, slice(3))
        for one in (batch, undisturbed):
            act(one)
    assert same(batch, undisturbed, slice(3))
    assert state.rewards[:2].tolist() == [[9.0, 90.0]] * 2


def assert_told_seed_reproduces(told, env):
    """Played alone as the error says, the environment goes wrong in that very call, and in none before."""
    at, seed, later = map(int, re.search(r"step (\d+) of .*reset\(seed=(\d+)\) and (\d+) later", told).groups())
    calls = [lambda: env.reset(seed=seed), *[env.reset] * later, *[lambda: env.step(dict.fromkeys(env.agents, 0))] * at]
    for call in calls[:-1]:
        call()
    assert env.faults == 0
    with suppress(RuntimeError):
        calls[-1]()
    assert env.faults == 1


def check_fault(make_batch, kind, at):
    fault, error, message = WRONG[kind]
    options = {"at": at, "in_episode": 2}
    batch, undisturbed = batch_of(make_batch, fault, **options), batch_of(LoopEnv, None)
    play_to_fault(undisturbed, at)
    with pytest.raises(error) as caught:
        play_to_fault(batch, at)
    told = str(caught.value)
    where = rf" \(in step {at} of the episode that began with reset\(seed=7\) and 1 later reset without a seed\)"
    assert re.fullmatch(f"c: .*{message}.*{where}", told, re.DOTALL), told
    assert_others_go_on(batch, undisturbed, is_step=at > 0)
    assert_told_seed_reproduces(told, Faulty(fault, **options))


@pytest.mark.parametrize(("kind", "at"), PLACES)
def test_a_fault_is_told_and_only_its_copy_needs_a_reset(make_batch, kind, at):
    check_fault(make_batch, kind, at)


@pytest.mark.parametrize("make_batch", [ProcessEnv], indirect=True)
@pytest.mark.parametrize(("kind", "at"), IN_PROCESSES)
def test_a_fault_in_another_process_is_told_likewise(make_batch, kind, at):
    check_fault(make_batch, kind, at)


@pytest.mark.parametrize(
    ("space", "wrap", "message"),
    [
        (
            Dict(near=NUMBERS, far=Tuple((Discrete(3), Box(-9, 9, (2, 2), np.float64)))),
            lambda value: {"near": np.zeros(4, np.float32), "far": (1, np.array([[0, value[2]], [value[2], 1]]))},
            "the observation['far'][1] of 'agent_1' is NaN at entries (0, 1), (1, 0)",
        ),
        (Box(-9, 9, (), np.float32), lambda value: np.float32(value[2]), "the observation of 'agent_1' is NaN"),
    ],
    ids=["dict", "scalar"],
)
def test_nan_anywhere_in_an_observation(make_batch, space, wrap, message):
    batch, undisturbed = (batch_of(make_batch, fault, space=space, wrap=wrap) for fault in (nan_seen, None))
    play_to_fault(undisturbed)
    with pytest.raises(InvalidObservationError, match=rf"^c: {re.escape(message)} \(in step 2 "):
        play_to_fault(batch)
    (state,) = batch.states.values()
    assert np.isfinite(flatten(space, state.observations, batch_dims=2)).all()
    batch.envs[2].fault = None
    assert_others_go_on(batch, undisturbed)


@pytest.mark.parametrize(
    ("space", "value", "why"),
    [
        (MultiDiscrete([3, 3]), np.array([np.nan, 1]), "it is float64, expected int64"),
        (MultiDiscrete([3, 3]), [1.5, 1], "it is float64, expected int64"),
        (Discrete(3), 1.5, "it is float64, expected int64"),
        (Discrete(3), 2**70, "it is 1180591620717411303424, expected int64 ()"),
        (Box(0, 255, (2,), np.uint8), np.array([300, 1]), "it is int64, expected uint8"),
        (Box(0, 255, (2,), np.uint8), [300, 1], "it is int64, expected uint8"),
        (Dict(x=MultiBinary(2)), {"x": np.array([0.5, 1])}, "['x'] is float64, expected int8"),
        (Dict(x=MultiBinary(2)), {"y": np.array([1, 1])}, "it is a dict with keys ['y'], expected ['x']"),
        (Tuple((Discrete(2), Discrete(2))), (1,), "it is (1,), expected a tuple of 2"),
    ],
)
def test_numbers_that_would_become_others(make_batch, space, value, why):
    """They are not cut off, wrapped round, or made up for NaN, as numpy would."""
    good = space.sample()
    batch = batch_of(make_batch, putting("observations", value), space=space, wrap=lambda seen: good)
    batch.envs[2].wrap = lambda seen: value if seen is value else good
    with pytest.raises(InvalidObservationError, match=rf"(?s)^c: 'agent_1' observed .*{re.escape(why)} \(in step 2 "):
        play_to_fault(batch)
    assert batch.running.tolist() == [True, True, False]


def test_whole_numbers_may_come_as_floats(make_batch):
    batch = batch_of(make_batch, None, space=MultiDiscrete([9, 9]), wrap=lambda seen: np.array([seen[0], 4.0]))
    play_to_fault(batch)
    assert batch.states["agent"].observations[2].tolist() == [[2, 4], [2, 4]]


def test_infinity_is_a_number(make_batch):
    batch = batch_of(make_batch, infinite)
    play_to_fault(batch)
    state = batch.states["agent"]
    assert state.observations[2, 1, 1] == -np.inf
    assert state.rewards[2, 1] == np.inf
    act(batch)


def test_nan_of_an_agent_that_dies(make_batch):
    lives = {"agent_0": Life(), "agent_1": Life(leaves=2)}
    batch = batch_of(make_batch, nan_seen, lives=lives)
    with pytest.raises(InvalidObservationError, match=r"^c: the observation of 'agent_1' is NaN"):
        play_to_fault(batch)
    assert batch.running.tolist() == [True, True, False]


def test_what_an_agent_is_not_told_at_its_end_is_zero(make_batch):
    def fault(env, results):
        del results["observations"]["agent_1"], results["rewards"]["agent_1"]

    batch = batch_of(make_batch, fault, lives={"agent_0": Life(), "agent_1": Life(leaves=2)})
    play_to_fault(batch)
    state = batch.states["agent"]
    assert state.rewards[2].tolist() == [2.0, 0.0]
    assert state.observations[2, :, 0].tolist() == [2.0, 1.0]  # its last one stays


@pytest.mark.parametrize("make_batch", [LoopEnv, ProcessEnv], indirect=True)
@pytest.mark.parametrize("kind", ["observation_space", "action_space"])
def test_spaces_that_change_at_a_reset(make_batch, kind):
    def change(env, results):
        setattr(env, f"_{kind}", Discrete(7))

    batch = batch_of(make_batch, change, at=3)
    batch.reset(seeds=[5, 6, 7])
    for _ in range(3):
        act(batch)
    last = np.array([False, False, True])
    differs = "it is a Discrete, expected a Box" if kind == "observation_space" else "it has n 7, expected 5"
    with pytest.raises(
        EnvStepError, match=rf"^c: reset.* the {kind} of 'agent_0' has changed to Discrete\(7\); .*: {differs}"
    ) as caught:
        batch.reset(last)
    assert "reset(seed=7) and 1 later reset without a seed" in str(caught.value)
    assert batch.running.tolist() == [True, True, False]
    act(batch, ~last)


def test_a_fault_by_chance_comes_again_from_the_told_seed():
    def rare(env, results):
        if env.np_random.random() < 0.003:
            nan_seen(env, results)

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

    again = Rare(rare)
    again.reset(seed=seed)
    for episode in range(later + 1):
        if episode:
            again.reset()
        for _ in range(step if episode == later else 9):
            observations, *_ = again.step({"agent_0": 0, "agent_1": 0})
            is_last = episode == later and again.steps == step
            assert np.isnan(observations["agent_1"]).any() == is_last


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
