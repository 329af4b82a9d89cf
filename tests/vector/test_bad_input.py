"""Input that a vector env refuses, and the names in its errors."""

import pickle
from copy import copy, deepcopy

import cloudpickle
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from heron.agents import Hierarchy
from heron.errors import (
    ConfigurationError,
    HierarchyError,
    InvalidActionError,
    ResetRequiredError,
    UnknownEnvError,
    UnknownGroupError,
)
from heron.messaging import InMemoryBroker
from heron.wrappers import GymVectorEnv, make_vec

from ..wrappers.single_envs import Sampled
from ..wrappers.small_envs import Life, Menagerie, Scripted
from .vec_envs import GOAL, A, B, commands, scripted, star, step, still


class TestBadInput:
    @pytest.fixture
    def venv(self):
        venv = make_vec(lambda: Scripted(action_space=GOAL), 2, star())
        venv.reset(seed=0)
        return venv

    BAD = (
        (np.zeros((2, 1, 3), np.float32), "must have shape"),
        (np.zeros((2, 4), np.float32), "must have shape"),
        (np.zeros((1, 1, 4), np.float32), "must have shape"),
        (None, "must have shape"),
        (np.zeros((2, 1, 4), complex), "must have dtype float32, got complex128"),
        (np.full((2, 1, 4), "a"), "must have dtype"),
        (np.array([[[0, 0, 0, 0]], [[0, 0, np.nan, 0]]], np.float32), "env_1: action of 'coordinator' must lie in Box"),
        (np.array([[[0, 0, 0, 0]], [[0, 0, 1.01, 0]]], np.float32), "env_1: action of 'coordinator' must lie in Box"),
        (np.array([[[0, 0, -np.inf, 0]], [[0, 0, 0, 0]]]), "env_0: action of 'coordinator' must lie in Box"),
        (np.full((2, 1, 4), 1e300), "env_0: action of 'coordinator' must lie in Box"),
    )

    def everything(self, venv):
        return (
            [copy.steps for copy in venv.batch_env.envs],
            [copy.np_random.bit_generator.state for copy in venv.batch_env.envs],
            {name: list(messages) for name, messages in venv.broker.channels.items()},
            venv.broker.statistics(),
            venv.steps.tolist(),
            {name: venv.observe(name).tolist() for name in venv.groups},
            {name: venv.due(name).tolist() for name in venv.groups},
        )

    @pytest.mark.parametrize(("action", "message"), BAD)
    def test_commands(self, venv, action, message):
        before = self.everything(venv)
        with pytest.raises(InvalidActionError, match=message):
            venv.decide({"coordinator": action})
        assert self.everything(venv) == before

    @pytest.mark.parametrize(
        ("action", "message"),
        [
            (np.zeros((2, 2, 3), np.float32), r"\['agent_0', 'agent_1'\] must have shape \(2, 2, 2\)"),
            (np.zeros((2, 2, 2), object), "must have dtype float32, got object"),
            (np.array([[[0, 0]] * 2, [[0, 0], [0, np.nan]]]), "env_1: action of 'agent_1' must lie in Box"),
            (np.array([[[0, 0], [0, 2]], [[0, 0]] * 2]), "env_0: action of 'agent_1' must lie in Box"),
        ],
    )
    def test_field_actions(self, venv, action, message):
        venv.decide(commands(venv))
        before = self.everything(venv)
        with pytest.raises(InvalidActionError, match=message):
            venv.advance({"agent": action})
        assert self.everything(venv) == before

    @pytest.mark.parametrize(
        ("agent", "bad"),
        [
            ("image", [4]), ("image", [-1]), ("image", [1.0]), ("choice", [0]), ("choice", [4]),
            ("choices", [[0, 3]]), ("choices", [[-1, 0]]), ("bits", [[0, 2]]), ("bits", [[0, 256]]),
            ("bits", [[-256, 0]]), ("vector", [[0, 2.5]]), ("image", [2**40]),
        ],
    )  # fmt: skip
    def test_of_every_kind_of_space(self, agent, bad):
        venv = make_vec(Menagerie, 1)
        venv.reset(seed=0)
        actions = {name: np.zeros_like(array) for name, array in still(venv).items()}
        actions["choice"] += 1
        with pytest.raises(InvalidActionError, match=r"env_0: action of|must have dtype") as caught:
            venv.advance({**actions, agent: np.array([bad])})
        assert agent in str(caught.value)
        assert venv.batch_env.envs[0].steps == 0
        venv.advance(actions)

    def test_rows_that_do_not_count_may_hold_anything(self):
        venv = make_vec(lambda: Scripted({A: Life(), B: Life(leaves=1)}, action_space=Box(-1, 1, (1,), np.float32)), 2)
        venv.reset()
        venv.advance({"agent": np.zeros((2, 2, 1))})
        venv.advance({"agent": np.array([[[0], [np.nan]], [[9], [9]]])}, np.array([True, False]))
        assert venv.steps.tolist() == [2, 1]
        assert [sorted(given) for given in venv.batch_env.envs[0].received] == [[A, B], [A]]

    def test_groups_missing_or_unknown(self, venv):
        with pytest.raises(ConfigurationError, match=r"'agent'.*'coordinator'"):
            venv.decide({"agent": still(venv)["agent"]})
        venv.decide(commands(venv))
        for actions in ({}, {"nobody": 1}, {**still(venv), "coordinator": 1}, np.zeros((2, 2), np.int64)):
            with pytest.raises(InvalidActionError, match="'agent'"):
                venv.advance(actions)
        for ask in (venv.observe, venv.due, venv.commands):
            with pytest.raises(ConfigurationError, match="'nobody'"):
                ask("nobody")
        for by_group in (venv.groups, venv.results):
            with pytest.raises(UnknownGroupError, match=r"'agents'.* 'agent'"):
                by_group["agents"]
            assert by_group.get("agents") is None

    def test_before_the_reset(self):
        venv = scripted(2, star())
        with pytest.raises(ResetRequiredError, match="env_0, env_1"):
            venv.decide(commands(venv))
        with pytest.raises(ResetRequiredError, match="env_0, env_1"):
            venv.advance(still(venv))
        for group in ("agent", "coordinator"):
            with pytest.raises(ResetRequiredError, match="env_0, env_1"):
                venv.observe(group)
        assert venv.broker.statistics().published == 0

    def test_after_the_end(self):
        venv = scripted(2, star(), horizon=1)
        venv.reset()
        step(venv)
        with pytest.raises(ResetRequiredError):
            venv.advance(still(venv))

    @pytest.mark.parametrize("mask", [np.ones(3, bool), np.ones(2, int), np.ones((2, 1), bool)])
    def test_masks(self, venv, mask):
        with pytest.raises(ConfigurationError, match=r"\(2,\)"):
            venv.decide(commands(venv), mask)
        with pytest.raises(ConfigurationError, match=r"\(2,\)"):
            venv.advance(still(venv), mask)

    @pytest.mark.parametrize("which", [2, -1, "env_2", "", ["env_0", "x"], [0, 5], True, [1.0], 0.5j])
    def test_reset_of_unknown_copies(self, venv, which):
        before = self.everything(venv)
        with pytest.raises((UnknownEnvError, TypeError)) as caught:
            venv.reset_envs(which)
        if not isinstance(which, complex):
            assert isinstance(caught.value, UnknownEnvError)
            assert "an index from 0 to 1, or one of env_0, env_1" in str(caught.value)
        assert self.everything(venv) == before

    @pytest.mark.parametrize("which", [[0, 0], ["env_0", 0], np.ones(3, bool)])
    def test_reset_of_a_copy_twice_or_of_another_mask(self, venv, which):
        before = self.everything(venv)
        with pytest.raises(ConfigurationError):
            venv.reset_envs(which)
        assert self.everything(venv) == before

    @pytest.mark.parametrize("seed", [[1], [1, 2, 3], -1, 1.5, [0, -1], True])
    def test_seeds(self, venv, seed):
        before = self.everything(venv)
        with pytest.raises(ConfigurationError, match="seed"):
            venv.reset(seed)
        assert self.everything(venv) == before


