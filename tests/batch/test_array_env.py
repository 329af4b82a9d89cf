"""A world on arrays keeps the contract of batched environments, and is the same alone and among others."""

import multiprocessing
import pickle
import sys
from dataclasses import dataclass, replace
from functools import partial

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Tuple
from stable_baselines3 import PPO

import heron
from heron import Hierarchy
from heron.batch import AgentGroup, ArrayEnv
from heron.errors import (
    ConfigurationError,
    ContractError,
    EnvClosedError,
    EnvStepError,
    InvalidActionError,
    InvalidObservationError,
    ResetRequiredError,
    UnknownEnvError,
)
from heron.testing import BATCH_ENV_CHECKS, check_batch_env, check_parallel_env, check_view
from heron.testing.batch_env.batch_player import (
    BatchPlayer,
    copy_results,
    episodes,
    expect_same,
    mask_of,
    seeds_from,
)
from heron.wrappers import GymVectorEnv, LoopEnv, ProcessEnv
from heron.wrappers.sb3 import Sb3VecEnv

from ..wrappers.pettingzoo.pettingzoo_suite import parallel_api_test, parallel_seed_test
from . import tag_world
from .tag_world import ACTIONS, SPACE, Tag, TagEnv

cloudpickle.register_pickle_by_value(tag_world)  # workers cannot import the tests
cloudpickle.register_pickle_by_value(sys.modules[__name__])
multiprocessing.set_forkserver_preload(["heron.wrappers.workers.process_env"])

STEPS = 20


def shard(env_ids):
    return TagEnv(len(env_ids), env_ids=env_ids)


