from functools import partial

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete

from heron.agents import Hierarchy
from heron.errors import ConfigurationError, EnvStepError
from heron.training import HierarchyTrainer, LearnerConfig, Turn, evaluate, random_policies
from heron.wrappers import make_vec

from .learners import BOTH, PPO, equal, relay, weights
from .tiny_envs import TINY, Relay, Steady, obeyed


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
