"""Every batched environment keeps the contract; each check fails on one that breaks its promise."""

import multiprocessing
import sys
from functools import partial

import cloudpickle
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Tuple
from mpe2 import simple_world_comm_v3

from heron.errors import ContractError
from heron.testing import BATCH_ENV_CHECKS, check_batch_env
from heron.testing.batch_env import arrays, attributes, lifecycle, masks, reproducibility
from heron.wrappers import LoopEnv, ProcessEnv

from . import flawed_envs
from .flawed_envs import Walk
from .real_envs import real_env

# Workers cannot import the tests.
cloudpickle.register_pickle_by_value(flawed_envs)
cloudpickle.register_pickle_by_value(sys.modules[__name__])
multiprocessing.set_forkserver_preload(["heron.wrappers.workers.process_env", "mpe2.simple_spread_v3"])

STEPS = 20
WALKS = [Walk] * 3


class Spread(Walk):
    """Agents with observations in dicts and tuples, of several kinds."""

    def __init__(self):
        super().__init__()
        parts = Tuple((Discrete(3, start=-1), MultiBinary(2)))
        self.spaces["a"] = (Dict(place=Box(-2, 2, (2,), np.float32), parts=parts), Box(-1, 1, (), np.float32))

    def observe(self, agents):
        seen = super().observe(agents)
        if "a" in seen:
            bits = (seen["a"] > 0).astype(np.int8)
            seen["a"] = {"place": seen["a"], "parts": (int(bits.sum()) - 1, bits)}
        return seen


def shard(env_ids):
    return LoopEnv([Walk] * len(env_ids), env_ids)


