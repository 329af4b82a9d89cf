import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, Tuple
from stable_baselines3.common.buffers import RolloutBuffer

from heron.agents import Hierarchy
from heron.errors import ConfigurationError
from heron.training import (
    HierarchyConfig,
    HierarchyTrainer,
    LearnerConfig,
    TrainConfig,
    evaluate,
    load_run,
    random_policies,
    save_run,
)
from heron.wrappers import make_vec

from .learners import PPO, equal, relay, weights
from .tiny_envs import TINY, Recall, Steady, Varying

SMALL = {"policy_kwargs": {"net_arch": [8]}, "learning_starts": 10, "buffer_size": 200, "batch_size": 8}


@pytest.mark.parametrize(
    ("field", "coordinator", "command"),
    [
        (LearnerConfig("A2C", options={"n_steps": 4, "policy_kwargs": {"net_arch": [8]}}), LearnerConfig("A2C"), None),
        (
            LearnerConfig("DQN", options=SMALL),
            LearnerConfig("SAC", options=SMALL),
            Box(-1, 1, (2,), np.float32),
        ),
        (PPO, LearnerConfig("TD3", options=SMALL, normalize_rewards=False), Box(0, 3, (1,), np.float32)),
        (LearnerConfig("QRDQN", options=SMALL), PPO, Discrete(2)),
    ],
)
def test_other_algorithms_learn_too(field, coordinator, command):
    venv, _ = relay(num_envs=2, period=2, command=command)
    trainer = HierarchyTrainer(venv, {"field": field, "coordinator": coordinator})
    before = {name: weights(model) for name, model in trainer.models.items()}

    trainer.train(240, rounds=2)

    assert venv.total_steps == pytest.approx(240, abs=40)
    for name, model in trainer.models.items():
        assert not equal(before[name], weights(model))
    assert evaluate(venv, trainer.policies(), 3).episodes == 3


def test_masks_in_observations_are_obeyed_in_training_and_afterwards():
    players = {"first": ["player_1"], "second": ["player_2"]}
    learner = LearnerConfig("MaskablePPO", options=TINY)
    with make_vec("classic/tictactoe-v3", 2, groups=players) as venv:
        trainer = HierarchyTrainer(venv, dict.fromkeys(players, learner))
        trainer.train(128)
        played = evaluate(venv, trainer.policies(), 10)

    assert all(model.num_timesteps >= 64 for model in trainer.models.values())
    # An illegal move would end the game before a player can have three in a row.
    assert played.lengths.min() >= 5
    assert not played.returns.any()  # what one player wins the other one loses


RECURRENT = LearnerConfig(
    "RecurrentPPO", options={**TINY, "policy_kwargs": {"net_arch": [], "lstm_hidden_size": 8}, "learning_rate": 0.03}
)


def test_what_was_seen_before_is_learned_and_kept_in_mind(tmp_path):
    """Only the memory can know in later steps what was shown in the first one."""
    options = {**RECURRENT.options, "n_steps": 16, "n_epochs": 4, "batch_size": 256}
    learner = replace(RECURRENT, options=options)
    config = TrainConfig(f"{Recall.__module__}:Recall", num_envs=16, learners={"field": learner})
    with config.make_venv() as venv:
        trainer = HierarchyTrainer(venv, config.learners)
        trainer.train(1_000)
        trained = evaluate(venv, trainer.policies(), 20)
        guessed = evaluate(venv, random_policies(venv), 20)
        save_run(tmp_path, trainer, config)
    loaded = load_run(tmp_path)
    with loaded.make_venv(num_envs=3) as venv:
        again = evaluate(venv, loaded.policies(), 20)

    assert guessed.mean < 1
    assert trained.mean > 2.5
    assert again.returns.tolist() == trained.returns.tolist()
    assert json.loads((tmp_path / "run.json").read_text())["policies"]["agent"]["algorithm"] == "heron.LiveRecurrentPPO"


def test_a_coordinator_that_remembers_takes_turns_with_its_agents():
    venv, _ = relay(num_envs=2, period=3)
    with venv:
        trainer = HierarchyTrainer(venv, {"field": PPO, "coordinator": RECURRENT})
        before = weights(trainer.models["coordinator"])
        trainer.train(128, rounds=2)
        played = evaluate(venv, trainer.policies(), 3)

    assert not equal(before, weights(trainer.models["coordinator"]))
    assert played.lengths.tolist() == [8, 8, 8]


