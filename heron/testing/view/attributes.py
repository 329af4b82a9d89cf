"""Promises of every view about reaching its environments."""

from typing import Final

from heron.errors import ConfigurationError
from heron.testing.batch_env.attributes import Probe
from heron.testing.view.driver import MakeView, opened
from heron.testing.view.plan import ViewPlan

_NAME: Final = "heron_check_probe"
"""An attribute that no environment has by itself."""

CANNOT_BE_REACHED = (AttributeError, NotImplementedError, ConfigurationError)
"""What views raise over an engine that is stepped as a batch, and so has no environments of its own."""


def check_attributes_reach_their_slots(make: MakeView, plan: ViewPlan = ViewPlan()) -> None:  # noqa: B008 - immutable
    """``set_attr`` and ``get_attr`` reach the environment of each slot, and no reset undoes that."""
    with opened(make) as player:
        driver = player.driver
        player.reset(plan.seed)
        expected = [10 + slot // plan.slots_per_env for slot in range(driver.num_slots)]
        try:
            driver.set_attr(_NAME, expected)
        except CANNOT_BE_REACHED:
            return
        for when in ("at once", "after a reset"):
            got = list(driver.view.get_attr(_NAME))
            assert got == expected, f"each slot gets what was set for its environment {when}: {expected}, got {got}"
            player.reset()


def check_calls_reach_their_slots(make: MakeView, plan: ViewPlan = ViewPlan()) -> None:  # noqa: B008 - immutable
    """``call`` of Gymnasium and ``env_method`` of SB3 give each slot its environment's answer to all arguments."""
    with opened(make) as player:
        driver = player.driver
        player.reset(plan.seed)
        copies = [slot // plan.slots_per_env for slot in range(driver.num_slots)]
        try:
            driver.set_attr(_NAME, [Probe(copy) for copy in copies])
        except CANNOT_BE_REACHED:
            return
        expected = [(copy, ("x",), {"key": 2}) for copy in copies]
        got = [tuple(answer) for answer in driver.call(_NAME, "x", key=2)]
        assert got == expected, f"each slot gets its environment's answer: {expected}, got {got}"
