import re
from copy import deepcopy
from functools import partial

import cloudpickle
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Text
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper

from heron.errors import (
    ConfigurationError,
    EnvClosedError,
    EnvCreationError,
    EnvStepError,
    InvalidMaskError,
    InvalidMessageError,
    InvalidObservationError,
    ResetRequiredError,
)
from heron.play.policies import RandomPolicy
from heron.wrappers import LoopEnv
from heron.wrappers.sources.env_names import env_factory

from ..single_envs import Sampled
from ..small_envs import Life, Menagerie, Scripted

# The inner modules, because the outer ones of PettingZoo 1.27 warn that another way to make environments is coming.
REAL = {
    "simple_spread": "mpe2.simple_spread_v3",
    "simple_tag": "mpe2.simple_tag_v3",
    "simple_world_comm": "mpe2.simple_world_comm_v3",
    "knights_archers_zombies": "pettingzoo.butterfly.knights_archers_zombies.knights_archers_zombies",
    "pursuit": "pettingzoo.sisl.pursuit.pursuit",
    "multiwalker": "pettingzoo.sisl.multiwalker.multiwalker",
}
LIVES = {
    "stays": Life(),
    "dies": Life(leaves=2, how="terminated"),
    "cut": Life(leaves=1, how="truncated"),
    "mixed": Life(leaves=3, how="both"),
    "late": Life(joins=2, leaves=4),
    "silent": Life(leaves=2, how="silent"),
}
FACTORIES = {
    # Imported in the test, where the filter below holds.
    **{name: partial(lambda path: env_factory(path)(), path) for name, path in REAL.items()},
    "scripted": lambda: Scripted(LIVES, horizon=5),
    "talkative": lambda: Scripted(LIVES, horizon=5, talkative=True),
    "menagerie": Menagerie,
}
pytestmark = pytest.mark.filterwarnings(
    # Box2D's own build, imported by multiwalker.
    "ignore:builtin type (SwigPyPacked|SwigPyObject|swigvarlink) has no __module__ attribute:DeprecationWarning"
)


def actions_for(env, seed):
    """Random actions of every group and copy."""
    return {
        name: np.stack([RandomPolicy(group.action_space, seed + i)(np.zeros((len(group.agent_ids), 1)))
                        for i in range(env.num_envs)])
        for name, group in env.groups.items()
    }  # fmt: skip


def assert_same(tree, sample):
    if isinstance(sample, dict):
        assert set(tree) == set(sample)
        for key, part in sample.items():
            assert_same(tree[key], part)
    elif isinstance(sample, tuple):
        assert len(tree) == len(sample)
        for one, part in zip(tree, sample, strict=True):
            assert_same(one, part)
    else:
        assert tree.dtype == np.asarray(sample).dtype or np.isscalar(sample)
        np.testing.assert_array_equal(tree, sample)


def at(tree, *index):
    if isinstance(tree, dict):
        return {key: at(part, *index) for key, part in tree.items()}
    if isinstance(tree, tuple):
        return tuple(at(part, *index) for part in tree)
    return tree[index]


def freeze(env, copy):
    """Everything that the arrays say of one copy."""
    return {
        name: [np.array(array[copy]).tolist() for array in
               (state.observations, state.rewards, state.terminated, state.truncated, state.active)]
        for name, state in env.states.items()
    }  # fmt: skip


@pytest.mark.parametrize("name", FACTORIES)
def test_arrays_say_what_the_plain_environment_says(name):
    """Over a whole episode, to the bit."""
    batch, plain = LoopEnv([FACTORIES[name]] * 2), FACTORIES[name]()
    batch.reset(seeds=[5, 3])
    observations, infos = plain.reset(seed=3)
    places = {agent: (key, k) for key, group in batch.groups.items() for k, agent in enumerate(group.agent_ids)}
    for agent, observation in observations.items():
        key, k = places[agent]
        assert_same(at(batch.states[key].observations, 1, k), observation)
    last = dict(observations)
    alone = np.array([False, True])
    steps = 0
    while plain.agents and steps < 120:
        actions = actions_for(batch, steps)
        acting = list(plain.agents)
        given = {agent: actions[places[agent][0]][1, places[agent][1]] for agent in acting}
        observations, rewards, terminations, truncations, infos = plain.step(given)
        concerned = {*acting, *plain.agents}
        last |= {agent: value for agent, value in observations.items() if agent in concerned}
        batch.step(actions, alone)
        steps += 1
        for agent, (key, k) in places.items():
            state = batch.states[key]
            took_part = agent in acting
            gone = took_part and agent not in plain.agents
            ended = terminations.get(agent, False) or truncations.get(agent, False)
            if agent in last:
                assert_same(at(state.observations, 1, k), last[agent])
            assert state.rewards[1, k] == (rewards.get(agent, 0) if took_part else 0)
            assert state.terminated[1, k] == (took_part and terminations.get(agent, False))
            assert state.truncated[1, k] == (took_part and (truncations.get(agent, False) or (gone and not ended)))
            assert state.active[1, k] == (agent in plain.agents)
        assert {agent: info for agent, info in infos.items() if info}.keys() == batch.infos[1].keys()
    assert steps > 2
    assert bool(plain.agents) == batch.running[1]
    batch.close()
    plain.close()


