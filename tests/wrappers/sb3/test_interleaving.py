"""Random calls to the SB3 view and to a plain model of it, which must return the same results."""

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from stable_baselines3.common.vec_env import VecMonitor

from heron.errors import EnvStepError, ResetRequiredError
from heron.wrappers.sb3 import Sb3VecEnv, SlotMonitor

from ..interleaving import Interleaving, flags, options, seeds
from ..naive_copy import FailedError
from ..naive_views import SAME, NaiveSb3, NoEpisodeError, same
from ..scenes import plain_copies, plain_factories, scenes

monitors = st.sampled_from([None, VecMonitor, SlotMonitor])


class Sb3Interleaving(Interleaving):
    """Copies of several agents, flat and under hierarchies."""

    start = 0

    @initialize(scene=scenes(), monitor=monitors, ready=st.sampled_from([True, True, True, False]))
    def begin(self, scene, monitor, ready):
        view = Sb3VecEnv(scene.venv, scene.learn, scene.policies, discount=scene.discount)
        self.watch(view, scene.copies, monitor)
        if self.learners[0] in scene.copies[0].tree.below and isinstance(scene.copies[0].tree.command, Discrete):
            self.start = scene.copies[0].tree.command.start
        if ready:
            self.reset()

    def watch(self, view, copies, monitor):
        self.show(view, NaiveSb3(copies, SAME))
        self.outer, self.monitor = view if monitor is None else monitor(view), monitor
        self.seeds, self.options = [None] * len(copies), [{} for _ in self.slots]
        self.returns, self.lengths = [0.0] * len(self.slots), [0] * len(self.slots)

    def check_reset_infos(self):
        said = [copy.reset_infos.get(agent, {}) for copy, agent in map(self.slot, self.slots)]
        assert same(self.view.reset_infos, said)

    @rule()
    def reset(self):
        observations = self.outer.reset()
        for index, seed in enumerate(self.seeds):
            self.model.reset(index, seed, self.options[index * self.size] or None)
        self.seeds, self.options = [None] * len(self.copies), [{} for _ in self.slots]
        self.returns, self.lengths = [0.0] * len(self.slots), [0] * len(self.slots)
        self.check_observations(observations)
        self.check_reset_infos()
        self.remember(observations, self.view.reset_infos)

    @rule(first=seeds)
    def seed(self, first):
        self.seeds = [first + index for index in range(len(self.copies))]
        assert list(self.outer.seed(first)) == self.by_slot(self.seeds)

    @rule(data=st.data(), same_for_all=st.booleans())
    def set_options(self, data, same_for_all):
        if same_for_all:
            given = data.draw(options)
            self.options = [given or {} for _ in self.slots]
        else:
            given = self.options = [data.draw(options) or {} for _ in self.slots]
        self.outer.set_options(given)

    @rule(data=st.data(), options=options, flags=flags, how=st.sampled_from(["indices", "ids", "mask"]))
    def reset_envs(self, data, options, flags, how):
        mask = np.array(flags[: len(self.copies)])
        which = np.flatnonzero(mask)[:: 1 if how == "mask" else -1].tolist()
        seed = self.seed_of(data, len(which))
        named = {"indices": which, "ids": [f"env_{index}" for index in which], "mask": mask}[how]
        observations = self.view.reset_envs(named, seed, options)
        for place, index in enumerate(which):
            one = seed[place] if isinstance(seed, list) else None if seed is None else seed + place
            self.model.reset_in_rollout(index, one, options)
        self.check_observations(observations)
        self.check_reset_infos()
        self.remember(observations, self.view.reset_infos)

    @rule(seed=seeds, times=st.integers(1, 3))
    def step(self, seed, times):
        self.view.action_space.seed(seed)
        for _ in range(times):
            self.step_both(np.array([self.view.action_space.sample() for _ in self.slots]))

    def step_both(self, actions):
        kept = actions.copy()
        try:
            rows = self.model.step(self.by_copy(actions + self.start if self.start else actions))
        except (NoEpisodeError, FailedError) as error:
            with pytest.raises(ResetRequiredError if isinstance(error, NoEpisodeError) else EnvStepError):
                self.outer.step(actions)
            return
        observations, rewards, dones, infos = self.outer.step(actions)
        assert same(actions, kept)
        self.check_observations(observations)
        self.check_reset_infos()
        assert rewards.tolist() == [np.float32(row.reward) for row in rows]
        assert dones.tolist() == [row.terminated or row.truncated for row in rows]
        for slot, row in enumerate(rows):
            self.check_info(slot, row, dict(infos[slot]))
        self.remember(observations, dones, infos)

    def check_info(self, slot, row, info):
        """Check that the monitor reports each episode with the slot's return and length."""
        self.returns[slot] += np.float32(row.reward)
        self.lengths[slot] += row.length > 0
        episode = info.pop("episode", None)
        assert same(info, row.info)
        ended = row.terminated or row.truncated
        assert (episode is not None) == (
            ended and self.monitor is not None and (self.lengths[slot] > 0 or self.monitor is VecMonitor)
        )
        if episode is not None:
            assert (episode["r"], episode["l"]) == (self.returns[slot], self.lengths[slot])
        if ended:
            self.returns[slot] = self.lengths[slot] = 0

    @rule(number=st.integers(0, 9), data=st.data())
    def env_method(self, number, data):
        slots = self.some_slots(data)
        assert self.outer.env_method("double", number, plus=1, indices=slots) == [2 * number + 1] * len(slots)

    @rule(horizon=st.integers(1, 6), data=st.data())
    def set_attr(self, horizon, data):
        slots = self.some_slots(data)
        self.outer.set_attr("horizon", horizon, indices=slots)
        for slot in slots:
            self.envs[slot // self.size].horizon = horizon
        assert self.outer.get_attr("horizon", slots) == [self.envs[slot // self.size].horizon for slot in slots]

    def some_slots(self, data):
        return data.draw(st.lists(st.sampled_from(self.slots), min_size=1, max_size=4))


class PlainSb3Interleaving(Sb3Interleaving):
    """Plain Gymnasium environments of all kinds of spaces."""

    log = ("resets", "received")

    @initialize(factories=plain_factories(), monitor=monitors)
    def begin(self, factories, monitor):
        self.watch(Sb3VecEnv(factories), plain_copies(factories), monitor)
        self.model.plain = True
        self.seed(0)  # otherwise the operating system chooses the first seed
        self.reset()


# The same calls in every run. For a longer search, raise max_examples and drop derandomize.
TestSb3Interleaving = Sb3Interleaving.TestCase
TestSb3Interleaving.settings = settings(max_examples=30, stateful_step_count=25, deadline=None, derandomize=True)
TestPlainSb3Interleaving = PlainSb3Interleaving.TestCase
TestPlainSb3Interleaving.settings = settings(max_examples=15, stateful_step_count=20, deadline=None, derandomize=True)
