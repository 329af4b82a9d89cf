"""Isolation of copies, and the same trajectories from the same seeds in every way of stepping."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, flatten

from heron.agents import CoordinatorAgent, FieldAgent, Hierarchy
from heron.messaging import InMemoryBroker
from heron.wrappers import make_vec
from heron.wrappers.sources.env_names import env_factory

from ..wrappers.small_envs import Life, Scripted

GOAL = Box(-1, 1, (2,), np.float32)
SPREAD, TAG = "mpe2.simple_spread_v3", "mpe2.simple_tag_v3"


def star(ids):
    return Hierarchy.star(ids, period=3, command_space=GOAL)


def teams(ids):
    """Three levels over simple_tag: choices at the top, numbers below."""
    return Hierarchy(
        {"system": ["hunters", "prey"], "hunters": ids[:3], "prey": ids[3:]},
        period={"system": 4, "hunters": 2, "prey": 1},
        command_space={**dict.fromkeys(ids, GOAL), "hunters": Discrete(3), "prey": Discrete(3, start=1)},
    )


def score(observation):
    """Return a number that depends on every entry, row by row, so that the size of the batch cannot matter."""
    return sum((place + 1) * float(value) for place, value in enumerate(np.ravel(observation)))


def act(space, observation):
    """Return a deterministic action of one agent."""
    number = abs(score(observation)) * 1000
    if isinstance(space, Discrete):
        return int(number) % int(space.n) + int(space.start)
    if isinstance(space, Box):
        return np.array([np.sin(number + k) for k in range(space.shape[0])], space.dtype).clip(space.low, space.high)
    return np.array([int(number + k) % n for k, n in enumerate(space.nvec)]) + space.start


def actions_of(venv, name, observations=None):
    group = venv.groups[name]
    seen = venv.observe(name) if observations is None else observations
    return np.array([[act(group.action_space, agent) for agent in copy] for copy in seen])


def play_step(venv, mask=None):
    for group in venv.coordinator_groups:
        venv.decide({group.name: actions_of(venv, group.name)}, mask)
    venv.advance({group.name: actions_of(venv, group.name) for group in venv.field_groups}, mask)


def record(venv, copy):
    """Return everything observable in one copy, exactly."""
    found = {}
    for name, result in venv.results.items():
        commands = venv.commands(name)
        found[name] = [
            venv.observe(name)[copy].tobytes(),
            None if commands is None else commands[copy].tobytes(),
            venv.returns[name][copy].tolist(),
            *(array[copy].tolist() for array in (result.rewards, result.terminated, result.truncated, result.active)),
        ]
    return found


def episode(venv, copy=0, seed=None, steps=60, **reset):
    if seed is not None:
        venv.reset(seed=seed, **reset)
    history = [record(venv, copy)]
    while venv.running[copy] and len(history) < steps:
        play_step(venv, venv.running)
        history.append(record(venv, copy))
    return history


def inside(env):
    """Return the state of a copy: the world of a particle environment, and its random stream."""
    env = env.unwrapped
    stream = env.np_random.bit_generator.state
    if isinstance(env, Scripted):
        return stream, env.steps, list(env.agents), list(env.received), list(env.reset_calls)
    entities = [(e.name, e.state.p_pos.tolist(), e.state.p_vel.tolist(), e.color.tolist()) for e in env.world.entities]
    return stream, env.steps, list(env.agents), entities, [agent.state.c.tolist() for agent in env.world.agents]


def outside(venv, copy):
    """Return everything that the broker holds for a copy."""
    env_id = venv.env_ids[copy]
    names = venv.broker.get_environment_channels(env_id)
    waiting = {name: [m for m in venv.broker.channels[name] if m.env_id == env_id] for name in names}
    return waiting, {name: list(venv.broker.subscribers.get(name, ())) for name in names}


CASES = {
    "simple_spread": (SPREAD, star),
    "simple_tag": (TAG, teams),
    "scripted": (lambda: Scripted({"a": Life(), "b": Life(leaves=3), "c": Life(joins=2)}, 7), star),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.mark.parametrize(
    "which", [1, "env_1", [1], ["env_1"], (1,), np.array([1]), np.array([False, True, False, False]), range(1, 2)]
)
def test_reset_of_one_copy_leaves_all_others_exactly_as_they_were(case, which):
    venv = make_vec(case[0], 4, case[1])
    heard = []
    for env_id in venv.env_ids:
        for name in venv.hierarchy.channels(env_id):
            venv.broker.subscribe(name, heard.append)
    venv.reset(seed=11)
    for _ in range(2):
        play_step(venv)
    for env_id in venv.env_ids:  # something waits on every kind of channel of every copy
        agents = venv.agents(env_id)
        for agent in agents.values():
            agent.broadcast({"from": agent.agent_id})
            if agent.upstream_id is not None:
                agent.send_info_to_upstream({"note": 1})
            if isinstance(agent, CoordinatorAgent):
                for child in agent.subordinate_ids:
                    agent.send_action_to_subordinate(child, 3)
    others = [0, 2, 3]
    before = [(record(venv, i), inside(venv.batch_env.envs[i]), outside(venv, i), venv.steps[i]) for i in others]
    assert all(len(messages) for i in others for messages in outside(venv, i)[0].values())
    heard.clear()

    venv.reset_envs(which, seed=77)

    after = [(record(venv, i), inside(venv.batch_env.envs[i]), outside(venv, i), venv.steps[i]) for i in others]
    assert after == before
    assert {message.env_id for message in heard} == {"env_1"}
    assert not any(outside(venv, 1)[0].values())
    assert venv.steps[1] == 0


def test_copies_that_were_left_alone_go_on_as_if_nothing_had_been_reset(case):
    disturbed, quiet = (make_vec(case[0], 3, case[1]) for _ in range(2))
    for venv in (disturbed, quiet):
        venv.reset(seed=5)
        play_step(venv)
    disturbed.reset_envs([1], seed=99)
    for _ in range(4):
        play_step(disturbed, disturbed.running)
        play_step(quiet, quiet.running)
        for copy in (0, 2):
            assert record(disturbed, copy) == record(quiet, copy)
            assert inside(disturbed.batch_env.envs[copy]) == inside(quiet.batch_env.envs[copy])


def test_the_reset_copys_next_episode_is_that_of_a_fresh_environment(case):
    venv = make_vec(case[0], 3, case[1])
    venv.reset(seed=5)
    for _ in range(2):
        play_step(venv)
    venv.reset_envs("env_1", seed=42)

    assert episode(venv, copy=1) == episode(make_vec(case[0], 1, case[1]), seed=42)


def test_a_copy_that_is_reset_without_a_seed_goes_on_in_its_own_stream(case):
    one, many = make_vec(case[0], 1, case[1]), make_vec(case[0], 3, case[1])
    one.reset(seed=[8])
    many.reset(seed=[3, 8, 4])
    one.reset()
    many.reset_envs([1])
    assert record(one, 0) == record(many, 1)


def test_seeds_count_up_from_the_first_copy_named():
    venv = make_vec(SPREAD, 4, star)
    venv.reset(seed=20)
    expected = {seed: record(make_seeded(seed), 0) for seed in (20, 21, 22, 23, 50, 51)}
    assert [record(venv, i) for i in range(4)] == [expected[seed] for seed in (20, 21, 22, 23)]
    venv.reset_envs(["env_3", 0], seed=50)
    assert [record(venv, i) for i in range(4)] == [expected[seed] for seed in (51, 21, 22, 50)]
    venv.reset(seed=[23, 22, 21, 20])
    assert [record(venv, i) for i in range(4)] == [expected[seed] for seed in (23, 22, 21, 20)]


def make_seeded(seed):
    venv = make_vec(SPREAD, 1, star)
    venv.reset(seed=seed)
    return venv


def test_one_copy_equals_copy_0_of_64(case):
    assert episode(make_vec(case[0], 1, case[1]), seed=3, steps=9) == episode(
        make_vec(case[0], 64, case[1]), seed=3, steps=9
    )


def test_two_runs_with_the_same_seed_are_equal_and_with_another_are_not(case):
    runs = [episode(make_vec(case[0], 2, case[1]), seed=seed, copy=1) for seed in (6, 6, 7)]
    assert runs[0] == runs[1] != runs[2]


def test_stepping_some_copies_touches_no_other(case):
    venv = make_vec(case[0], 3, case[1])
    venv.reset(seed=1)
    before = [(record(venv, i), inside(venv.batch_env.envs[i]), outside(venv, i)) for i in (0, 2)]
    for _ in range(2):
        play_step(venv, np.array([False, True, False]))
    assert venv.steps.tolist() == [0, 2, 0]
    assert [(record(venv, i), inside(venv.batch_env.envs[i]), outside(venv, i)) for i in (0, 2)] == before


class Scalar:
    """The hierarchy by hand: agent objects, a broker, and one plain PettingZoo environment. No vector env."""

    def __init__(self, env, tree, broker):
        self.env, self.tree = env, tree
        self.steps = 0
        self.agents = {}
        for agent_id in tree.agents:
            below = tree.subordinates.get(agent_id)
            make = (FieldAgent, CoordinatorAgent)[below is not None]
            extra = {} if below is None else {"subordinate_ids": below}
            agent = make(agent_id, "env_0", tree.upstream.get(agent_id), **extra)
            agent.set_message_broker(broker)
            agent.clock = lambda: float(self.steps)
            self.agents[agent_id] = agent
        self.commands = dict.fromkeys(tree.agents)
        self.known = {}

    def seen_command(self, agent_id):
        space = self.tree.command_space(agent_id)
        if space is None:
            return np.zeros(0, np.float32)
        command = self.commands[agent_id]
        size = space.shape[0] if isinstance(space, Box) else int(space.n)
        return np.zeros(size, np.float32) if command is None else flatten(space, command).astype(np.float32)

    def own(self, agent_id):
        """Return the latest infos of a coordinator's subordinates, or a field agent's observation."""
        below = self.tree.subordinates.get(agent_id)
        if below is None:
            return self.observations[agent_id]
        parts = []
        for child in below:
            info, sent = self.known[child]
            parts += [info["observation"], np.float32([info["reward"], self.steps - sent])]
        return np.concatenate(parts)

    def observe(self, agent_id):
        return np.concatenate([self.own(agent_id), self.seen_command(agent_id)])

    def inform(self, rewards):
        """Send every agent's info upstream, from the bottom up; coordinators keep the latest."""
        totals = dict(rewards)
        for agent_id in reversed(self.tree.agents):
            agent = self.agents[agent_id]
            if agent_id in self.tree.subordinates:
                for child, infos in agent.receive_subordinate_info().items():
                    self.known[child] = (infos[-1], self.steps)
                totals[agent_id] = sum(totals[child] for child in agent.subordinate_ids)
            if agent.upstream_id is not None:
                agent.send_info_to_upstream({"observation": self.own(agent_id), "reward": totals[agent_id]})
        self.totals = totals

    def decide(self):
        for agent_id in self.tree.agents:
            agent = self.agents[agent_id]
            if agent.upstream_id is not None:
                for command in agent.receive_action_messages():
                    self.commands[agent_id] = command
            if agent_id in self.tree.subordinates and self.steps % self.tree.period(agent_id) == 0:
                self.command(agent_id, agent)

    def command(self, agent_id, agent):
        spaces = [self.tree.command_space(child) for child in agent.subordinate_ids]
        if isinstance(spaces[0], Box):
            whole = Box(-1, 1, (2 * len(spaces),), np.float32)
            parts = np.split(act(whole, self.observe(agent_id)), len(spaces))
        else:
            number = abs(score(self.observe(agent_id))) * 1000
            parts = [int(number + k) % int(space.n) + space.start for k, space in enumerate(spaces)]
        for child, part in zip(agent.subordinate_ids, parts, strict=True):
            agent.send_action_to_subordinate(child, part)

    def play(self, seed):
        """Yield after each step the observations, rewards and commands of all agents."""
        self.observations, _ = self.env.reset(seed=seed)
        self.inform(dict.fromkeys(self.env.agents, 0.0))
        while self.env.agents:
            self.decide()
            actions = {agent: act(self.env.action_space(agent), self.observe(agent)) for agent in self.env.agents}
            self.observations, rewards, *_ = self.env.step(actions)
            self.steps += 1
            self.inform(rewards)
            yield {
                agent: (self.observe(agent).tobytes(), float(self.totals[agent]), self.seen_command(agent).tolist())
                for agent in self.tree.agents
            }