class TestLives:
    """Deaths, late joins and silent leaving, computed by hand."""

    @pytest.fixture(params=["scripted", "talkative"])
    def env(self, request):
        env = LoopEnv([FACTORIES[request.param]])
        env.reset(seeds=[0])
        return env

    def run(self, env):
        history = []
        while env.running.any():
            state = env.step(actions_for(env, 0))["stays+dies+cut+mixed+late+silent"]
            history.append({what: getattr(state, what)[0].astype(int).tolist() for what in
                            ("terminated", "truncated", "active", "rewards")})  # fmt: skip
        return history

    def test_flags_are_up_once(self, env):
        history = self.run(env)

        #                                                   stays dies cut mixed late silent
        assert [one["terminated"] for one in history] == [
            [0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0],
        ]  # fmt: skip
        assert [one["truncated"] for one in history] == [
            [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0],
        ]  # fmt: skip
        assert [one["active"] for one in history] == [
            [1, 1, 0, 1, 0, 1], [1, 0, 0, 1, 1, 0], [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0],
        ]  # fmt: skip

    @pytest.mark.parametrize("talkative", [False, True])
    def test_only_who_took_part_is_rewarded(self, talkative):
        env = LoopEnv([lambda: Scripted(LIVES, horizon=5, talkative=talkative)])
        env.reset(seeds=[0])
        rewards = np.array([one["rewards"] for one in self.run(env)])

        steps = np.arange(1, 6)
        took_part = np.array([steps <= 5, steps <= 2, steps <= 1, steps <= 3, (steps > 2) & (steps <= 4), steps <= 1])
        silent_is_told_of = talkative * np.array([0, 2, 0, 0, 0]) * 10**5
        expected = took_part.T * steps[:, None] * 10 ** np.arange(6)
        expected[:, 5] += silent_is_told_of
        np.testing.assert_array_equal(rewards, expected)

    @pytest.mark.parametrize("talkative", [False, True])
    def test_last_observation_of_the_dead_stays_and_the_late_observe_zeros(self, talkative):
        env = LoopEnv([lambda: Scripted(LIVES, horizon=5, talkative=talkative)])
        env.reset(seeds=[0])
        seen = env.states["stays+dies+cut+mixed+late+silent"].observations[0]

        assert seen[4].tolist() == [0, 0, 0, 0]
        env.step(actions_for(env, 0))
        assert seen[4].tolist() == [0, 0, 0, 0]
        self.run(env)
        assert seen[:5, 0].tolist() == [5, 2, 1, 3, 4]

    def test_needs_a_reset_after_the_end(self, env):
        self.run(env)
        with pytest.raises(ResetRequiredError, match="env_0"):
            env.step(actions_for(env, 0))
        env.reset()
        env.step(actions_for(env, 0))