@pytest.mark.parametrize(
    ("learners", "message"),
    [
        ({"field": LearnerConfig("PP0")}, "group 'agent': .*'PP0'"),
        ({"field": LearnerConfig("HerReplayBuffer")}, "'HerReplayBuffer'"),
        ({"field": LearnerConfig("MaskablePPO")}, "group 'agent': MaskablePPO"),
        ({"coordinator": LearnerConfig("RecurrentPPO", "MlpPolicy")}, "group 'coordinator': RecurrentPPO.*MlpPolicy"),
        ({"field": LearnerConfig("SAC")}, r"group 'agent': SAC.*action spaces but Discrete\(3\)"),
        ({"field": LearnerConfig(policy="Big")}, "group 'agent': PPO.*Big"),
        ({"field": LearnerConfig(options={"speed": 3})}, "group 'agent': .*speed"),
        ({"field": LearnerConfig(options={"learning_rate": "fast"})}, "group 'agent': .*fast"),
        ({"field": LearnerConfig(options={"n_steps": 0})}, "group 'agent': .*n_steps"),
        ({"field": LearnerConfig(options={"n_steps": "many"})}, "group 'agent': .*n_steps"),
        ({"field": LearnerConfig(options={"device": "tpu"})}, "group 'agent': .*tpu"),
        (
            {"field": LearnerConfig(options={"gamma": "x"})},
            "group 'agent': gamma must be a number from 0 to 1",
        ),
        ({"field": LearnerConfig(options={"gamma": 1.5})}, "group 'agent': gamma must be .* got 1.5"),
        (
            {"field": LearnerConfig("DQN", options={"optimize_memory_usage": True})},
            "group 'agent': DQN.*optimize_memory_usage",
        ),
        (
            {"field": LearnerConfig(options={"n_epochs": 0})},
            "group 'agent': n_epochs must be",
        ),
        ({"field": LearnerConfig(options={"batch_size": 2.5})}, "group 'agent': batch_size must be"),
        ({"field": LearnerConfig("A2C", options={"n_steps": 0})}, "group 'agent': n_steps must be"),
        ({"field": LearnerConfig(options={"learning_rate": -1})}, "group 'agent': learning_rate must be"),
        ({"field": {"share": 2}}, r"learners: .*LearnerConfig.*'field'.*\{'share': 2\}"),
        ({"chief": PPO}, "learners: .*'chief'"),
    ],
)
def test_a_learner_that_cannot_work_is_named_and_nothing_is_written(learners, message, tmp_path):
    venv, _ = relay()

    with pytest.raises(ConfigurationError, match=message):
        HierarchyTrainer(venv, learners, folder=tmp_path / "run")

    assert not (tmp_path / "run").exists()


def test_several_groups_and_a_choice_for_a_command():
    config = TrainConfig(
        "mpe2.simple_tag_v3",
        {"max_cycles": 6},
        num_envs=2,
        hierarchy=HierarchyConfig(period=3, command={"choices": 2}),
        learners={"field": PPO, "coordinator": PPO},
    )
    with config.make_venv() as venv:
        trainer = HierarchyTrainer(venv, config.learners)
        trainer.train(96, rounds=2)
        policies = trainer.policies()
        result = evaluate(venv, policies, 2)

    assert [row.group for row in trainer.progress.rows] == ["adversary", "agent", "coordinator"] * 2
    assert set(policies) == {"adversary", "agent", "coordinator"}
    assert {name: returns.shape for name, returns in result.agent_returns.items()} == {
        "coordinator": (2, 1),
        "adversary": (2, 3),
        "agent": (2, 1),
    }


def test_unbounded_actions_cannot_be_learned_by_sb3_and_the_message_says_so():
    venv = make_vec(partial(Steady, action_space=Box(-np.inf, np.inf, (1,), np.float32)), 1)

    with pytest.raises(ConfigurationError, match="group 'agent': "):
        HierarchyTrainer(venv)