KINDS = {
    "arrays": partial(TagEnv, 5),
    "shards": partial(ProcessEnv.of_shards, shard, ["x", "y", "z"], num_workers=1),
    "one by one": partial(LoopEnv, [TagEnv.parallel_env] * 2),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("check", BATCH_ENV_CHECKS, ids=lambda check: check.__name__)
def test_batch_env_keeps(check, make):
    check(make, STEPS)


def test_single_agents_and_whole_copies_end_in_both_ways():
    player = BatchPlayer(TagEnv(64))
    player.reset(seeds=seeds_from(player.env))
    terminated, truncated, gone = (dict.fromkeys(player.env.groups, 0) for _ in range(3))
    for _ in player.play(STEPS):
        for name, state in player.env.states.items():
            terminated[name] += state.terminated.sum()
            truncated[name] += state.truncated.sum()
            gone[name] += (~state.active & player.env.running[:, None]).sum()
    assert all(min(counts.values()) > 0 for counts in (terminated, truncated))
    assert gone["hunter"] > 0
    assert gone["prey"] == 0


@pytest.mark.parametrize("copies", [range(0, 64, 7), [63]])
def test_a_copy_is_the_same_alone_among_64_in_a_worker_and_one_by_one(copies):
    seeds = [100 + copy for copy in range(64)]
    many = BatchPlayer(TagEnv(64))
    expected = [episodes(many, seeds, STEPS), episodes(many, None, STEPS)]
    few = [
        lambda: TagEnv(len(copies)),
        lambda: LoopEnv([TagEnv.parallel_env] * len(copies)),
        lambda: ProcessEnv.of_shards(shard, [f"env_{copy}" for copy in copies], num_workers=int(len(copies) > 1)),
    ]
    for make in few:
        player = BatchPlayer(make(), copies)
        got = [episodes(player, [seeds[copy] for copy in copies], STEPS), episodes(player, None, STEPS)]
        for episode in range(2):
            for place, copy in enumerate(copies):
                expect_same(got[episode][place], expected[episode][copy], f"episode {episode}", str(copy))
        player.env.close()


def test_options_and_parameters():
    env = TagEnv(3, speed=0.5)
    env.reset(seeds=[1, 1, 1])
    env.reset(mask_of(env, 1), [1, 1, 1], {"offset": 0.25})
    prey = np.stack(env.get_attr("prey", [0, 1, 2]))
    assert (prey == prey[0] + [[0], [0.25], [0]]).all()
    assert env.get_attr("speed", [2, 0]) == [0.5, 0.5]
    env.set_attr("speed", [0.0], [1])
    before = env.get_attr("hunters", [1])[0]
    for _ in range(2):  # in this episode and in the next one
        env.step({name: np.ones((3, len(group.agent_ids), 2)[: 2 + (name == "hunter")], np.float32)
                  if name == "hunter" else np.ones((3, 1), int) for name, group in env.groups.items()})  # fmt: skip
        assert (env.get_attr("hunters", [1])[0] == before).all()
        assert env.get_attr("speed", [0, 1, 2]) == [0.5, 0.0, 0.5]
        env.reset(seeds=[1, 1, 1])
        before = env.get_attr("hunters", [1])[0]


def test_wrong_attributes():
    env = TagEnv(3)
    with pytest.raises(ValueError, match=r"Tag\.speed"):
        env.set_attr("speed", [[1, 2]], [0])
    with pytest.raises(TypeError, match=r"Tag\.color"):
        env.set_attr("color", [0.5], [0])
    with pytest.raises(AttributeError, match="max_episode_steps"):
        env.set_attr("max_episode_steps", [3], [0])  # one for all copies
    assert env.get_attr("max_episode_steps", [1, 2]) == [15, 15]
    got = env.get_attr("prey", [0])[0]
    got += 5
    assert (env.get_attr("prey", [0])[0] != got).all()


def test_time_limit():
    env = TagEnv(2, energy=1e9, speed=0.0, max_episode_steps=4)
    env.set_attr("hunters", np.full((2, 2, 2), 3.0), [0, 1])
    player = BatchPlayer(env)
    for masked in (mask_of(env, 0), mask_of(env, 0, 1)):
        player.reset(masked, [5, 6])
        assert len(list(player.play(10))) <= 4
    assert (env.states["hunter"].truncated ^ env.states["hunter"].terminated).all()


@pytest.mark.parametrize("through", [lambda saved: saved, lambda saved: pickle.loads(pickle.dumps(saved))])
@pytest.mark.parametrize("num_envs", [3, 7])
def test_copies_go_on_where_they_were_saved(num_envs, through):
    player = BatchPlayer(TagEnv(3))
    player.reset(seeds=seeds_from(player.env))
    for _ in range(3):
        player.step(player.env.running)
    player.env.set_attr("speed", [0.7], [2])
    player.env.set_attr("note", [["of the copy"]], [2])
    saved = through(player.env.state_dict([2, "env_0"]))
    sources = pickle.dumps([player._samplers[2], player._samplers[0]])

    other = BatchPlayer(TagEnv(num_envs), range(num_envs))
    other.reset(seeds=seeds_from(other.env, 50))
    other.step()
    before = {copy: copy_results(other.env, copy) for copy in range(num_envs)}
    other.env.load_state_dict(saved, [1, num_envs - 1])
    other._samplers[1], other._samplers[num_envs - 1] = pickle.loads(sources)
    for copy in set(range(num_envs)) - {1, num_envs - 1}:
        expect_same([copy_results(other.env, copy)], [before[copy]], "a copy that was not loaded", str(copy))
    assert other.env.get_attr("note", [1]) == [["of the copy"]]

    for again in range(2):
        for step in range(STEPS):
            for mine, own in ((1, 2), (num_envs - 1, 0)):
                expect_same(
                    [copy_results(other.env, mine)], [copy_results(player.env, own)], f"{again}, {step}", str(own)
                )
            player.step(player.env.running)
            other.step(other.env.running)
        player.reset()
        other.reset()
        sources = [player._samplers[copy] for copy in (2, 0)]
        other._samplers[1], other._samplers[num_envs - 1] = pickle.loads(pickle.dumps(sources))


def test_what_does_not_fit_is_not_loaded():
    env, saved = TagEnv(3), TagEnv(2).state_dict()
    with pytest.raises(ConfigurationError, match="2 copies"):
        env.load_state_dict(saved)
    del saved["arrays"]["state"]["speed"]
    with pytest.raises(ConfigurationError, match="TagEnv"):
        env.load_state_dict(saved, [0, 1])
    with pytest.raises(UnknownEnvError, match="env_3"):
        env.state_dict(["env_3"])
    assert not env.running.any()


def test_loading_wakes_a_copy_and_ends_it():
    env = TagEnv(2)
    fresh = env.state_dict([0])
    env.reset(seeds=[1, 2])
    begun = env.state_dict([1])
    env.load_state_dict(fresh, [1])
    assert env.running.tolist() == [True, False]
    env.load_state_dict(begun, "env_1")
    assert env.running.all()


def test_a_pickled_world_goes_on():
    player = BatchPlayer(TagEnv(3))
    episodes(player, seeds_from(player.env), 5)
    copied = BatchPlayer(pickle.loads(pickle.dumps(player.env)))
    expected, got = (episodes(one, None, STEPS) for one in (player, copied))
    for copy in range(3):
        expect_same(got[copy], expected[copy], "a pickled world", str(copy))


def test_parallel_env():
    parallel_api_test(TagEnv.parallel_env(speed=0.1), num_cycles=100)
    parallel_seed_test(TagEnv.parallel_env)
    check_parallel_env(TagEnv.parallel_env)
    env = TagEnv.parallel_env(render_mode="rgb_array")
    env.reset(seed=3)
    assert env.render().shape == (2, 2, 3)
    with pytest.raises(InvalidActionError, match="'prey'"):
        env.step(dict.fromkeys(env.agents, 7) | dict.fromkeys(["hunter_0", "hunter_1"], np.zeros(2, np.float32)))
    env.close()
    with pytest.raises(EnvClosedError):
        env.reset()


def test_rendering_of_one_copy():
    env = TagEnv(4, render_mode="rgb_array")
    env.reset(seeds=[0, 1, 2, 3])
    colors = env.get_attr("color", [0, 1, 2, 3])
    assert len(set(colors)) > 1
    assert [frame[0, 0, 0] // 80 for frame in env.call("render", range(4))] == colors
    assert TagEnv(1).render(0) is None
    assert env.get_attr("metadata", [2])[0]["render_fps"] == 4
    with pytest.raises(ConfigurationError, match="human"):
        TagEnv(1, render_mode="human")


def star(agents):
    return Hierarchy.star(agents, period=3, command_space=Box(-1, 1, (2,), np.float32))


@pytest.mark.parametrize("backend", ["loop", "process"])
def test_make_vec_of_a_class(backend):
    options = {"num_workers": 1} if backend == "process" else {}
    with heron.make_vec(TagEnv, 4, star, env_kwargs={"speed": 0.2}, backend=backend, **options) as venv:
        assert venv.batch_env.get_attr("speed", [3]) == [0.2]
        assert venv.reset(seed=0).keys() == {"hunter", "prey", "coordinator"}
        for _ in range(STEPS):
            if venv.due("coordinator").any():
                venv.decide({"coordinator": np.zeros((4, 1, 6), np.float32)})
            venv.advance({"hunter": np.ones((4, 2, 2), np.float32), "prey": np.ones((4, 1), int)})
            venv.reset_envs(~venv.running)
    with pytest.raises(ConfigurationError, match="validate"):
        heron.make_vec(TagEnv, validate=True)
    with pytest.raises(ConfigurationError, match="num_workers"):
        heron.make_vec(TagEnv, 4, num_workers=2)


@pytest.mark.parametrize("kind", [GymVectorEnv, Sb3VecEnv])
@pytest.mark.parametrize(("hierarchy", "learn"), [(None, "hunter"), (star, "hunter"), (star, "coordinator")])
def test_views(kind, hierarchy, learn):
    others = {"hunter": np.zeros(2, np.float32), "prey": 0, "coordinator": np.zeros(6, np.float32)}
    del others[learn]
    if hierarchy is None:
        del others["coordinator"]
    check_view(
        lambda: kind(heron.make_vec(TagEnv, 3, hierarchy), learn, dict(others)),
        slots_per_env=1 if learn == "coordinator" else 2,
        steps=STEPS,
    )


def test_ppo_learns_on_it():
    view = Sb3VecEnv(heron.make_vec(TagEnv, 8), "hunter", {"prey": 0})
    PPO("MlpPolicy", view, n_steps=8, batch_size=32, n_epochs=1).learn(1)
    view.close()


class LoneEnv(TagEnv):
    """The hunters alone, steered as one."""

    def __init__(self, num_envs=1, **options):
        super().__init__(num_envs, **options)
        self.groups = {"pack": AgentGroup("pack", ("pack",), SPACE, ACTIONS["hunter"])}
        self.states = {"pack": self.states["prey"]}
        self.use_states({"pack": replace(self.states["pack"], observations=np.zeros((num_envs, 1, 5), np.float32))})

    def _advance(self, state, actions, random):
        pack = np.repeat(actions["pack"], 2, axis=1)
        state, rewards, terminated = super()._advance(
            state, {"hunter": pack, "prey": np.zeros((len(random), 1), int)}, random
        )
        return state, {"pack": rewards["prey"]}, {"pack": terminated["prey"]}

    def _observe(self, state):
        return {"pack": super()._observe(state)["hunter"][:, :1]}

    def _infos(self, state):
        return {}


def test_registered_with_gymnasium():
    TagEnv.register("heron-tests/Tag-v0", speed=0.2)
    LoneEnv.register("heron-tests/Lone-v0", speed=0.2)
    try:
        view = gymnasium.make_vec("heron-tests/Tag-v0", 4, learn="hunter", policies={"prey": 0})
        assert view.venv.batch_env.get_attr("speed", [3]) == [0.2]
        assert view.reset(seed=1)[0].shape == (8, 5)
        view.close()
        env = gymnasium.make("heron-tests/Lone-v0", render_mode="rgb_array")
        first, _ = env.reset(seed=3)
        many = LoneEnv(3, speed=0.2)
        assert many.reset(seeds=[1, 2, 3])["pack"].observations[2, 0].tobytes() == first.tobytes()
        env.step(env.action_space.sample())
        assert env.render().shape == (2, 2, 3)
        env.close()
        with pytest.raises(ConfigurationError, match="hunter"):
            gymnasium.make("heron-tests/Tag-v0", learn="hunter", policies={"prey": 0})
    finally:
        for env_id in ("heron-tests/Tag-v0", "heron-tests/Lone-v0"):
            gymnasium.registry.pop(env_id)


class Flawed(TagEnv):
    """It does what it is told to in one step."""

    flaw = None

    def _advance(self, state, actions, random):
        state, rewards, terminated = super()._advance(state, actions, random)
        return self.flaw(state, rewards, terminated) if self.flaw else (state, rewards, terminated)


def fail(*_):
    raise ZeroDivisionError("by the world")


FLAWS = {
    "raises": (fail, "ZeroDivisionError"),
    "a field of another shape": (lambda s, r, t: (replace(s, speed=s.speed[:1]), r, t), r"Tag\.speed.*\(2,\)"),
    "a field of another dtype": (lambda s, r, t: (replace(s, color=s.speed), r, t), r"Tag\.color.*int64"),
    "another state": (lambda s, r, t: (r, r, t), "Tag"),
    "no rewards": (lambda s, r, t: (s, {"prey": 0}, t), "hunter"),
    "rewards of another shape": (lambda s, r, t: (s, r | {"hunter": np.zeros(5)}, t), r"\(2,2\)"),
}


@pytest.mark.parametrize(("flaw", "told"), FLAWS.values(), ids=FLAWS)
def test_a_world_that_fails_is_told_and_its_copies_need_a_reset(flaw, told):
    player = BatchPlayer(Flawed(3))
    env = player.env
    player.reset(seeds=[1, 2, 3])
    env.flaw = flaw
    before = copy_results(env, 1)
    with pytest.raises(EnvStepError, match=rf"env_0, env_2: .*{told}"):
        player.step(mask_of(env, 0, 2))
    expect_same([copy_results(env, 1)], [before], "a copy that was left out", "env_1")
    assert env.running.tolist() == [False, True, False]
    assert env.states["hunter"].truncated.tolist() == [[True, True], [False, False], [True, True]]
    assert [bool(infos) for infos in env.infos] == [False, True, False]
    with pytest.raises(ResetRequiredError, match="env_0"):
        player.step()
    env.flaw = None
    player.reset(seeds=[1, 2, 3])
    player.step()


def test_nan_is_told_with_copy_and_agent():
    player = BatchPlayer(Flawed(3))
    player.reset(seeds=[1, 2, 3])

    def spoil(state, rewards, terminated):
        rewards["hunter"][-1, 1] = np.nan
        return state, rewards, terminated

    player.env.flaw = spoil
    with pytest.raises(InvalidObservationError, match="env_2, step 1: the reward of 'hunter_1' is NaN"):
        player.step()
    assert player.env.running.tolist() == [True, True, False]
    assert player.env.states["prey"].truncated.tolist() == [[False], [False], [True]]


def test_a_world_cannot_write_into_what_is_not_its_own():
    class Writer(TagEnv):
        def _observe(self, state):
            state.prey[:] = 0
            return super()._observe(state)

    with pytest.raises(EnvStepError, match="read-only"):
        Writer(2).reset()

    class Swapper(TagEnv):
        """A world that returns arrays of other fields, and changes arrays in place."""

        def _begin(self, state, random, options):
            state.hunters[:] = state.hunters + 1
            return replace(state, prey=state.hunters[:, 0])

        def _advance(self, state, actions, random):
            swapped = replace(state, prey=state.hunters[:, 0], hunters=np.repeat(state.prey[:, None], 2, axis=1))
            state.energy[:] = 3
            return swapped, {"hunter": 0, "prey": 0}, {"hunter": False, "prey": False}

    env = Swapper(2)
    for _ in range(2):
        env.reset()
        env.set_attr("prey", [[5, 5]] * 2, [0, 1])
        env.step({"hunter": np.zeros((2, 2, 2), np.float32), "prey": np.zeros((2, 1), int)})
        assert env.get_attr("prey", [0])[0].tolist() == [1, 1]
        assert env.get_attr("hunters", [0])[0].tolist() == [[5, 5], [5, 5]]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"state": None}, "dataclass"),
        ({"state": Tag}, "dataclass"),
        ({"state": Tag(*[np.zeros(2)] * 4, 0.5)}, r"Tag\.speed"),
        ({"state": Tag(*[np.zeros(2)] * 4, np.zeros(3))}, r"Tag\.speed .* 2 rows"),
        ({"groups": []}, "groups"),
        ({"groups": [AgentGroup("a", ("x", "x"), SPACE, SPACE)]}, "distinct"),
        ({"groups": [AgentGroup("a", ("x",), gymnasium.spaces.Text(3), SPACE)]}, "observation_space of 'x'"),
        ({"num_envs": 0}, "at least one"),
        ({"max_episode_steps": 0}, "max_episode_steps"),
    ],
)
def test_wrong_arguments(change, named):
    class Any(TagEnv):
        def __init__(self):
            given = {"num_envs": 2, "groups": [AgentGroup("a", ("x",), SPACE, SPACE)], "state": Tag(*[np.zeros(2)] * 5)}
            super(TagEnv, self).__init__(**given | change)

    with pytest.raises(ConfigurationError, match=named):
        Any()