class TestConfiguration:
    @pytest.mark.parametrize("length", [0, -1.0, np.nan, np.inf])
    def test_step_length(self, length):
        with pytest.raises(ConfigurationError, match="step_length"):
            scripted(step_length=length)

    def test_hierarchy_that_does_not_fit(self):
        for tree, message in (
            ({"top": [A]}, r"\['agent_1'\]"),
            ({"top": [A, B, "agent_2"]}, "agent_2"),
            ({A: [B]}, "agent_0"),
        ):
            with pytest.raises(HierarchyError, match=message):
                scripted(1, Hierarchy(tree, command_space=GOAL))

    def test_what_is_no_hierarchy_and_what_is_no_broker(self):
        with pytest.raises(HierarchyError, match=r"\{'top': \['agent_0', 'agent_1'\]\}"):
            scripted(1, {"top": [A, B]})
        with pytest.raises(ConfigurationError, match=r"<class.*InMemoryBroker"):
            scripted(1, broker=InMemoryBroker)

    def test_hierarchy_without_command_space(self):
        with pytest.raises(HierarchyError, match="'agent_0' of 'coordinator'"):
            scripted(1, star(command_space=None))

    def test_commands_of_a_group_are_of_one_space(self):
        tree = Hierarchy({"top": [A, B]}, command_space={A: GOAL, B: Discrete(2)})
        with pytest.raises(ConfigurationError, match=r"group 'agent'.*command_space"):
            scripted(1, tree)

    def test_a_coordinator_sends_numbers_or_choices(self):
        tree = Hierarchy({"top": [A, B]}, command_space={A: GOAL, B: Discrete(2)})
        with pytest.raises(ConfigurationError, match=r"'top'.*Box.*Discrete"):
            scripted(1, tree, groups={"a": [A], "b": [B]})

    def test_a_failed_construction_closes_the_copies_it_made(self):
        made = []

        def factory():
            made.append(Scripted())
            return made[-1]

        with pytest.raises(HierarchyError):
            make_vec(factory, 2, Hierarchy({"top": [A]}, command_space=GOAL))
        assert [copy.closed for copy in made] == [1, 1]

    def test_coordinators_that_differ_are_different_groups(self):
        lives = {name: Life() for name in "abc"}
        tree = Hierarchy({"boss_1": ["a", "b"], "boss_2": ["c"]}, command_space=GOAL)
        venv = make_vec(lambda: Scripted(lives), 1, tree)
        assert list(venv.groups) == ["boss", "boss_2", "a+b+c"]
        venv.reset()
        venv.decide({"boss": np.full((1, 1, 4), 0.5, np.float32), "boss_2": np.full((1, 1, 2), 0.25, np.float32)})
        assert venv.commands("a+b+c")[0, :, 0].tolist() == [0.5, 0.5, 0.25]


