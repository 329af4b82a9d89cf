"""One learning agent of a vector env as a Gymnasium ``Env``."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium

from heron.batch.action_check import batch_of_one
from heron.batch.array_tree import ArrayTree, row
from heron.errors import ConfigurationError, PolicyError, ResetRequiredError
from heron.play.env_copy import EnvCopy
from heron.play.learner_env import LearnerEnv
from heron.play.policies import PolicyLike
from heron.play.turn_engine import Episode
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv


class GymEnv(gymnasium.Env[Any, Any]):
    """A Gymnasium ``Env`` in which one agent learns, and policies decide for all other agents.

    A step is one decision. A coordinator's decision lasts until it is due again or the episode ends. Its reward is
    summed over its environment steps, whose number is ``info["decision_length"]``. While the agent has not appeared
    yet, steps have ``info["inert"]``, and the action is ignored.

    The episode is over when the agent has ended, even if others could continue.

    Args:
        venv: A vector env with one copy. This environment owns it from now on.
        learn: The group that learns, or a level of one group. May be left out if there is only one group.
        policies: Group or level name -> its policy: a model, a function of a batch of observations, or a constant
            action. Every group that does not learn needs one.
        discount: Discount of a reward per environment step since a coordinator's decision; 1 by default.
        on_episode: Called with each finished ``Episode``.

    Attributes:
        learner: The ``LearnerEnv``, with a single slot.
        venv: The vector env.

    Raises:
        ConfigurationError: If there are several copies or learning agents, ``learn`` is not exactly one group, or a
            policy is missing, superfluous or does not fit.
    """

    def __init__(
        self,
        venv: HierarchicalVectorEnv,
        learn: str | None = None,
        policies: Mapping[str, PolicyLike] | None = None,
        *,
        discount: float | None = None,
        on_episode: Callable[[Episode], None] | None = None,
    ) -> None:
        self.venv = venv
        self.learner = LearnerEnv(venv, learn, policies, discount=discount, on_episode=on_episode)
        if self.learner.num_slots != 1:
            raise ConfigurationError(
                f"GymEnv needs one learning agent in one copy, got agents {self.learner.group.agent_ids} in "
                f"{venv.num_envs} copies: use GymVectorEnv, which takes any number of both"
            )
        self._copy = EnvCopy(venv)
        self._agent = self.learner.agent_id(0)
        self._over = True
        self._action_space = self.learner.group.action_space
        self.observation_space = self._copy.observation_spaces[self._agent]
        self.action_space = self._copy.action_spaces[self._agent]
        # Not the class's own dict, into which Gymnasium 1.2 writes what it says of a vector env.
        self.metadata = {"render_modes": [], **self._copy.get_attr("metadata", {})}
        self.render_mode = self._copy.get_attr("render_mode", None)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[ArrayTree, dict[str, Any]]:
        """Start a new episode.

        Args:
            seed: Seed of the environment's random stream; None continues the stream.
            options: Passed on to the environment.

        Returns:
            The agent's observation and info.

        Raises:
            ConfigurationError: If the seed or the options are invalid. Nothing was reset.
            PolicyError: If a policy raised, or returned invalid actions.
            EnvStepError: If the environment raised.
        """
        over, self._over = self._over, True
        try:
            observations = self.learner.reset(seed=None if seed is None else [seed], options=options)
        except PolicyError:
            raise
        except ConfigurationError:  # nothing was reset
            self._over = over
            raise
        super().reset(seed=seed)
        self._over = False
        return row(observations, 0), self._copy.info(self._agent)

    def step(self, action: Any) -> tuple[ArrayTree, float, bool, bool, dict[str, Any]]:
        """Take one decision of the agent.

        Returns:
            The observation, reward, ``terminated`` and ``truncated`` flags and info of the agent.

        Raises:
            ResetRequiredError: If there is no running episode.
            InvalidActionError: If the action is outside its space. Nothing was stepped.
            EnvStepError: If the environment raised. The agent is truncated; the next step reports it.
        """
        if self._over:
            raise ResetRequiredError(f"no running episode of {self._agent!r} in {self._copy.env_id}: call reset()")
        step = self.learner.step(batch_of_one(action, self._action_space, self._agent, self._copy.env_id))
        terminated = bool(step.terminated[0])
        # An episode may be over before the agent has appeared.
        truncated = bool(step.truncated[0] or (step.finished[0] and not terminated))
        self._over = terminated or truncated
        info = self._copy.info(self._agent)
        if not self.learner.group.is_field:
            info["decision_length"] = int(step.lengths[0])
        if step.lengths[0] == 0 and not self._over:
            info["inert"] = True
        return row(step.observations, 0), float(step.rewards[0]), terminated, truncated, info

    def render(self) -> Any:
        """Return the environment's own rendering."""
        return self._copy.call("render")

    def close(self) -> None:
        """Close the vector env."""
        self.venv.close()
