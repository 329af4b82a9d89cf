"""Batched environments under random actions, and copies of their results to compare."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from operator import itemgetter
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from heron.batch.action_records import as_actions, zero_actions
from heron.batch.array_tree import map_arrays
from heron.batch.array_tree import row as row_of
from heron.batch.batch_env import BatchEnv, BoolArray
from heron.testing.action_sampler import ActionSampler
from heron.testing.comparison import difference, episode_difference, frozen
from heron.testing.findings import Check

MakeBatchEnv: TypeAlias = Callable[[], BatchEnv]

STEPS: Final = 100
"""Longest episode, in steps; a longer one is truncated there."""

BatchEnvCheck: TypeAlias = Check[MakeBatchEnv, int]
"""A check of the environments from ``make``, in episodes of at most so many steps."""


class BatchPlayer:
    """Player of random actions, which depend only on the action seed of a copy and its step.

    Args:
        env: The environment.
        action_seeds: One seed for each copy; by default its index.
    """

    def __init__(self, env: BatchEnv, action_seeds: Sequence[int] | None = None) -> None:
        self.env = env
        self._action_seeds = list(range(env.num_envs)) if action_seeds is None else list(action_seeds)
        self._samplers = [ActionSampler(seed) for seed in self._action_seeds]

    def reset(self, mask: BoolArray | None = None, seeds: Sequence[int | None] | None = None) -> None:
        """Start new episodes, and restart the random actions."""
        self.env.reset(mask, seeds)
        for index in np.flatnonzero(np.ones(self.env.num_envs) if mask is None else mask):
            self._samplers[index] = ActionSampler(self._action_seeds[index])

    def actions(self, mask: BoolArray | None = None) -> dict[str, npt.NDArray[Any]]:
        """Return random actions for the active agents of the masked copies, and zeros for all others."""
        env = self.env
        found = {}
        for name, group in env.groups.items():
            state = env.states[name]
            array = zero_actions(group.action_space, (env.num_envs, len(group.agent_ids)))
            acting = state.active if mask is None else state.active & mask[:, None]
            for copy, place in np.argwhere(acting).tolist():
                agent = group.agent_ids[place]
                observation = sample_at(state.observations, copy, place)
                info = env.infos[copy].get(agent)
                action = self._samplers[copy].sample(agent, group.action_space, observation, info)
                array[copy, place] = as_actions(group.action_space, action, ())
            found[name] = array
        return found

    def step(self, mask: BoolArray | None = None) -> None:
        """Step the masked copies."""
        self.env.step(self.actions(mask), mask)

    def play(self, steps: int, mask: BoolArray | None = None) -> Iterator[BoolArray]:
        """Step the masked copies until all have ended or the limit is reached; yield the mask of each step."""
        for _ in range(steps):
            stepped = self.env.running if mask is None else self.env.running & mask
            if not stepped.any():
                return
            self.step(stepped)
            yield stepped


@contextmanager
def opened(make: MakeBatchEnv, action_seeds: Sequence[int] | None = None) -> Iterator[BatchPlayer]:
    """Open a player of a new environment, which is closed at the end."""
    with closing(make()) as env:
        yield BatchPlayer(env, action_seeds)


def sample_at(tree: Any, copy: int, place: int) -> Any:
    """Return the part of one agent in a tree of arrays."""
    return map_arrays(itemgetter((copy, place)), tree)


def copy_results(env: BatchEnv, copy: int) -> dict[str, Any]:
    """Return copies of all results of one env copy."""
    states = {name: frozen(row_of(vars(state), copy)) for name, state in env.states.items()}
    return {**states, "infos": frozen(env.infos[copy])}


def episodes(
    player: BatchPlayer, seeds: Sequence[int | None] | None, steps: int, mask: BoolArray | None = None
) -> list[list[dict[str, Any]]]:
    """Play one episode in the masked copies, and return the results of each copy, step by step."""
    env = player.env
    player.reset(mask, seeds)
    copies = range(env.num_envs) if mask is None else np.flatnonzero(mask).tolist()
    results: list[list[dict[str, Any]]] = [[] for _ in range(env.num_envs)]
    for copy in copies:
        results[copy].append(copy_results(env, copy))
    for stepped in player.play(steps, mask):
        for copy in np.flatnonzero(stepped).tolist():
            results[copy].append(copy_results(env, copy))
    return results


def expect_same(got: Sequence[Any], expected: Sequence[Any], promise: str, env_id: str) -> None:
    """Fail with the promise unless two records of an episode are equal to the bit."""
    if found := episode_difference(expected, got):
        step, how = found
        place = "" if step is None else f" differs at step {step}"
        raise AssertionError(f"{promise}: {env_id}{place}: {how}")


def expect_unchanged(env: BatchEnv, before: Mapping[int, Any], promise: str) -> None:
    """Fail with the promise unless these copies have the same results as before."""
    for copy, results in before.items():
        how = difference(results, copy_results(env, copy))
        assert how is None, f"{promise}: {env.env_ids[copy]} changed: {how}"


def mask_of(env: BatchEnv, *copies: int) -> BoolArray:
    """Return a mask of these copies."""
    mask = np.zeros(env.num_envs, dtype=bool)
    mask[list(copies)] = True
    return mask


def seeds_from(env: BatchEnv, first: int = 0) -> list[int]:
    """Return one seed for each copy."""
    return [first + copy for copy in range(env.num_envs)]