def test_tuple_observations_are_refused_by_name():
    class Tupled(Steady):
        def observation_space(self, agent):
            return Tuple([super().observation_space(agent)] * 2)

        def _observe(self):
            return {agent: (seen, seen) for agent, seen in super()._observe().items()}

    with pytest.raises(ConfigurationError, match=r"group 'agent': .*Tuple"):
        HierarchyTrainer(make_vec(Tupled, 1))


def test_a_learning_rate_may_be_a_function():
    options = TINY | {"learning_rate": lambda left: 1e-3 * left}

    HierarchyTrainer(make_vec(Steady, 1), {"field": LearnerConfig(options=options)}).train(8)


def test_seeds_as_large_as_they_come():
    HierarchyTrainer(make_vec(Varying, 1), {"field": PPO}, seed=2**32 - 1).train(8)


# -- inert slots and long decisions -----------------------------------------------------------------------------------


class Relieved(Steady):
    """The second agent leaves after the first step."""

    def step(self, actions):
        observations, rewards, terminations, truncations, infos = super().step(actions)
        if self.steps == 1:
            terminations["agent_1"] = True
            self.agents.remove("agent_1")
        return observations, rewards, terminations, truncations, infos


def star(period):
    return lambda ids: Hierarchy.star(ids, period=period, command_space=Box(-1, 1, (1,), np.float32))


def test_rollouts_leave_out_agents_that_are_gone():
    trainer = HierarchyTrainer(make_vec(lambda: Relieved(4), 2), {"field": PPO})
    trainer.train(8)
    model = trainer.models["agent"]
    assert model.rollout_buffer.lengths.tolist() == [[1, 1, 1, 1], [1, 0, 1, 0], [1, 0, 1, 0], [1, 0, 1, 0]]
    assert sorted(episode["l"] for episode in model.ep_info_buffer) == [1, 1, 4, 4]


@pytest.mark.parametrize("normalize", [True, False])
def test_a_coordinator_discounts_by_environment_step(normalize):
    learner = LearnerConfig(options=TINY | {"gamma": 0.9}, normalize_rewards=normalize)
    trainer = HierarchyTrainer(make_vec(Steady, 1, star(3)), {"coordinator": learner, "field": PPO})
    trainer.train(40)
    buffer = trainer.models["coordinator"].rollout_buffer
    assert (buffer.gamma, trainer.models["coordinator"].gamma) == (0.9, 0.9)
    assert buffer.lengths[:, 0].tolist() == [3, 1, 3, 1]
    if not normalize:
        assert buffer.rewards[0, 0] == pytest.approx(11 * (1 + 0.9 * 2 + 0.81 * 3))


def test_replayed_decisions_discount_by_their_length_and_over_several():
    learner = LearnerConfig("SAC", options={"gamma": 0.9, "n_steps": 2, "learning_starts": 4})
    trainer = HierarchyTrainer(make_vec(Steady, 1, star(3)), {"coordinator": learner, "field": LearnerConfig(share=0)})
    trainer.train(24)
    buffer = trainer.models["coordinator"].replay_buffer
    assert buffer.discounts[:2, 0].tolist() == pytest.approx([0.9**3, 0.9])
    assert np.unique(buffer.sample(50).discounts).tolist() == pytest.approx([0.9**4, 0.9])


def test_a_buffer_of_ones_own_is_kept():
    options = TINY | {"rollout_buffer_class": RolloutBuffer}
    trainer = HierarchyTrainer(make_vec(Steady, 1), {"field": LearnerConfig(options=options)})
    trainer.train(8)
    assert type(trainer.models["agent"].rollout_buffer) is RolloutBuffer


def test_options_of_the_buffer_are_passed_on():
    options = {"replay_buffer_kwargs": {"handle_timeout_termination": False}}
    trainer = HierarchyTrainer(make_vec(Steady, 1), {"field": LearnerConfig("DQN", options=options)})
    assert trainer.models["agent"].replay_buffer.handle_timeout_termination is False
    assert trainer.models["agent"].replay_buffer.gamma == 0.99


def test_no_discount_at_all_needs_decisions_of_one_step():
    nothing_later = LearnerConfig(options=TINY | {"gamma": 0.0})
    HierarchyTrainer(make_vec(Steady, 1, star(1)), {"coordinator": nothing_later})
    with pytest.raises(ConfigurationError, match="'coordinator': gamma "):
        HierarchyTrainer(make_vec(Steady, 1, star(2)), {"coordinator": nothing_later})
