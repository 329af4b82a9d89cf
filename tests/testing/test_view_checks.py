"""Vector envs of three libraries keep the contract; each check fails on one that breaks its promise."""

from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from mpe2 import simple_spread_v3, simple_tag_v3
from stable_baselines3.common.vec_env import DummyVecEnv

from heron import make_vec
from heron.errors import ConfigurationError, ContractError
from heron.testing import VIEW_CHECKS, ViewPlan, check_view
from heron.testing.view import view_checks
from heron.testing.view.against_environments import check_against_environments
from heron.wrappers.sb3 import Sb3VecEnv

from .flawed_envs import Single, Walk

STEPS = 30


def gym_env(name, **kwargs):
    return partial(gymnasium.make, name, disable_env_checker=True, **kwargs)


ENVS = {
    "point": Single,
    "CartPole": gym_env("CartPole-v1"),
    "FrozenLake": gym_env("FrozenLake-v1"),
    "Blackjack": gym_env("Blackjack-v1"),
    "Pendulum": gym_env("Pendulum-v1", max_episode_steps=12),
}

spread = partial(simple_spread_v3.parallel_env, max_cycles=7)
tag = partial(simple_tag_v3.parallel_env, max_cycles=7)

VIEWS = {
    **{
        f"sync {mode.name} {name}": (
            lambda make=make, mode=mode: SyncVectorEnv([make] * 3, autoreset_mode=mode),
            ViewPlan(make, steps=STEPS),
        )
        for mode in AutoresetMode
        for name, make in ENVS.items()
    },
    **{
        f"dummy {name}": (lambda make=make: DummyVecEnv([make] * 3), ViewPlan(make, steps=STEPS))
        for name, make in ENVS.items()
        if name != "Blackjack"  # whose observations are tuples
    },
    "heron, deaths": (
        lambda: Sb3VecEnv(make_vec(Walk, 3, groups={"all": ["a", "b"]})),
        ViewPlan(Walk, slots_per_env=2, steps=STEPS),
    ),
    "heron, one group": (lambda: Sb3VecEnv(make_vec(spread, 2)), ViewPlan(spread, slots_per_env=3, steps=STEPS)),
    "heron, beside others": (
        lambda: Sb3VecEnv(make_vec(tag, 2), "adversary", {"agent": 1}),
        ViewPlan(slots_per_env=3, steps=STEPS),
    ),
}


@pytest.mark.parametrize(("make", "plan"), VIEWS.values(), ids=VIEWS)
def test_view_keeps_all_of_it(make, plan):
    check_view(
        make,
        plan.make_env,
        agents=plan.agents,
        slots_per_env=plan.slots_per_env,
        steps=plan.steps,
        seed=plan.seed,
    )


class Broken(DummyVecEnv):
    def __init__(self):
        super().__init__([Single] * 3)


class Sync(SyncVectorEnv):
    def __init__(self, mode=AutoresetMode.SAME_STEP, **kwargs):
        super().__init__([Single] * 3, autoreset_mode=mode, **kwargs)


class FarAway(Broken):
    def step_wait(self):
        observations, *rest = super().step_wait()
        observations[1] = 9
        return observations, *rest


class DoubleRewards(Broken):
    def step_wait(self):
        observations, rewards, *rest = super().step_wait()
        return observations, rewards.astype(np.float64), *rest


class ListOfDones(Broken):
    def step_wait(self):
        observations, rewards, dones, infos = super().step_wait()
        return observations, rewards, [bool(done) for done in dones], infos


class NoTerminalObservation(Broken):
    def step_wait(self):
        *rest, infos = super().step_wait()
        return *rest, [{key: info[key] for key in info if key != "terminal_observation"} for info in infos]


class EarlyTerminalObservation(Broken):
    def step_wait(self):
        observations, rewards, dones, infos = super().step_wait()
        infos[1].setdefault("terminal_observation", observations[1])
        return observations, rewards, dones, infos


class TerminalIsTheNextReset(Broken):
    """A mistake of many bridges."""

    def step_wait(self):
        observations, rewards, dones, infos = super().step_wait()
        for slot in np.flatnonzero(dones):
            infos[slot]["terminal_observation"] = observations[slot].copy()
        return observations, rewards, dones, infos


class NeverTruncates(Broken):
    def step_wait(self):
        *rest, infos = super().step_wait()
        return *rest, [info | {"TimeLimit.truncated": False} for info in infos]


class OneInfoForAll(Broken):
    def step_wait(self):
        *rest, infos = super().step_wait()
        merged = {} | infos[0]
        return *rest, [merged] * 3


class SameInfosAgain(Sync):
    kept: dict

    def step(self, actions):
        *rest, infos = super().step(actions)
        self.kept = {} if not hasattr(self, "kept") else self.kept
        self.kept.clear()
        self.kept.update(infos)
        return *rest, self.kept


class ReusesItsArrays(Broken):
    def _obs_from_buf(self):
        return self.buf_obs[None]


class ReusesItsRewards(Sync):
    def step(self, actions):
        observations, _, *rest = super().step(actions)
        return observations, self._rewards, *rest


