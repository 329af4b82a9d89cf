"""Promises of every view: shapes, spaces, ends, infos, seeds and partial resets."""

from typing import Any, Protocol

import numpy as np

from heron.batch.space_fit import misfit
from heron.testing.sameness import frozen
from heron.testing.view.driver import MakeView, ViewPlayer, ViewStep, expect_same, opened, record, slot_of
from heron.testing.view.plan import ViewPlan


class ViewCheck(Protocol):
    """One check; its name and docstring say what it checks."""

    __name__: str
    __doc__: str | None

    def __call__(self, make: MakeView, plan: ViewPlan = ..., /) -> None:
        """Raise an ``AssertionError`` if a view from ``make`` breaks the promise."""


def check_observations_in_space(make: MakeView, plan: ViewPlan = ViewPlan()) -> None:  # noqa: B008 - immutable
    """At the reset and at every step the observation of every slot is in the space of one slot."""
    with opened(make) as player:
        _expect_in_space(player, player.reset(plan.seed), "the reset")
        for number in range(1, plan.steps + 1):
            _expect_in_space(player, player.step().observations, f"step {number}")


def check_shapes(make: MakeView, plan: ViewPlan = ViewPlan()) -> None:  # noqa: B008 - immutable
    """Rewards and flags are arrays with one entry a slot, of the dtype that the library promises."""
    with opened(make) as player:
        driver = player.driver
        player.reset(plan.seed)
        for _ in range(min(plan.steps, 10)):
            step = player.step()
            rewards = step.rewards
            kind = (np.shape(rewards), getattr(rewards, "dtype", None))
            expected = ((driver.num_slots,), np.dtype(driver.rewards_dtype))
            assert kind == expected, f"rewards must be {expected}, got {kind}"
            assert np.isfinite(rewards).all(), f"rewards must be finite numbers, got {rewards}"
            for flags in step.raw[2:]:
                kind = (np.shape(flags), getattr(flags, "dtype", None))
                assert kind == ((driver.num_slots,), np.dtype(bool)), f"flags must be bools, one a slot, got {kind}"


def check_ends(make: MakeView, plan: ViewPlan = ViewPlan()) -> None:  # noqa: B008 - immutable
    """Where an episode ends, and nowhere else, there is a terminal observation, and it is in the space."""
    with opened(make) as player:
        player.reset(plan.seed)
        for number in range(1, plan.steps + 1):
            step = player.step()
            ended = np.flatnonzero(step.ended).tolist()
            assert sorted(step.terminal) == ended, (
                f"step {number}: slots {ended} ended, but {sorted(step.terminal)} have a terminal observation"
            )
            for slot, observation in step.terminal.items():
                why = misfit(player.driver.observation_space, observation)
                assert why is None, f"step {number}: the terminal observation of slot {slot} is outside: {why}"
            cut = np.flatnonzero(step.truncated & ~step.ended).tolist()
            assert not cut, f"step {number}: slots {cut} are truncated without having ended"


def check_infos_are_new(make: MakeView, plan: ViewPlan = ViewPlan()) -> None:  # noqa: B008 - immutable
    """Infos are new dicts at each step: whoever keeps or changes one changes no other."""
    with opened(make) as player:
        player.reset(plan.seed)
        kept: list[Any] = []
        for _ in range(min(plan.steps, 10)):
            infos = player.step().infos
            dicts = infos if isinstance(infos, (list, tuple)) else [infos]
            assert all(isinstance(info, dict) for info in dicts), f"infos must be dicts, got {infos!r:.200}"
            if not isinstance(infos, dict):
                assert len(dicts) == player.driver.num_slots, f"there must be one info a slot, got {len(dicts)}"
            assert len({id(info) for info in dicts}) == len(dicts), "two slots share an info dict"
            assert not {id(info) for info in dicts} & {id(info) for info in kept}, "an info dict came twice"
            assert not any("left by a caller" in info for info in dicts), "what a caller put into an info came back"
            for info in dicts:
                info["left by a caller"] = True
            kept += dicts


def check_results_stay(make: MakeView, plan: ViewPlan = ViewPlan()) -> None:  # noqa: B008 - immutable
    """What a step returned is not changed by later ones; learners keep it. Nor are actions changed."""
    with opened(make) as player:
        if not player.driver.copies_results:
            return
        first = player.reset(plan.seed)
        kept = [(first, frozen(first))]
        for _ in range(min(plan.steps, 20)):
            actions = player.batch(player.actions())
            given = frozen(actions)
            step: ViewStep = player.driver.step(actions)
            expect_same(frozen(actions), given, "step changed the actions that it was given")
            kept.append(((step.raw, step.terminal), frozen((step.raw, step.terminal))))
        player.reset()
        for number, (returned, before) in enumerate(kept):
            expect_same(frozen(returned), before, f"what step {number} returned was changed later")


