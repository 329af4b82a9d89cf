"""Reading of command-line flags."""

import pytest

from heron.cli.flags import hierarchy_flags, parse_command, parse_env_arg, parse_goal, read_config
from heron.errors import ConfigurationError

ENV = "mpe2.simple_spread_v3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("N=3", ("N", 3)),
        ("ratio=0.5", ("ratio", 0.5)),
        ("flag=True", ("flag", True)),
        ("flag=false", ("flag", False)),
        ("nothing=None", ("nothing", None)),
        ("list=[1, 2]", ("list", [1, 2])),
        ("mode=human", ("mode", "human")),
        ("path=a=b", ("path", "a=b")),
        ("empty=", ("empty", "")),
    ],
)
def test_env_arg(text, expected):
    assert parse_env_arg(text) == expected


def test_command_and_goal():
    assert parse_command("3,-0.5,2") == {"size": 3, "low": -0.5, "high": 2.0}
    assert parse_command("7") == {"choices": 7}
    assert parse_goal("0,3") == (0, 3)
    for text in ["", "a", "1,2", "1,2,3,4", "1.5", "a,0,1"]:
        with pytest.raises(ConfigurationError, match="--command must be"):
            parse_command(text)
    for text in ["", "3", "a,b", "1,2,3"]:
        with pytest.raises(ConfigurationError, match="--goal must be"):
            parse_goal(text)


def test_only_flags_that_were_given_make_a_hierarchy():
    assert hierarchy_flags(None, None, None) == {}
    assert hierarchy_flags(5, None, None) == {"period": 5}
    assert hierarchy_flags(None, "4", "1,2") == {"command": {"choices": 4}, "goal": {"position": (1, 2)}}
    assert read_config(ENV, None, None, {"steps": None}, {}, {}).hierarchy is None