class ChangesActions(Broken):
    def step_async(self, actions):
        super().step_async(actions.copy())
        actions[:] = 0


class IgnoresSeeds(Broken):
    def seed(self, seed=None):
        return [None] * 3


class OneSeedForAll(Broken):
    def seed(self, seed=None):
        self._seeds = [seed] * 3
        return self._seeds


class ResetsEveryone(Sync):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed, options=None)


class ResetsTheNextToo(Broken):
    def reset_envs(self, which):
        for index in (*which, 1):
            observation, _ = self.envs[index].reset()
            self._save_obs(index, observation)
        return self._obs_from_buf()


class ClosesOnce(Broken):
    closed = False

    def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


class DoublesRewards(Broken):
    def step_wait(self):
        observations, rewards, *rest = super().step_wait()
        return observations, 2 * rewards, *rest


class SetsTheFirstForAll(Sync):
    def set_attr(self, name, values):
        super().set_attr(name, [values[0]] * 3)


class ForgetsAtTheReset(Broken):
    def reset(self):
        for env in self.envs:
            vars(env).pop("heron_check_probe", None)
        return super().reset()

    def get_attr(self, attr_name, indices=None):
        return [getattr(env, attr_name, None) for env in self.envs]


class DropsKeywords(Broken):
    def env_method(self, method_name, *method_args, indices=None, **method_kwargs):
        return super().env_method(method_name, *method_args, indices=indices)


class AnswersInAnotherOrder(Sync):
    def call(self, name, *args, **kwargs):
        return super().call(name, *args, **kwargs)[::-1]


BROKEN = [
    (view_checks.check_observations_in_space, FarAway, "slot 1 at step 1 is outside its space: [0] is 9.0"),
    (view_checks.check_shapes, DoubleRewards, "rewards must be ((3,), dtype('float32'))"),
    (view_checks.check_shapes, ListOfDones, "flags must be bools"),
    (view_checks.check_ends, NoTerminalObservation, "ended, but [] have a terminal observation"),
    (view_checks.check_ends, EarlyTerminalObservation, "slots [] ended, but [1] have a terminal observation"),
    (view_checks.check_infos_are_new, OneInfoForAll, "two slots share an info dict"),
    (view_checks.check_infos_are_new, SameInfosAgain, "an info dict"),
    (view_checks.check_results_stay, ReusesItsArrays, "results of step 0"),
    (view_checks.check_results_stay, ReusesItsRewards, "results of step 1"),
    (view_checks.check_results_stay, ChangesActions, "actions"),
    (view_checks.check_same_seed, IgnoresSeeds, "seed 0 on a new view, step 0"),
    (view_checks.check_slots_have_seeds_of_their_own, OneSeedForAll, "same episode"),
    (view_checks.check_partial_reset, ResetsEveryone, "slot 1 at a reset of copy 0"),
    (view_checks.check_partial_reset, ResetsTheNextToo, "slot 1 at a reset of copy 0"),
    (view_checks.check_attributes_reach_their_slots, SetsTheFirstForAll, "[10, 11, 12], got [10, 10, 10]"),
    (view_checks.check_attributes_reach_their_slots, ForgetsAtTheReset, "[10, 11, 12], got [None"),
    (view_checks.check_calls_reach_their_slots, DropsKeywords, "got [(0, ('x',), {})"),
    (view_checks.check_calls_reach_their_slots, AnswersInAnotherOrder, "got [(2, ('x',), {'key': 2})"),
    (view_checks.check_closing_twice, ClosesOnce, "closed already"),
    (check_against_environments, TerminalIsTheNextReset, "the terminal observation of slot"),
    (check_against_environments, NeverTruncates, "truncated is False, in the environment True"),
    (check_against_environments, DoublesRewards, "the reward of slot 0 at step 1"),
    (check_against_environments, OneSeedForAll, "the observation of slot 1 at the reset"),
]


@pytest.mark.parametrize(("check", "broken", "message"), BROKEN, ids=[broken.__name__ for _, broken, _ in BROKEN])
def test_check_fails_on_a_broken_promise(check, broken, message):
    with pytest.raises((AssertionError, RuntimeError)) as caught:
        check(broken, ViewPlan(Single, steps=STEPS))
    assert message in str(caught.value)


def test_no_check_is_left_without_a_view_that_breaks_it():
    assert {check for check, _, _ in BROKEN} == set(VIEW_CHECKS)


def test_a_view_that_reuses_arrays_on_request_is_not_blamed():
    check_view(lambda: Sync(copy=False), Single, steps=STEPS)


def test_every_failure_is_reported():
    with pytest.raises(ContractError) as caught:
        check_view(TerminalIsTheNextReset, Single, steps=STEPS)

    assert [finding.check for finding in caught.value.findings] == ["against_environments"]
    assert "- against_environments: " in str(caught.value)


def test_other_things_are_refused():
    with pytest.raises(ContractError, match="expected a Gymnasium VectorEnv or an SB3 VecEnv"):
        check_view(Single)
    with pytest.raises(ConfigurationError, match="expected a Gymnasium VectorEnv or an SB3 VecEnv"):
        view_checks.check_shapes(Single)
