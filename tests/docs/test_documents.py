"""Everything that README and guide tell people to paste, run."""

import re
import tomllib
from pathlib import Path

import pytest
from gymnasium.vector import SyncVectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecFrameStack

import heron
from heron.testing import BATCH_ENV_CHECKS
from heron.training import HierarchyTrainer, TrainConfig
from heron.wrappers import GymVectorEnv
from heron.wrappers.sb3 import Sb3VecEnv, make_learner
from heron.wrappers.sources.env_names import env_factory

ROOT = Path(__file__).parents[2]


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings(
    # Box2D's own build.
    "ignore:builtin type (SwigPyPacked|SwigPyObject|swigvarlink) has no __module__ attribute:DeprecationWarning"
)
@pytest.mark.parametrize("document", ["README.md", "docs/guide.md", "docs/seeds.md"])
def test_python_blocks_run_in_order(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = blocks(document, "python")
    assert code
    surroundings = {}
    for block in code:
        shortened = re.sub(r"\.learn\([\d_]+\)", ".learn(1)", block)  # one rollout shows that it runs
        exec(compile(shortened, document, "exec"), surroundings)  # noqa: S102 -- our own documents
    surroundings["venv"].close()


def test_python_blocks_about_checks_run_in_order():
    surroundings = {}
    for block in blocks("docs/checks.md", "python"):
        exec(compile(block, "docs/checks.md", "exec"), surroundings)  # noqa: S102 -- our own documents
    for check in BATCH_ENV_CHECKS:
        surroundings["test_my_batch_env"](check)


def test_readme_example_has_fifteen_lines_of_code():
    (example,) = blocks("README.md", "python")
    assert len([line for line in example.splitlines() if line.strip()]) <= 16


def test_toml_blocks_of_the_guide_are_configs():
    star, masked, recurrent, players, tree = (
        TrainConfig.from_mapping({"env": "mpe2.simple_spread_v3"} | tomllib.loads(text))
        for text in blocks("docs/guide.md", "toml")
    )
    assert star.learners["coordinator"].algorithm == "SAC"
    assert star.to_mapping()["hierarchy"]["goal"] == {"position": [2, 4]}
    with tree.make_venv(num_envs=1) as venv:
        assert list(venv.hierarchy.levels) == ["coordinator_1", "coordinator_2", "field"]
        assert set(tree.learners) <= set(venv.hierarchy.levels)
    with players.make_venv(num_envs=1) as venv:
        assert players.learners.keys() == venv.groups.keys() == {"first", "second"}
    for config, name in ((masked, "MaskablePPO"), (recurrent, "LiveRecurrentPPO")):
        with config.make_venv(num_envs=1) as venv:
            trainer = HierarchyTrainer(venv, config.learners)
            trainer.train(4)
            assert {type(model).__name__ for model in trainer.models.values()} == {name}


DOCUMENTS = [
    "README.md",
    "docs/guide.md",
    "docs/checks.md",
    "docs/performance.md",
    "docs/learning.md",
    "docs/seeds.md",
    "CONTRIBUTING.md",
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files(document):
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / document).read_text())
    for link in links:
        assert (ROOT / document).parent.joinpath(link).exists(), link


def test_what_the_readme_gives_in_place_of_other_libraries_works():
    rows = [line.split(" | ") for line in (ROOT / "README.md").read_text().splitlines()]
    ours = [row[1].strip("`") for row in rows if len(row) == 3 and row[1].startswith("`")]
    names = {
        "heron": heron,
        "make": env_factory("mpe2.simple_spread_v3"),
        "make_one": env_factory("CartPole-v1"),
        "GymVectorEnv": GymVectorEnv,
        "PPO": PPO,
        "Sb3VecEnv": Sb3VecEnv,
        "SyncVectorEnv": SyncVectorEnv,
        "VecFrameStack": VecFrameStack,
        "make_learner": make_learner,
    }
    assert len(ours) == 10
    for code in ours:
        view = Sb3VecEnv(heron.make_vec("mpe2.simple_spread_v3", 2))
        env = eval(code, {**names, "view": view})  # noqa: S307 -- our own document
        if hasattr(env, "reset"):
            env.reset()
            env.close()
