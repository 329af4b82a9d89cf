"""One agent as a Gymnasium environment: the checkers of two libraries, and whole episodes."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_by_gymnasium
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_by_sb3

from heron.agents import Hierarchy
from heron.errors import ConfigurationError, EnvStepError, InvalidActionError, ResetRequiredError
from heron.wrappers import GymEnv, make_vec

from ..hierarchies import GOAL, flat, spread
from ..same import assert_same
from ..single_envs import Sampled
from ..small_envs import Life, Scripted

SPEAKER = "mpe2.simple_speaker_listener_v4"
ENVS = {
    "speaker": lambda: GymEnv(make_vec(SPEAKER), "speaker", {"listener": 1}),
    "listener": lambda: GymEnv(make_vec(SPEAKER), "listener", {"speaker": 2}),
    "coordinator": lambda: GymEnv(spread(), "coordinator", {"agent": 1}),
    "CartPole": lambda: GymEnv(make_vec("CartPole-v1")),
}


def scripted(*, learn="agent_0", policies=None, **kwargs):
    """Make two agents, of which one learns."""
    groups = {agent: [agent] for agent in kwargs["lives"]}
    return GymEnv(make_vec(Scripted, env_kwargs=kwargs, groups=groups), learn, policies or {"agent_1": 0})


@pytest.mark.filterwarnings(
    "ignore:.*A Box observation space m.*imum value is",  # raised for the environments' spaces
    "ignore:.*due to the environment not having a spec",  # it is made from a vector env, not from an id
)
@pytest.mark.parametrize("name", ENVS)
class TestCheckers:
    def test_gymnasiums(self, name):
        check_by_gymnasium(ENVS[name]())

    def test_sb3s(self, name):
        check_by_sb3(ENVS[name]())


class TestASingleAgent:
    def test_has_the_same_episodes_as_the_plain_environment(self):
        plain, env = gymnasium.make("CartPole-v1"), GymEnv(make_vec("CartPole-v1"))
        assert (env.observation_space, env.action_space) == (plain.observation_space, plain.action_space)
        assert env.metadata == plain.metadata
        rng = np.random.default_rng(0)
        ends = 0
        for seed in (3, None, None, 4):
            assert_same(plain.reset(seed=seed), env.reset(seed=seed))
            over = False
            while not over:
                action = rng.integers(2)
                expected, got = plain.step(action), env.step(action)
                assert_same(expected, got)
                over = got[2] or got[3]
            ends += over
        assert ends == 4

    def test_learns_with_sb3(self):
        env = ENVS["listener"]()
        model = PPO("MlpPolicy", env, n_steps=32, batch_size=32, n_epochs=1, device="cpu", seed=0)
        model.learn(64)
        assert len(model.ep_info_buffer) == 2  # episodes of 25 steps

    def test_options_reach_the_environment_unchanged(self):
        options = {"wind": 3}
        env = scripted(lives={"agent_0": Life(), "agent_1": Life()})
        _, info = env.reset(seed=5, options=options)
        assert info == {"start": "agent_0"}
        assert env.venv.batch_env.envs[0].reset_calls == [(5, {"wind": 3, "seen": True})]
        assert options == {"wind": 3}

    def test_renders_the_environment(self):
        env = GymEnv(make_vec(lambda: Sampled(render_mode="rgb_array")))
        env.reset(seed=0)
        assert env.render_mode == "rgb_array"
        np.testing.assert_array_equal(env.render(), env.venv.batch_env.envs[0].render())

    def test_close_closes_the_vector_env_once(self):
        env = scripted(lives={"agent_0": Life(), "agent_1": Life()})
        inner = env.venv.batch_env.envs[0]
        env.close()
        env.close()
        assert inner.closed == 1


def test_a_coordinators_step_is_a_decision():
    tree = Hierarchy.star(["agent_0", "agent_1"], period=3, command_space=GOAL)
    episodes = []
    env = GymEnv(make_vec(Scripted, 1, tree), "coordinator", {"agent": 0}, on_episode=episodes.append)
    env.reset(seed=0)
    action = env.action_space.sample()
    _, reward, *ended, info = env.step(action)
    assert (reward, *ended) == (11 * (1 + 2 + 3), False, False)
    assert info["decision_length"] == 3
    np.testing.assert_array_equal(env.venv.commands("agent")[0].ravel(), action)
    _, reward, *ended, info = env.step(action)
    assert (reward, *ended) == (11 * 4, False, True)
    assert info["decision_length"] == 1
    assert [episode.length for episode in episodes] == [4]


class TestEnds:
    def test_when_the_agent_has_ended(self):
        env = scripted(lives={"agent_0": Life(leaves=2), "agent_1": Life()})
        env.reset()
        assert env.step(0)[1:4] == (1, False, False)
        observation, *ended = env.step(3)[:4]
        assert ended == [2, True, False]
        assert observation.tolist()[::3] == [2, 3]
        with pytest.raises(ResetRequiredError, match="'agent_0' in env_0"):
            env.step(0)
        env.reset()
        assert env.step(0)[1:4] == (1, False, False)

    def test_an_agent_that_appears_late_is_inert_until_then(self):
        env = scripted(lives={"agent_0": Life(joins=2), "agent_1": Life()})
        env.reset()
        steps = [env.step(0) for _ in range(4)]
        assert [info.get("inert", False) for *_, info in steps] == [True, True, False, False]
        assert [reward for _, reward, *_ in steps] == [0, 0, 3, 4]
        assert [truncated for *_, truncated, _ in steps] == [False, False, False, True]

    def test_an_episode_in_which_the_agent_never_appeared_is_truncated(self):
        env = scripted(lives={"agent_0": Life(joins=9), "agent_1": Life(leaves=1)})
        env.reset()
        *_, terminated, truncated, info = env.step(0)
        assert (terminated, truncated) == (False, True)
        assert "inert" not in info

    def test_the_step_after_an_error_reports_the_end(self):
        env = scripted(lives={"agent_0": Life(), "agent_1": Life()}, fail_at=1)
        env.reset()
        env.step(0)
        with pytest.raises(EnvStepError, match="no power"):
            env.step(0)
        assert env.step(0)[1:4] == (0, False, True)

    def test_no_step_before_the_first_reset(self):
        with pytest.raises(ResetRequiredError):
            ENVS["speaker"]().step(0)


class TestWrongUse:
    def test_several_copies(self):
        with pytest.raises(ConfigurationError, match=r"\('agent',\) in 2 copies"):
            GymEnv(make_vec("CartPole-v1", 2))

    def test_several_agents(self):
        with pytest.raises(ConfigurationError, match=r"\('agent_0', 'agent_1', 'agent_2'\) in 1 copies"):
            GymEnv(flat())

    def test_no_policy_for_the_others(self):
        with pytest.raises(ConfigurationError, match=r"policies: .*\['agent'\]"):
            GymEnv(spread(), "coordinator")

    @pytest.mark.parametrize("action", [7, 0.5, [[0], [1, 2]], None])
    def test_actions_outside_their_space(self, action):
        env = ENVS["speaker"]()
        env.reset()
        with pytest.raises(InvalidActionError):
            env.step(action)
        assert env.venv.steps.tolist() == [0]
