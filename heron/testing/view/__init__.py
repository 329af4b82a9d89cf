"""What every vector env promises to who learns from it, as checks for Gymnasium's ``VectorEnv`` and SB3's ``VecEnv``.

All of it at once, or one by one under pytest::

    check_view(make_my_view, make_env=make_one_env)

    @pytest.mark.parametrize("check", VIEW_CHECKS, ids=lambda check: check.__name__)
    def test_my_view(check):
        check(make_my_view, ViewPlan(make_env=make_one_env))

Each check makes its own views, closes them, and raises an ``AssertionError`` that says which promise is broken, in
which slot and at which step.
"""

from collections.abc import Callable, Sequence
from typing import Any

from heron.testing.findings import run_suite
from heron.testing.view import attributes, reference, view_checks
from heron.testing.view.driver import MakeView
from heron.testing.view.plan import ViewPlan
from heron.testing.view.view_checks import ViewCheck

__all__ = ["VIEW_CHECKS", "ViewCheck", "ViewPlan", "check_view"]

VIEW_CHECKS: tuple[ViewCheck, ...] = (
    *view_checks.CHECKS,
    attributes.check_attributes_reach_their_slots,
    attributes.check_calls_reach_their_slots,
    reference.check_against_environments,
)
"""Every check, in the order from the simplest promise to the most involved."""


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
        make_view: Makes a new view at each call, a Gymnasium ``VectorEnv`` or an SB3 ``VecEnv``; of two copies at
            least, or much stays unchecked.
        make_env: Makes one of the environments under it, to compare the view with, step by step: a Gymnasium
            ``Env`` or a PettingZoo ``ParallelEnv``, whose copies are seeded with ``seed``, ``seed + 1`` ...
        agents: With a ``ParallelEnv``, the agents of a copy whose slots follow each other; all by default.
        slots_per_env: How many slots belong to one copy.
        steps: How many steps are played; several episodes should fit in.
        seed: Of the first copy.

    Raises:
        ContractError: If promises are broken; it has a finding for each check that failed.
        ConfigurationError: If ``make_view`` makes something else.

    >>> import gymnasium
    >>> make_env = lambda: gymnasium.make("CartPole-v1")
    >>> check_view(lambda: gymnasium.vector.SyncVectorEnv([make_env] * 2), make_env)
    """
    plan = ViewPlan(make_env, agents, slots_per_env, steps, seed)
    run_suite("the view", VIEW_CHECKS, make_view, plan)
