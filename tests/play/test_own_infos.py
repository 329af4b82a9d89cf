"""Environments that keep writing to the infos that they have returned."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import PPO

from heron.wrappers import GymVectorEnv, make_vec
from heron.wrappers.sb3 import Sb3VecEnv, SlotMonitor, SlotRecorder, buffer_options


class OneInfo(gymnasium.Env):
    """An environment that always returns the same info object, updated in place; episodes last 2 steps."""

    observation_space = Box(-np.inf, np.inf, (1,), np.float32)
    action_space = Discrete(2)

    def __init__(self):
        self.time = 0
        self.info = {"array": np.zeros(2), "deep": {"lists": [[0], ({"x": 0},)]}}

    def tell(self):
        self.time += 1
        self.info["array"][:] = self.info["time"] = self.time
        self.info["deep"]["lists"][0][0] = self.info["deep"]["lists"][1][0]["x"] = self.time
        return self.info

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), self.tell()

    def step(self, action):
        self.steps += 1
        return np.full(1, self.steps, np.float32), 0.0, self.steps == 2, False, self.tell()


def told(time):
    return {"array": np.full(2, float(time)), "deep": {"lists": [[time], ({"x": time},)]}, "time": time}


@pytest.mark.parametrize(
    "make", [lambda: Sb3VecEnv(make_vec(OneInfo, 2)), lambda: Sb3VecEnv([OneInfo] * 2)], ids=["vector env", "factories"]
)
def test_infos_for_sb3_are_those_of_their_own_step(make):
    view = make()
    view.reset()
    began = [view.reset_infos]
    infos = []
    for _ in range(6):
        infos.append(view.step(np.zeros(2, int))[3])
        began.append(view.reset_infos)
    for step, time in enumerate([2, 3, 5, 6, 8, 9]):
        for info in infos[step]:
            said = {key: value for key, value in info.items() if key in told(0)}
            assert data_equivalence(said, told(time)), step
    for step, time in enumerate([1, 1, 4, 4, 7, 7, 10]):
        assert data_equivalence(began[step], [told(time)] * 2), step


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        (SyncVectorEnv, lambda: [OneInfo] * 2),  # the reference
        (GymVectorEnv, lambda: [OneInfo] * 2),
        (GymVectorEnv, lambda: make_vec(OneInfo, 2)),
    ],
    ids=["Gymnasium's", "factories", "vector env"],
)
def test_final_infos_are_those_of_before_the_reset(kind, source):
    view = kind(source(), autoreset_mode=AutoresetMode.SAME_STEP)
    view.reset()
    infos = [view.step(np.zeros(2, int))[4] for _ in range(4)]
    for info, time in ((infos[1], 3), (infos[3], 6)):
        assert info["final_info"]["time"].tolist() == [time] * 2
        assert info["final_info"]["array"].tolist() == [[time] * 2] * 2
        assert info["time"].tolist() == [time + 1] * 2


def test_values_that_cannot_be_copied_are_shared():
    class Simulator:
        def __deepcopy__(self, memo):
            raise TypeError("a simulator cannot be copied")

    class Simulated(OneInfo):
        def tell(self):
            return super().tell() | {"simulator": simulator}

    simulator = Simulator()
    view = Sb3VecEnv(make_vec(Simulated, 1))
    view.reset()
    assert all(view.step(np.zeros(1, int))[3][0]["simulator"] is simulator for _ in range(3))


def test_infos_with_a_circular_reference_are_copied_at_their_top_level():
    class Circle(OneInfo):
        def tell(self):
            info = {**super().tell()}
            return info | {"circle": info.setdefault("self", info)}

    view = Sb3VecEnv(make_vec(Circle, 1))
    view.reset()
    for time in (2, 3, 5):
        (info,) = view.step(np.zeros(1, int))[3]
        assert info["time"] == info["circle"]["self"]["time"] == time


def test_an_environment_cannot_mark_its_own_steps_as_inert():
    class Claiming(OneInfo):
        def tell(self):
            return {"inert": True, "stale": self.time, "waited": True}

    view = SlotRecorder(SlotMonitor(Sb3VecEnv(make_vec(Claiming, 2))))
    model = PPO("MlpPolicy", view, n_steps=4, batch_size=8, n_epochs=1, **buffer_options(view, PPO))
    model.learn(8)
    assert model.rollout_buffer.lengths.tolist() == [[1, 1]] * 4
    assert not model.rollout_buffer.waited.any()
    assert [episode["l"] for episode in model.ep_info_buffer] == [2] * 4
