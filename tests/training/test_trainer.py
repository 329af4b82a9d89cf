import csv
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, Tuple
from stable_baselines3.common.buffers import RolloutBuffer

from heron.agents import Hierarchy
from heron.errors import ConfigurationError, EnvStepError
from heron.training import (
    HierarchyConfig,
    HierarchyTrainer,
    LearnerConfig,
    TrainConfig,
    Turn,
    evaluate,
    load_run,
    random_policies,
    save_run,
)
from heron.wrappers import make_vec

from .tiny_envs import TINY, Recall, Relay, Steady, Varying, obeyed

PPO = LearnerConfig(options=TINY)
BOTH = {"field": PPO, "coordinator": PPO}


def relay(num_envs=2, period=1, command=None, intrinsic=None, **kwargs):
    space = command or Discrete(Relay.choices)
    envs = [Relay(**kwargs) for _ in range(num_envs)]
    venv = make_vec(
        [lambda env=env: env for env in envs],
        hierarchy=lambda ids: Hierarchy.star(ids, period=period, command_space=space),
        intrinsic_reward=intrinsic,
    )
    return venv, envs


def weights(model):
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one | other)


def adam_steps(model):
    return int(next(iter(model.policy.optimizer.state_dict()["state"].values()))["step"])


def tree(ids):
    below = {"top": ["west", "east"], "west": ids[:1], "east": ids[1:]}
    return Hierarchy(below, command_space=Discrete(2), period={"top": 4, "west": 2, "east": 2})


# -- turns ------------------------------------------------------------------------------------------------------------


def test_fields_learn_first_and_then_coordinators_bottom_up_in_rounds():
    trainer = HierarchyTrainer(make_vec(Steady, 1, tree))

    turns = trainer.turns(900, rounds=2)

    assert [(turn.round, turn.group) for turn in turns] == [
        (1, "agent"), (1, "west+east"), (1, "top"), (2, "agent"), (2, "west+east"), (2, "top"),
    ]  # fmt: skip
    assert [turn.steps for turn in turns] == [150] * 6


@pytest.mark.parametrize(("steps", "rounds"), [(100, 3), (1, 3), (7, 2), (1000, 7), (3, 3)])
def test_turns_add_up_to_the_steps_asked(steps, rounds):
    venv, _ = relay()
    learners = {"field": LearnerConfig(share=0.3), "coordinator": LearnerConfig(share=0.7)}

    turns = HierarchyTrainer(venv, learners).turns(steps, rounds)

    assert sum(turn.steps for turn in turns) == steps
    assert all(turn.steps > 0 for turn in turns)
    assert sum(turn.steps for turn in turns if turn.group == "agent") == pytest.approx(0.3 * steps, abs=rounds)


@pytest.mark.parametrize(
    ("steps", "rounds", "message"),
    [
        (0, 1, "steps must be .*0"),
        (-5, 1, "steps must be .*-5"),
        (1e3, 1, r"steps must be .*1000\.0"),
        (100, 0, "rounds must be .*0"),
        (100, True, "rounds must be .*True"),
    ],
)
def test_training_for_nothing_is_a_mistake(steps, rounds, message):
    venv, _ = relay()

    with pytest.raises(ConfigurationError, match=message):
        HierarchyTrainer(venv, BOTH).train(steps, rounds)


def test_turns_may_be_longer_than_numpys_integers():
    venv, _ = relay()

    turns = HierarchyTrainer(venv, BOTH).turns(2**70, rounds=2)

    assert [turn.steps for turn in turns] == [2**68] * 4


def test_environments_that_take_no_steps_are_named():
    class Empty(Steady):
        def reset(self, seed=None, options=None):
            observations = super().reset(seed, options)
            self.agents = []
            return observations

    trainer = HierarchyTrainer(make_vec(Empty, 2), {"field": PPO})

    with pytest.raises(EnvStepError, match=r"group 'agent' .*env_0, env_1"):
        trainer.train(10)


