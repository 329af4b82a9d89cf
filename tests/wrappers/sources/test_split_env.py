import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete

import heron
from heron import Hierarchy
from heron.errors import ConfigurationError, EnvCreationError, EnvStepError
from heron.wrappers import AgentPart, LoopEnv, ProcessEnv, split_env
from heron.wrappers.sources.split_env import SplitEnv

from .test_gym_parallel_env import parallel_api_test

WALKER = "BipedalWalker-v3"
LEGS = {
    "left": AgentPart(actions=[0, 1], observations=[0, 1, 2, 3, *range(4, 9)]),
    "right": AgentPart(actions=[2, 3], observations=[0, 1, 2, 3, *range(9, 14)]),
}
pytestmark = pytest.mark.filterwarnings(
    # Box2D's own build.
    "ignore:builtin type (SwigPyPacked|SwigPyObject|swigvarlink) has no __module__ attribute:DeprecationWarning"
)


class Panel(gymnasium.Env):
    """Switches and dials in a square; the observation is the last action, and so is the reward."""

    def __init__(self, kind="dials"):
        self.action_space = {
            "dials": MultiDiscrete([[2, 3], [4, 5]], start=[[0, 1], [0, -2]]),
            "switches": MultiBinary((2, 2)),
            "knobs": Box(np.array([[0, 1], [2, 3]], np.float32), 9, dtype=np.float32),
            "button": Discrete(4),
        }[kind]
        self.observation_space = self.action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.action_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.steps += 1
        return action, float(action.sum()), self.steps == 3, False, {"step": self.steps}


def test_legs_pass_pettingzoos_test():
    parallel_api_test(split_env(WALKER, LEGS)(), num_cycles=200)


@pytest.mark.parametrize("make_batch", [LoopEnv, ProcessEnv])
def test_legs_walk_as_the_whole(make_batch):
    """The same actions give the same trajectory, to the bit, and the legs' returns add up to the walker's."""
    whole = gymnasium.make(WALKER, max_episode_steps=120)
    batch = make_batch([lambda: split_env(WALKER, LEGS)(max_episode_steps=120)] * 2)
    (group,) = batch.groups.values()
    assert group.agent_ids == ("left", "right")
    state = batch.states[group.name]
    rng = np.random.default_rng(0)
    for episode in range(2):
        seed = 3 if episode == 0 else None
        observation, _ = whole.reset(seed=seed)
        batch.reset(seeds=[seed, seed])
        earned, shared, over = 0.0, 0.0, False
        while not over:
            for k, part in enumerate(LEGS.values()):
                np.testing.assert_array_equal(state.observations[1, k], observation[part.observations])
            action = rng.uniform(-1, 1, 4).astype(np.float32)
            batch.step({group.name: np.tile(action.reshape(2, 2), (2, 1, 1))})
            observation, reward, terminated, truncated, _ = whole.step(action)
            over = terminated or truncated
            earned += float(reward)
            shared += state.rewards[1].sum()
            assert state.terminated[1].tolist() == [terminated] * 2
            assert state.truncated[1].tolist() == [truncated] * 2
        assert not batch.running.any()
        assert shared == earned
    batch.close()
    whole.close()


def test_joints_under_a_coordinator():
    joints = {f"joint_{k}": AgentPart(actions=[k]) for k in range(4)}
    tree = lambda agents: Hierarchy.star(agents, period=3, command_space=Box(-1, 1, (2,), np.float32))  # noqa: E731
    with heron.make_vec(split_env(WALKER, joints), 2, tree, env_kwargs={"hardcore": False}) as venv:
        assert venv.groups["joint"].agent_ids == tuple(joints)
        venv.reset(seed=1)
        rng = np.random.default_rng(0)
        for _ in range(7):
            if venv.due("coordinator").any():
                venv.decide({"coordinator": rng.uniform(-1, 1, (2, 1, 8)).astype(np.float32)})
            results = venv.advance({"joint": rng.uniform(-1, 1, (2, 4, 1)).astype(np.float32)})
            total = results["joint"].env_rewards.sum(axis=1)
            np.testing.assert_allclose(results["coordinator"].env_rewards[:, 0], total)


