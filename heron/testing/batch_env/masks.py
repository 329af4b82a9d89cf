"""Checks that masked calls change no other copy."""

import numpy as np

from heron.errors import ConfigurationError
from heron.testing.batch_env.batch_player import (
    STEPS,
    BatchPlayer,
    MakeBatchEnv,
    copy_results,
    expect_unchanged,
    mask_of,
    opened,
    seeds_from,
)
from heron.testing.findings import expect_error


def check_masked_step(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """A masked step changes no other copy, to the bit; it is refused if ``steps_some`` is False."""
    with opened(make) as player:
        env = player.env
        player.reset(seeds=seeds_from(env))
        if not env.steps_some:
            _expect_refused(player)
            return
        for step in range(steps):
            mask = mask_of(env, step % env.num_envs) & env.running
            if not env.running.any():
                return
            if not mask.any():
                continue
            before = _others(player, mask)
            player.step(mask)
            expect_unchanged(env, before, f"masked step {step}")


def check_masked_reset(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """A masked reset changes no other copy, to the bit, with a seed and without."""
    with opened(make) as player:
        env = player.env
        player.reset(seeds=seeds_from(env))
        for step in range(min(steps, 2 * env.num_envs)):
            if env.running.any():
                player.step(env.running)
            mask = mask_of(env, step % env.num_envs)
            before = _others(player, mask)
            player.reset(mask, seeds_from(env, 50) if step % 2 else None)
            expect_unchanged(env, before, f"masked reset of {env.env_ids[step % env.num_envs]}")
            assert env.running[mask].all(), "a copy must run after its reset"


def check_empty_mask(make: MakeBatchEnv, _steps: int = STEPS) -> None:
    """A mask that selects no copy changes nothing."""
    with opened(make) as player:
        env = player.env
        player.reset(seeds=seeds_from(env))
        player.step()
        none = np.zeros(env.num_envs, dtype=bool)
        before = _others(player, none)
        player.step(none)
        expect_unchanged(env, before, "a step of no copy")
        player.reset(none)
        expect_unchanged(env, before, "a reset of no copy")


def _expect_refused(player: BatchPlayer) -> None:
    env = player.env
    if env.num_envs == 1:
        return
    before = _others(player, np.zeros(env.num_envs, dtype=bool))
    with expect_error(ConfigurationError, "steps_some is False, so a step of only some running copies must be refused"):
        player.step(mask_of(env, 0))
    expect_unchanged(env, before, "a refused step of some copies")


def _others(player: BatchPlayer, mask: np.ndarray) -> dict[int, dict[str, object]]:
    return {copy: copy_results(player.env, copy) for copy in np.flatnonzero(~mask).tolist()}
