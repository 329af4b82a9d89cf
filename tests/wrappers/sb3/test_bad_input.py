"""Invalid input to the SB3 view, and the errors it raises."""

import re

import numpy as np
import pytest

from heron.errors import ConfigurationError, EnvStepError, InvalidActionError, PolicyError
from heron.play.learner_env import LearnerEnv
from heron.wrappers import make_vec
from heron.wrappers.sb3 import Sb3VecEnv

from ..small_envs import Scripted
from .sb3_views import BOTH, FIELD, GOAL, TOP, B, copies, plays, star


class TestBadInput:
    @pytest.mark.parametrize("learn", [FIELD, TOP])
    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (np.nan, "env_1: .* nan"),
            (1.5, r"env_1: .* 1\.5"),
            (np.inf, "env_1: .* inf"),
        ],
    )
    def test_action_outside_its_space_changes_nothing(self, learn, bad, message):
        venv = make_vec(lambda: Scripted(action_space=GOAL), 2, star())
        view = Sb3VecEnv(venv, learn, {FIELD: np.zeros(2)} if learn == TOP else {TOP: np.zeros(4)})
        view.reset()
        actions = np.zeros((view.num_envs, *view.action_space.shape), np.float32)
        actions[-1, 1] = bad
        before = [venv.broker.statistics(), {name: venv.observe(name).tolist() for name in venv.groups}]
        with pytest.raises(InvalidActionError, match=message) as caught:
            view.step(actions)
        assert (B if learn == FIELD else TOP) in str(caught.value)
        assert [env.steps for env in venv.batch_env.envs] == [0, 0]
        assert venv.steps.tolist() == [0, 0]
        assert [venv.broker.statistics(), {name: venv.observe(name).tolist() for name in venv.groups}] == before
        actions[-1, 1] = 0
        view.step(actions)

    @pytest.mark.parametrize("actions", [np.zeros((2, 3), int), np.zeros(2), np.zeros(2, complex)])
    def test_action_of_wrong_shape_or_dtype(self, actions):
        view = Sb3VecEnv(copies((BOTH, 4)))
        view.reset()
        with pytest.raises(InvalidActionError, match=r"'agent_0'.*(\(1, 2\).*\(1, 2, 3\)|int64.*(float64|complex128))"):
            view.step(actions)
        assert view.venv.steps.tolist() == [0]

    @pytest.mark.parametrize("actions", [np.zeros(3, int), np.zeros((), int)])
    def test_wrong_number_of_actions(self, actions):
        view = Sb3VecEnv(copies((BOTH, 4)))
        view.reset()
        with pytest.raises((ConfigurationError, InvalidActionError), match=rf"2 .*{re.escape(str(actions.shape))}"):
            view.step(actions)

    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            (np.zeros((3, 4)), r"'coordinator'.*\(1, 4\).*\(3, 4\)"),
            (np.zeros(4), r"'coordinator'.*\(1, 4\).*\(4,\)"),
            (None, r"'coordinator'.*\(1, 4\).*\(\)"),
            (np.zeros((1, 4), complex), "float32.*complex128"),
        ],
    )
    def test_policy_that_returns_invalid_actions(self, returned, message):
        view = Sb3VecEnv(copies((BOTH, 4), hierarchy=star()), FIELD, {TOP: lambda observations: returned})
        with pytest.raises(ConfigurationError, match=message):
            view.reset()

    def test_ragged_actions(self):
        learner = LearnerEnv(copies((BOTH, 4), hierarchy=star()), FIELD, {TOP: lambda seen: [[0.0], [0.0, 1.0]]})
        with pytest.raises(InvalidActionError, match=r"env_0: .*\['agent_0', 'agent_1'\].*\[\[0, 1\], \[2\]\]"):
            learner.step([[0, 1], [2]])
        with pytest.raises(ConfigurationError, match="'coordinator'"):
            learner.reset()

    def test_policy_that_returns_fractions_for_choices(self):
        view = Sb3VecEnv(copies((BOTH, 4), hierarchy=star()), TOP, {FIELD: lambda seen: np.full(len(seen), 0.7)})
        view.reset()
        with pytest.raises(ConfigurationError, match=r"int64.*float64"):
            plays(view, 1)

    def test_policy_outside_the_space(self):
        view = Sb3VecEnv(copies((BOTH, 4), hierarchy=star()), FIELD, {TOP: lambda seen: np.full((len(seen), 4), 2.0)})
        with pytest.raises(PolicyError, match=r"'coordinator' of env_0 at .*\[2\. 2\. 2\. 2\.\]"):
            view.reset()

    @pytest.mark.parametrize("discount", [0, -0.5, 1.01, np.nan, "0.9"])
    def test_discount(self, discount):
        with pytest.raises(ConfigurationError, match=rf"discount .*{re.escape(repr(discount))}"):
            Sb3VecEnv(copies((BOTH, 4)), discount=discount)

    def test_learner(self):
        venv = copies((BOTH, 4), hierarchy=star())
        for learn, policies, message in (
            (None, {}, r"learn .*\['coordinator', 'agent'\]"),
            ("nobody", {}, "learn: .*'nobody'"),
            (FIELD, {}, r"policies: .*\['coordinator'\]"),
            (FIELD, {TOP: 3}, "'coordinator'"),
        ):
            with pytest.raises(ConfigurationError, match=message):
                Sb3VecEnv(venv, learn, policies)
        with pytest.raises(ConfigurationError, match=r"learn: .*'field' .*\['adversary', 'agent'\]"):
            Sb3VecEnv(make_vec("mpe2.simple_tag_v3"), "field")

    def test_environment_that_raises(self):
        view = Sb3VecEnv(make_vec([Scripted, lambda: Scripted(fail_at=0)]))
        view.reset()
        with pytest.raises(EnvStepError, match="env_1"):
            plays(view, 1)
