"""``heron check``, as typed by a user."""

import sys
import warnings

import pytest

from heron.cli import main
from heron.cli.check_command import plan
from heron.errors import ConfigurationError, EnvCreationError
from heron.testing import BATCH_ENV_CHECKS, VIEW_CHECKS, Limits
from heron.wrappers.sources.env_names import env_factory

from ..wrappers.single_envs import Sampled
from ..wrappers.small_envs import Handy

FLAWED = """
import numpy as np
from mpe2 import simple_spread_v3
from pettingzoo.utils import BaseParallelWrapper

class Flawed(BaseParallelWrapper):
    def step(self, actions):
        observations, *rest = super().step(actions)
        observations = {agent: seen * np.float32("nan") for agent, seen in observations.items()}
        return observations, *rest

def make(max_cycles=25):
    return Flawed(simple_spread_v3.parallel_env(max_cycles=max_cycles))
"""


@pytest.fixture
def flawed(tmp_path, monkeypatch):
    (tmp_path / "flawed_module_for_check.py").write_text(FLAWED)
    monkeypatch.chdir(tmp_path)  # where commands look last
    return "flawed_module_for_check:make"


@pytest.fixture
def call(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "path", sys.path.copy())
        monkeypatch.setattr(sys, "argv", ["heron", "check", *map(str, arguments)])
        monkeypatch.setattr("heron.cli.console.console._width", 160)
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        return int(caught.value.code or 0), printed.out, printed.err

    return run


def test_a_sound_environment_passes_as_itself_as_copies_and_under_sb3(call):
    code, out, _ = call("mpe2.simple_spread_v3", "-a", "max_cycles=4", "--episodes", 1)

    assert code == 0
    assert f"{len(BATCH_ENV_CHECKS)} checks" in out
    assert f"{len(VIEW_CHECKS)} checks" in out
    assert "parallel_api_test" in out
    assert "Findings" not in out


def test_a_flaw_is_reported_with_its_place(call, flawed):
    code, out, _ = call(flawed, "-a", "max_cycles=4", "--episodes", 1, "--seed", 7, "--alone")

    assert code == 1
    assert "FAILS observations" in out
    text = " ".join(out.replace("│", " ").split())
    assert "seed 7, step 1" in text
    assert "copies in one process" in text
    assert "under SB3" not in text


def test_environments_of_turns_and_of_one_agent_are_checked(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of PettingZoo's module at its import
        assert call("pettingzoo.classic.tictactoe_v3", "--alone")[0] == 0
    assert call("CartPole-v1", "--alone", "--episodes", 1)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("no_such_module",), "No module named 'no_such_module'"),
        (("mpe2.simple_spread_v3:nothing",), "has no function 'nothing'"),
        (("mpe2.simple_spread_v3", "-a", "bogus=1"), "unexpected keyword argument 'bogus'"),
        (("mpe2.simple_spread_v3", "-a", "bogus"), "--env-arg must be KEY=VALUE"),
        (("os:getcwd",), "expected a PettingZoo"),
    ],
)
def test_mistakes_are_one_line(call, arguments, complaint):
    code, _, err = call(*arguments)

    assert code == 2
    assert err.startswith("heron: ")
    assert complaint in err
    assert err.count("\n") == 1


def test_help_has_examples(call):
    code, out, _ = call("--help")

    assert code == 0
    assert "heron check mpe2.simple_spread_v3" in out


def test_each_group_has_a_view_of_its_own():
    sections = plan(env_factory("mpe2.simple_tag_v3"), Limits(1, 5))

    assert [section.title for section in sections] == [
        "the environment",
        "3 copies",
        "adversary under Gymnasium",
        "adversary under SB3",
        "agent under Gymnasium",
        "agent under SB3",
    ]


class Later(Sampled):
    """An environment whose reward depends on how many were made before, as if they shared state."""

    made = 0

    def __init__(self):
        super().__init__(horizon=4)
        Later.made += 1
        self.bonus = Later.made

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward + self.bonus, *rest


def test_the_view_of_all_agents_is_compared_with_the_plain_environment():
    *_, one, other = plan(Later, Limits(1, 8))
    for view in (one, other):
        found = [str(finding) for finding in view.run().all]
        assert any("slot 0 at step 1" in line for line in found)
    _, _, *views = plan(env_factory("mpe2.simple_tag_v3"), Limits(1, 5))
    for section in views:  # the plain environment has no policy for the other group
        assert "against_environments" not in section.promises
        assert "closing_twice" in section.promises


def test_actions_of_parts_are_checked_but_not_under_sb3():
    own, copies, *views = plan(Handy, Limits(1, 7))

    assert not own.run().all
    assert not copies.skipped
    assert [(view.title, "action_space" in view.skipped) for view in views] == [
        ("arm under Gymnasium", False),
        ("arm under SB3", True),
        ("pair under Gymnasium", False),
        ("pair under SB3", True),
        ("wheel under Gymnasium", False),
        ("wheel under SB3", False),
    ]


def test_what_is_no_environment_is_refused():
    with pytest.raises(EnvCreationError, match="ZeroDivisionError"):
        plan(lambda: 1 / 0, Limits())
    with pytest.raises(ConfigurationError):
        env_factory("os")
