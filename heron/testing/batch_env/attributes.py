"""Checks of access to the environments of single copies."""

from contextlib import closing
from typing import Final

from heron.testing.batch_env.batch_player import STEPS, MakeBatchEnv, opened
from heron.testing.findings import expect_error

PROBE_NAME: Final = "heron_check_probe"
"""Name of an attribute that no environment has."""


class Probe:
    """Callable attribute for an environment.

    Args:
        mark: Index of the copy.
    """

    def __init__(self, mark: int) -> None:
        self.mark = mark

    def __call__(self, *args: object, **kwargs: object) -> tuple[int, tuple[object, ...], dict[str, object]]:
        """Return the mark and the arguments."""
        return self.mark, args, kwargs


def check_attributes_reach_their_copies(make: MakeBatchEnv, _steps: int = STEPS) -> None:
    """``set_attr`` and ``get_attr`` reach the given copies only, in the given order."""
    with opened(make) as player:
        env = player.env
        copies = list(range(env.num_envs))
        env.set_attr(PROBE_NAME, [10 + copy for copy in reversed(copies)], copies[::-1])
        got = env.get_attr(PROBE_NAME, copies)
        assert got == [10 + copy for copy in copies], f"each copy must have its own value, got {got}"
        env.set_attr(PROBE_NAME, ["new"], [copies[-1]])
        got = env.get_attr(PROBE_NAME, copies[::-1])
        expected = ["new", *(10 + copy for copy in copies[:-1][::-1])]
        assert got == expected, f"set_attr of the last copy must not reach others: expected {expected}, got {got}"
        assert env.get_attr(PROBE_NAME, []) == [], "get_attr of no copies must return []"


def check_calls_reach_their_copies(make: MakeBatchEnv, _steps: int = STEPS) -> None:
    """``call`` reaches the given copies only, with all arguments."""
    with opened(make) as player:
        env = player.env
        copies = list(range(env.num_envs))
        env.set_attr(PROBE_NAME, [Probe(copy) for copy in copies], copies)
        got = [tuple(answer) for answer in env.call(PROBE_NAME, copies[::-1], "x", key=2)]
        expected = [(copy, ("x",), {"key": 2}) for copy in copies[::-1]]
        assert got == expected, f"expected {expected}, got {got}"
        last = env.call(PROBE_NAME, [copies[-1]])
        assert len(last) == 1, f"call of one copy must return one value, got {last}"


def check_unknown_attributes(make: MakeBatchEnv, _steps: int = STEPS) -> None:
    """Access to a missing attribute raises ``AttributeError``, and the environment remains usable."""
    with closing(make()) as env:
        for access in (env.get_attr, env.call):
            with expect_error(AttributeError, "access to a missing attribute"):
                access("no_such_attribute", [0])
        env.reset()
