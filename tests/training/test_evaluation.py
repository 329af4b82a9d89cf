from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box
from scipy import stats

from heron.agents import Hierarchy
from heron.errors import ConfigurationError, UnknownGroupError
from heron.training import Evaluation, HierarchyTrainer, LearnerConfig, evaluate, random_policies
from heron.wrappers import make_vec

from .tiny_envs import TINY, Relay, Steady, Varying


def lean(observations):
    """A deterministic policy for ``Varying``, which treats each row by itself."""
    return (observations[:, :1] * observations[:, 1:2] / 2).astype(np.float32)


def by_hand(seed):
    """Play an episode of ``Varying`` with plain PettingZoo: return of each agent, and length."""
    env = Varying()
    observations, _ = env.reset(seed=seed)
    returns, length = dict.fromkeys(env.possible_agents, 0.0), 0
    while env.agents:
        actions = {agent: lean(observations[agent][None])[0] for agent in env.agents}
        observations, rewards, *_ = env.step(actions)
        for agent, reward in rewards.items():
            returns[agent] += reward
        length += 1
    return list(returns.values()), length


@pytest.fixture(scope="module")
def reference():
    """Many episodes, from seed 50 on, played by hand."""
    return [by_hand(50 + place) for place in range(30)]


@pytest.mark.parametrize("num_envs", [1, 2, 7, 30, 40])
def test_the_kth_episode_is_the_one_of_seed_plus_k_in_any_number_of_copies(num_envs, reference):
    with make_vec(Varying, num_envs) as venv:
        group = next(iter(venv.groups))
        result = evaluate(venv, {group: lean}, 30, seed=50)

    np.testing.assert_array_equal(result.agent_returns[group], [returns for returns, _ in reference])
    np.testing.assert_array_equal(result.lengths, [length for _, length in reference])
    np.testing.assert_allclose(result.returns, [sum(returns) for returns, _ in reference], rtol=1e-15)
    assert len(set(result.lengths)) > 5


def test_many_copies_do_not_favour_short_episodes(reference):
    with make_vec(Varying, 16) as venv:
        result = evaluate(venv, {"field": lean}, 16, seed=50)

    assert result.lengths.tolist() == [length for _, length in reference[:16]]


def test_what_the_copies_did_before_does_not_matter():
    def star(ids):
        return Hierarchy.star(ids, period=3, command_space=Box(-1, 1, (1,), np.float32))

    policies = {"coordinator": lambda seen: np.zeros((len(seen), 2), np.float32), "field": lean}
    learner = LearnerConfig(options=TINY)
    with make_vec(Varying, 4, star) as used, make_vec(Varying, 4, star) as fresh:
        HierarchyTrainer(used, {"field": learner, "coordinator": learner}).train(60)  # the coordinator was last

        after, anew = evaluate(used, policies, 2, seed=5), evaluate(fresh, policies, 2, seed=5)

    np.testing.assert_array_equal(after.returns, anew.returns)


def test_a_hierarchys_models_act_the_same_in_any_number_of_copies():
    def star(ids):
        return Hierarchy.star(ids, period=3, command_space=Box(-1, 1, (1,), np.float32))

    learner = LearnerConfig(options=TINY)
    with make_vec(partial(Relay, horizon=5), 2, star) as two, make_vec(partial(Relay, horizon=5), 5, star) as five:
        trainer = HierarchyTrainer(two, {"field": learner, "coordinator": learner})
        trainer.train(64)
        one, other = (evaluate(venv, trainer.policies(), 9, seed=3) for venv in (two, five))

    np.testing.assert_array_equal(one.returns, other.returns)
    assert one.episodes == other.episodes == 9


def test_all_groups_are_counted_and_only_field_agents_make_up_the_teams_return():
    def star(ids):
        return Hierarchy.star(ids, period=2, command_space=Box(-1, 1, (1,), np.float32))

    with make_vec(partial(Steady, horizon=4), 3, star) as venv:
        result = evaluate(venv, random_policies(venv), 5)

    assert result.returns.tolist() == [110.0] * 5
    assert result.agent_returns["agent"].tolist() == [[10.0, 100.0]] * 5
    assert result.agent_returns["coordinator"].tolist() == [[110.0]] * 5
    assert result.interval == (110.0, 110.0)
    assert result.to_mapping() == {
        "mean_return": 110.0,
        "interval": [110.0, 110.0],
        "confidence": 0.95,
        "episodes": 5,
        "mean_length": 4.0,
        "agent_returns": {"coordinator": [110.0], "agent": [10.0, 100.0]},
        "group_intervals": {"coordinator": [110.0, 110.0], "agent": [110.0, 110.0]},
    }
    with pytest.raises(UnknownGroupError, match="'agents'"):
        result.of_group("agents")


