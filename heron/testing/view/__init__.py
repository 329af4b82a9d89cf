"""Checks of a Gymnasium ``VectorEnv`` or SB3 ``VecEnv``.

Run all at once, or one by one under pytest::

    check_view(make_my_view, make_env=make_one_env)

    @pytest.mark.parametrize("check", VIEW_CHECKS, ids=lambda check: check.__name__)
    def test_my_view(check):
        check(make_my_view, ViewPlan(make_env=make_one_env))

Each check makes and closes its own views, and raises an ``AssertionError`` that names the broken promise, the slot and
the step.
"""

from collections.abc import Callable, Sequence
from typing import Any

from heron.testing.findings import checks_in, run_suite
from heron.testing.view import against_environments, view_checks
from heron.testing.view.view_player import MakeView, ViewCheck, ViewPlan

__all__ = ["VIEW_CHECKS", "ViewCheck", "ViewPlan", "check_view"]

VIEW_CHECKS: tuple[ViewCheck, ...] = checks_in(view_checks, against_environments)
"""All checks, from the simplest promise to the most involved."""


def check_view(
    make_view: MakeView,
    make_env: Callable[[], Any] | None = None,
    *,
    agents: Sequence[str] | None = None,
    slots_per_env: int = 1,
    steps: int = 60,
    seed: int = 0,
) -> None:
    """Check that a view keeps its promises.

    Args:
        make_view: Makes a new Gymnasium ``VectorEnv`` or SB3 ``VecEnv`` at each call. With a single copy, many promises
            cannot be checked.
        make_env: Makes one of the environments in the view, a Gymnasium ``Env`` or a PettingZoo ``ParallelEnv``. If
            given, the view is compared with copies of it, seeded with ``seed``, ``seed + 1`` ...
        agents: With a ``ParallelEnv``, the agents of a copy in the order of its slots; all by default.
        slots_per_env: Number of slots of one copy.
        steps: Number of steps to play; enough for several episodes.
        seed: Seed of the first copy.

    Raises:
        ContractError: If promises are broken, with a finding for each failed check.

    >>> import gymnasium
    >>> make_env = lambda: gymnasium.make("CartPole-v1")
    >>> check_view(lambda: gymnasium.vector.SyncVectorEnv([make_env] * 2), make_env)
    """
    plan = ViewPlan(make_env, agents, slots_per_env, steps, seed)
    run_suite("the view", VIEW_CHECKS, make_view, plan)