def test_a_group_without_a_share_has_no_turn():
    venv, _ = relay()
    trainer = HierarchyTrainer(venv, {"coordinator": LearnerConfig(share=0)})

    assert trainer.turns(10, 2) == [Turn(1, "agent", 5), Turn(2, "agent", 5)]


def test_at_least_one_share_must_be_positive():
    venv, _ = relay()
    nothing = dict.fromkeys(["field", "coordinator"], LearnerConfig(share=0))

    with pytest.raises(ConfigurationError, match="agent, coordinator"):
        HierarchyTrainer(venv, nothing).turns(10)


def test_the_entry_of_a_group_overrides_that_of_its_level():
    venv, _ = relay()
    trainer = HierarchyTrainer(venv, {"agent": LearnerConfig(share=3), "field": LearnerConfig(share=2)})

    assert trainer.configs["agent"].share == 3


@pytest.mark.parametrize(("horizon", "period"), [(8, 1), (8, 4), (3, 5), (7, 3)])
def test_turns_take_the_steps_given_to_within_a_rollout(horizon, period):
    venv, _ = relay(num_envs=2, period=period, horizon=horizon)
    trainer = HierarchyTrainer(venv, BOTH)
    rollout = {"agent": 4 * 2, "coordinator": 4 * 2 * min(period, horizon)}
    taken = {"agent": 0, "coordinator": 0}
    given = {"agent": 0, "coordinator": 0}

    for turn in trainer.turns(400, rounds=4):
        before = venv.total_steps
        trainer.take_turn(turn)
        taken[turn.group] += venv.total_steps - before
        given[turn.group] += turn.steps
        assert 0 <= taken[turn.group] - given[turn.group] < rollout[turn.group]


def test_what_a_rollout_takes_too_much_is_taken_off_the_next_turn():
    venv, _ = relay(num_envs=2)
    trainer = HierarchyTrainer(venv, BOTH)  # rollouts of 8 environment steps
    turn = Turn(1, "agent", 3)

    taken = []
    for _ in range(5):
        before = venv.total_steps
        trainer.take_turn(turn)
        taken.append(venv.total_steps - before)

    assert taken == [8, 0, 8, 0, 0]


# -- what lasts from turn to turn -------------------------------------------------------------------------------------


def test_optimizers_and_step_counts_live_on_and_others_are_left_alone():
    venv, _ = relay(num_envs=2)
    trainer = HierarchyTrainer(venv, BOTH)
    history = {name: [] for name in trainer.models}

    for turn in trainer.turns(96, rounds=3):
        before = {name: weights(model) for name, model in trainer.models.items()}
        trainer.take_turn(turn)
        for name, model in trainer.models.items():
            assert equal(before[name], weights(model)) == (name != turn.group)
        model = trainer.models[turn.group]
        history[turn.group].append((adam_steps(model), model.num_timesteps, int(model.env.ret_rms.count)))

    # 16 steps a turn in 2 copies are 2 rollouts: of 16 decisions of field agents, 8 of the coordinator. They are
    # cut into minibatches of 4.
    assert [(steps, decisions) for steps, decisions, _ in history["agent"]] == [(8, 32), (16, 64), (24, 96)]
    assert [(steps, decisions) for steps, decisions, _ in history["coordinator"]] == [(4, 16), (8, 32), (12, 48)]
    for rows in history.values():
        assert [count for *_, count in rows] == [decisions for _, decisions, _ in rows]  # the reward's running scale


def test_a_group_acts_at_random_until_it_has_learned_and_then_by_its_model(monkeypatch):
    venv, _ = relay(num_envs=2)
    trainer = HierarchyTrainer(venv, BOTH)
    asked = []
    for name, model in trainer.models.items():
        real = model.predict
        monkeypatch.setattr(
            model, "predict", lambda *args, name=name, real=real, **kwargs: asked.append(name) or real(*args, **kwargs)
        )
    commands = []
    decide = venv.decide
    monkeypatch.setattr(
        venv, "decide", lambda actions=None, mask=None: commands.append(actions) or decide(actions, mask)
    )

    trainer.take_turn(Turn(1, "agent", 64))
    assert asked == []
    chosen = np.concatenate([one["coordinator"].ravel() for one in commands if one])
    assert set(chosen) == {0, 1, 2}

    trainer.take_turn(Turn(1, "coordinator", 16))
    assert set(asked) == {"agent"}
    asked.clear()

    trainer.take_turn(Turn(2, "agent", 16))
    assert set(asked) == {"coordinator"}


