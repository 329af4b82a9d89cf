"""Checks of resets, ends and closing."""

from contextlib import closing

import numpy as np

from heron.batch.batch_env import GroupState
from heron.errors import ResetRequiredError
from heron.testing.batch_env.batch_player import (
    STEPS,
    BatchPlayer,
    MakeBatchEnv,
    copy_results,
    episodes,
    expect_same,
    expect_unchanged,
    mask_of,
    opened,
    seeds_from,
)
from heron.testing.findings import expect_error


def check_new_copies_need_a_reset(make: MakeBatchEnv, _steps: int = STEPS) -> None:
    """Before its first reset no copy is running, and stepping it raises ``ResetRequiredError``."""
    with opened(make) as player:
        env = player.env
        assert not env.running.any(), f"a new environment has running copies: {env.running.tolist()}"
        with expect_error(ResetRequiredError, "a step before the first reset"):
            player.step()
        if env.num_envs > 1:
            player.reset(mask_of(env, 0))
            with expect_error(ResetRequiredError, "a step of all copies, one of which has never been reset"):
                player.step()


def check_ended_copies_need_a_reset(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """Stepping a copy that has ended raises ``ResetRequiredError``, and steps no other copy."""
    with opened(make) as player:
        env = player.env
        player.reset(seeds=seeds_from(env))
        for _ in player.play(steps):
            pass
        ended = np.flatnonzero(~env.running)
        if not len(ended):
            return
        player.reset(~mask_of(env, int(ended[0])))
        before = {copy: copy_results(env, copy) for copy in range(env.num_envs)}
        with expect_error(ResetRequiredError, f"a step of {env.env_ids[ended[0]]}, which has ended"):
            player.step()
        expect_unchanged(env, before, "a refused step must step no copy")
        player.reset(mask_of(env, int(ended[0])))
        player.step()


def check_running(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """A copy is running as long as any of its agents is active."""
    with opened(make) as player:
        env = player.env
        player.reset(seeds=seeds_from(env))
        assert env.running.all(), f"all copies must run after a reset, but running is {env.running.tolist()}"
        for _ in player.play(steps):
            active = np.concatenate([state.active for state in env.states.values()], axis=1).any(axis=1)
            assert (env.running == active).all(), f"running is {env.running.tolist()}, expected {active.tolist()}"


def check_closing_twice(make: MakeBatchEnv, _steps: int = STEPS) -> None:
    """Closing twice is harmless, before the first reset and after it."""
    make().close()
    env = make()
    env.reset()
    env.close()
    env.close()


def check_given_states(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """After ``use_states`` has returned True, the given arrays hold the results, which are the same."""
    with opened(make) as reference, closing(make()) as env:
        given = {name: GroupState.empty(group, env.num_envs) for name, group in env.groups.items()}
        if not env.use_states(given):
            return
        expected = episodes(reference, seeds_from(env), steps)
        got = episodes(BatchPlayer(env), seeds_from(env), steps)
        for name, state in given.items():
            assert env.states[name] is state, f"states[{name!r}] is not the given state after use_states"
        for copy, env_id in enumerate(env.env_ids):
            expect_same(got[copy], expected[copy], "given arrays must hold the same results", env_id)


def check_describes_itself(make: MakeBatchEnv, _steps: int = STEPS) -> None:
    """``describe`` and ``remark`` are text for the user."""
    with closing(make()) as env:
        assert env.describe(), "describe() must not be empty"
        assert isinstance(env.describe(), str), f"describe() must return a string, got {env.describe()!r}"
        assert isinstance(env.remark, str), f"remark must be a string, got {env.remark!r}"
