"""PettingZoo's own tests and ours, on PettingZoo's environments."""

import warnings

import pytest
from pettingzoo.utils.conversions import aec_to_parallel, parallel_to_aec

from heron.testing import Limits, inspect_env

from .real_envs import real_env

with warnings.catch_warnings():
    # It imports environments in the way that their own modules warn of.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pettingzoo.test import parallel_seed_test, seed_test

SHORT = Limits(episodes=1, max_steps=33)
BRIEF = Limits(episodes=1, max_steps=3)

ENVS = {
    "mpe2.simple_spread_v3": ({"max_cycles": 12}, SHORT),
    "mpe2.simple_tag_v3": ({"max_cycles": 12}, SHORT),
    "mpe2.simple_adversary_v3": ({"max_cycles": 12}, SHORT),
    "mpe2.simple_speaker_listener_v4": ({"max_cycles": 12}, SHORT),
    "mpe2.simple_crypto_v3": ({"max_cycles": 12}, SHORT),
    "mpe2.simple_world_comm_v3": ({"max_cycles": 8}, SHORT),
    "mpe2.simple_reference_v3": ({"continuous_actions": True, "max_cycles": 12}, SHORT),
    "pettingzoo.sisl.pursuit_v5": ({"max_cycles": 5}, SHORT),
    "pettingzoo.sisl.multiwalker_v9": ({"max_cycles": 20}, SHORT),
    "pettingzoo.butterfly.cooperative_pong_v6": ({"render_mode": "rgb_array"}, BRIEF),
    "pettingzoo.butterfly.pistonball_v6": ({"n_pistons": 4}, BRIEF),
    "pettingzoo.butterfly.knights_archers_zombies_v11": ({}, SHORT),
    "pettingzoo.classic.rps_v2": ({}, SHORT),
    "pettingzoo.classic.connect_four_v3": ({}, SHORT),
    "pettingzoo.classic.tictactoe_v3": ({}, SHORT),
}
TURNS = ("pettingzoo.classic.connect_four_v3", "pettingzoo.classic.tictactoe_v3")
"""Environments in which agents act in turn."""

BREAKS = {"pettingzoo.butterfly.knights_archers_zombies_v11": {"seeds"}}
"""What our checks find in an environment, in whole episodes."""


@pytest.mark.parametrize("name", ENVS)
def test_environment_passes_its_librarys_checks_and_ours(name):
    kwargs, limits = ENVS[name]

    found = inspect_env(real_env(name, **kwargs), limits)

    assert {finding.check for finding in found.errors} == BREAKS.get(name, set()), found.errors


@pytest.mark.parametrize("name", ENVS)
def test_environment_passes_pettingzoos_seed_test(name):
    kwargs, limits = ENVS[name]
    test = seed_test if name in TURNS else parallel_seed_test

    test(real_env(name, **kwargs), num_cycles=limits.max_steps // len(ENVS))


@pytest.mark.parametrize("name", ["mpe2.simple_tag_v3", "pettingzoo.sisl.multiwalker_v9"])
def test_conversions_change_nothing_of_it(name):
    kwargs, limits = ENVS[name]
    make = real_env(name, **kwargs)

    for convert in (parallel_to_aec, lambda env: aec_to_parallel(parallel_to_aec(env))):
        found = inspect_env(lambda convert=convert: convert(make()), limits)
        assert not [finding for finding in found.errors if finding.check != "library"]


def test_a_clock_that_goes_on_into_the_next_episode_is_located():
    found = inspect_env(real_env("pettingzoo.butterfly.knights_archers_zombies_v11"), Limits(1, 33))

    (finding,) = found.errors
    assert finding.problem == "the episode of a seed depends on earlier episodes"
    assert finding.where.seed == 0
    assert finding.where.step > 0
    assert "['observations']" in finding.detail