def test_learned_choices_are_counted_from_the_spaces_start():
    venv, envs = relay(num_envs=1, start=5)
    trainer = HierarchyTrainer(venv, BOTH)

    trainer.train(64, rounds=2)
    evaluate(venv, trainer.policies(), 3)

    assert {action for step in envs[0].actions for action in step} <= {5, 6, 7}


def test_every_message_goes_through_the_broker():
    horizon, period, copies, agents = 4, 3, 2, 2
    venv, envs = relay(num_envs=copies, period=period, horizon=horizon)
    learners = {
        "field": LearnerConfig(options=TINY | {"n_steps": 8}),
        "coordinator": LearnerConfig(options=TINY | {"n_steps": 4}),
    }
    trainer = HierarchyTrainer(venv, learners)
    published = lambda: venv.broker.statistics().published  # noqa: E731 -- only a shorter name

    trainer.take_turn(Turn(1, "agent", 8 * copies))  # 2 episodes in each copy
    # An info after each reset and step; a command at steps 0 and 3 of each episode, the third just begun.
    assert published() == copies * agents * ((3 + 8) + (2 * 2 + 1))

    before = published()
    trainer.take_turn(Turn(1, "coordinator", 8 * copies))
    # The third episode waits for the learner's own command.
    assert published() - before == copies * agents * ((3 + 8) + 2 * 2)
    assert [env.resets for env in envs] == [6, 6]


# -- seeds ------------------------------------------------------------------------------------------------------------


def trained(seed, disturb=False):
    venv, _ = relay(num_envs=2, period=2)
    trainer = HierarchyTrainer(venv, BOTH, seed=seed)
    for turn in trainer.turns(128, rounds=2):
        if disturb:
            HierarchyTrainer(relay()[0], BOTH, seed=99)
            torch.rand(3)
            np.random.rand(3)  # noqa: NPY002 -- the stream that SB3 uses
        trainer.take_turn(turn)
    return {name: weights(model) for name, model in trainer.models.items()}


def test_the_same_seed_gives_the_same_weights_to_the_bit():
    one, other, another = trained(3), trained(3, disturb=True), trained(4)

    for name in one:
        assert equal(one[name], other[name])
        assert not equal(one[name], another[name])


def test_no_copy_begins_two_turns_with_the_same_seed(monkeypatch):
    venv, _ = relay(num_envs=2, period=2)
    seeds = []
    reset = venv.batch_env.reset

    def noted(mask=None, given=None, options=None):
        seeds.extend(seed for seed in given or () if seed is not None)
        return reset(mask, given, options)

    monkeypatch.setattr(venv.batch_env, "reset", noted)
    HierarchyTrainer(venv, BOTH, seed=3).train(128, rounds=2)
    assert len(seeds) == len(set(seeds)) == 2 * 4


# -- metrics ----------------------------------------------------------------------------------------------------------