KINDS = {
    "loop": partial(LoopEnv, WALKS),
    "loop of trees": partial(LoopEnv, [Spread] * 2, validate=True),
    "one worker": partial(ProcessEnv, WALKS, num_workers=1),
    "shards": partial(ProcessEnv.of_shards, shard, ["x", "y", "z"], num_workers=1),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("check", BATCH_ENV_CHECKS, ids=lambda check: check.__name__)
def test_batch_env_keeps(check, make):
    check(make, STEPS)


@pytest.mark.parametrize(
    ("factory", "copies", "steps"),
    [
        (partial(simple_world_comm_v3.parallel_env, max_cycles=8), 3, 10),
        # Its clock for new zombies goes on over resets, so only a few first steps are the same.
        (real_env("pettingzoo.butterfly.knights_archers_zombies_v11", max_cycles=5), 2, 6),
    ],
    ids=["mixed groups", "deaths"],
)
def test_real_environments_keep_all_of_it(factory, copies, steps):
    check_batch_env(partial(LoopEnv, [factory] * copies), steps)


class Broken(LoopEnv):
    def __init__(self):
        super().__init__(WALKS, groups={"a": ["a"], "b": ["b"]})


class TwiceTheSameId(Broken):
    def __init__(self):
        super().__init__()
        self.env_ids = ("env_0", "env_0", "env_2")


class FloatRewards(Broken):
    def reset(self, *args, **kwargs):
        for state in self.states.values():
            object.__setattr__(state, "rewards", state.rewards.astype(np.float32))
        return super().reset(*args, **kwargs)


class NewArrays(Broken):
    def step(self, actions, mask=None):
        super().step(actions, mask)
        for state in self.states.values():
            object.__setattr__(state, "active", state.active.copy())
        return self.states


class FarAway(Broken):
    def step(self, actions, mask=None):
        super().step(actions, mask)
        self.states["b"].observations[1] = 9
        return self.states


class TellsTwice(Broken):
    def step(self, actions, mask=None):
        super().step(actions, mask)
        state = self.states["b"]
        state.terminated[:] |= ~state.active
        return self.states


class GoesWithoutAWord(Broken):
    def step(self, actions, mask=None):
        super().step(actions, mask)
        self.states["b"].terminated[:] = False
        return self.states


class PaysTheDead(Broken):
    def step(self, actions, mask=None):
        was = {name: state.active.copy() for name, state in self.states.items()}
        super().step(actions, mask)
        for name, state in self.states.items():
            state.rewards[~was[name]] = 1
        return self.states


class ForgetsLastObservation(Broken):
    def step(self, actions, mask=None):
        was = self.states["b"].active.copy()
        super().step(actions, mask)
        self.states["b"].observations[~was] = 0
        return self.states


class ChangesOptions(Broken):
    def reset(self, mask=None, seeds=None, options=None):
        if options is not None:
            options["seen"] = True
        return super().reset(mask, seeds, options)


class ChangesActions(Broken):
    def step(self, actions, mask=None):
        super().step(actions, mask)
        for array in actions.values():
            array[:] = 0
        return self.states


class StepsWithoutReset(Broken):
    def step(self, actions, mask=None):
        if not self.running.any():
            self.reset()
        return super().step(actions, mask)


class StepsOthersBeforeRefusing(Broken):
    def step(self, actions, mask=None):
        if not self.running.all() and self.running.any() and mask is None:
            super().step(actions, self.running)
        return super().step(actions, mask)


class AlwaysRunning(Broken):
    @property
    def running(self):
        return np.ones(self.num_envs, bool)


class ClosesOnce(Broken):
    def close(self):
        if not self.envs:
            raise RuntimeError("closed already")
        super().close()


class IgnoresGivenStates(Broken):
    def use_states(self, states):
        return True


class Speechless(Broken):
    def describe(self):
        return ""


class StepsEveryone(Broken):
    def step(self, actions, mask=None):
        return super().step(actions, mask if mask is None else self.running)


class StepsSomeInSpiteOfItsWord(Broken):
    steps_some = False

    def _check_step(self, actions, mask):
        """The guard of ``BatchEnv`` would refuse it."""


class ResetsEveryone(Broken):
    def reset(self, mask=None, seeds=None, options=None):
        return super().reset(None, seeds, options)


class EmptyMaskIsAll(Broken):
    def reset(self, mask=None, seeds=None, options=None):
        return super().reset(None if mask is not None and not mask.any() else mask, seeds, options)


class IgnoresSeeds(Broken):
    def reset(self, mask=None, seeds=None, options=None):
        return super().reset(mask, None, options)


class OneSeedForAll(Broken):
    def reset(self, mask=None, seeds=None, options=None):
        return super().reset(mask, seeds and [seeds[0]] * self.num_envs, options)


class OneStream(Broken):
    """The copies draw from one generator."""

    def reset(self, mask=None, seeds=None, options=None):
        super().reset(mask, seeds, options)
        first = min(np.flatnonzero(mask), default=0) if mask is not None else 0
        for env in self.envs:
            env.np_random = self.envs[first].np_random
        return self.states


class ResetsDrawFromTheFirst(Broken):
    """Resets of other copies draw a number from the stream of the first one."""

    def reset(self, mask=None, seeds=None, options=None):
        if mask is not None and not mask[0]:
            self.envs[0].np_random.random()
        return super().reset(mask, seeds, options)


class WrongOrder(Broken):
    def set_attr(self, name, values, indices):
        super().set_attr(name, values, sorted(indices))


class DropsArguments(Broken):
    def call(self, name, indices, *args, **kwargs):
        return super().call(name, indices, *args)


class KnowsEverything(Broken):
    def get_attr(self, name, indices):
        return [getattr(self.envs[index], name, len) for index in indices]


BROKEN = [
    (arrays.check_groups, TwiceTheSameId, "env_ids must be distinct"),
    (arrays.check_array_shapes, FloatRewards, "rewards of 'a' must be (3, 1) float64"),
    (arrays.check_array_shapes, NewArrays, "reuse the arrays"),
    (arrays.check_observations_in_space, FarAway, "'b' of env_1 at step 1 is outside its space: [0] is 9.0"),
    (arrays.check_flags, TellsTwice, "only an agent that was active may end: broken by 'b' of env_0 at step 4"),
    (arrays.check_flags, GoesWithoutAWord, "becomes inactive must have ended: broken by 'b' of env_0 at step 3"),
    (arrays.check_ended_agents_rest, PaysTheDead, "'b' of env_0 at step 4 got 1.0"),
    (arrays.check_ended_agents_rest, ForgetsLastObservation, "keep its observation: 'b' of env_0 at step 4"),
    (arrays.check_input_stays_as_it_was, ChangesOptions, "reset changed the given options"),
    (arrays.check_input_stays_as_it_was, ChangesActions, "step changed the given actions"),
    (lifecycle.check_new_copies_need_a_reset, StepsWithoutReset, "a step before the first reset"),
    (lifecycle.check_ended_copies_need_a_reset, StepsOthersBeforeRefusing, "env_1 changed"),
    (lifecycle.check_running, AlwaysRunning, "running is [True, True, True], expected [False"),
    (lifecycle.check_closing_twice, ClosesOnce, "closed already"),
    (lifecycle.check_given_states, IgnoresGivenStates, "is not the given state"),
    (lifecycle.check_describes_itself, Speechless, "describe()"),
    (masks.check_masked_step, StepsEveryone, "masked step 0: env_1 changed"),
    (masks.check_masked_step, StepsSomeInSpiteOfItsWord, "steps_some is False"),
    (masks.check_masked_reset, ResetsEveryone, "masked reset of env_0: env_1 changed"),
    (masks.check_empty_mask, EmptyMaskIsAll, "a reset of no copy: env_0 changed"),
    (reproducibility.check_same_seeds, IgnoresSeeds, "the same seeds on a new environment: env_0 differs at step 0"),
    (
        reproducibility.check_copies_follow_their_seeds,
        OneSeedForAll,
        "seed 1 in every copy and in one: env_0 differs at step 0",
    ),
    (reproducibility.check_a_copy_alone, OneStream, "a copy alone and beside others: env_0 differs at step 2"),
    (reproducibility.check_resets_of_others, ResetsDrawFromTheFirst, "resets of other copies: env_0 differs at step 2"),
    (attributes.check_attributes_reach_their_copies, WrongOrder, "got [12, 11, 10]"),
    (attributes.check_calls_reach_their_copies, DropsArguments, "got [(2, ('x',), {})"),
    (attributes.check_unknown_attributes, KnowsEverything, "expected AttributeError"),
]


@pytest.mark.parametrize(("check", "broken", "message"), BROKEN, ids=[f"{broken.__name__}" for _, broken, _ in BROKEN])
def test_check_fails_on_a_broken_promise(check, broken, message):
    with pytest.raises((AssertionError, RuntimeError)) as caught:
        check(broken, STEPS)
    assert message in str(caught.value)


def test_no_check_is_left_without_an_environment_that_breaks_it():
    assert {check for check, _, _ in BROKEN} == set(BATCH_ENV_CHECKS)


def test_all_checks_run_and_every_failure_is_reported():
    with pytest.raises(ContractError) as caught:
        check_batch_env(IgnoresSeeds, STEPS)

    found = {finding.check for finding in caught.value.findings}
    assert found >= {"same_seeds", "copies_follow_their_seeds", "a_copy_alone"}
    assert "masked_step" not in found
    assert all(name in str(caught.value) for name in found)


def test_every_environment_is_closed_also_after_a_failure():
    made = []

    def make():
        made.append(IgnoresSeeds())
        return made[-1]

    with pytest.raises(ContractError):
        check_batch_env(make, STEPS)

    assert len(made) > len(BATCH_ENV_CHECKS)
    assert not any(env.envs for env in made)