def test_each_episode_is_announced_once():
    calls = []
    with make_vec(Varying, 3) as venv:
        evaluate(venv, {"field": lean}, 7, on_episode=lambda: calls.append(1))

    assert len(calls) == 7


def test_random_policies_have_streams_of_their_own_that_follow_the_seed():
    with make_vec("mpe2.simple_tag_v3", 2, env_kwargs={"max_cycles": 5}) as venv:
        returns = [evaluate(venv, random_policies(venv, seed), 4).returns for seed in (0, 0, 1)]
        policies = random_policies(venv)
        adversary, agent = (policies[name](np.zeros((20, 3))).tolist() for name in ("adversary", "agent"))

    assert returns[0].tolist() == returns[1].tolist() != returns[2].tolist()
    assert adversary != agent


def evaluation(*returns):
    values = np.array(returns, dtype=float)
    return Evaluation(values, np.full(len(values), 5), {"agent": values[:, None]})


def test_the_interval_is_students():
    result = evaluation(1, 2, 4, 9)

    # By hand: mean 4, sample deviation sqrt(38 / 3), and 3.182446 for 3 degrees of freedom.
    half = 3.182446305284263 * np.sqrt(38 / 3) / np.sqrt(4)
    assert result.interval == pytest.approx((4 - half, 4 + half))
    expected = stats.t.interval(0.95, 3, loc=4, scale=stats.sem([1, 2, 4, 9]))
    assert result.interval == pytest.approx(expected, rel=1e-15)
    assert str(result) == f"4.00 (95% interval {4 - half:.2f} to {4 + half:.2f}, 4 episodes)"


def test_one_episode_has_no_spread():
    assert evaluation(3).interval == (3.0, 3.0)


@pytest.mark.parametrize("episodes", [0, -3, 2.5, "5", True, None])
def test_episodes_must_be_a_positive_integer(episodes):
    with make_vec(Varying, 1) as venv, pytest.raises(ConfigurationError, match=rf"episodes .*{episodes!r}"):
        evaluate(venv, {"field": lean}, episodes)


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ({}, "'agent'|left\\+right"),
        ({"field": lean, "chief": lean}, "'chief'"),
        ({"field": np.array([3.0], np.float32)}, "policies|policy"),
    ],
)
def test_policies_must_fit(policies, message):
    with make_vec(Varying, 1) as venv, pytest.raises(ConfigurationError, match=message):
        evaluate(venv, policies, 1)


def test_a_bad_seed_is_refused():
    with make_vec(Varying, 1) as venv, pytest.raises(ConfigurationError, match=r"seed must be .*-1"):
        evaluate(venv, {"field": lean}, 1, seed=-1)


class Fleeting(Steady):
    """A ``Steady`` whose episodes end at their reset for some seeds."""

    def __init__(self, is_empty=lambda seed: seed % 3 == 1):
        super().__init__()
        self.is_empty = is_empty

    def reset(self, seed=None, options=None):
        observations = super().reset(seed, options)
        if self.is_empty(seed):
            self.agents = []
        return observations


@pytest.mark.parametrize("num_envs", [1, 2, 9])
def test_an_episode_that_ends_at_its_reset_counts_as_empty(num_envs):
    with make_vec(Fleeting, num_envs) as venv:
        result = evaluate(venv, {"agent": 0}, 7, seed=0)

    assert result.lengths.tolist() == [4, 0, 4, 4, 0, 4, 4]
    assert result.returns.tolist() == [110.0 if length else 0.0 for length in result.lengths]
    assert result.agent_returns["agent"].shape == (7, 2)


def test_only_empty_episodes_can_be_evaluated():
    calls = []
    with make_vec(partial(Fleeting, lambda _: True), 2) as venv:
        result = evaluate(venv, {"agent": 0}, 5, on_episode=lambda: calls.append(1))

    assert result.mean == 0
    assert len(calls) == 5


@pytest.mark.parametrize("seed", [None, True, 2.0, "5"])
def test_seed_must_be_an_integer(seed):
    with make_vec(Varying, 1) as venv, pytest.raises(ConfigurationError, match=f"seed must be .*{seed!r}"):
        evaluate(venv, {"field": lean}, 1, seed)


def test_numpys_integers_are_integers():
    with make_vec(Varying, 2) as venv:
        result = evaluate(venv, {"field": lean}, np.int64(3), np.int32(5))

        np.testing.assert_array_equal(result.returns, evaluate(venv, {"field": lean}, 3, 5).returns)
