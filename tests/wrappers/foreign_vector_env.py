"""A Gymnasium vector env of an unknown kind that can return wrong results."""

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv


def _cart_pole():
    return gymnasium.make("CartPole-v1")


class Foreign(SyncVectorEnv):
    """A vector env whose result of the second step, or of a later reset, is changed by a function."""

    def __init__(self, spoil=None, when="step", mode=AutoresetMode.SAME_STEP):
        super().__init__([_cart_pole] * 3, autoreset_mode=mode)
        self.spoil, self.when = spoil, when
        self.calls = {"step": 0, "reset": 0}

    def spoilt(self, method, results):
        self.calls[method] += 1
        return self.spoil(*results) if self.spoil and self.when == method and self.calls[method] == 2 else results

    def reset(self, **kwargs):
        return self.spoilt("reset", super().reset(**kwargs))

    def step(self, actions):
        return self.spoilt("step", super().step(actions))


def no_power(*results):
    raise RuntimeError("no power")


def blank(seen, *rest):
    seen[1] = np.nan
    return seen, *rest


SPOILT = {
    "raises": (no_power, "RuntimeError: no power"),
    "shape": (lambda seen, *rest: (seen[:, :3], *rest), r"\(3, 4\).*\(3, 3\)"),
    "too few": (lambda seen, *rest: (seen[:2], *rest), "env_0, env_1, env_2"),
    "nothing": (lambda seen, *rest: (None, *rest), "env_0, env_1, env_2"),
    "NaN": (blank, r"env_1: .*observation.* NaN .*0, 1, 2, 3"),
}