def test_actions_of_ended_agents_are_not_seen():
    class Watchful(TagEnv):
        def _advance(self, state, actions, random):
            assert (actions["hunter"][state.energy <= 0] == 0).all()
            actions["hunter"][:] += 1  # they are the world's own
            return super()._advance(state, actions, random)

    env = Watchful(20)
    env.reset(seeds=seeds_from(env))
    actions = {"hunter": np.ones((20, 2, 2), np.float32), "prey": np.zeros((20, 1), int)}
    while env.running.any():
        env.step(actions, env.running)
    assert (actions["hunter"] == 1).all()


class DrawsForSome(TagEnv):
    """A world in which another draw depends on all copies that are stepped together."""

    def _advance(self, state, actions, random):
        if (state.prey > 0).any():
            random.uniform("for some", shape=(7,))
        return super()._advance(state, actions, random)


def test_draws_do_not_depend_on_other_draws():
    check_batch_env(partial(DrawsForSome, 3), STEPS)
    player, other = BatchPlayer(DrawsForSome(3)), BatchPlayer(TagEnv(3))
    for got, expected in zip(episodes(player, [1, 2, 3], 20), episodes(other, [1, 2, 3], 20), strict=True):
        expect_same(got, expected, "another draw", "")


class FromNumpy(TagEnv):
    def _begin(self, state, random, options):
        return replace(super()._begin(state, random, options), prey=np.random.uniform(size=state.prey.shape))  # noqa: NPY002


