"""Training a hierarchy: one group learns at a time, and the turn goes round."""

import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from stable_baselines3.common.logger import KVWriter, Logger, make_output_format
from stable_baselines3.common.vec_env import VecEnv

from heron.errors import ConfigurationError, EnvStepError
from heron.play.policies import ModelPolicy
from heron.training.config import LearnerConfig
from heron.training.config_checks import checked_count
from heron.training.learned_policies import TurnPolicy, learned_policies
from heron.training.models import check_learner, gamma_of, make_model
from heron.training.progress import Progress, Turn, TurnCallback
from heron.vector.vec_group import resolve_group
from heron.wrappers import HierarchicalVectorEnv, VecGroup
from heron.wrappers.sb3 import Sb3VecEnv, SlotMonitor, SlotNormalize, SlotRecorder

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

TENSORBOARD_FOLDER = "tensorboard"
MAX_FILE_NAME = 60
SEEDS_APART = 10_007
"""Between the seeds of two turns, so that no copy of one starts as another of the last did."""


class HierarchyTrainer:
    """Trains the groups of a vector env in turns, each with its own SB3 model.

    In each round the field agents learn first and then the coordinators, from the bottom up, always against
    the newest policies of all others. A group that has not learned yet acts uniformly at random, so that field
    agents meet all kinds of commands. Models, optimizers and step counts last from turn to turn.

    Learners take whole rollouts. What a group takes beyond its turn is taken off its next one, so that the
    environment steps in all exceed those asked for by no more than one rollout a group.

    Args:
        venv: The vector env. The trainer resets its copies, and does not close it.
        learners: Group or level name -> how it learns; other groups learn by default.
        seed: The root of all randomness: environments, models and random policies.
        folder: Where TensorBoard logs and ``metrics.csv`` go, as by ``log_to``; nowhere by default.

    Attributes:
        models: Group name -> its SB3 model.
        env_steps: Environment steps of all turns so far, over all copies.

    Raises:
        ConfigurationError: If a learner names no group, algorithm or policy, or its options do not fit.
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
        self._views: dict[str, VecEnv] = {}
        self._logs: dict[str, KVWriter] = {}
        self.models: dict[str, BaseAlgorithm] = {}
        for name, config in self.configs.items():
            check_learner(venv.groups[name], config)
            self._views[name] = self._make_view(name, config)
            self.models[name] = make_model(venv.groups[name], config, self._views[name], seed)
            self._turn_policies[name].model = self.models[name]
        if folder is not None:
            self.log_to(folder)

    def log_to(self, folder: str | Path) -> None:
        """Write TensorBoard logs and ``metrics.csv`` from now on into ``folder``, which is made if need be."""
        self.stop_logging()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.progress.log_to(folder)
        for name, file in file_names(self.models).items():
            log = make_output_format("tensorboard", str(folder / TENSORBOARD_FOLDER / file))
            self._logs[name] = log
            self.models[name].set_logger(Logger(str(folder), [log]))

    def stop_logging(self) -> None:
        """Close all logs, so that their folder may be moved, and write none from now on."""
        self.progress.stop_logging()
        for name, log in self._logs.items():
            log.close()
            self.models[name].set_logger(Logger(None, []))  # a closed writer would begin anew in the old place
        self._logs.clear()

    def turns(self, steps: int, rounds: int = 1) -> list[Turn]:
        """Whose turn it is for how long, for ``steps`` environment steps in all.

        Raises:
            ConfigurationError: If ``steps`` or ``rounds`` is no positive integer, or no group has a share.
        """
        steps, rounds = checked_count("steps", steps), checked_count("rounds", rounds)
        order = [group.name for group in (*self.venv.field_groups, *reversed(self.venv.coordinator_groups))]
        shares = [Fraction(self.configs[name].share) for name in order]
        if not sum(shares):
            raise ConfigurationError("no group has a share of the steps: at least one share must be positive")
        # Rounding where turns end rather than how long they are keeps their sum.
        per_share = steps / (sum(shares) * rounds)
        ends = [0, *(round(share * per_share) for share in accumulate(shares * rounds))]
        owners = [(round_, name) for round_ in range(1, rounds + 1) for name in order]
        parts = [end - start for start, end in pairwise(ends)]
        return [Turn(round_, name, part) for (round_, name), part in zip(owners, parts, strict=True) if part]

    def train(self, steps: int, rounds: int = 1, on_progress: Callable[[Turn, int], None] | None = None) -> None:
        """Let every group learn in its turns.

        Args:
            steps: Environment steps in all, over all copies and rounds.
            rounds: How often the turn goes round.
            on_progress: Called after each decision with the turn and its environment steps so far.

        Raises:
            ConfigurationError: If ``steps`` or ``rounds`` is no positive integer, or no group has a share.
            EnvStepError: If a copy raised, or all end their episodes at the reset.
        """
        for turn in self.turns(steps, rounds):
            self.take_turn(turn, on_progress)

    def take_turn(self, turn: Turn, on_progress: Callable[[Turn, int], None] | None = None) -> None:
        """Let one group learn for its turn.

        Raises:
            EnvStepError: If a copy raised, or all end their episodes at the reset.
        """
        group, model, first_step = self.venv.groups[turn.group], self.models[turn.group], self.venv.total_steps
        steps = turn.steps - self._steps_ahead[turn.group]
        callback = TurnCallback(self.progress, turn, self.venv, self.env_steps, on_progress)
        # The copies are in whatever state the last learner left them, so this one starts anew, and from a seed of
        # its own: torch's stream is everybody's, and would depend on what else this process has done.
        model.set_env(self._views[turn.group], force_reset=True)
        model.set_random_seed((self.seed + self._turns_taken * SEEDS_APART) % 2**32)
        self._turns_taken += 1
        # SB3 counts decisions, and one that is cut short by its episode's end lasts less than a period.
        while (left := steps - (self.venv.total_steps - first_step)) > 0:
            before = self.venv.total_steps
            decisions = -(-left // group.period) * group.num_agents
            model.learn(decisions, callback, log_interval=1, reset_num_timesteps=False)
            if self.venv.total_steps == before:
                raise EnvStepError(
                    f"group {turn.group!r} cannot learn: in {', '.join(self.venv.env_ids)} every episode ends at its "
                    "reset, before any environment step"
                )
        taken = self.venv.total_steps - first_step
        self._steps_ahead[turn.group] = taken - steps
        self.env_steps += taken

    def policies(self, *, deterministic: bool = True) -> dict[str, ModelPolicy]:
        """Group name -> what its model has learned so far, or random actions if it never learned."""
        return learned_policies(self.models, self.seed, deterministic=deterministic)

    def _make_view(self, name: str, config: LearnerConfig) -> VecEnv:
        others = {other: policy for other, policy in self._turn_policies.items() if other != name}
        gamma = gamma_of(config)
        discount = 1.0 if self.venv.groups[name].period == 1 else gamma
        view = Sb3VecEnv(self.venv, name, others, discount=discount, on_episode=self.progress.note_episode)
        monitored = SlotMonitor(view)
        if config.normalize_rewards:
            return SlotRecorder(SlotNormalize(monitored, norm_obs=False, norm_reward=True, gamma=gamma))
        return SlotRecorder(monitored)


def file_names(groups: Iterable[str]) -> dict[str, str]:
    """Group name -> a file name of its own, short and of safe characters, without a suffix.

    >>> file_names(["agent", "west+east", "/etc/a", "west/east"])
    {'agent': 'agent', 'west+east': 'west_east', '/etc/a': '_etc_a', 'west/east': 'west_east_3'}
    """
    names: dict[str, str] = {}
    for place, group in enumerate(groups):
        safe = re.sub(r"[^0-9A-Za-z-]", "_", group)[:MAX_FILE_NAME]
        # Some file systems do not tell capitals from small letters.
        taken = safe.lower() in map(str.lower, names.values())
        names[group] = f"{safe}_{place}" if taken else safe
    return names


def learner_configs(given: Mapping[str, LearnerConfig], groups: Mapping[str, VecGroup]) -> dict[str, LearnerConfig]:
    """How each group learns, from configs by group or level; groups left out learn by default.

    Raises:
        ConfigurationError: If a key names no group or level, or a value is no LearnerConfig.
    """
    configs = dict.fromkeys(groups, LearnerConfig())
    for key, config in given.items():
        if not isinstance(config, LearnerConfig):
            raise ConfigurationError(f"learners: expected a LearnerConfig for {key!r}, got {config!r}")
    # Levels first, so that a group's own entry stands over its level's.
    for key in sorted(given, key=lambda key: key in groups):
        for group in resolve_group(key, groups, "learners"):
            configs[group.name] = given[key]
    return configs
