"""The trainer: in each round, the groups of a hierarchy learn one after another, each in its turn."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from stable_baselines3.common.logger import KVWriter, Logger, make_output_format
from stable_baselines3.common.vec_env import VecEnv

from heron.errors import ConfigurationError, EnvStepError, checked_count
from heron.play.policies import ModelPolicy
from heron.training.config import LearnerConfig
from heron.training.learned_policies import TurnPolicy, learned_policies
from heron.training.models import check_learner, make_model
from heron.training.progress import Progress, Turn, TurnCallback
from heron.training.run_folder import RunFolder
from heron.vector.vec_group import resolve_group
from heron.wrappers import HierarchicalVectorEnv, VecGroup
from heron.wrappers.sb3 import Sb3VecEnv

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

SEED_STRIDE = 10_007
"""Difference between the seeds of consecutive turns, large enough that copies do not repeat each other's seeds."""


class HierarchyTrainer:
    """Trainer that lets the groups of a vector env learn in turns, each with its own SB3 model.

    In each round the field agents learn first and then the coordinators, from the bottom up, always against
    the newest policies of all others. A group that has not learned yet acts uniformly at random, so that field
    agents meet all kinds of commands. Models, optimizers and step counts last from turn to turn.

    Learners collect whole rollouts. Steps that a group takes beyond its turn are subtracted from its next turn, so
    the total exceeds the number of environment steps asked for by at most one rollout per group.

    Args:
        venv: The vector env. The trainer resets its copies, and does not close it.
        learners: Group or level name -> config of its learner; other groups learn with the defaults.
        seed: Root of all randomness: environments, models and random policies.
        folder: Folder for TensorBoard logs and ``metrics.csv``, as by ``log_to``; without one, nothing is written.

    Attributes:
        models: Group name -> SB3 model.
        env_steps: Environment steps of all turns so far, over all copies.
        progress: Metrics of all turns so far.

    Raises:
        ConfigurationError: If a group, algorithm or policy of ``learners`` does not exist, or its options do not fit.
    """

    def __init__(
        self,
        venv: HierarchicalVectorEnv,
        learners: Mapping[str, LearnerConfig] | None = None,
        *,
        seed: int = 0,
        folder: str | Path | None = None,
    ) -> None:
        self.venv = venv
        self.seed = seed
        self.configs = learner_configs(learners or {}, venv.groups)
        self._turn_policies = {
            name: TurnPolicy(group, seed + place) for place, (name, group) in enumerate(venv.groups.items())
        }
        self.progress = Progress([group.name for group in venv.field_groups])
        self.env_steps = 0
        self._turns_taken = 0
        self._steps_ahead = dict.fromkeys(venv.groups, 0)
        self._logs: dict[str, KVWriter] = {}
        self.models: dict[str, BaseAlgorithm] = {}
        for name, config in self.configs.items():
            check_learner(venv.groups[name], config)
            others = {other: policy for other, policy in self._turn_policies.items() if other != name}
            view = Sb3VecEnv(venv, name, others, on_episode=self.progress.note_episode)
            self.models[name] = make_model(venv.groups[name], config, view, seed)
            self._turn_policies[name].model = self.models[name]
        if folder is not None:
            self.log_to(folder)

    def log_to(self, folder: str | Path) -> None:
        """Write TensorBoard logs and ``metrics.csv`` to ``folder`` from now on, which is created if needed."""
        self.stop_logging()
        run_folder = RunFolder(folder)
        run_folder.path.mkdir(parents=True, exist_ok=True)
        self.progress.log_to(run_folder.metrics_file)
        for name, log_folder in run_folder.tensorboard_folders(self.models).items():
            log = make_output_format("tensorboard", str(log_folder))
            self._logs[name] = log
            self.models[name].set_logger(Logger(str(folder), [log]))

    def stop_logging(self) -> None:
        """Close all logs, so that their folder can be moved, and write none from now on."""
        self.progress.stop_logging()
        for name, log in self._logs.items():
            log.close()
            self.models[name].set_logger(Logger(None, []))  # a closed writer would open a new file in the old folder
        self._logs.clear()

    def turns(self, steps: int, rounds: int = 1) -> list[Turn]:
        """Return the order and the lengths of the turns for ``steps`` environment steps in total.

        Raises:
            ConfigurationError: If ``steps`` or ``rounds`` is not a positive integer, or the shares of all groups are 0.
        """
        steps, rounds = checked_count("steps", steps), checked_count("rounds", rounds)
        order = [group.name for group in (*self.venv.field_groups, *reversed(self.venv.coordinator_groups))]
        shares = [Fraction(self.configs[name].share) for name in order]
        if not sum(shares):
            raise ConfigurationError(
                f"no group learns: the share of {', '.join(order)} is 0, but at least one share must be positive"
            )
        # Rounding the ends of the turns, rather than their lengths, preserves the sum.
        per_share = steps / (sum(shares) * rounds)
        ends = [0, *(round(share * per_share) for share in accumulate(shares * rounds))]
        owners = [(round_, name) for round_ in range(1, rounds + 1) for name in order]
        parts = [end - start for start, end in pairwise(ends)]
        return [Turn(round_, name, part) for (round_, name), part in zip(owners, parts, strict=True) if part]

    def train(self, steps: int, rounds: int = 1, on_progress: Callable[[Turn, int], None] | None = None) -> None:
        """Let every group learn in its turns.

        Args:
            steps: Environment steps in total, over all copies and rounds.
            rounds: Number of rounds, in each of which every group takes one turn.
            on_progress: Called after each decision with the turn and its environment steps so far.

        Raises:
            ConfigurationError: If ``steps`` or ``rounds`` is not a positive integer, or the shares of all groups are 0.
            EnvStepError: If a copy raises, or every episode ends at its reset.
        """
        for turn in self.turns(steps, rounds):
            self.take_turn(turn, on_progress)

    def take_turn(self, turn: Turn, on_progress: Callable[[Turn, int], None] | None = None) -> None:
        """Let one group learn for one turn.

        Raises:
            EnvStepError: If a copy raises, or every episode ends at its reset.
        """
        model, first_step = self.models[turn.group], self.venv.total_steps
        steps = turn.steps - self._steps_ahead[turn.group]
        callback = TurnCallback(self.progress, turn, self.venv, self.env_steps, on_progress)
        # The previous learner left the copies in the middle of episodes, so all are reset. They are seeded again,
        # because torch's global stream depends on everything else that this process has done.
        model.set_env(_env_of(model), force_reset=True)
        model.set_random_seed((self.seed + self._turns_taken * SEED_STRIDE) % 2**32)
        self._turns_taken += 1
        # SB3 counts decisions, and a decision that ends with its episode is shorter than a period.
        while (left := steps - (self.venv.total_steps - first_step)) > 0:
            self._learn(turn.group, left, callback)
        taken = self.venv.total_steps - first_step
        self._steps_ahead[turn.group] = taken - steps
        self.env_steps += taken

    def policies(self, *, deterministic: bool = True) -> dict[str, ModelPolicy]:
        """Return what each group has learned so far: its model's policy, or random actions if it never learned."""
        return learned_policies(self.models, self.seed, deterministic=deterministic)

    def _learn(self, name: str, steps: int, callback: TurnCallback) -> None:
        """Let a model learn for the number of decisions that ``steps`` environment steps take at least."""
        group, before = self.venv.groups[name], self.venv.total_steps
        decisions = -(-steps // group.period) * group.num_agents
        self.models[name].learn(decisions, callback, log_interval=1, reset_num_timesteps=False)
        if self.venv.total_steps == before:
            raise EnvStepError(
                f"group {name!r} cannot learn: in {', '.join(self.venv.env_ids)} every episode ends at its reset, "
                "before the first environment step"
            )


def _env_of(model: "BaseAlgorithm") -> VecEnv:
    env = model.get_env()
    assert env is not None, "the trainer makes each model with its view"  # noqa: S101 -- cannot happen
    return env


def learner_configs(given: Mapping[str, LearnerConfig], groups: Mapping[str, VecGroup]) -> dict[str, LearnerConfig]:
    """Return the config of each group's learner, from configs by group or level; the others get the defaults.

    Raises:
        ConfigurationError: If a key is not the name of a group or level, or a value is not a LearnerConfig.
    """
    configs = dict.fromkeys(groups, LearnerConfig())
    for key, config in given.items():
        if not isinstance(config, LearnerConfig):
            raise ConfigurationError(f"learners: expected a LearnerConfig for {key!r}, got {config!r}")
    # Levels first, so that the entry of a group overrides that of its level.
    for key in sorted(given, key=lambda key: key in groups):
        for group in resolve_group(key, groups, "learners"):
            configs[group.name] = given[key]
    return configs
