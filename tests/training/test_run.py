import json
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from gymnasium.spaces import Discrete

import heron
from heron.agents import Hierarchy
from heron.errors import ConfigurationError, RunError
from heron.training import HierarchyConfig, HierarchyTrainer, LearnerConfig, TrainConfig, evaluate, load_run, save_run
from heron.wrappers import make_vec

from .tiny_envs import TINY, Steady

ONE = Discrete(2)
PPO = LearnerConfig(options=TINY)
SAC = LearnerConfig("SAC", options={"policy_kwargs": {"net_arch": [8]}, "learning_starts": 5, "buffer_size": 100})
CONFIG = TrainConfig(
    "mpe2.simple_spread_v3",
    {"max_cycles": 6},
    num_envs=2,
    steps=64,
    seed=5,
    hierarchy=HierarchyConfig(period=3, goal={"position": (2, 4)}),
    learners={"field": PPO, "coordinator": SAC},
)


@pytest.fixture(scope="module")
def trainer():
    with CONFIG.make_venv() as venv:
        trainer = HierarchyTrainer(venv, CONFIG.learners, seed=CONFIG.seed)
        trainer.train(CONFIG.steps)
        yield trainer


@pytest.fixture
def folder(tmp_path, trainer):
    save_run(tmp_path / "run", trainer, CONFIG)
    return tmp_path / "run"


def edit(folder, **changes):
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_policies_act_the_same_after_loading(folder, trainer):
    run = load_run(folder)

    assert {name: type(model).__name__ for name, model in run.models.items()} == {"coordinator": "SAC", "agent": "PPO"}
    for name, policy in trainer.policies().items():
        seen = np.random.default_rng(0).normal(size=(50, *trainer.models[name].observation_space.shape))
        np.testing.assert_array_equal(run.policies()[name](seen), policy(seen))
    with run.make_venv(num_envs=3) as venv:
        loaded = evaluate(venv, run.policies(), 5)
    np.testing.assert_array_equal(loaded.returns, evaluate(trainer.venv, trainer.policies(), 5).returns)


def test_policies_sample_on_request(folder):
    run = load_run(folder)

    seen = np.zeros((200, *run.models["agent"].observation_space.shape))
    assert len(set(run.policies()["agent"](seen).tolist())) == 1
    assert len(set(run.policies(deterministic=False)["agent"](seen).tolist())) > 1


def test_config_seed_steps_and_versions_are_kept(folder, trainer):
    run = load_run(folder)

    assert run.folder == folder
    assert run.config == replace(CONFIG, hierarchy=replace(CONFIG.hierarchy, goal={"position": [2, 4]}))
    assert run.details["seed"] == 5
    assert run.details["env_steps"] >= 64
    assert run.details["timesteps"] == {name: model.num_timesteps for name, model in trainer.models.items()}
    assert run.details["versions"]["heron-rl"] == heron.__version__
    assert set(run.details["versions"]) == {
        "python", "heron-rl", "gymnasium", "pettingzoo", "numpy", "stable-baselines3", "torch",
    }  # fmt: skip
    assert "unknown" not in run.details["versions"].values()


def test_the_folder_holds_no_more_than_it_should(folder):
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == [
        "policies", "policies/0_coordinator.zip", "policies/1_agent.zip", "run.json",
    ]  # fmt: skip


def test_a_run_without_its_config_can_be_loaded_but_not_make_its_environment(tmp_path, trainer):
    save_run(tmp_path, trainer)
    run = load_run(tmp_path)

    assert run.config is None
    assert set(run.policies()) == {"agent", "coordinator"}
    with pytest.raises(RunError, match="without its config"):
        run.make_venv()


def test_a_config_that_cannot_be_written_leaves_the_older_run(folder, trainer):
    before = (folder / "run.json").read_text()
    odd = replace(CONFIG, learners={"field": LearnerConfig(options={"learning_rate": lambda left: left})})

    with pytest.raises(ConfigurationError, match="function"):
        save_run(folder, trainer, odd)

    assert (folder / "run.json").read_text() == before


def test_a_run_that_is_cut_off_while_it_is_saved_is_no_run(folder, trainer, monkeypatch):
    def fail(path):
        raise OSError("disk full")

    monkeypatch.setattr(trainer.models["agent"], "save", fail)

    with pytest.raises(OSError, match="disk full"):
        save_run(folder, trainer, CONFIG)

    with pytest.raises(RunError, match=r"run\.json"):
        load_run(folder)