@pytest.mark.parametrize(("path", "tree"), [(SPREAD, star), (TAG, teams)])
def test_scalar_agents_and_a_plain_environment_give_the_same_trajectory(path, tree):
    venv = make_vec(path, 3, tree)
    heard = {"scalar": [], "vector": []}
    brokers = {"scalar": InMemoryBroker(), "vector": venv.broker}
    for kind, broker in brokers.items():
        for name in venv.hierarchy.channels("env_0"):
            broker.subscribe(name, lambda message, kind=kind: heard[kind].append(plain(message)))
    scalar = Scalar(env_factory(path)(), venv.hierarchy, brokers["scalar"])
    venv.reset(seed=13)
    steps = 0
    for expected in scalar.play(seed=13):
        play_step(venv)
        steps += 1
        for group in venv.groups.values():
            observations = venv.observe(group.name)
            for place, agent in enumerate(group.agent_ids):
                observation, reward, _ = expected[agent]
                assert observations[0, place].tobytes() == observation, (steps, agent)
                assert venv.results[group.name].rewards[0, place] == reward
    assert steps == 25
    assert not venv.running[0]
    assert sorted(heard["scalar"]) == sorted(heard["vector"])
    assert len(heard["scalar"]) > 25 * len(venv.hierarchy.edges)


def plain(message):
    """Return a message as values that can be compared and sorted."""
    payload = {name: np.asarray(value, np.float64).tolist() for name, value in message.payload.items()}
    return (message.timestamp, message.sender_id, message.recipient_id, message.message_type.value, str(payload))