@pytest.mark.parametrize("kind", ["dials", "switches", "knobs"])
def test_entries_of_any_shape_come_back_together(kind):
    parts = {"a": AgentPart([3, 0], observations=[1]), "b": AgentPart(slice(1, 3))}
    env = split_env(Panel, parts)(kind=kind)
    env.reset(seed=0)
    space = env.env.action_space
    for agent in parts:
        env.action_space(agent).seed(5)
    for _ in range(3):
        actions = {agent: env.action_space(agent).sample() for agent in parts}
        observations, rewards, *_ = env.step(actions)
        whole = observations["b"]
        assert whole.shape == (2, 2)
        assert whole.dtype == space.dtype
        np.testing.assert_array_equal(whole.flat[[3, 0]], actions["a"])
        np.testing.assert_array_equal(whole.flat[[1, 2]], actions["b"])
        assert observations["a"] in env.observation_space("a")
        assert rewards == {"a": whole.sum() / 2, "b": whole.sum() / 2}
    assert env.agents == []


def test_rewards_can_be_shared_out_by_hand():
    def by_index(reward, observation, info):
        return {"a": reward, "b": info["step"] * 100 + observation[0, 0]}

    parts = {"a": AgentPart([0, 1]), "b": AgentPart([2, 3])}
    batch = LoopEnv([split_env(Panel, parts, by_index)])
    batch.reset()
    ones = {name: np.ones((1, 1, 2), int) for name in batch.groups}
    batch.step(ones)
    assert [state.rewards[0, 0] for state in batch.states.values()] == [4.0, 101.0]

    batch = LoopEnv([split_env(Panel, parts, lambda reward, observation, info: {"a": reward})])
    batch.reset()
    with pytest.raises(EnvStepError, match=r"one for each of \['a', 'b'\], got \{'a': 4.0\}"):
        batch.step(ones)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "expected a dict of agent id"),
        ({"a": [0, 1, 2, 3]}, "agent 'a': expected an AgentPart"),
        ({"": AgentPart([0, 1, 2, 3])}, "agent id"),
        ({"a": AgentPart([0, 1, 2])}, r"entries \[3\] of the action.*belong to no agent"),
        ({"a": AgentPart([0, 1, 2]), "b": AgentPart([2, 3])}, r"one agent each, got \{2: \['a', 'b'\]\}"),
        ({"a": AgentPart([0, 1, 2, 3, 4])}, r"actions of 'a'.*entries 0 to 3, but not \[4\]"),
        ({"a": AgentPart([0, 1, 2, -1])}, r"not \[-1\]"),
        ({"a": AgentPart([0, 1, 2, 3, 3])}, "each once"),
        ({"a": AgentPart([0, 1, 2, 3.0])}, "expected indices"),
        ({"a": AgentPart([True, False, 2, 3])}, "expected indices"),
        ({"a": AgentPart([0, 1, 2, 3], observations=[4])}, "observations of 'a'"),
        ({"a": AgentPart([0, 1, 2, 3], observations=[])}, "observations of 'a'.*at least one"),
    ],
)
def test_parts_that_do_not_fit(parts, message):
    with pytest.raises((ConfigurationError, ValueError), match=rf"(?s){message}"):
        SplitEnv(Panel(), parts)
    with pytest.raises(EnvCreationError, match=rf"(?s)^env_0: .*{message}"):
        LoopEnv([split_env(Panel, parts)])


def test_what_cannot_be_split():
    with pytest.raises(ConfigurationError, match=r"actions of 'a': .*Discrete\(4\)"):
        split_env(Panel, {"a": AgentPart([0])})(kind="button")
    with pytest.raises(ConfigurationError, match="only a Gymnasium Env can be split"):
        split_env(dict, {"a": AgentPart([0])})()
