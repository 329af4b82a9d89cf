"""Checks of groups and of the contents of arrays."""

from contextlib import closing
from typing import Any

import numpy as np

from heron.batch.array_tree import map_arrays, zeros
from heron.batch.batch_env import BatchEnv
from heron.batch.space_fit import misfit
from heron.testing.batch_env.batch_player import STEPS, MakeBatchEnv, opened, sample_at, seeds_from
from heron.testing.comparison import difference, frozen


def check_groups(make: MakeBatchEnv, _steps: int = STEPS) -> None:
    """Copies and agents have ids, every agent is in exactly one group, and every group has a state."""
    with closing(make()) as env:
        env_ids = list(env.env_ids)
        assert env.num_envs == len(env_ids) == len(set(env_ids)), f"env_ids must be distinct, got {env_ids}"
        assert all(env_id and isinstance(env_id, str) for env_id in env_ids), f"env_ids must be strings, got {env_ids}"
        agents = [agent for group in env.groups.values() for agent in group.agent_ids]
        assert agents, "groups must have agents"
        assert len(set(agents)) == len(agents), f"every agent must be in exactly one group, got {agents}"
        assert [group.name for group in env.groups.values()] == list(env.groups), "groups must have their names as keys"
        assert list(env.states) == list(env.groups), f"states must have the keys of groups, got {list(env.states)}"
        assert len(env.infos) == env.num_envs, f"infos must have one entry for each copy, got {len(env.infos)}"


def check_array_shapes(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """Arrays have the shapes and dtypes of the contract, and stay the same objects."""
    with opened(make) as player:
        env = player.env
        _expect_shapes(env)
        returned = env.reset(seeds=seeds_from(env))
        assert returned is env.states or dict(returned) == dict(env.states), "reset must return env.states"
        player.reset(seeds=seeds_from(env))
        before = _identities(env)
        for _ in player.play(steps):
            _expect_shapes(env)
            assert _identities(env) == before, "a step must reuse the arrays, not replace them"
        player.reset()
        assert _identities(env) == before, "a reset must reuse the arrays, not replace them"
        returned = env.step(player.actions())
        assert returned is env.states or dict(returned) == dict(env.states), "step must return env.states"


def check_observations_in_space(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """At every step, observations of active agents are in their space, and all rewards are finite numbers."""
    with opened(make) as player:
        env = player.env
        player.reset(seeds=seeds_from(env))
        _expect_fitting(env, step=0)
        for step, _ in enumerate(player.play(steps), 1):
            _expect_fitting(env, step)


def check_flags(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """An agent's end is flagged once, in the step in which it becomes inactive; a reset clears the flags."""
    with opened(make) as player:
        env = player.env
        player.reset(seeds=seeds_from(env))
        for name, state in env.states.items():
            assert not (state.terminated | state.truncated).any(), f"a reset must clear the flags, not so in {name!r}"
        was = {name: state.active.copy() for name, state in env.states.items()}
        for step, stepped in enumerate(player.play(steps), 1):
            rows = stepped[:, None]
            for name, state in env.states.items():
                ended = state.terminated | state.truncated
                for promise, broken in (
                    ("an agent that has ended must not be active", ended & state.active),
                    ("only an agent that was active may end", ended & ~was[name]),
                    ("an agent that becomes inactive must have ended", was[name] & ~state.active & ~ended),
                ):
                    where = np.argwhere(broken & rows)
                    assert not len(where), f"{promise}: broken by {_who(env, name, where[0])} at step {step}"
                was[name][stepped] = state.active[stepped]


def check_ended_agents_rest(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """An inactive agent keeps its last observation and gets the reward 0."""
    with opened(make) as player:
        env = player.env
        player.reset(seeds=seeds_from(env))
        before = {name: _resting(env, name) for name in env.groups}
        for step, stepped in enumerate(player.play(steps), 1):
            for name, state in env.states.items():
                for (copy, place), observation in before[name].items():
                    if not stepped[copy] or state.active[copy, place]:
                        continue
                    who = f"{_who(env, name, (copy, place))} at step {step}"
                    how = difference(observation, frozen(sample_at(state.observations, copy, place)))
                    assert how is None, f"an inactive agent must keep its observation: {who}: {how}"
                    reward = state.rewards[copy, place]
                    assert reward == 0, f"an inactive agent must get the reward 0: {who} got {reward}"
            before = {name: _resting(env, name) for name in env.groups}


def check_input_stays_as_it_was(make: MakeBatchEnv, steps: int = STEPS) -> None:
    """Masks, seeds, options and actions of the caller are not changed."""
    with opened(make) as player:
        env = player.env
        mask = np.ones(env.num_envs, dtype=bool)
        seeds, options = seeds_from(env), {"unknown to the environment": [1]}
        env.reset(mask, seeds, options)
        assert mask.all(), "reset changed the given mask"
        assert seeds == seeds_from(env), f"reset changed the given seeds to {seeds}"
        assert options == {"unknown to the environment": [1]}, f"reset changed the given options to {options}"
        player.reset(seeds=seeds)
        for _ in range(min(steps, 5)):
            mask = env.running
            if not mask.any():
                return
            actions = player.actions(mask)
            given, mask_before = frozen(actions), mask.copy()
            env.step(actions, mask)
            how = difference(given, frozen(actions))
            assert how is None, f"step changed the given actions: {how}"
            assert (mask == mask_before).all(), "step changed the given mask"


def _expect_shapes(env: BatchEnv) -> None:
    for name, group in env.groups.items():
        state = env.states[name]
        shape = (env.num_envs, len(group.agent_ids))
        kinds: dict[str, Any] = {"rewards": np.float64} | dict.fromkeys(("terminated", "truncated", "active"), bool)
        for field, dtype in kinds.items():
            array = getattr(state, field)
            got = (array.shape, array.dtype)
            assert got == (shape, np.dtype(dtype)), f"{field} of {name!r} must be {shape} {dtype.__name__}, got {got}"
        expected = _layout(zeros(group.observation_space, shape))
        got_layout = _layout(state.observations)
        assert got_layout == expected, f"observations of {name!r} must be {expected}, got {got_layout}"


def _layout(tree: Any) -> Any:
    return map_arrays(lambda array: f"{array.shape} {array.dtype}", tree)


def _identities(env: BatchEnv) -> dict[str, Any]:
    return {name: map_arrays(id, vars(state)) for name, state in env.states.items()}


def _expect_fitting(env: BatchEnv, step: int) -> None:
    for name, group in env.groups.items():
        state = env.states[name]
        for copy, place in np.argwhere(state.active).tolist():
            why = misfit(group.observation_space, sample_at(state.observations, copy, place))
            who = _who(env, name, (copy, place))
            assert why is None, f"the observation of {who} at step {step} is outside its space: {why}"
        odd = np.argwhere(~np.isfinite(state.rewards))
        assert not len(odd), f"the reward of {_who(env, name, odd[0])} at step {step} is not finite"


def _resting(env: BatchEnv, name: str) -> dict[tuple[int, int], Any]:
    """Return copies of the observations of inactive agents, by copy and place."""
    state = env.states[name]
    return {
        (copy, place): frozen(sample_at(state.observations, copy, place))
        for copy, place in np.argwhere(~state.active).tolist()
    }


def _who(env: BatchEnv, name: str, where: Any) -> str:
    return f"{env.groups[name].agent_ids[where[1]]!r} of {env.env_ids[where[0]]}"
