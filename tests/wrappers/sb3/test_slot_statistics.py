"""Episodes and reward scales compared with the environments' records."""

import csv
from collections import Counter

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from stable_baselines3 import PPO
from stable_baselines3.common.running_mean_std import RunningMeanStd

from heron.agents import Hierarchy
from heron.wrappers import make_vec
from heron.wrappers.sb3 import Sb3VecEnv, SlotMonitor, SlotNormalize, SlotRecorder, buffer_options

from .chain import AGENTS, GAMMA, REWARDS, STARTS, A, B, Chain

MIXED = [{}, {"horizon": 4}, {"horizon": 6, "cuts": {B: 2}}]
BY_HAND = {2: [0], 4: [1], 5: [0, 1], 6: [0], 9: [1, 2], 13: [1], 14: [1]}
"""Step -> copies that are reset after it; copy 1 after its 4th step, in which it was reset automatically."""


def chain_view():
    envs = [Chain(STARTS, **spec) for spec in MIXED]
    return envs, Sb3VecEnv(make_vec([lambda env=env: env for env in envs]))


def play(env, view, steps=30, by_hand=BY_HAND):
    """A callback that keeps the infos of each step."""
    env.reset()
    for step in range(1, steps + 1):
        yield env.step(np.zeros(env.num_envs, dtype=int))[3]
        if step in by_hand:
            view.reset_envs(by_hand[step])


def episodes(env, agent):
    """Return the returns and lengths of an agent's finished episodes."""
    total, length = 0.0, 0
    for row, step in enumerate(env.log):
        if row in env.cut_by_hand and length:
            yield total, length
            total, length = 0.0, 0
        if agent in step:
            total, length = total + step[agent].reward, length + 1
            if step[agent].terminated or step[agent].truncated:
                yield total, length
                total, length = 0.0, 0


class TestMonitor:
    def test_a_view_may_be_reset_before_the_monitor_is(self):
        view = Sb3VecEnv(make_vec([lambda: Chain({A: 0}, horizon=3)]))
        monitor = SlotMonitor(view)
        view.reset_envs([0])
        infos = [monitor.step(np.zeros(1, dtype=int))[3][0] for _ in range(8)]
        assert [info["episode"]["l"] for info in infos if "episode" in info] == [3, 3]

    def test_episodes_are_those_of_the_agents(self, tmp_path):
        envs, view = chain_view()
        monitor = SlotMonitor(view, str(tmp_path / "log"))
        found = Counter()
        for infos in play(monitor, view):
            found.update(
                (slot, info["episode"]["r"], info["episode"]["l"])
                for slot, info in enumerate(infos)
                if "episode" in info
            )
        expected = Counter(
            (3 * place + number, total, length)
            for place, env in enumerate(envs)
            for number, agent in enumerate(AGENTS)
            for total, length in episodes(env, agent)
        )
        assert found == expected
        assert sum(expected.values()) > 30
        monitor.results_writer.file_handler.flush()
        with (tmp_path / "log.monitor.csv").open() as file:
            file.readline()
            written = Counter((float(row["r"]), int(row["l"])) for row in csv.DictReader(file))
        assert written == Counter((total, length) for _, total, length in expected.elements())
        assert monitor.episode_count == expected.total()
        monitor.close()

    def test_an_end_in_the_first_step_after_a_reset_by_hand_is_reported_in_the_next(self):
        env = Chain({A: 0, B: 0}, horizon=1)
        view = Sb3VecEnv(make_vec([lambda: env]))
        monitor = SlotMonitor(view)
        told = [infos[0].get("episode") for infos in play(monitor, view, 4, {1: [0]})]
        assert [episode and (episode["r"], episode["l"]) for episode in told] == [(1, 1), None, (1, 1), (1, 1)]

    def test_a_coordinators_length_is_in_decisions(self):
        tree = lambda ids: Hierarchy.star(ids, period=3, command_space=Discrete(2))  # noqa: E731 -- short
        view = Sb3VecEnv(make_vec([lambda: Chain(STARTS)], hierarchy=tree), "coordinator", {"field": 0})
        monitor = SlotMonitor(view)
        monitor.reset()
        infos = [monitor.step(np.zeros((1, 3), dtype=int))[3][0] for _ in range(4)]
        assert infos[-1]["episode"]["l"] == 4
        assert infos[-1]["episode"]["r"] == pytest.approx(sum(REWARDS[start:].sum() for start in STARTS.values()))

    def test_keywords_are_taken_from_the_infos(self):
        env = Chain({A: 8, B: 8})
        view = Sb3VecEnv(make_vec([lambda: env]))
        monitor = SlotMonitor(view, info_keywords=("TimeLimit.truncated",))
        *_, infos = play(monitor, view, 2, {})
        assert infos[0]["episode"]["TimeLimit.truncated"] is False


