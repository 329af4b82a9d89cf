"""Checks of shapes, spaces, ends, infos, seeds, partial resets and attributes."""

from typing import Any, Final

import numpy as np

from heron.batch.space_fit import misfit
from heron.errors import ConfigurationError
from heron.testing.batch_env.attributes import PROBE_NAME, Probe
from heron.testing.comparison import frozen
from heron.testing.view.view_player import (
    DEFAULT_PLAN,
    MakeView,
    ViewPlan,
    ViewPlayer,
    expect_same,
    frozen_slots,
    opened,
)
from heron.testing.view.view_subject import slot_of

_UNREACHABLE: Final = (AttributeError, NotImplementedError, ConfigurationError)
"""Errors of views over an engine that is stepped as a batch and has no separate environments."""


def check_observations_in_space(make: MakeView, plan: ViewPlan = DEFAULT_PLAN) -> None:
    """At every reset and step, the observation of every slot is in the space of one slot."""
    with opened(make) as player:
        _expect_in_space(player, player.reset(plan.seed), "the reset")
        for number in range(1, plan.steps + 1):
            _expect_in_space(player, player.step().observations, f"step {number}")


def check_shapes(make: MakeView, plan: ViewPlan = DEFAULT_PLAN) -> None:
    """Rewards and flags are arrays with one entry for each slot, of the dtype that the library documents."""
    with opened(make) as player:
        subject = player.subject
        player.reset(plan.seed)
        for _ in range(min(plan.steps, 10)):
            step = player.step()
            rewards = step.rewards
            kind = (np.shape(rewards), getattr(rewards, "dtype", None))
            expected = ((subject.num_slots,), np.dtype(subject.rewards_dtype))
            assert kind == expected, f"rewards must be {expected}, got {kind}"
            assert np.isfinite(rewards).all(), f"rewards must be finite numbers, got {rewards}"
            for flags in step.raw[2:]:
                kind = (np.shape(flags), getattr(flags, "dtype", None))
                assert kind == ((subject.num_slots,), np.dtype(bool)), (
                    f"flags must be bools, one for each slot, got {kind}"
                )


def check_ends(make: MakeView, plan: ViewPlan = DEFAULT_PLAN) -> None:
    """A slot has a terminal observation if and only if its episode ends, and it is in the space."""
    with opened(make) as player:
        player.reset(plan.seed)
        for number in range(1, plan.steps + 1):
            step = player.step()
            ended = np.flatnonzero(step.ended).tolist()
            assert sorted(step.terminal) == ended, (
                f"step {number}: slots {ended} ended, but {sorted(step.terminal)} have a terminal observation"
            )
            for slot, observation in step.terminal.items():
                why = misfit(player.subject.observation_space, observation)
                assert why is None, (
                    f"step {number}: the terminal observation of slot {slot} is outside its space: {why}"
                )
            cut = np.flatnonzero(step.truncated & ~step.ended).tolist()
            assert not cut, f"step {number}: slots {cut} are truncated without having ended"


def check_infos_are_new(make: MakeView, plan: ViewPlan = DEFAULT_PLAN) -> None:
    """Infos are new dicts at each step, so that a caller may keep and change them."""
    with opened(make) as player:
        player.reset(plan.seed)
        kept: list[Any] = []
        for _ in range(min(plan.steps, 10)):
            infos = player.step().infos
            dicts = infos if isinstance(infos, (list, tuple)) else [infos]
            assert all(isinstance(info, dict) for info in dicts), f"infos must be dicts, got {infos!r:.200}"
            if not isinstance(infos, dict):
                assert len(dicts) == player.subject.num_slots, f"there must be one info for each slot, got {len(dicts)}"
            assert len({id(info) for info in dicts}) == len(dicts), "two slots share an info dict"
            assert not {id(info) for info in dicts} & {id(info) for info in kept}, (
                "an info dict is returned again by a later step"
            )
            assert not any("added by a caller" in info for info in dicts), (
                "an entry that a caller added to an info is returned again"
            )
            for info in dicts:
                info["added by a caller"] = True
            kept += dicts


def check_results_stay(make: MakeView, plan: ViewPlan = DEFAULT_PLAN) -> None:
    """Results are not changed by later steps, since learners keep them, and neither are given actions."""
    with opened(make) as player:
        if not player.subject.copies_results:
            return
        first = player.reset(plan.seed)
        kept = [(first, frozen(first))]
        for _ in range(min(plan.steps, 20)):
            actions = player.batch(player.actions())
            given = frozen(actions)
            step = player.subject.step(actions)
            expect_same(frozen(actions), given, "step changed the given actions")
            kept.append(((step.raw, step.terminal), frozen((step.raw, step.terminal))))
        player.reset()
        for number, (returned, before) in enumerate(kept):
            expect_same(frozen(returned), before, f"the results of step {number} were changed later")