class TestMasks:
    @pytest.fixture
    def env(self):
        env = LoopEnv([Scripted] * 3, ["a", "b", "c"])
        env.reset(seeds=[1, 2, 3])
        return env

    def test_step_touches_only_the_masked_copies(self, env):
        before = freeze(env, 1)
        states = [copy.np_random.bit_generator.state for copy in env.envs]
        env.step(actions_for(env, 0), np.array([True, False, True]))

        assert [copy.steps for copy in env.envs] == [1, 0, 1]
        assert freeze(env, 1) == before
        assert env.envs[1].np_random.bit_generator.state == states[1]
        assert env.infos[1] == {"agent_0": {"start": "agent_0"}, "agent_1": {"start": "agent_1"}}
        assert env.infos[0] == {"agent_0": {"step": 1}, "agent_1": {"step": 1}}

    def test_reset_touches_only_the_masked_copies(self, env):
        env.step(actions_for(env, 0))
        before = freeze(env, 0), freeze(env, 2)
        env.reset(np.array([False, True, False]), seeds=[None, 9, None])

        assert [copy.steps for copy in env.envs] == [1, 0, 1]
        assert (freeze(env, 0), freeze(env, 2)) == before
        assert [copy.reset_calls for copy in env.envs] == [[(1, None)], [(2, None), (9, None)], [(3, None)]]

    def test_copy_that_is_over_does_not_stop_the_others_when_left_out(self):
        env = LoopEnv([lambda: Scripted(horizon=1), Scripted])
        env.reset()
        env.step(actions_for(env, 0))
        with pytest.raises(ResetRequiredError, match="env_0"):
            env.step(actions_for(env, 0))
        assert env.envs[1].steps == 1
        env.step(actions_for(env, 0), np.array([False, True]))
        assert env.envs[1].steps == 2

    def test_step_before_the_first_reset(self):
        with pytest.raises(ResetRequiredError):
            LoopEnv([Scripted]).step({"agent": np.zeros((1, 2), int)})

    def test_seeds_may_be_left_out(self, env):
        env.reset()
        assert [copy.reset_calls[-1] for copy in env.envs] == [(None, None)] * 3


class TestCallersThings:
    def test_options_are_passed_and_not_changed(self):
        env = LoopEnv([Scripted] * 2)
        options = {"wind": 3}
        env.reset(options=options)

        assert options == {"wind": 3}
        first, second = (copy.reset_calls[0][1] for copy in env.envs)
        assert first == second == {"wind": 3, "seen": True}
        assert first is not second

    def test_actions_are_not_changed_nor_kept(self):
        class Spoiler(Scripted):
            def step(self, actions):
                results = super().step(actions)
                for action in actions.values():
                    action[...] = 9
                return results

        env = LoopEnv([lambda: Spoiler(action_space=Box(-10, 10, (2,), np.float32))])
        env.reset()
        actions = {"agent": np.ones((1, 2, 2), np.float32)}
        env.step(actions)

        assert actions["agent"].tolist() == np.ones((1, 2, 2)).tolist()