class Mixing(TagEnv):
    def _advance(self, state, actions, random):
        state, rewards, terminated = super()._advance(state, actions, random)
        return replace(state, prey=state.prey + 0.01 * state.prey.mean(axis=0)), rewards, terminated


class Remembering(TagEnv):
    count = 0

    def _begin(self, state, random, options):
        self.count += 1
        return replace(super()._begin(state, random, options), prey=np.full(state.prey.shape, self.count / 10))


@pytest.mark.parametrize("world", [FromNumpy, Mixing, Remembering])
def test_worlds_that_are_not_functions_of_their_copy_are_found(world):
    with pytest.raises(ContractError) as caught:
        check_batch_env(partial(world, 3), STEPS)
    assert any("seed" in finding.check or "alone" in finding.check for finding in caught.value.findings)


class Quiet(TagEnv):
    def _infos(self, state):
        return {}


def calls_of(function):
    """Return the number of functions that are called, Python's and NumPy's."""
    count = 0

    def note(frame, event, arg):
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def test_a_reset_of_many_copies_calls_no_more_than_a_reset_of_few():
    few, many = Quiet(4), Quiet(4096)
    for env in (few, many):
        env.reset()
    assert calls_of(many.reset) == calls_of(few.reset)
    assert calls_of(lambda: many.reset(mask_of(many, *range(0, 4096, 2)))) == calls_of(
        lambda: few.reset(mask_of(few, 0, 2))
    )