def test_metrics_add_up(tmp_path):
    envs = [Steady(horizon=4) for _ in range(4)]
    venv = make_vec(
        [lambda env=env: env for env in envs],
        hierarchy=lambda ids: Hierarchy.star(ids, period=2, command_space=Discrete(2)),
    )
    long = LearnerConfig(options=TINY | {"n_steps": 16, "batch_size": 64})
    trainer = HierarchyTrainer(venv, {"field": long, "coordinator": long}, folder=tmp_path / "run")
    trainer.train(2400, rounds=2)
    rows = trainer.progress.rows

    assert [row.env_steps for row in rows] == sorted({row.env_steps for row in rows})
    assert rows[-1].env_steps == venv.total_steps
    assert [row.seconds for row in rows] == sorted(row.seconds for row in rows)
    assert [(row.round, row.group) for row in rows] == sorted((row.round, row.group) for row in rows)
    assert len(rows) >= 8  # each turn is of 600 steps, with a row after 500 or so and one at its end
    assert all(row.team_return == (1 + 2 + 3 + 4) * (1 + 10) for row in rows)
    of_coordinator = {row.learner_return for row in rows if row.group == "coordinator"}
    assert list(of_coordinator) == [pytest.approx(11 * (1 + 0.99 * 2 + 3 + 0.99 * 4), rel=1e-6)]
    assert all(abs(row.learner_return - 55) < 1 for row in rows if row.group == "agent")
    starts = 4 * 4  # one a turn and copy is a learner's first reset
    assert sum(row.episodes for row in rows) == sum(env.resets for env in envs) - starts
    for name, model in trainer.models.items():
        assert [row.timesteps for row in rows if row.group == name][-1] == model.num_timesteps

    with (tmp_path / "run" / "metrics.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [int(row["env_steps"]) for row in written] == [row.env_steps for row in rows]
    assert [row["group"] for row in written] == [row.group for row in rows]
    for name in trainer.models:
        assert list((tmp_path / "run" / "tensorboard" / name).glob("events.out.tfevents.*"))


def test_rows_without_an_episode_say_nan():
    venv = make_vec(partial(Steady, horizon=100_000), 1)
    trainer = HierarchyTrainer(venv, {"field": PPO})

    trainer.train(8)

    assert [row.episodes for row in trainer.progress.rows] == [0]
    assert np.isnan(trainer.progress.rows[0].team_return)
    assert np.isnan(trainer.progress.rows[0].learner_return)


def test_progress_counts_the_turns_environment_steps():
    venv, _ = relay(num_envs=2, period=4)
    seen = []

    HierarchyTrainer(venv, BOTH).train(64, rounds=1, on_progress=lambda turn, steps: seen.append((turn.group, steps)))

    assert [steps for group, steps in seen if group == "agent"] == list(range(2, 33, 2))
    assert [steps for group, steps in seen if group == "coordinator"] == list(range(8, 33, 8))


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    venv, _ = relay()

    HierarchyTrainer(venv, BOTH).train(16)

    assert list(tmp_path.iterdir()) == []


# -- algorithms -------------------------------------------------------------------------------------------------------


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


# -- learning ---------------------------------------------------------------------------------------------------------

GOOD = {"policy_kwargs": {"net_arch": [16]}, "learning_rate": 0.01, "gamma": 0.0, "n_steps": 32}


def test_a_flat_learner_learns():
    venv = make_vec(partial(Relay, own=True), 8)
    trainer = HierarchyTrainer(venv, {"field": LearnerConfig(options=GOOD)})
    chance = evaluate(venv, random_policies(venv), 40)

    trainer.train(1250)
    learned = evaluate(venv, trainer.policies(), 40)

    assert chance.interval[1] < 7  # a third of 16
    assert learned.interval[0] > 14


def test_a_hierarchy_learns_what_no_agent_can_know_by_itself():
    venv, _ = relay(num_envs=8, intrinsic=obeyed)
    learner = LearnerConfig(options=GOOD)
    trainer = HierarchyTrainer(venv, {"field": learner, "coordinator": learner})

    trainer.train(5000)

    assert evaluate(venv, trainer.policies(), 40).interval[0] > 12
    assert evaluate(venv, random_policies(venv), 40).interval[1] < 7


def test_evaluating_between_turns_changes_nothing():
    found = []
    for often in (False, True):
        venv, _ = relay()
        trainer = HierarchyTrainer(venv, {"field": PPO, "coordinator": PPO}, seed=0)
        for turn in trainer.turns(200, 2):
            trainer.take_turn(turn)
            if often:
                evaluate(venv, trainer.policies(), episodes=3)
        found.append((trainer.env_steps, [row.env_steps for row in trainer.progress.rows]))
        found.append({name: weights(model) for name, model in trainer.models.items()})
        venv.close()
    assert found[0] == found[2]
    assert all(equal(found[1][name], found[3][name]) for name in found[1])
