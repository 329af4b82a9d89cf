"""EnvPool's copies beside EnvPool itself, call by call."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

import heron
from heron.errors import ConfigurationError
from heron.testing import BATCH_ENV_CHECKS, VIEW_CHECKS, ViewPlan
from heron.wrappers import GymVectorEnv, VectorEnvSource
from heron.wrappers.sb3 import Sb3VecEnv

envpool = pytest.importorskip("envpool", reason="EnvPool is 0.7 GB: make test-envpool")

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Box (low|high)'s precision lowered:UserWarning"),  # EnvPool's own spaces
    pytest.mark.filterwarnings("ignore:EnvPool seeds are fixed:UserWarning"),
]


def pool(num_envs=3, name="CartPole-v1", **options):
    return envpool.make(name, env_type="gymnasium", num_envs=num_envs, **{"seed": 5, **options})


def ids(*copies):
    return np.array(copies, np.int32)


@pytest.mark.parametrize("name", ["CartPole-v1", "FrozenLake-v1", "CheetahRun-v1"])
def test_same_as_the_pool_whose_copies_are_reset_when_they_end(name):
    """The pool itself is told to reset what has ended, so that its own autoreset never comes."""
    limit = {"max_episode_steps": 30}
    source, plain = VectorEnvSource(pool(name=name, **limit)), pool(name=name, **limit)
    source.reset()
    plain.reset()
    state = source.states["agent"]
    space = source.groups["agent"].action_space
    space.seed(0)
    episodes = truncated = 0
    for _ in range(100):
        actions = np.array([space.sample() for _ in range(3)])
        source.step({"agent": actions[:, None]})
        seen, *said, _ = plain.step(actions)
        assert_rows(state.observations, seen, [0, 1, 2])
        for mine, theirs in zip((state.rewards, state.terminated, state.truncated), said, strict=True):
            np.testing.assert_array_equal(mine[:, 0], theirs)
        ended = np.flatnonzero(~source.running)
        np.testing.assert_array_equal(ended, np.flatnonzero(said[1] | said[2]))
        episodes, truncated = episodes + len(ended), truncated + said[2].sum()
        if len(ended):
            source.reset(~source.running)
            seen, _ = plain.reset(ids(*ended))
            assert_rows(state.observations, seen, ended)
    assert episodes > 5
    assert truncated or name != "CheetahRun-v1"


def assert_rows(observations, seen, copies):
    """Observations of all copies against what the pool told of some."""
    if isinstance(observations, dict):
        for key, part in observations.items():
            assert_rows(part, seen[key], copies)
        return
    np.testing.assert_array_equal(observations[copies, 0], seen)


def test_any_copy_can_be_left_out_and_reset():
    source, plain = VectorEnvSource(pool()), pool()
    source.reset()
    first, _ = plain.reset()
    state = source.states["agent"]
    push = {"agent": np.ones((3, 1), int)}
    for _ in range(5):
        source.step(push, np.array([True, False, True]))
        seen, *_ = plain.step(np.ones(2, int), ids(0, 2))
        np.testing.assert_array_equal(state.observations[[0, 2], 0], seen)
        np.testing.assert_array_equal(state.observations[1, 0], first[1])
    source.reset(np.array([True, False, False]))
    begun, _ = plain.reset(ids(0))
    np.testing.assert_array_equal(state.observations[:, 0], [begun[0], first[1], seen[1]])
    assert source.infos[0]["agent"]["elapsed_step"] == 0
    source.step(push)
    np.testing.assert_array_equal(state.observations[:, 0], plain.step(np.ones(3, int))[0])
    assert source.running.all()


SEEDS_OF_RESETS = {"check_same_seed", "check_same_seeds", "check_copies_follow_their_seeds", "check_a_copy_alone"}
"""A pool is seeded when it is made."""

OPTIONS = {"check_input_stays_as_it_was"}
"""It gives options, which a pool takes when it is made."""

ATTRIBUTES = {"check_attributes_reach_their_copies", "check_calls_reach_their_copies", "check_unknown_attributes"}
"""Python sees one object for all copies."""


@pytest.mark.parametrize("mode", AutoresetMode)
def test_contract_of_views(mode):
    for check in VIEW_CHECKS:
        if check.__name__ not in SEEDS_OF_RESETS:
            check(lambda: GymVectorEnv(heron.make_vec(pool()), autoreset_mode=mode), ViewPlan(steps=40))


def test_contract_of_the_sb3_view():
    for check in VIEW_CHECKS:
        if check.__name__ not in SEEDS_OF_RESETS:
            check(lambda: Sb3VecEnv(pool()), ViewPlan(steps=40))


def test_contract_of_batched_environments():
    for check in BATCH_ENV_CHECKS:
        if check.__name__ not in SEEDS_OF_RESETS | OPTIONS | ATTRIBUTES:
            check(lambda: VectorEnvSource(pool()), 40)


def test_truncation_and_the_true_last_observation():
    view = Sb3VecEnv(heron.make_vec(pool(2, max_episode_steps=12)))
    observations = view.reset()
    for step in range(1, 13):
        before = observations
        observations, rewards, dones, infos = view.step((observations[:, 2] + observations[:, 3] > 0).astype(int))
        assert dones.tolist() == [step == 12] * 2
        assert rewards.tolist() == [1, 1]
    for slot, info in enumerate(infos):
        assert info["TimeLimit.truncated"]
        last = info["terminal_observation"]
        assert np.abs(last - before[slot]).max() < 0.5
        assert not np.array_equal(last, observations[slot])
        assert np.abs(observations[slot]).max() <= 0.05
        assert view.reset_infos[slot]["elapsed_step"] == 0


def test_seeds_are_the_pools_own():
    one, same, other = (VectorEnvSource(pool(seed=seed)) for seed in (1, 1, 2))
    seen = [source.reset()["agent"].observations for source in (one, same, other)]
    np.testing.assert_array_equal(seen[0], seen[1])
    assert (seen[0] != seen[2]).any()
    with pytest.warns(UserWarning, match=r"pass seed to envpool\.make"):
        one.reset(seeds=[7, 8, 9])


def test_pools_that_do_not_fit_are_refused_at_once():
    with pytest.raises(ConfigurationError, match=r"batch_size=2 copies at a time.*make it without batch_size"):
        heron.make_vec(pool(4, batch_size=2))
    with pytest.raises(ConfigurationError, match="max_num_players=2, but one agent"):
        heron.make_vec(pool(max_num_players=2))
    wrapped = heron.make_vec(gymnasium.wrappers.vector.RecordEpisodeStatistics(pool()))
    with pytest.raises(ConfigurationError, match=r"mode SAME_STEP: .*without its wrappers"):
        Sb3VecEnv(wrapped)
    with pytest.raises(ConfigurationError, match="the same unwrapped, with wrappers on the view"):
        Sb3VecEnv(gymnasium.wrappers.vector.RecordEpisodeStatistics(pool()))


def test_options_are_refused_and_change_nothing():
    with heron.make_vec(pool()) as venv:
        venv.reset()
        venv.advance({"agent": np.ones((3, 1), int)})
        before = venv.observe("agent").copy()
        with pytest.raises(ConfigurationError, match=r"takes options when it is made.*{'wind': 2}"):
            venv.reset_envs([1], options={"wind": 2})
        np.testing.assert_array_equal(venv.observe("agent"), before)
        assert venv.steps.tolist() == [1, 1, 1]
        venv.reset_envs([1], options={})
        assert venv.steps.tolist() == [1, 0, 1]


def test_pictures_are_of_each_copy():
    view = GymVectorEnv(heron.make_vec(pool(2, render_mode="rgb_array")))
    view.reset()
    one, other = view.render()
    assert one.shape == other.shape == (400, 600, 3)
    assert (one != other).any()
    assert heron.make_vec(pool(2)).batch_env.call("render", [1]) == [None]


def test_ppo_learns():
    lengths = []
    with heron.make_vec(pool(8)) as venv:
        view = VecMonitor(Sb3VecEnv(venv, on_episode=lambda episode: lengths.append(episode.length)))
        options = {"n_steps": 32, "batch_size": 256, "n_epochs": 8, "gae_lambda": 0.8, "gamma": 0.98}
        PPO("MlpPolicy", view, learning_rate=3e-3, seed=0, **options).learn(6_000)
    assert np.mean(lengths[-20:]) > 2 * np.mean(lengths[:20])