@dataclass(frozen=True)
class Board:
    """Two counters of each of two players, and whose color it is."""

    counters: np.ndarray  # (n, 2, 2) int8
    color: np.ndarray  # (n, 2) int64


class PartsEnv(ArrayEnv[Board]):
    """Actions and observations in several parts; a player leaves when its counters are full."""

    def __init__(self, num_envs=1, *, env_ids=None):
        seen = Dict(counters=MultiBinary(2), parts=Tuple((Discrete(3, start=5), Box(-1, 1, (), np.float32))))
        acts = Dict(raise_one=Discrete(2), color=Tuple((Discrete(3), Box(0, 1, (2,), np.float32))))
        board = Board(np.zeros((num_envs, 2, 2), np.int8), np.zeros((num_envs, 2), np.int64))
        super().__init__(num_envs, [AgentGroup("player", ("a", "b"), seen, acts)], board, env_ids=env_ids)

    def _begin(self, state, random, options):
        return replace(state, color=random.integers("color", 0, 3, (2,)))

    def _advance(self, state, actions, random):
        color, weights = actions["player"]["color"]
        raised = np.arange(2) == actions["player"]["raise_one"][..., None]
        is_lucky = random.uniform("luck", shape=(2, 2)) < 0.3 + weights / 2
        counters = state.counters | (raised & is_lucky)
        return Board(counters, color), {"player": weights.sum(axis=2)}, {"player": counters.all(axis=2)}

    def _observe(self, state):
        return {"player": {"counters": state.counters, "parts": (state.color + 5, state.color / 2 - 1)}}


@pytest.mark.parametrize("make", [partial(PartsEnv, 3), partial(LoopEnv, [PartsEnv.parallel_env] * 2)])
def test_actions_and_observations_in_parts(make):
    check_batch_env(make, STEPS)
