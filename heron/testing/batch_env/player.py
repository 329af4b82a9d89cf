"""What the checks are made of: batched environments under random actions, and copies of what they say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from heron.batch.action_records import as_actions, zero_actions
from heron.batch.array_tree import row as row_of
from heron.batch.batch_env import BatchEnv, BoolArray
from heron.testing.env.env_step import ActionSource
from heron.testing.sameness import difference, frozen

MakeBatchEnv: TypeAlias = Callable[[], BatchEnv]

STEPS: Final = 100
"""Longest episode; one that goes on is broken off there."""

FIELDS: Final = ("observations", "rewards", "terminated", "truncated", "active")


class BatchEnvCheck(Protocol):
    """One check; its name and docstring say what it checks."""

    __name__: str
    __doc__: str | None

    def __call__(self, make: MakeBatchEnv, steps: int = ..., /) -> None:
        """Raise an ``AssertionError`` if an environment from ``make`` breaks the promise."""


class Player:
    """Random actions for a batched environment. An agent's depend on its copy's action seed and episode alone.

    Args:
        env: The environment.
        action_seeds: One a copy; its index by default.
    """

    def __init__(self, env: BatchEnv, action_seeds: Sequence[int] | None = None) -> None:
        self.env = env
        self._action_seeds = list(range(env.num_envs)) if action_seeds is None else list(action_seeds)
        self._sources = [ActionSource(seed) for seed in self._action_seeds]

    def reset(self, mask: BoolArray | None = None, seeds: Sequence[int | None] | None = None) -> None:
        """Start new episodes, of the actions too."""
        self.env.reset(mask, seeds)
        for index in np.flatnonzero(np.ones(self.env.num_envs) if mask is None else mask):
            self._sources[index] = ActionSource(self._action_seeds[index])

    def actions(self, mask: BoolArray | None = None) -> dict[str, npt.NDArray[Any]]:
        """Actions for the active agents of the masked copies, zeros for all others."""
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
                action = self._sources[copy].sample(agent, group.action_space, observation, info)
                array[copy, place] = as_actions(group.action_space, action, ())
            found[name] = array
        return found

    def step(self, mask: BoolArray | None = None) -> None:
        """Step the masked copies."""
        self.env.step(self.actions(mask), mask)

    def play(self, steps: int, mask: BoolArray | None = None) -> Iterator[BoolArray]:
        """Step the masked copies that are running until none is, or the limit is reached; gives who was stepped."""
        for _ in range(steps):
            stepped = self.env.running if mask is None else self.env.running & mask
            if not stepped.any():
                return
            self.step(stepped)
            yield stepped


@contextmanager
def opened(make: MakeBatchEnv, action_seeds: Sequence[int] | None = None) -> Iterator[Player]:
    """A player of a new environment, which is closed at the end."""
    with closing(make()) as env:
        yield Player(env, action_seeds)


def sample_at(tree: Any, copy: int, place: int) -> Any:
    """One agent's part of a tree of arrays."""
    if isinstance(tree, dict):
        return {key: sample_at(part, copy, place) for key, part in tree.items()}
    if isinstance(tree, tuple):
        return tuple(sample_at(part, copy, place) for part in tree)
    return tree[copy, place]


def said(env: BatchEnv, copy: int) -> dict[str, Any]:
    """Copies of all that is to be seen of one copy."""
    states = {
        name: {
            "observations": frozen(row_of(state.observations, copy)),
            **{field: getattr(state, field)[copy].copy() for field in FIELDS[1:]},
        }
        for name, state in env.states.items()
    }
    return {**states, "infos": frozen(env.infos[copy])}


def episodes(
    player: Player, seeds: Sequence[int | None] | None, steps: int, mask: BoolArray | None = None
) -> list[list[dict[str, Any]]]:
    """Play one episode in the masked copies: for each copy what it said, turn after turn."""
    env = player.env
    player.reset(mask, seeds)
    copies = range(env.num_envs) if mask is None else np.flatnonzero(mask).tolist()
    said_by: list[list[dict[str, Any]]] = [[] for _ in range(env.num_envs)]
    for copy in copies:
        said_by[copy].append(said(env, copy))
    for stepped in player.play(steps, mask):
        for copy in np.flatnonzero(stepped).tolist():
            said_by[copy].append(said(env, copy))
    return said_by


def expect_same(got: Sequence[Any], expected: Sequence[Any], promise: str, env_id: str) -> None:
    """Fail with the promise unless two records of an episode are equal to the bit."""
    for turn, (one, other) in enumerate(zip(expected, got, strict=False)):
        how = difference(one, other)
        assert how is None, f"{promise}: {env_id} differs at turn {turn}, {how}"
    assert len(got) == len(expected), f"{promise}: {env_id} lasts {len(expected) - 1} steps, and then {len(got) - 1}"


def expect_unchanged(env: BatchEnv, before: Mapping[int, Any], promise: str) -> None:
    """Fail with the promise unless these copies still say what they said before."""
    for copy, told in before.items():
        how = difference(told, said(env, copy))
        assert how is None, f"{promise}: {env.env_ids[copy]} was touched, {how}"


def some(env: BatchEnv, *copies: int) -> BoolArray:
    """A mask of these copies."""
    mask = np.zeros(env.num_envs, dtype=bool)
    mask[list(copies)] = True
    return mask


def seeds_from(env: BatchEnv, first: int = 0) -> list[int]:
    """One seed a copy."""
    return [first + copy for copy in range(env.num_envs)]