def check_same_seed(make: MakeView, plan: ViewPlan = DEFAULT_PLAN) -> None:
    """The same seed gives the same steps over several episodes, on a new view and on a used one."""
    with opened(make) as used, opened(make) as fresh:
        expected = _played(used, plan)
        for player, whose in ((fresh, "a new view"), (used, "a used view")):
            for number, (one, other) in enumerate(zip(expected, _played(player, plan), strict=True)):
                expect_same(other, one, f"seed {plan.seed} on {whose}, step {number}")


def check_slots_have_seeds_of_their_own(make: MakeView, plan: ViewPlan = DEFAULT_PLAN) -> None:
    """Copies play different episodes, unless every seed gives the same one."""
    with opened(make) as player:
        slots = range(0, player.subject.num_slots, plan.slots_per_env)
        if len(slots) < 2:  # noqa: PLR2004 - a comparison takes two copies
            return
        first = _of_slots(player, plan, plan.seed, slots)
        other = _of_slots(player, plan, plan.seed + len(slots), slots)
        if first[0] == other[0]:
            return
        assert any(first[0] != copy for copy in first[1:]), "all copies play the same episode"


def check_partial_reset(make: MakeView, plan: ViewPlan = DEFAULT_PLAN) -> None:
    """A reset of some copies does not change observations, rewards and ends of other slots."""
    with opened(make) as quiet, opened(make) as disturbed:
        if not disturbed.subject.can_reset_some:
            return
        num_slots, per_env = quiet.subject.num_slots, plan.slots_per_env
        others = list(range(per_env, num_slots))
        before = quiet.reset(plan.seed)
        disturbed.reset(plan.seed)
        for number in range(plan.steps):
            actions = quiet.actions()
            one = quiet.step(actions)
            other = disturbed.step(actions)
            expect_same(
                frozen_slots(other, others), frozen_slots(one, others), f"after a reset of copy 0, step {number}"
            )
            before = one.observations
            if number % 7 == 3:  # noqa: PLR2004 - from time to time, in the middle of episodes
                observations = disturbed.reset_some([0], per_env)
                for slot in others:
                    expect_same(
                        frozen(slot_of(observations, slot)),
                        frozen(slot_of(before, slot)),
                        f"slot {slot} at a reset of copy 0",
                    )


def check_closing_twice(make: MakeView, _plan: ViewPlan = DEFAULT_PLAN) -> None:
    """Closing twice is harmless."""
    view = make()
    view.reset()
    view.close()
    view.close()


def check_attributes_reach_their_slots(make: MakeView, plan: ViewPlan = DEFAULT_PLAN) -> None:
    """``set_attr`` and ``get_attr`` reach the environment of each slot, and the value survives a reset."""
    with opened(make) as player:
        subject = player.subject
        player.reset(plan.seed)
        expected = [10 + slot // plan.slots_per_env for slot in range(subject.num_slots)]
        try:
            subject.set_attr(PROBE_NAME, expected)
        except _UNREACHABLE:
            return
        for when in ("at once", "after a reset"):
            got = list(subject.view.get_attr(PROBE_NAME))
            assert got == expected, (
                f"get_attr {when} must return the value of each slot: expected {expected}, got {got}"
            )
            player.reset()


def check_calls_reach_their_slots(make: MakeView, plan: ViewPlan = DEFAULT_PLAN) -> None:
    """``call`` of Gymnasium and ``env_method`` of SB3 reach the environment of each slot, with all arguments."""
    with opened(make) as player:
        subject = player.subject
        player.reset(plan.seed)
        copies = [slot // plan.slots_per_env for slot in range(subject.num_slots)]
        try:
            subject.set_attr(PROBE_NAME, [Probe(copy) for copy in copies])
        except _UNREACHABLE:
            return
        expected = [(copy, ("x",), {"key": 2}) for copy in copies]
        got = [tuple(result) for result in subject.call(PROBE_NAME, "x", key=2)]
        assert got == expected, f"each slot must get its environment's result: expected {expected}, got {got}"


def _expect_in_space(player: ViewPlayer, observations: Any, when: str) -> None:
    for slot in range(player.subject.num_slots):
        why = misfit(player.subject.observation_space, slot_of(observations, slot))
        assert why is None, f"the observation of slot {slot} at {when} is outside its space: {why}"


def _played(player: ViewPlayer, plan: ViewPlan) -> list[Any]:
    slots = range(player.subject.num_slots)
    first = player.reset(plan.seed)
    results: list[Any] = [[frozen(slot_of(first, slot)) for slot in slots]]
    results += [frozen_slots(player.step(), slots) for _ in range(plan.steps)]
    return results


def _of_slots(player: ViewPlayer, plan: ViewPlan, seed: int, slots: range) -> list[str]:
    """Return all results of the first slot of each copy as text, under the same actions in every copy."""
    first = player.reset(seed)
    results = [[repr(frozen(slot_of(first, slot)))] for slot in slots]
    for _ in range(min(plan.steps, 20)):
        actions = player.actions()
        for place, slot in enumerate(range(player.subject.num_slots)):
            actions[place] = actions[slot % plan.slots_per_env]
        step = player.step(actions)
        for place, slot in enumerate(slots):
            results[place].append(repr(frozen_slots(step, [slot])))
    return ["".join(parts) for parts in results]
