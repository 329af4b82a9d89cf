"""PettingZoo's environments of agents that are born at any time, in ever new spaces."""

import warnings
from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from stable_baselines3 import PPO

import heron
from heron import Hierarchy
from heron.errors import ConfigurationError, EnvCreationError, EnvStepError, InvalidObservationError
from heron.wrappers import LoopEnv, ProcessEnv, declare_agents
from heron.wrappers.sb3 import Sb3VecEnv
from heron.wrappers.sources.declared_agents import DeclaredAgentsEnv

from ..small_envs import Scripted

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the package imports an environment by its old name
    from pettingzoo.test.example_envs import generated_agents_env_v0, generated_agents_parallel_v0

IDS = [f"type{kind}_{number}" for kind in range(8) for number in range(16)]
ROOM = {"observation_space": Box(0, 1, (50,), np.float32), "action_space": Discrete(10)}
PARALLEL = generated_agents_parallel_v0.parallel_env
TURNS = generated_agents_env_v0.raw_env
CHECKED_TURNS = generated_agents_env_v0.env  # it asserts that every action is in the agent's own space


def beside(make, seed, steps):
    """The plain environment, driven by the same actions as a copy: what each agent is told, step by step."""
    env = make()
    env.reset(seed=seed)
    for step in range(steps):
        yield step, env, env.step({a: choice(step, a) % env.action_space(a).n for a in env.agents})


def choice(step, agent):
    return (step + IDS.index(agent)) % 3  # every kind has at least three choices


def choices(step):
    return np.array([choice(step, agent) for agent in IDS])


@pytest.mark.parametrize("make_batch", [LoopEnv, partial(ProcessEnv, num_workers=1)])
def test_agents_come_and_go_as_in_the_plain_environment(make_batch):
    batch = make_batch([declare_agents(partial(PARALLEL, max_cycles=40), IDS, **ROOM)] * 2)
    (name, group) = next(iter(batch.groups.items()))
    assert group.agent_ids == tuple(IDS)
    state = batch.states[name]
    born, gone = 0, 0
    for seed in (3, 4):  # types and their spaces differ from one to the other
        batch.reset(seeds=[seed, seed])
        there = {agent for agent, active in zip(IDS, state.active[1], strict=True) if active}
        assert len(there) == 5
        for step, env, (observations, rewards, terminations, _, _) in beside(PARALLEL, seed, 40):
            batch.step({name: np.tile(choices(step), (2, 1))})
            for agent, observation in observations.items():
                place = IDS.index(agent)
                assert state.observations[1, place, : len(observation)].tolist() == observation.tolist()
                assert not state.observations[1, place, len(observation) :].any()
                assert state.terminated[1, place] == terminations[agent] * (agent in there)
                assert state.rewards[1, place] == rewards[agent] * (agent in there)
            assert {agent for agent, active in zip(IDS, state.active[1], strict=True) if active} == set(env.agents)
            born += len(set(env.agents) - there)
            gone += len(there - set(env.agents))
            there = set(env.agents)
    assert born > 10
    assert gone > 3
    batch.close()


@pytest.mark.parametrize("make", [TURNS, CHECKED_TURNS])
def test_agents_that_are_born_between_turns(make):
    batch = LoopEnv([declare_agents(make, IDS, **ROOM)], validate=True)
    (name,) = batch.groups
    state = batch.states[name]
    batch.reset(seeds=[2])
    most, ends = 0, 0
    for step in range(400):
        batch.step({name: np.full((1, len(IDS)), step % 10)})  # also choices that an agent may not have
        most = max(most, int(state.active.sum()))
        ends += int(state.terminated.sum())
    assert most > 10
    assert ends > 2
    batch.close()


def test_one_too_many_says_who_when_and_what_to_do():
    few = [agent for agent in IDS if int(agent.rpartition("_")[2]) < 5]
    batch = LoopEnv([declare_agents(PARALLEL, few, **ROOM)] * 2, ["quiet", "busy"])
    (name,) = batch.groups
    batch.reset(seeds=[3, 4])
    with pytest.raises(EnvStepError) as caught:  # noqa: PT012 -- nobody knows beforehand in which step
        for step in range(100):
            batch.step({name: np.full((2, len(few)), step % 3)}, batch.running)
    message = str(caught.value)
    assert any(env_id in message for env_id in ("quiet", "busy"))
    assert "_5'] of" in message
    assert "in step" in message
    assert "reset(seed=" in message
    assert "declare_agents" in message
    assert len(message) < 1500
    assert batch.running.sum() == 1  # the other one goes on
    batch.reset(~batch.running, [11, 12])
    assert batch.running.all()
    batch.close()