def check_same_seed(make: MakeView, plan: ViewPlan = ViewPlan()) -> None:  # noqa: B008 - immutable
    """The same seed gives the same steps over several episodes, on a new view and on one that was used."""
    with opened(make) as used, opened(make) as fresh:
        expected = _played(used, plan)
        for player, whose in ((fresh, "a new view"), (used, "a view that was used before")):
            for number, (one, other) in enumerate(zip(expected, _played(player, plan), strict=True)):
                expect_same(other, one, f"seed {plan.seed} on {whose}, step {number}")


def check_slots_have_seeds_of_their_own(make: MakeView, plan: ViewPlan = ViewPlan()) -> None:  # noqa: B008 - immutable
    """Two copies do not play the same episode, unless every seed gives the same one."""
    with opened(make) as player:
        slots = range(0, player.driver.num_slots, plan.slots_per_env)
        if len(slots) < 2:  # noqa: PLR2004 - a copy is compared with another one
            return
        first = _of_slots(player, plan, plan.seed, slots)
        other = _of_slots(player, plan, plan.seed + len(slots), slots)
        if first[0] == other[0]:
            return
        assert any(first[0] != copy for copy in first[1:]), "every copy plays the same episode"


def check_partial_reset(make: MakeView, plan: ViewPlan = ViewPlan()) -> None:  # noqa: B008 - immutable
    """A reset of some copies changes nothing of what the other slots see, earn and come to."""
    with opened(make) as quiet, opened(make) as disturbed:
        if not disturbed.driver.can_reset_some:
            return
        num_slots, per_env = quiet.driver.num_slots, plan.slots_per_env
        others = list(range(per_env, num_slots))
        before = quiet.reset(plan.seed)
        disturbed.reset(plan.seed)
        for number in range(plan.steps):
            actions = quiet.actions()
            one = quiet.step(actions)
            other = disturbed.step(actions)
            expect_same(record(other, others), record(one, others), f"after a reset of copy 0, step {number}")
            before = one.observations
            if number % 7 == 3:  # noqa: PLR2004 - now and then, in the middle of episodes
                observations = disturbed.reset_some([0], per_env)
                for slot in others:
                    expect_same(
                        frozen(slot_of(observations, slot)),
                        frozen(slot_of(before, slot)),
                        f"slot {slot} at a reset of copy 0",
                    )


def check_closing_twice(make: MakeView, _plan: ViewPlan = ViewPlan()) -> None:  # noqa: B008 - immutable
    """Closing twice is harmless."""
    view = make()
    view.reset()
    view.close()
    view.close()


CHECKS: tuple[ViewCheck, ...] = (
    check_observations_in_space,
    check_shapes,
    check_ends,
    check_infos_are_new,
    check_results_stay,
    check_same_seed,
    check_slots_have_seeds_of_their_own,
    check_partial_reset,
    check_closing_twice,
)


def _expect_in_space(player: ViewPlayer, observations: Any, when: str) -> None:
    for slot in range(player.driver.num_slots):
        why = misfit(player.driver.observation_space, slot_of(observations, slot))
        assert why is None, f"the observation of slot {slot} at {when} is outside its space: {why}"


def _played(player: ViewPlayer, plan: ViewPlan) -> list[Any]:
    slots = range(player.driver.num_slots)
    first = player.reset(plan.seed)
    told: list[Any] = [[frozen(slot_of(first, slot)) for slot in slots]]
    told += [record(player.step(), slots) for _ in range(plan.steps)]
    return told


def _of_slots(player: ViewPlayer, plan: ViewPlan, seed: int, slots: range) -> list[str]:
    """For the first slot of each copy all that it saw, under the same actions in every copy."""
    told = [frozen(slot_of(player.reset(seed), slot)) for slot in slots]
    seen = [[repr(one)] for one in told]
    for _ in range(min(plan.steps, 20)):
        actions = player.actions()
        for place, slot in enumerate(range(player.driver.num_slots)):
            actions[place] = actions[slot % plan.slots_per_env]
        step = player.step(actions)
        for place, slot in enumerate(slots):
            seen[place].append(repr(record(step, [slot])))
    return ["".join(parts) for parts in seen]