class TestBadEnvironments:
    def test_step_that_raises_names_the_copy_and_lets_the_others_step(self):
        env = LoopEnv([Scripted, lambda: Scripted(fail_at=1), Scripted], ["a", "b", "c"])
        env.reset(seeds=[0, 0, 0])
        env.step(actions_for(env, 0))
        with pytest.raises(EnvStepError, match=r"^b: step\(.*\) raised RuntimeError: no power \(in step") as caught:
            env.step(actions_for(env, 0))

        assert isinstance(caught.value.__cause__, RuntimeError)
        assert [copy.steps for copy in env.envs] == [2, 1, 2]
        state = env.states["agent"]
        assert env.running.tolist() == [True, False, True]
        assert state.truncated.tolist() == [[False] * 2, [True] * 2, [False] * 2]
        assert state.rewards.tolist() == [[2, 20], [0, 0], [2, 20]]
        with pytest.raises(ResetRequiredError, match="in b:"):
            env.step(actions_for(env, 0))
        env.envs[1].fail_at = None
        env.reset(np.array([False, True, False]))
        env.step(actions_for(env, 0))
        assert [copy.steps for copy in env.envs] == [3, 1, 3]

    def test_reset_that_raises_names_the_copy_and_lets_the_others_reset(self):
        env = LoopEnv([Scripted, lambda: Scripted(fail_on_reset=True), Scripted])
        with pytest.raises(
            EnvStepError, match=r"^env_1: reset\(seed=4\) raised RuntimeError: no power at reset \(in step 0 "
        ):
            env.reset(seeds=[3, 4, 5])

        assert env.running.tolist() == [True, False, True]
        env.step(actions_for(env, 0), env.running)

    def test_second_failure_is_told_as_well(self):
        env = LoopEnv([lambda: Scripted(fail_on_reset=True)] * 2)
        with pytest.raises(EnvStepError, match=r"^env_0") as caught:
            env.reset()
        assert "env_1" in caught.value.__notes__[0]

    def test_factory_that_raises_names_the_copy_and_closes_the_others(self):
        made = []

        def factory():
            if len(made) == 2:
                raise OSError("no licence")
            made.append(Scripted())
            return made[-1]

        with pytest.raises(EnvCreationError, match=r"^env_2: the factory raised OSError: no licence$"):
            LoopEnv([factory] * 4)
        assert [env.closed for env in made] == [1, 1]

    @pytest.mark.parametrize(
        ("factory", "message"),
        [
            (lambda: None, "the factory made None; expected a PettingZoo ParallelEnv"),
            (lambda: Scripted, "expected a PettingZoo ParallelEnv"),
            ("mpe2.simple_spread_v3", "expected a function that makes an environment, got 'mpe2"),
        ],
    )
    def test_factory_that_makes_no_environment(self, factory, message):
        with pytest.raises(EnvCreationError, match=f"^env_1: .*{message}"):
            LoopEnv([Scripted, factory])

    def test_factory_that_makes_the_same_one_again(self):
        env = Scripted()
        with pytest.raises(EnvCreationError, match=r"^env_1: .*must make a new one at each call"):
            LoopEnv([lambda: env] * 2)

    @pytest.mark.parametrize("agents", [None, []])
    def test_environment_without_possible_agents_is_told_what_to_do(self, agents):
        class Undeclared(Scripted):
            def __init__(self):
                super().__init__()
                if agents is None:
                    del self.possible_agents
                else:
                    self.possible_agents = agents

        with pytest.raises(ConfigurationError, match="set possible_agents to the list of all ids"):
            LoopEnv([Undeclared])
        with pytest.raises(ConfigurationError, match=r"env_1 has agents \[\], but env_0 has \['agent_0', 'agent_1'\]"):
            LoopEnv([Scripted, Undeclared])

    def test_agent_that_was_never_declared(self):
        class Surprise(Scripted):
            def step(self, actions):
                results = super().step(actions)
                self.agents.append("ghost")
                return results

        env = LoopEnv([Surprise])
        env.reset()
        with pytest.raises(EnvStepError, match=r"agents \['ghost'\] of env_0 are not in possible_agents"):
            env.step(actions_for(env, 0))

    def test_copies_that_differ(self):
        with pytest.raises(ConfigurationError, match=r"env_1 has agents \['other'\], but env_0 has \['agent_0'"):
            LoopEnv([Scripted, lambda: Scripted({"other": Life()})])
        with pytest.raises(ConfigurationError, match=r"env_1: the action_space of 'agent_0' .* it has n 7, expected 5"):
            LoopEnv([Scripted, lambda: Scripted(action_space=Discrete(7))])

    @pytest.mark.parametrize("space", [Text(3), Dict(x=Text(3))])
    def test_spaces_without_arrays(self, space):
        with pytest.raises(ConfigurationError, match="observation_space of 'agent_0'"):
            LoopEnv([lambda: Scripted(observation_space=space)])
        with pytest.raises(ConfigurationError, match="action_space of 'agent_0'"):
            LoopEnv([lambda: Scripted(action_space=space)])

    def test_ids_must_be_strings(self):
        with pytest.raises(ConfigurationError, match=r"agent ids must be strings, but .* has \[3\]"):
            LoopEnv([lambda: Scripted({3: Life()})])

    def test_observation_of_another_shape(self):
        class Ragged(Scripted):
            def step(self, actions):
                observations, *rest = super().step(actions)
                return {**observations, "agent_1": np.zeros(3, np.float32)}, *rest

        env = LoopEnv([Scripted, Ragged])
        env.reset()
        with pytest.raises(InvalidObservationError, match=r"^env_1: 'agent_1' observed array\(.* not in Box"):
            env.step(actions_for(env, 0))
        assert env.running.tolist() == [True, False]
        assert env.envs[0].steps == 1


