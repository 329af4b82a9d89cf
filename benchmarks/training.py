"""PPO through the SB3 view against PPO on the same environment packed by hand, and where the time goes."""

from collections.abc import Callable

from pettingzoo import ParallelEnv
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv

import heron
from benchmarks.hand_packed import HandPackedVecEnv
from benchmarks.stopwatch import Stopwatch
from benchmarks.tasks import Task
from heron.wrappers.sb3 import Sb3VecEnv

TimedMake = Callable[[], ParallelEnv]


class Training:
    """PPO with SB3's defaults, one rollout and update at a time.

    Args:
        task: What is learned.
        n_steps: Steps of each copy in a rollout.
        batch_size: Samples of a batch in the update.
        make_view: Makes the ``VecEnv`` out of a function that makes one copy.
    """

    def __init__(
        self, task: Task, n_steps: int, batch_size: int, make_view: Callable[[Task, TimedMake], VecEnv]
    ) -> None:
        self._watch = Stopwatch()
        self.view = make_view(task, lambda: self._timed_env(task))
        self._watch.watch(self.view, "step", "view")
        self._watch.watch(self.view, "reset", "view")
        self._model = PPO("MlpPolicy", self.view, n_steps=n_steps, batch_size=batch_size, seed=0, device="cpu")
        self._watch.watch(self._model, "collect_rollouts", "rollout")
        self._watch.watch(self._model, "train", "update")
        self._watch.watch(self, "run", "all")
        self._samples = n_steps * self.view.num_envs

    def run(self) -> None:
        """One rollout and one update."""
        self._model.learn(self._samples, reset_num_timesteps=False)

    def shares(self) -> dict[str, float]:
        """Where the time of all runs went, in percent of it."""
        seconds = self._watch.seconds
        parts = {
            "environment, %": seconds["environment"],
            "view, %": seconds["view"] - seconds["environment"],
            "inference, %": seconds["rollout"] - seconds["view"],
            "update, %": seconds["update"],
        }
        return {label: 100 * part / seconds["all"] for label, part in parts.items()}

    def _timed_env(self, task: Task) -> ParallelEnv:
        env = task.make()
        self._watch.watch(env, "step", "environment")
        self._watch.watch(env, "reset", "environment")
        return env


def contenders(task: Task, n_steps: int, batch_size: int) -> dict[str, Training]:
    """Label -> what trains."""
    return {
        "packed by hand": Training(task, n_steps, batch_size, HandPackedVecEnv),
        "heron, SB3 view": Training(task, n_steps, batch_size, _heron_view),
    }


def _heron_view(task: Task, make: TimedMake) -> VecEnv:
    return Sb3VecEnv(heron.make_vec(make, task.copies))
