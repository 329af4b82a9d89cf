"""Checks that the same seeds give the same trajectories, independent of other copies."""

from heron.testing.batch_env.batch_player import (
    STEPS,
    BatchPlayer,
    MakeBatchEnv,
    copy_results,
    episodes,
    expect_same,
    mask_of,
    opened,
    seeds_from,
)


def check_same_seeds(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """The same seeds give the same whole episodes, on a new environment and on a used one."""
    with opened(make) as used, opened(make) as fresh:
        seeds = seeds_from(used.env)
        expected = episodes(used, seeds, steps)
        follow_up = episodes(used, None, steps)
        _expect_all_same(fresh, episodes(fresh, seeds, steps), expected, "the same seeds on a new environment")
        _expect_all_same(fresh, episodes(fresh, None, steps), follow_up, "the next episodes, without seeds")
        _expect_all_same(used, episodes(used, seeds, steps), expected, "the same seeds after other episodes")


def check_copies_follow_their_seeds(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """Copies with equal seeds and actions are equal, and depend on no other copy's seed."""
    with opened(make) as probe:
        num_envs = probe.env.num_envs
    with opened(make, [0] * num_envs) as player:
        env = player.env
        mixed = episodes(player, seeds_from(env), steps)
        for copy, seed in enumerate(seeds_from(env)):
            alike = episodes(player, [seed] * num_envs, steps)
            for other, env_id in enumerate(env.env_ids):
                expect_same(alike[other], mixed[copy], f"seed {seed} in every copy and in one", env_id)


def check_a_copy_alone(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """A copy that is stepped alone gives the same episode as beside others."""
    with opened(make) as together, opened(make) as alone:
        env = together.env
        expected = episodes(together, seeds_from(env), steps)
        for copy, env_id in enumerate(env.env_ids):
            got = episodes(alone, seeds_from(env), steps, mask_of(env, copy))
            expect_same(got[copy], expected[copy], "a copy alone and beside others", env_id)


def check_resets_of_others(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """Resets of other copies in the middle of an episode do not change it, with seeds or without."""
    with opened(make) as quiet, opened(make) as disturbed:
        env = quiet.env
        alone = mask_of(env, 0) if env.steps_some else None
        expected = episodes(quiet, seeds_from(env), steps, alone)[0]
        got = _first_copy_among_resets(disturbed, steps)
        expect_same(got, expected, "resets of other copies", env.env_ids[0])
        if alone is None:  # the copies did not begin their episodes together
            return
        follow_up = episodes(quiet, None, steps, mask_of(env, 0))[0]
        got = episodes(disturbed, None, steps, mask_of(env, 0))[0]
        expect_same(got, follow_up, "the next episode after resets of other copies", env.env_ids[0])


def _first_copy_among_resets(player: BatchPlayer, steps: int) -> list[dict[str, object]]:
    env = player.env
    others = ~mask_of(env, 0)
    player.reset(seeds=seeds_from(env))
    results = [copy_results(env, 0)]
    for step in range(steps):
        if not env.running[0]:
            break
        if step % 3 == 1:
            player.reset(others, seeds_from(env, 70 + step) if step % 2 else None)
        player.step(env.running)
        results.append(copy_results(env, 0))
    return results


def _expect_all_same(player: BatchPlayer, got: list[list[dict[str, object]]], expected: object, promise: str) -> None:
    for copy, env_id in enumerate(player.env.env_ids):
        expect_same(got[copy], expected[copy], promise, env_id)  # type: ignore[index]
