import json
import tomllib

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from heron.errors import ConfigurationError, HeronError
from heron.messaging import InMemoryBroker
from heron.training import HierarchyConfig, LearnerConfig, TrainConfig
from heron.training.config import read_toml
from heron.vector.intrinsic import GoalReward

ENV = "mpe2.simple_spread_v3"

TOML = """
env = "mpe2.simple_spread_v3"
num_envs = 4
steps = 500
rounds = 2
seed = 7
backend = "process"
num_workers = 2
start_method = "forkserver"
timeout = 45.5
restart_workers = true

[env_kwargs]
N = 2
max_cycles = 9

[hierarchy]
period = 3
command = { size = 2, low = -2.0, high = 0.5 }
goal = { position = [2, 4], measure = "distance" }

[hierarchy.subordinates]
boss = ["agent_0", "agent_1"]

[learners.field]
share = 0.25
normalize_rewards = false

[learners.boss]
algorithm = "SAC"
policy = "MlpPolicy"
options = { learning_rate = 0.001, policy_kwargs = { net_arch = [8, 8] } }
"""

EXPECTED = TrainConfig(
    env=ENV,
    env_kwargs={"N": 2, "max_cycles": 9},
    num_envs=4,
    steps=500,
    rounds=2,
    seed=7,
    backend="process",
    num_workers=2,
    start_method="forkserver",
    timeout=45.5,
    restart_workers=True,
    hierarchy=HierarchyConfig(
        period=3,
        command={"size": 2, "low": -2.0, "high": 0.5},
        subordinates={"boss": ["agent_0", "agent_1"]},
        goal={"position": [2, 4], "measure": "distance"},
    ),
    learners={
        "field": LearnerConfig(share=0.25, normalize_rewards=False),
        "boss": LearnerConfig(
            "SAC", "MlpPolicy", options={"learning_rate": 0.001, "policy_kwargs": {"net_arch": [8, 8]}}
        ),
    },
)