class TestNormalize:
    def test_the_scale_is_that_of_the_agents_returns(self):
        envs, view = chain_view()
        env = SlotNormalize(view, norm_obs=False, gamma=GAMMA)
        steps = len(list(play(env, view)))
        expected = RunningMeanStd(shape=())
        totals = dict.fromkeys([(place, agent) for place in range(3) for agent in AGENTS], 0.0)
        for row in range(steps):
            live = []
            for place, chain in enumerate(envs):
                for agent in AGENTS:
                    key = (place, agent)
                    if row in chain.cut_by_hand:
                        totals[key] = 0.0
                    elif agent in chain.log[row]:
                        move = chain.log[row][agent]
                        totals[key] = GAMMA * totals[key] + move.reward
                        live.append(totals[key])
                        if move.terminated or move.truncated:
                            totals[key] = 0.0
            if live:
                expected.update(np.array(live))
        assert env.ret_rms.count == pytest.approx(expected.count)
        assert (env.ret_rms.mean, env.ret_rms.var) == pytest.approx((expected.mean, expected.var))

    def test_decisions_discount_by_their_length(self):
        tree = lambda ids: Hierarchy.star(ids, period=3, command_space=Discrete(2))  # noqa: E731 -- short
        venv = make_vec([lambda: Chain({A: 0})], hierarchy=tree)
        env = SlotNormalize(Sb3VecEnv(venv, "coordinator", {"field": 0}, discount=GAMMA), norm_obs=False, gamma=GAMMA)
        env.reset()
        for _ in range(3):
            env.step(np.zeros((1, 1), dtype=int))
        decisions = [sum(GAMMA**step * REWARDS[first + step] for step in range(3)) for first in (0, 3, 6)]
        expected = GAMMA**6 * decisions[0] + GAMMA**3 * decisions[1] + decisions[2]
        assert env.returns.tolist() == pytest.approx([expected], rel=1e-6)

    def test_it_can_be_saved_and_loaded_for_another_view(self, tmp_path):
        _, view = chain_view()
        env = SlotNormalize(view, norm_obs=False, gamma=GAMMA)
        list(play(env, view))
        env.save(tmp_path / "normalize.pkl")
        _, other = chain_view()
        loaded = SlotNormalize.load(tmp_path / "normalize.pkl", other)
        assert loaded.ret_rms.var == env.ret_rms.var
        list(play(loaded, other, 3))
        assert loaded.ret_rms.count > env.ret_rms.count


def test_sb3_logs_lengths_without_inert_rows():
    _, view = chain_view()
    env = SlotRecorder(SlotNormalize(SlotMonitor(view), norm_obs=False, gamma=GAMMA))
    model = PPO("MlpPolicy", env, n_steps=30, batch_size=270, device="cpu", **buffer_options(env, PPO, gamma=GAMMA))
    model.learn(270)
    lengths = {(episode["l"], round(float(episode["r"]), 4)) for episode in model.ep_info_buffer}
    assert max(length for length, _ in lengths) == 10
    assert (10, round(float(REWARDS.sum()), 4)) in lengths
    assert (3, round(float(REWARDS[7:].sum()), 4)) in lengths