class TestMistakes:
    def test_a_mask_that_is_no_array(self):
        venv = scripted(2)
        venv.reset()
        with pytest.raises(
            ConfigurationError, match=r"mask must be an array of shape \(2,\) and dtype bool, got list \[True, False\]"
        ):
            venv.advance(still(venv), [True, False])

    def test_ragged_actions(self):
        venv = scripted(2)
        venv.reset()
        with pytest.raises(InvalidActionError, match="must make one array"):
            venv.advance({"agent": [[0, 1], [2]]})

    @pytest.mark.parametrize("step_length", ["1", None, 1j])
    def test_step_length(self, step_length):
        with pytest.raises(ConfigurationError, match="step_length"):
            scripted(step_length=step_length)

    def test_options_that_are_no_mapping_clear_nothing(self):
        venv = scripted(1, star())
        venv.reset()
        step(venv)
        with pytest.raises(ConfigurationError, match=r"options.* 3"):
            venv.reset(options=3)
        assert venv.steps.tolist() == [1]

    def test_numbers_of_numpy_are_numbers(self):
        venv = make_vec(Scripted, np.int64(2))
        venv.reset(seed=np.array([4, 5]))
        assert [env.reset_calls for env in venv.batch_env.envs] == [[(4, None)], [(5, None)]]


@pytest.mark.parametrize("copied", [deepcopy, copy, pickle.dumps, cloudpickle.dumps])
def test_a_vector_env_is_not_copied_with_arrays_that_are_no_longer_shared(copied):
    view = GymVectorEnv(make_vec(Scripted, 2))
    for whole in (view.venv, *((view, GymVectorEnv([Sampled] * 2)) if copied is not copy else ())):
        with pytest.raises(ConfigurationError, match="env_0, env_1"):
            copied(whole)
    view.reset()
    assert view.step(np.zeros(4, int))[1].tolist() == [1, 10, 1, 10]


def test_an_agent_that_stands_twice_is_told():
    class Twice(Scripted):
        possible_agents = property(lambda self: [A, B, A], lambda self, ids: None)

    with pytest.raises(ConfigurationError, match=r"duplicate agents \['agent_0'\] in possible_agents"):
        make_vec(Twice, 1)
