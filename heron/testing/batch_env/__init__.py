"""Checks of a ``BatchEnv``.

Run all at once, or one by one under pytest::

    check_batch_env(make_my_env)

    @pytest.mark.parametrize("check", BATCH_ENV_CHECKS, ids=lambda check: check.__name__)
    def test_my_env(check):
        check(make_my_env)

Each check makes and closes its own environments, and raises an ``AssertionError`` that names the broken promise, the
copy and the step.
"""

from heron.testing.batch_env import arrays, attributes, lifecycle, masks, reproducibility
from heron.testing.batch_env.batch_player import STEPS, BatchEnvCheck, MakeBatchEnv
from heron.testing.findings import checks_in, run_suite

__all__ = ["BATCH_ENV_CHECKS", "BatchEnvCheck", "check_batch_env"]

BATCH_ENV_CHECKS: tuple[BatchEnvCheck, ...] = checks_in(arrays, lifecycle, masks, reproducibility, attributes)
"""All checks, from the simplest promise to the most involved."""


def check_batch_env(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """Check that a batched environment keeps every promise of ``BatchEnv``.

    Args:
        make: Makes a new environment at each call, always of the same kind. With a single copy, many promises
            cannot be checked.
        steps: Longest episode, in steps; a longer one is truncated there.

    Raises:
        ContractError: If promises are broken, with a finding for each failed check.

    >>> from functools import partial
    >>> from mpe2 import simple_spread_v3
    >>> from heron.wrappers import LoopEnv
    >>> check_batch_env(partial(LoopEnv, [partial(simple_spread_v3.parallel_env, max_cycles=4)] * 2))
    """
    run_suite("the BatchEnv", BATCH_ENV_CHECKS, make, steps)
