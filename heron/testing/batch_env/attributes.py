"""Promises about reaching the environments of single copies."""

from contextlib import closing
from typing import Final

from heron.testing.batch_env.player import STEPS, BatchEnvCheck, MakeBatchEnv, opened

_NAME: Final = "heron_check_probe"
"""An attribute that no environment has by itself."""


class Probe:
    """Something to set on an environment that can be called.

    Args:
        mark: Which copy it was set on.
    """

    def __init__(self, mark: int) -> None:
        self.mark = mark

    def __call__(self, *args: object, **kwargs: object) -> tuple[int, tuple[object, ...], dict[str, object]]:
        """Say which it is, and with what it was called."""
        return self.mark, args, kwargs


def check_attributes_reach_their_copies(make: MakeBatchEnv, _steps: int = STEPS) -> None:
    """``set_attr`` and ``get_attr`` reach just the copies that are named, in the order in which they are named."""
    with opened(make) as player:
        env = player.env
        everyone = list(range(env.num_envs))
        env.set_attr(_NAME, [10 + copy for copy in reversed(everyone)], everyone[::-1])
        got = env.get_attr(_NAME, everyone)
        assert got == [10 + copy for copy in everyone], f"each copy has its own value, got {got}"
        env.set_attr(_NAME, ["new"], [everyone[-1]])
        got = env.get_attr(_NAME, everyone[::-1])
        expected = ["new", *(10 + copy for copy in everyone[:-1][::-1])]
        assert got == expected, f"setting it for the last copy changes it there only: expected {expected}, got {got}"
        assert env.get_attr(_NAME, []) == [], "no copies, no values"


def check_calls_reach_their_copies(make: MakeBatchEnv, _steps: int = STEPS) -> None:
    """``call`` reaches just the copies that are named, with all arguments."""
    with opened(make) as player:
        env = player.env
        everyone = list(range(env.num_envs))
        env.set_attr(_NAME, [Probe(copy) for copy in everyone], everyone)
        got = [tuple(answer) for answer in env.call(_NAME, everyone[::-1], "x", key=2)]
        expected = [(copy, ("x",), {"key": 2}) for copy in everyone[::-1]]
        assert got == expected, f"expected {expected}, got {got}"
        last = env.call(_NAME, [everyone[-1]])
        assert len(last) == 1, f"one copy, one answer, got {last}"


def check_unknown_attributes(make: MakeBatchEnv, _steps: int = STEPS) -> None:
    """Asking for an attribute that is not there raises ``AttributeError``, and the environment is still usable."""
    with closing(make()) as env:
        for ask in (env.get_attr, env.call):
            try:
                got = ask("no_such_attribute", [0])
            except AttributeError:
                continue
            raise AssertionError(f"expected AttributeError, got {got!r}")
        env.reset()


CHECKS: tuple[BatchEnvCheck, ...] = (
    check_attributes_reach_their_copies,
    check_calls_reach_their_copies,
    check_unknown_attributes,
)
