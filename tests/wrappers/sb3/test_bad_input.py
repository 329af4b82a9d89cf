"""What the SB3 view refuses, and says about it."""

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
            (np.nan, "env_1: action of '.*' must lie in"),
            (1.5, "env_1: action of '.*' must lie in"),
            (np.inf, "env_1: action of '.*' must lie in"),
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
        with pytest.raises(InvalidActionError, match=r"must have (shape|dtype)"):
            view.step(actions)
        assert view.venv.steps.tolist() == [0]

    @pytest.mark.parametrize("actions", [np.zeros(3, int), np.zeros((), int)])
    def test_wrong_number_of_actions(self, actions):
        view = Sb3VecEnv(copies((BOTH, 4)))
        view.reset()
        with pytest.raises((ConfigurationError, InvalidActionError), match="2 actions, one a slot"):
            view.step(actions)

    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            (np.zeros((3, 4)), r"group 'coordinator'.*shape \(1, 4\), got"),
            (np.zeros(4), r"group 'coordinator'.*shape \(1, 4\), got"),
            (None, r"group 'coordinator'.*shape \(1, 4\), got \(\)"),
            (np.zeros((1, 4), complex), "float32, got complex128"),
        ],
    )
    def test_policy_that_returns_something_else(self, returned, message):
        view = Sb3VecEnv(copies((BOTH, 4), hierarchy=star()), FIELD, {TOP: lambda observations: returned})
        with pytest.raises(ConfigurationError, match=message):
            view.reset()

    def test_ragged_actions(self):
        learner = LearnerEnv(copies((BOTH, 4), hierarchy=star()), FIELD, {TOP: lambda seen: [[0.0], [0.0, 1.0]]})
        with pytest.raises(InvalidActionError, match=r"env_0: actions of \['agent_0', 'agent_1'\] must make one array"):
            learner.step([[0, 1], [2]])
        with pytest.raises(ConfigurationError, match=r"group 'coordinator'.*one array"):
            learner.reset()

    def test_policy_that_returns_fractions_for_choices(self):
        view = Sb3VecEnv(copies((BOTH, 4), hierarchy=star()), TOP, {FIELD: lambda seen: np.full(len(seen), 0.7)})
        view.reset()
        with pytest.raises(ConfigurationError, match="int64, got float64"):
            plays(view, 1)

    def test_policy_outside_the_space(self):
        view = Sb3VecEnv(copies((BOTH, 4), hierarchy=star()), FIELD, {TOP: lambda seen: np.full((len(seen), 4), 2.0)})
        with pytest.raises(PolicyError, match=r"'coordinator' of env_0 at .*got \[2\. 2\. 2\. 2\.\]"):
            view.reset()

    @pytest.mark.parametrize("discount", [0, -0.5, 1.01, np.nan, "0.9"])
    def test_discount(self, discount):
        with pytest.raises(ConfigurationError, match="discount must lie in"):
            Sb3VecEnv(copies((BOTH, 4)), discount=discount)

    def test_learner(self):
        venv = copies((BOTH, 4), hierarchy=star())
        for learn, policies, message in (
            (None, {}, r"learn: say which group learns, one of \['coordinator', 'agent'\]"),
            ("nobody", {}, "learn: no group or level 'nobody'"),
            (FIELD, {}, r"groups \['coordinator'\] need one each"),
            (FIELD, {TOP: 3}, "policy of group 'coordinator'"),
        ):
            with pytest.raises(ConfigurationError, match=message):
                Sb3VecEnv(venv, learn, policies)
        with pytest.raises(ConfigurationError, match="level 'field' has groups with different spaces, name one of"):
            Sb3VecEnv(make_vec("mpe2.simple_tag_v3"), "field")

    def test_environment_that_raises(self):
        view = Sb3VecEnv(make_vec([Scripted, lambda: Scripted(fail_at=0)]))
        view.reset()
        with pytest.raises(EnvStepError, match="env_1"):
            plays(view, 1)