class TestValidation:
    class Outside(Scripted):
        def __init__(self, bad_step):
            super().__init__(observation_space=Box(0, 10, (4,), np.float32))
            self.bad_step = bad_step

        def _observe(self, agents, actions):
            observations = super()._observe(agents, actions)
            if self.steps == self.bad_step:
                observations["agent_1"] = np.full(4, 11, np.float32)
            return observations

    def test_says_who_observed_what_where(self):
        env = LoopEnv([lambda: self.Outside(9), lambda: self.Outside(1)], validate=True)
        env.reset()
        with pytest.raises(InvalidObservationError, match=r"^env_1: 'agent_1' observed .*11.* not in Box\(0.0, 10.0"):
            env.step(actions_for(env, 0))
        assert env.running.tolist() == [True, False]

    def test_also_at_the_reset(self):
        env = LoopEnv([lambda: self.Outside(0)], validate=True)
        with pytest.raises(InvalidObservationError, match=r"^env_0: 'agent_1'"):
            env.reset()
        assert not env.running.any()

    def test_is_only_on_request(self):
        env = LoopEnv([lambda: self.Outside(1)])
        env.reset()
        env.step(actions_for(env, 0))
        assert env.states["agent"].observations[0, 1].tolist() == [11] * 4

    @pytest.mark.parametrize("reward", [np.nan, np.inf])
    def test_rewards_are_finite(self, reward):
        class Odd(Scripted):
            def step(self, actions):
                observations, rewards, *rest = super().step(actions)
                return observations, {**rewards, "agent_0": reward}, *rest

        env = LoopEnv([Odd], validate=True)
        env.reset()
        with pytest.raises(InvalidObservationError, match=f"^env_0: 'agent_0' got reward {reward}"):
            env.step(actions_for(env, 0))
        assert not env.running.any()

    @pytest.mark.parametrize("name", [*REAL, "menagerie"])
    def test_finds_nothing_wrong_with_good_environments(self, name):
        env = LoopEnv([FACTORIES[name]], validate=True)
        env.reset(seeds=[0])
        for step in range(3):
            env.step(actions_for(env, step))
        env.close()


class TestEnvironmentsAttributes:
    @pytest.fixture
    def env(self):
        return LoopEnv([lambda: BaseParallelWrapper(Scripted())] * 3)

    def test_get_and_set(self, env):
        env.set_attr("horizon", [7, 9], [0, 2])
        assert env.get_attr("horizon", [2, 1, 0]) == [9, 4, 7]

    def test_call(self, env):
        assert env.call("double", [0, 2], 4, plus=1) == [9, 9]

    def test_missing_one_names_the_copy(self, env):
        with pytest.raises(AttributeError, match=r"the environment of env_1, .* has no attribute 'colour'"):
            env.get_attr("colour", [1])

    def test_close_closes_each_once(self, env):
        copies = list(env.envs)
        env.close()
        env.close()
        assert [copy.unwrapped.closed for copy in copies] == [1, 1, 1]


class TestGroups:
    def names(self, factory, **kwargs):
        return {name: group.agent_ids for name, group in LoopEnv([factory], **kwargs).groups.items()}

    def test_agents_with_the_same_spaces_are_one_group(self):
        assert self.names(FACTORIES["simple_world_comm"]) == {
            "leadadversary": ("leadadversary_0",),
            "adversary": ("adversary_0", "adversary_1", "adversary_2"),
            "agent": ("agent_0", "agent_1"),
        }
        assert self.names(FACTORIES["knights_archers_zombies"]) == {
            "archer+knight": ("archer_0", "archer_1", "knight_0", "knight_1")
        }
        assert self.names(Menagerie) == {name: (name,) for name in Menagerie.kinds}

    def test_agents_alike_in_name_only(self):
        class Odd(Scripted):
            def action_space(self, agent):
                return Discrete(2 if agent in ("agent_2", "agent_3") else 5)

        lives = {f"agent_{i}": Life() for i in range(4)}
        assert self.names(lambda: Odd(lives)) == {
            "agent": ("agent_0", "agent_1"),
            "agent_2+1": ("agent_2", "agent_3"),
        }

    def test_many_different_names_make_no_endless_one(self):
        lives = {f"{letter * 6}": Life() for letter in "abcdefghij"}
        assert self.names(lambda: Scripted(lives)) == {"aaaaaa+9": tuple(lives)}

    def test_by_hand(self):
        groups = {"right": ["agent_1"], "left": ["agent_0"]}
        assert self.names(Scripted, groups=groups) == {"right": ("agent_1",), "left": ("agent_0",)}

    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            ({"a": ["agent_0"]}, "must have each agent once"),
            ({"a": ["agent_0", "agent_1"], "b": ["agent_1"]}, "must have each agent once"),
            ({"a": ["agent_0", "agent_1", "x"]}, "must have each agent once"),
            ({"a": ["agent_0", "agent_1"], "b": []}, "group 'b' has no agents"),
        ],
    )
    def test_by_hand_wrongly(self, groups, message):
        with pytest.raises(ConfigurationError, match=message):
            self.names(Scripted, groups=groups)

    def test_by_hand_with_unlike_agents(self):
        with pytest.raises(ConfigurationError, match="group 'all': 'image' has spaces"):
            self.names(Menagerie, groups={"all": list(Menagerie.kinds)})