def test_toml_and_keywords_give_the_same_config(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(TOML)

    assert TrainConfig.from_mapping(read_toml(path)) == EXPECTED


@pytest.mark.parametrize("config", [EXPECTED, TrainConfig(ENV), TrainConfig(ENV, hierarchy=HierarchyConfig())])
def test_nothing_is_lost_on_the_way_to_json_and_back(config):
    mapping = config.to_mapping()

    assert TrainConfig.from_mapping(json.loads(json.dumps(mapping))) == config
    assert TrainConfig.from_mapping(mapping) == config


def test_from_mapping_leaves_the_mapping_as_it_is():
    values = tomllib.loads(TOML)

    TrainConfig.from_mapping(values)

    assert values == tomllib.loads(TOML)


def test_to_mapping_refuses_what_no_file_can_hold():
    config = TrainConfig(ENV, learners={"field": LearnerConfig(options={"learning_rate": lambda left: left})})

    with pytest.raises(ConfigurationError, match="function"):
        config.to_mapping()


@pytest.mark.parametrize(
    "env_kwargs", [{"shape": (1, 2)}, {"table": {1: 2}}, {"deep": [{"x": (1,)}]}, {"limit": float("nan")}]
)
def test_to_mapping_refuses_what_a_file_would_change(env_kwargs):
    with pytest.raises(ConfigurationError, match=r"\{'env_kwargs'"):
        TrainConfig(ENV, env_kwargs=env_kwargs).to_mapping()


def test_the_hierarchys_own_tuples_are_lists_from_the_start():
    hierarchy = HierarchyConfig(subordinates={"boss": ("agent_0",)}, goal={"position": (2, 4)})

    assert hierarchy == HierarchyConfig(subordinates={"boss": ["agent_0"]}, goal={"position": [2, 4]})
    config = TrainConfig(ENV, hierarchy=hierarchy)
    assert TrainConfig.from_mapping(json.loads(json.dumps(config.to_mapping()))) == config


THREE_LEVELS = """
[env_kwargs]
N = 2

[hierarchy]
period = { top = 6, west = 3 }

[hierarchy.subordinates]
top = ["west", "east"]
west = ["agent_0"]
east = ["agent_1"]

[hierarchy.command]
top = { choices = 3 }
agent_0 = { size = 2 }
agent_1 = { size = 2, low = -1.0, high = 1.0 }
"""


def test_three_levels_with_commands_and_periods_of_their_own():
    config = TrainConfig.from_mapping({"env": ENV, "num_envs": 1} | tomllib.loads(THREE_LEVELS))

    assert TrainConfig.from_mapping(json.loads(json.dumps(config.to_mapping()))) == config
    with config.make_venv() as venv:
        assert list(venv.hierarchy.levels) == ["coordinator_1", "coordinator_2", "field"]
        spaces = {agent: venv.hierarchy.command_space(agent) for agent in ("west", "east", "agent_0", "agent_1")}
        assert [venv.hierarchy.period(agent) for agent in ("top", "west", "east")] == [6, 3, 1]
    assert spaces == {
        "west": Discrete(3),
        "east": Discrete(3),
        "agent_0": Box(-1, 1, (2,), np.float32),
        "agent_1": Box(-1, 1, (2,), np.float32),
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stepps": 5}, r"the config: .*\['stepps'\].*\['env', "),
        ({"hierarchy": {"perid": 5}}, r"hierarchy: .*\['perid'\].*\['period', "),
        ({"learners": {"field": {"algo": "PPO"}}}, r"learners\.field: .*\['algo'\].*\['algorithm', "),
        ({"env": 3}, "env must be .*3"),
        ({"env_kwargs": 3}, "env_kwargs must be .*3"),
        ({"num_envs": 0}, "num_envs must be .*0"),
        ({"num_envs": True}, "num_envs must be .*True"),
        ({"steps": 1e5}, "steps must be .*100000.0"),
        ({"rounds": "2"}, "rounds must be .*'2'"),
        ({"seed": -1}, "seed must be .*-1"),
        ({"seed": False}, "seed must be .*False"),
        ({"backend": "threads"}, "backend must be .*'threads'"),
        ({"num_workers": 1}, '"loop".*num_workers'),
        ({"timeout": 5, "restart_workers": False}, '"loop".*timeout.*restart_workers'),
        ({"backend": "auto", "num_workers": 16}, "num_workers must be .*16"),
        ({"backend": "auto", "num_workers": True}, "num_workers must be .*True"),
        ({"backend": "process", "start_method": "thread"}, "start_method must be .*'thread'"),
        ({"backend": "process", "timeout": "long"}, "timeout must be .*'long'"),
        ({"backend": "process", "restart_workers": "yes"}, "restart_workers must be .*'yes'"),
        ({"hierarchy": "star"}, "hierarchy must be .*'star'"),
        ({"hierarchy": {"period": 0}}, "hierarchy: period must be .*0"),
        ({"hierarchy": {"subordinates": 3}}, "hierarchy: subordinates must be .*3"),
        ({"hierarchy": {"command": 3}}, "hierarchy: command must be .*3"),
        ({"hierarchy": {"command": {}}}, "command must be"),
        ({"hierarchy": {"command": {"size": 0}}}, "command must be"),
        ({"hierarchy": {"command": {"size": True}}}, "command must be"),
        ({"hierarchy": {"command": {"size": 2, "hihg": 2}}}, "command must be .*hihg"),
        ({"hierarchy": {"command": {"size": 2, "low": "a"}}}, "command must be"),
        ({"hierarchy": {"command": {"size": 2, "low": 1, "high": 1}}}, "command must be"),
        ({"hierarchy": {"command": {"size": 2, "high": float("inf")}}}, "command must be"),
        ({"hierarchy": {"command": {"choices": 4, "size": 2}}}, "command must be"),
        ({"hierarchy": {"command": {"choices": 2.0}}}, "command must be"),
        ({"hierarchy": {"command": {"size": 2, "low": -1e300}}}, "command must be .*32-bit"),
        ({"hierarchy": {"command": {"size": 2, "low": 1, "high": 1 + 1e-12}}}, "command must be .*32-bit"),
        ({"hierarchy": {"command": {"choices": 2**63}}}, "command must be .*64-bit"),
        ({"hierarchy": {"command": {"boss": {"size": 0}}}}, "hierarchy: command of 'boss' must be"),
        ({"hierarchy": {"command": {"boss": {"size": 2}, "size": 2}}}, "hierarchy: command must be"),
        ({"hierarchy": {"goal": 3}}, "hierarchy: goal must be .*3"),
        ({"hierarchy": {"goal": {"place": [2, 4]}}}, "goal must be .*place"),
        ({"hierarchy": {"goal": {"position": [4, 2]}}}, "position"),
        ({"hierarchy": {"goal": {"position": [2, 5]}}}, r"goal is for 3 .*\{'size': 2\}"),
        ({"hierarchy": {"goal": {"position": [2, 4]}, "command": {"choices": 2}}}, "goal is for 2 .*choices"),
        ({"learners": 3}, "learners must be .*3"),
        ({"learners": {"field": 3}}, r"learners\.field must be .*3"),
        ({"learners": {"field": {"algorithm": 3}}}, r"learners\.field: algorithm must be .*3"),
        ({"learners": {"field": {"policy": 3}}}, r"learners\.field: policy must be .*3"),
        ({"learners": {"field": {"options": 3}}}, r"learners\.field: options must be .*3"),
        ({"learners": {"field": {"normalize_rewards": "no"}}}, r"learners\.field: normalize_rewards must be .*no"),
        ({"learners": {"field": {"share": -1}}}, r"learners\.field: share must be .*-1"),
        ({"learners": {"field": {"share": float("nan")}}}, "share must be"),
        ({"learners": {"field": {"share": float("inf")}}}, "share must be"),
        ({"learners": {"field": {"share": "much"}}}, "share must be"),
    ],
)
def test_a_value_that_cannot_work_is_named(values, message):
    with pytest.raises(ConfigurationError, match=message):
        TrainConfig.from_mapping({"env": ENV} | values)


def test_env_must_be_named():
    with pytest.raises(ConfigurationError, match="env is missing"):
        TrainConfig.from_mapping({"steps": 5})


@pytest.mark.parametrize("content", [b"env = ", b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "broken.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"broken\.toml: "):
        read_toml(path)


@pytest.mark.parametrize(
    ("command", "space"),
    [
        ({"size": 3}, Box(-1, 1, (3,), np.float32)),
        ({"size": 1, "low": 0, "high": 2.5}, Box(0, 2.5, (1,), np.float32)),
        ({"choices": 4}, Discrete(4)),
    ],
)
def test_command_space(command, space):
    assert HierarchyConfig(command=command).command_space() == space


def test_groups_can_be_arranged_by_hand():
    config = TrainConfig(ENV, groups={"one": ["agent_1"], "others": ["agent_0", "agent_2"]})
    assert TrainConfig.from_mapping(config.to_mapping()) == config
    with config.make_venv(num_envs=1) as venv:
        assert {name: group.agent_ids for name, group in venv.groups.items()} == {
            "one": ("agent_1",),
            "others": ("agent_0", "agent_2"),
        }

    for groups, message in (
        (["agent_0"], "groups must be"),
        ({"one": "agent_1"}, "group 'one': .*'agent_1'"),
        ({"one": 3}, "group 'one': .*3"),
        ({"one": {"agent_1"}}, "group 'one': .*{'agent_1'}"),
        ({"one": ["agent_1", 2]}, r"group 'one': .*\['agent_1', 2\]"),
        ({"one": ["agent_1"]}, "agent_0"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            TrainConfig(ENV, groups=groups).make_venv(num_envs=1)


def test_hierarchy_is_a_star_unless_it_says_otherwise():
    star = HierarchyConfig(period=4).build(["a", "b"])
    named = HierarchyConfig(subordinates={"boss": ["a"], "chief": ["b"]}).build(["a", "b"])

    assert star.subordinates["coordinator"] == ("a", "b")
    assert star.period("coordinator") == 4
    assert set(named.subordinates) >= {"boss", "chief"}


def test_goal_reward_has_the_goals_keywords():
    reward = EXPECTED.hierarchy.goal_reward()

    assert isinstance(reward, GoalReward)
    assert (reward.entries, reward.measure) == (slice(2, 4), "distance")
    assert HierarchyConfig().goal_reward() is None


def test_make_venv_makes_what_the_config_says():
    broker = InMemoryBroker()
    with EXPECTED.make_venv(broker=broker) as venv:
        assert venv.num_envs == 4
        assert venv.broker is broker
        assert list(venv.groups) == ["boss", "agent"]
        assert venv.groups["boss"].period == 3
        assert venv.groups["agent"].command_space == Box(-2, 0.5, (2,), np.float32)
        venv.reset(seed=0)
        venv.decide({"boss": np.zeros((4, 1, 4), np.float32)})
        result = venv.advance({"agent": np.zeros((4, 2), int)})["agent"]
        positions = venv.observe("agent")[..., 2:4]
        np.testing.assert_allclose(result.rewards, -np.linalg.norm(positions, axis=-1), atol=1e-6)


def test_make_venv_takes_another_number_of_copies():
    with TrainConfig(ENV, num_envs=3, backend="process", num_workers=2).make_venv(num_envs=2) as venv:
        assert venv.num_envs == 2
        assert len(venv.batch_env.workers) == 1  # one copy is left for it


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TrainConfig("no.such.module"), "no.such.module"),
        (TrainConfig(ENV, env_kwargs={"colour": 3}), "colour"),
        (TrainConfig(ENV, hierarchy=HierarchyConfig(subordinates={"boss": ["agent_9"]})), "agent_9"),
    ],
)
def test_make_venv_says_what_does_not_fit(config, message):
    with pytest.raises(HeronError, match=message):
        config.make_venv()