def test_hierarchy_over_agents_that_come_trains():
    venv = heron.make_vec(
        declare_agents(PARALLEL, IDS, **ROOM),
        2,
        lambda agents: Hierarchy({"system": agents}, period=3, command_space=Box(-1, 1, (2,), np.float32)),
        env_kwargs={"max_cycles": 9},
    )
    commands = {"coordinator": np.zeros(2 * len(IDS), np.float32)}
    view = Sb3VecEnv(venv, learn="field", policies=commands)
    model = PPO("MultiInputPolicy" if isinstance(view.observation_space, Dict) else "MlpPolicy", view, n_steps=8,
                batch_size=512, n_epochs=1, seed=0)  # fmt: skip
    model.learn(8 * view.num_envs)
    assert venv.total_steps == 16
    venv.close()


def test_mistakes_are_told_when_the_environment_is_made():
    with pytest.raises(EnvCreationError, match=r"knows no observation_space of 'type3_0'.*observation_space=\.\.\."):
        LoopEnv([declare_agents(PARALLEL, IDS)])
    with pytest.raises(EnvCreationError, match=r"knows no action_space of 'type3_0'.*action_space=\.\.\."):
        LoopEnv([declare_agents(PARALLEL, IDS, observation_space=ROOM["observation_space"])])
    with pytest.raises(ConfigurationError, match="at least one, got"):
        declare_agents(PARALLEL, [])
    with pytest.raises(ConfigurationError, match="at least one, got 'ab'"):
        declare_agents(PARALLEL, "ab")
    with pytest.raises(ConfigurationError, match=r"\['a'\]"):
        declare_agents(PARALLEL, ["a", "b", "a"])
    with pytest.raises(EnvCreationError, match="expected a PettingZoo ParallelEnv or AECEnv, got 7"):
        LoopEnv([declare_agents(lambda: 7, ["a"])])
    with pytest.raises(ConfigurationError, match=r"generated_agents_parallel_v0.*declare_agents"):
        LoopEnv([PARALLEL])


@pytest.mark.parametrize(
    ("stated", "error", "message"),
    [
        ({"action_space": Discrete(2)}, EnvStepError, r"env_0: .*the action_space of 'type.*for which Discrete\(2\)"),
        ({"observation_space": Box(0, 1, (3,), np.float32)}, InvalidObservationError, r"(?s)env_0: 'type.*not in Box"),
    ],
)
def test_spaces_without_enough_room(stated, error, message):
    batch = LoopEnv([declare_agents(PARALLEL, IDS, **(ROOM | stated))])
    with pytest.raises(error, match=message):
        batch.reset(seeds=[0])


def test_spaces_by_agent_and_attributes():
    spaces = {"agent_0": Box(-np.inf, np.inf, (6,), np.float32)}
    batch = LoopEnv([declare_agents(Scripted, ["agent_0", "agent_1"], observation_space=spaces)])
    assert [group.observation_space.shape for group in batch.groups.values()] == [(6,), (4,)]
    assert isinstance(batch.envs[0], DeclaredAgentsEnv)
    assert batch.get_attr("horizon", [0]) == [4]
    batch.set_attr("horizon", [2], [0])
    assert batch.call("double", [0], 4, plus=1) == [9]
    batch.reset(seeds=[1])
    for _ in range(2):
        batch.step({name: np.ones((1, 1), int) for name in batch.groups})
    assert not batch.running.any()
    batch.close()


def test_a_name_stands_for_its_environment():
    make = declare_agents("mpe2.simple_spread_v3", ["agent_0", "agent_1"])
    with heron.make_vec(make, 2, env_kwargs={"N": 2}) as venv:
        assert venv.reset(seed=0)["agent"].shape == (2, 2, 12)