class TestEnvIds:
    def test_default(self):
        assert LoopEnv([Scripted] * 3).env_ids == ("env_0", "env_1", "env_2")

    @pytest.mark.parametrize("bad", [["a"], ["a", "b", "c"], "ab"])
    def test_one_for_each_copy(self, bad):
        with pytest.raises(ConfigurationError, match="expected 2 env_ids"):
            LoopEnv([Scripted] * 2, bad)

    def test_distinct(self):
        with pytest.raises(ConfigurationError, match=re.escape("duplicate env_ids ['a']")):
            LoopEnv([Scripted] * 3, ["a", "b", "a"])

    @pytest.mark.parametrize("bad", ["", 3, None])
    def test_no_ids(self, bad):
        with pytest.raises(InvalidMessageError, match="env_id must be a non-empty string"):
            LoopEnv([Scripted] * 2, ["a", bad])

    def test_no_copies(self):
        with pytest.raises(ConfigurationError, match="at least one environment copy"):
            LoopEnv([])


def test_environment_is_a_parallel_env():
    """The small environments themselves are what they stand for."""
    assert isinstance(Scripted(), ParallelEnv)


def test_all_copies_are_closed_though_one_raises():
    class Stuck(Scripted):
        def close(self):
            super().close()
            raise RuntimeError("stuck")

    env = LoopEnv([Scripted, Stuck, Scripted])
    envs = list(env.envs)
    with pytest.raises(RuntimeError, match="stuck"):
        env.close()
    assert [copy.closed for copy in envs] == [1, 1, 1]
    env.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda env: env.reset(),
        lambda env: env.step(actions_for(env, 0)),
        lambda env: env.get_attr("horizon", [0]),
        lambda env: env.set_attr("horizon", [3], [0]),
        lambda env: env.call("double", [0], 3),
    ],
)
def test_use_after_the_end(call):
    env = LoopEnv([Scripted] * 2)
    env.close()
    with pytest.raises(EnvClosedError, match="env_0, env_1 are closed"):
        call(env)


@pytest.mark.parametrize("mask", [[True, False], np.array([1, 0]), np.array([True]), np.ones((2, 1), bool)])
def test_masks_and_seeds_of_wrong_shape_leave_all_as_it_is(mask):
    env = LoopEnv([Scripted] * 2)
    env.reset(seeds=[1, 2])
    before = freeze(env, slice(None))
    with pytest.raises(InvalidMaskError, match=r"mask must be an array of shape \(2,\) and dtype bool, got"):
        env.step(actions_for(env, 0), mask)
    with pytest.raises(InvalidMaskError, match=r"mask must be an array of shape \(2,\) and dtype bool, got"):
        env.reset(mask)
    with pytest.raises(ConfigurationError, match="seeds has the wrong length: expected 2"):
        env.reset(seeds=[3])
    assert freeze(env, slice(None)) == before


def test_agents_that_are_flagged_have_ended_though_they_are_still_listed():
    class Clinging(Scripted):
        def step(self, actions):
            results = super().step(actions)
            self.agents = list(self.possible_agents)
            return results

    env = LoopEnv([lambda: Clinging(horizon=2)])
    env.reset()
    flags = []
    for _ in range(2):
        (state,) = env.step(actions_for(env, 0)).values()
        flags.append((state.truncated.tolist(), state.active.tolist()))
    assert flags == [([[False, False]], [[True, True]]), ([[True, True]], [[False, False]])]


@pytest.mark.parametrize("make", [Scripted, Sampled])
@pytest.mark.parametrize("copied", [deepcopy, lambda env: cloudpickle.loads(cloudpickle.dumps(env))])
def test_a_copy_goes_on_as_the_original_does_and_touches_it_no_more(make, copied):
    env = LoopEnv([make] * 2)
    env.reset(seeds=[1, 2])
    ((name, group),) = env.groups.items()
    actions = {name: np.ones((2, len(group.agent_ids), *group.action_space.shape), group.action_space.dtype)}
    env.step(actions)
    other = copied(env)
    before = deepcopy(env.states[name])
    other.step(actions)
    assert not np.array_equal(other.states[name].observations, before.observations)
    assert np.array_equal(env.states[name].observations, before.observations)
    env.step(actions)
    assert np.array_equal(env.states[name].observations, other.states[name].observations)
    assert np.array_equal(env.states[name].rewards, other.states[name].rewards)
