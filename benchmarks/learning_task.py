"""One environment to be learned: how it is trained, and whether that beats random actions."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from heron.play.policies import ModelPolicy, PolicyLike
from heron.training import Evaluation, HierarchyTrainer, LearnerConfig, evaluate, random_policies
from heron.wrappers import HierarchicalVectorEnv
from heron.wrappers.sb3 import Sb3VecEnv, SlotMonitor, SlotNormalize, SlotRecorder, buffer_options

EVALUATION_SEED = 10_000

OnProgress = Callable[[int], None]
"""Called with the environment steps taken so far."""


class Learner(Protocol):
    """Learns on a vector env."""

    label: str

    def train(
        self, venv: HierarchicalVectorEnv, steps: int, seed: int, on_progress: OnProgress
    ) -> Mapping[str, PolicyLike]:
        """Take ``steps`` environment steps over all copies; gives what was learned, by group."""
        ...


@dataclass(frozen=True)
class ThroughView:
    """A learner of SB3 on ``Sb3VecEnv``, with the buffers and statistics that know of agents that are gone.

    Attributes:
        algorithm: Its class.
        options: Its keywords.
        gamma: Its discount.
        learn: The group that learns, against random actions of all others.
        policy: SB3's name for the network.
        normalize_observations: Whether it sees observations of mean 0 and variance 1.
    """

    algorithm: type[OnPolicyAlgorithm | MaskablePPO] = PPO
    options: Mapping[str, Any] = field(default_factory=dict)
    gamma: float = 0.99
    learn: str | None = None
    policy: str = "MlpPolicy"
    normalize_observations: bool = False

    @property
    def label(self) -> str:
        """What it is called in the table."""
        return str(self.algorithm.__name__)

    def train(
        self, venv: HierarchicalVectorEnv, steps: int, seed: int, on_progress: OnProgress
    ) -> Mapping[str, PolicyLike]:
        learn = self.learn or next(iter(venv.groups))
        others: dict[str, PolicyLike] = {name: p for name, p in random_policies(venv, seed).items() if name != learn}
        view = Sb3VecEnv(venv, learn, others)
        scaled = SlotNormalize(SlotMonitor(view), norm_obs=self.normalize_observations, gamma=self.gamma)
        env = SlotRecorder(scaled)
        options = {
            "device": "cpu",
            "seed": seed,
            **self.options,
            **buffer_options(env, self.algorithm, gamma=self.gamma),
        }
        model = self.algorithm(self.policy, env, **options)

        def report(_locals: dict[str, Any], _globals: dict[str, Any]) -> bool:
            on_progress(venv.total_steps)
            return True

        model.learn(steps * venv.groups[learn].num_agents, report)
        scaled.training = False
        return {learn: ModelPolicy(model, deterministic=True), **others}


@dataclass(frozen=True)
class InTurns:
    """The groups of a hierarchy, one after the other.

    Attributes:
        learners: Group or level -> how it learns.
        rounds: How often the turn goes round.
    """

    learners: Mapping[str, LearnerConfig]
    rounds: int = 1

    @property
    def label(self) -> str:
        """What it is called in the table."""
        parts = {f"{config.algorithm} ({level})": None for level, config in self.learners.items()}
        return " and ".join(parts)

    def train(
        self, venv: HierarchicalVectorEnv, steps: int, seed: int, on_progress: OnProgress
    ) -> Mapping[str, PolicyLike]:
        trainer = HierarchyTrainer(venv, self.learners, seed=seed)
        trainer.train(steps, self.rounds, lambda *_: on_progress(venv.total_steps))
        return trainer.policies()


@dataclass(frozen=True)
class Task:
    """One environment to be learned.

    Attributes:
        name: What it is called on the command line.
        family: Where it comes from.
        env: What it is, for the table.
        make: Makes the copies to learn on.
        learner: Who learns.
        steps: Environment steps over all copies.
        episodes: How many are played by random and by learned policies, from the same seeds.
        scored: The groups whose returns count; by default all field agents.
        make_evaluated: Makes the copies to evaluate on, if others than those to learn on.
    """

    name: str
    family: str
    env: str
    make: Callable[[], HierarchicalVectorEnv]
    learner: Learner
    steps: int
    episodes: int = 100
    scored: Sequence[str] | None = None
    make_evaluated: Callable[[], HierarchicalVectorEnv] | None = None

    def run(self, steps: int, episodes: int, seed: int, on_progress: OnProgress) -> "Outcome":
        """Learn for ``steps`` environment steps, and play ``episodes`` episodes with and without."""
        with ExitStack() as stack:
            venv = stack.enter_context(self.make())
            evaluated = venv if self.make_evaluated is None else stack.enter_context(self.make_evaluated())
            start = time.perf_counter()
            learned = self.learner.train(venv, steps, seed, on_progress)
            seconds, taken = time.perf_counter() - start, venv.total_steps
            return Outcome(
                self.name,
                self.family,
                self.env,
                self.learner.label,
                taken,
                seed,
                seconds,
                self._score(evaluated, random_policies(evaluated, seed), episodes),
                self._score(evaluated, learned, episodes),
            )

    def _score(self, venv: HierarchicalVectorEnv, policies: Mapping[str, PolicyLike], episodes: int) -> "Score":
        played = evaluate(venv, policies, episodes, EVALUATION_SEED)
        if self.scored is not None:
            returns = sum(played.agent_returns[name].sum(axis=1) for name in self.scored)
            played = replace(played, returns=returns)
        return Score.of(played)


@dataclass(frozen=True)
class Score:
    """Returns of some episodes: their mean and its 95 % interval."""

    mean: float
    low: float
    high: float
    episodes: int
    length: float

    @classmethod
    def of(cls, played: Evaluation) -> "Score":
        """The score of episodes that were played."""
        return cls(played.mean, *played.interval, played.episodes, float(played.lengths.mean()))


@dataclass(frozen=True)
class Outcome:
    """How a task went.

    Attributes:
        name: The task.
        family: Its family.
        env: Its environment.
        learner: Who learned.
        steps: Environment steps that were taken, over all copies.
        seed: Of the learner and its environments.
        seconds: How long the learning took, in s, without the evaluations.
        random: What random actions get.
        learned: What the learned policies get in the same episodes.
    """

    name: str
    family: str
    env: str
    learner: str
    steps: int
    seed: int
    seconds: float
    random: Score
    learned: Score

    @property
    def separated(self) -> bool:
        """Whether learning is better beyond both intervals."""
        return self.learned.low > self.random.high

    def to_mapping(self) -> dict[str, Any]:
        """The outcome, as JSON has it."""
        return asdict(self) | {"separated": self.separated}
