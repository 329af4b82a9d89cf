"""What every ``BatchEnv`` promises, as checks that run on any of them.

All of it at once, or one by one under pytest::

    check_batch_env(make_my_env)

    @pytest.mark.parametrize("check", BATCH_ENV_CHECKS, ids=lambda check: check.__name__)
    def test_my_env(check):
        check(make_my_env)

Each check makes its own environments, closes them, and raises an ``AssertionError`` that says which promise is
broken, in which copy and at which step.
"""

from heron.testing.batch_env import arrays, attributes, lifecycle, masks, seeds
from heron.testing.batch_env.player import STEPS, BatchEnvCheck, MakeBatchEnv
from heron.testing.findings import run_suite

__all__ = ["BATCH_ENV_CHECKS", "BatchEnvCheck", "check_batch_env"]

BATCH_ENV_CHECKS: tuple[BatchEnvCheck, ...] = (
    *arrays.CHECKS,
    *lifecycle.CHECKS,
    *masks.CHECKS,
    *seeds.CHECKS,
    *attributes.CHECKS,
)
"""Every check, in the order from the simplest promise to the most involved."""


def check_batch_env(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """Check that a batched environment keeps every promise of ``BatchEnv``.

    Args:
        make: Makes a new environment at each call, always of the same kind; of two copies at least, or much
            stays unchecked.
        steps: Longest episode; one that goes on is broken off there.

    Raises:
        ContractError: If promises are broken; it has a finding for each check that failed.

    >>> from functools import partial
    >>> from mpe2 import simple_spread_v3
    >>> from heron.wrappers import LoopEnv
    >>> check_batch_env(partial(LoopEnv, [partial(simple_spread_v3.parallel_env, max_cycles=4)] * 2))
    """
    run_suite("the BatchEnv", BATCH_ENV_CHECKS, make, steps)