def test_no_folder_is_no_run(tmp_path):
    with pytest.raises(RunError, match=r"nowhere .*run\.json"):
        load_run(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"format": 1}', "\xff"])
def test_a_run_file_that_is_none_is_named(folder, text):
    (folder / "run.json").write_text(text, encoding="latin-1")

    with pytest.raises(RunError, match=r"run\.json"):
        load_run(folder)


def test_a_newer_format_is_named_once(folder):
    edit(folder, format=2)

    with pytest.raises(RunError) as caught:
        load_run(folder)

    for words in (str(folder / "run.json"), "format 2", "format 1", heron.__version__):
        assert str(caught.value).count(words) == 1


def test_a_config_that_does_not_fit_is_named(folder):
    edit(folder, config={"env": "mpe2.simple_spread_v3", "colour": "blue"})

    with pytest.raises(RunError, match=r"run\.json: .*\['colour'\]"):
        load_run(folder)


@pytest.mark.parametrize("keep", [None, 0, 100, 0.5, 0.99])
def test_a_policy_that_is_missing_or_cut_off_is_named(folder, keep):
    path = folder / "policies" / "1_agent.zip"
    content = path.read_bytes()
    path.unlink()
    if keep is not None:
        path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])

    with pytest.raises(RunError, match=r"1_agent\.zip"):
        load_run(folder)


def test_a_policy_with_a_damaged_middle_is_named(folder):
    path = folder / "policies" / "1_agent.zip"
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 3, len(content) // 2):
        content[place] ^= 0xFF
    path.write_bytes(bytes(content))

    with pytest.raises(RunError, match=r"1_agent\.zip"):
        load_run(folder)


@pytest.mark.parametrize(
    "algorithm", ["stable_baselines3.NoSuch", "stable_baselines3.HerReplayBuffer", "os.system", "PPO", 3]
)
def test_an_algorithm_that_is_none_is_refused(folder, algorithm):
    edit(folder, policies={"agent": {"file": "1_agent.zip", "algorithm": algorithm}})

    with pytest.raises(RunError, match=re.escape(str(folder))):
        load_run(folder)


def test_folders_may_be_given_as_text(tmp_path, trainer):
    save_run(str(tmp_path / "run"), trainer, CONFIG)

    assert load_run(str(tmp_path / "run")).folder == tmp_path / "run"


def test_group_names_of_any_kind_and_length_give_files_in_the_folder(tmp_path):
    outside = tmp_path / "outside"
    names = {f"{outside}/{place}": [f"agent_{place}"] for place in range(2)}
    top = {"../top": list(names)}
    venv = make_vec(
        Steady,
        1,
        Hierarchy(top | names, period={name: place + 1 for place, name in enumerate(names)}, command_space=ONE),
    )
    trainer = HierarchyTrainer(venv, dict.fromkeys(venv.groups, PPO), folder=str(tmp_path / "run" / "logs"))

    trainer.train(64)
    save_run(tmp_path / "run", trainer)

    assert len(venv.groups) == 4
    assert set(load_run(tmp_path / "run").models) == set(venv.groups)
    assert len(list(tmp_path.glob("run/logs/tensorboard/*/*"))) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_group_that_never_learned_acts_at_random_before_and_after_saving(tmp_path, deterministic):
    config = replace(CONFIG, learners={"field": PPO, "coordinator": replace(PPO, share=0)})
    with config.make_venv() as venv:
        trainer = HierarchyTrainer(venv, config.learners, seed=7)
        trainer.train(32)
        save_run(tmp_path, trainer, config)
        run = load_run(tmp_path)
        before, after = (
            evaluate(venv, source.policies(deterministic=deterministic), 3).returns for source in (trainer, run)
        )

    for source in (trainer, run):
        commands = source.policies(deterministic=deterministic)["coordinator"](np.zeros((500, 3)))
        assert commands.shape == (500, 6)
        np.testing.assert_allclose(commands.mean(axis=0), 0, atol=0.15)
        np.testing.assert_allclose(commands.std(axis=0), 1 / np.sqrt(3), atol=0.1)
    if deterministic:
        np.testing.assert_array_equal(before, after)


def test_random_choices_of_a_group_that_never_learned_are_counted_from_the_spaces_start():
    shifted = partial(Steady, action_space=Discrete(3, start=5))
    trainer = HierarchyTrainer(make_vec(shifted, 2))

    assert evaluate(trainer.venv, trainer.policies(), 2).episodes == 2
    seen = set(trainer.policies()["agent"](np.zeros((100, 1))).tolist())
    assert seen == {0, 1, 2}  # as SB3 counts
