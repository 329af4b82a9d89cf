"""Random calls to the Gymnasium view and to a plain model of it, which must return the same results."""

from copy import deepcopy

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from heron.errors import EnvStepError, InvalidMaskError, ResetRequiredError
from heron.wrappers import GymVectorEnv

from ..interleaving import Interleaving, flags, options, seeds
from ..naive_copy import FailedError
from ..naive_views import NaiveGym, NoEpisodeError, TornError, infos_of_slot, row_of, same
from ..scenes import plain_copies, plain_factories, scenes

modes = st.sampled_from(AutoresetMode)


class GymInterleaving(Interleaving):
    """Copies of several agents, flat and under hierarchies."""

    @initialize(scene=scenes(), mode=modes, copy=st.booleans(), ready=st.sampled_from([True, True, True, False]))
    def begin(self, scene, mode, copy, ready):
        view = GymVectorEnv(
            scene.venv, scene.learn, scene.policies, copy=copy, autoreset_mode=mode, discount=scene.discount
        )
        self.show_in(view, scene.copies)
        if ready:
            self.reset_both(range(len(scene.copies)), None, None)

    def show_in(self, view, copies):
        self.show(view, NaiveGym(copies, view.autoreset_mode))
        self.ended = np.zeros(view.num_envs, dtype=bool)

    def remember_all(self, observations, *rest):
        """Keep a returned result, observations only if they are new arrays in every step."""
        self.remember(*rest, *([observations] if self.view.copy else []))

    def reset_both(self, which, seed, options, mask=None):
        by_copy = seed if isinstance(seed, list) else [None if seed is None else seed + k for k in range(9)]
        given = None if options is None and mask is None else {**(options or {})}
        if mask is not None:
            given["reset_mask"] = mask
        kept = deepcopy(given)
        observations, infos = self.view.reset(
            seed=self.by_slot(seed) if isinstance(seed, list) else seed, options=given
        )
        assert given is None or same(given, kept)
        for index in which:
            self.model.reset(index, by_copy[index], options if mask is None else options or {})
        self.ended[[slot for slot in range(len(self.ended)) if slot // self.size in which]] = False
        self.check_observations(observations)
        for slot in self.slots:
            copy, agent = self.slot(slot)
            said = copy.infos.get(agent, {}) if slot // self.size in which else {}
            assert same(infos_of_slot(infos, slot), said)
        self.remember_all(observations, infos)

    @rule(data=st.data(), options=options)
    def reset(self, data, options):
        self.reset_both(range(len(self.copies)), self.seed_of(data, len(self.copies)), options)

    @rule(data=st.data(), options=options, flags=flags, whole=st.booleans())
    def reset_some(self, data, options, flags, whole):
        mask = np.array(self.by_slot(flags[: len(self.copies)]) if whole else flags[: self.view.num_envs])
        self.reset_masked(mask, self.seed_of(data, len(self.copies)), options)

    @rule()
    def reset_ended(self):
        self.reset_masked(self.ended.copy(), None, None)

    def reset_masked(self, mask, seed, options):
        if not mask.any():
            return
        try:
            which = self.model.named_by(mask)
        except TornError:
            with pytest.raises(InvalidMaskError, match="env_"):
                self.view.reset(options={"reset_mask": mask})
        else:
            self.reset_both(which, seed, options, mask)

    @rule(seed=seeds, times=st.integers(1, 3))
    def step(self, seed, times):
        self.view.action_space.seed(seed)
        for _ in range(times):
            self.step_both(self.view.action_space.sample())

    def step_both(self, actions):
        try:
            rows = self.model.step(self.by_copy(actions))
        except (NoEpisodeError, FailedError) as error:
            with pytest.raises(ResetRequiredError if isinstance(error, NoEpisodeError) else EnvStepError):
                self.view.step(actions)
            return
        kept = actions.copy()
        result = observations, rewards, terminated, truncated, infos = self.view.step(actions)
        assert same(actions, kept)
        self.ended |= terminated | truncated
        self.check_observations(observations)
        assert rewards.tolist() == [row.reward for row in rows]
        assert terminated.tolist() == [row.terminated for row in rows]
        assert truncated.tolist() == [row.truncated for row in rows]
        for slot, row in enumerate(rows):
            assert same(row_of(observations, slot), row.observation)
            assert same(infos_of_slot(infos, slot), row.info)
        self.remember_all(*result)

    @rule(number=st.integers(0, 9))
    def call(self, number):
        assert list(self.view.call("double", number, plus=1)) == [2 * number + 1] * self.view.num_envs

    @rule(values=st.integers(1, 6) | st.lists(st.integers(1, 6), min_size=3, max_size=3))
    def set_attr(self, values):
        listed = values[: len(self.copies)] if isinstance(values, list) else [values] * len(self.copies)
        self.view.set_attr("horizon", self.by_slot(listed) if isinstance(values, list) else values)
        for env, horizon in zip(self.envs, listed, strict=True):
            env.horizon = horizon


class PlainGymInterleaving(GymInterleaving):
    """Plain Gymnasium environments of all kinds of spaces."""

    log = ("resets", "received")

    @initialize(factories=plain_factories(), mode=modes, copy=st.booleans())
    def begin(self, factories, mode, copy):
        self.show_in(GymVectorEnv(factories, autoreset_mode=mode, copy=copy), plain_copies(factories))
        self.reset_both(range(len(factories)), 0, None)  # otherwise the operating system chooses the first seed


# The same calls in every run. For a longer search, raise max_examples and drop derandomize.
TestGymInterleaving = GymInterleaving.TestCase
TestGymInterleaving.settings = settings(max_examples=30, stateful_step_count=25, deadline=None, derandomize=True)
TestPlainGymInterleaving = PlainGymInterleaving.TestCase
TestPlainGymInterleaving.settings = settings(max_examples=15, stateful_step_count=20, deadline=None, derandomize=True)
