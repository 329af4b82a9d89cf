"""PPO through the SB3 view and the trainer's stack, against PPO on an environment packed by hand."""

from collections.abc import Callable

from pettingzoo import ParallelEnv
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecMonitor, VecNormalize

import heron
from benchmarks.hand_packed import HandPackedVecEnv
from benchmarks.tasks import Task
from benchmarks.timing import Stopwatch
from heron.training import HierarchyTrainer, LearnerConfig
from heron.wrappers import HierarchicalVectorEnv
from heron.wrappers.sb3 import Sb3VecEnv

TimedMake = Callable[[], ParallelEnv]


class Training:
    """A model of PPO that takes one rollout and one update at a time.

    Args:
        task: The task to learn.
        samples: Samples of a rollout.
        make_model: Makes the model out of a function that makes one copy.
    """

    def __init__(self, task: Task, samples: int, make_model: Callable[[TimedMake], BaseAlgorithm]) -> None:
        self._watch = Stopwatch()
        self._samples = samples
        self._model = make_model(lambda: self._timed_env(task))
        self._watch.watch(self._model.env, "step", "view")
        self._watch.watch(self._model.env, "reset", "view")
        self._watch.watch(self._model, "collect_rollouts", "rollout")
        self._watch.watch(self._model, "train", "update")
        self._watch.watch(self, "run", "all")

    def close(self) -> None:
        """Close the environments."""
        if self._model.env is not None:
            self._model.env.close()

    def run(self) -> None:
        """Take one rollout and one update."""
        self._model.learn(self._samples, reset_num_timesteps=False)

    def shares(self) -> dict[str, float]:
        """Return the shares of the time of all runs, in percent."""
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
    """Return the models to train, by label.

    Args:
        task: The task to learn.
        n_steps: Steps of each copy in a rollout.
        batch_size: Samples of a batch in the update.
    """
    options = {"n_steps": n_steps, "batch_size": batch_size}

    def sb3(view: VecEnv) -> BaseAlgorithm:
        return PPO("MlpPolicy", view, **options, seed=0, device="cpu")

    def scaled(view: VecEnv) -> BaseAlgorithm:
        return sb3(VecNormalize(VecMonitor(view), norm_obs=False))

    def stack(venv: HierarchicalVectorEnv) -> BaseAlgorithm:
        (group,) = venv.groups
        return HierarchyTrainer(venv, {group: LearnerConfig(options=options)}).models[group]

    makers: dict[str, Callable[[TimedMake], BaseAlgorithm]] = {
        "packed by hand": lambda make: sb3(HandPackedVecEnv(task, make)),
        "... SB3's VecMonitor, VecNormalize": lambda make: scaled(HandPackedVecEnv(task, make)),
        "heron, SB3 view": lambda make: sb3(Sb3VecEnv(heron.make_vec(make, task.copies))),
        "heron, trainer's stack": lambda make: stack(heron.make_vec(make, task.copies)),
    }
    samples = n_steps * task.copies * task.agents
    return {label: Training(task, samples, make) for label, make in makers.items()}
