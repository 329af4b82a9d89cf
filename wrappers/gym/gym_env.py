"""One learning agent of a vector env as a plain Gymnasium environment."""

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
    """A Gymnasium ``Env`` in which the one agent of a group learns, while given policies decide for everybody else.

    A step is one decision. That of a coordinator lasts until it is due again or the episode ends:
    ``info["decision_length"]`` is its number of environment steps, over which the reward is summed. While the agent has
    not come yet steps have ``info["inert"]``, and its action is not used.

    The episode is over when the agent has ended, even if others could go on.

    Args:
        venv: A vector env with one copy, which belongs to this environment from now on.
        learn: The group that learns, or a level of one group. May be left out if there is only one group.
        policies: Group or level name -> what decides for it: a model, a function of a batch of observations, or a
            constant action. Every other group needs one.
        discount: By how much a reward counts less for each environment step since a coordinator's decision.
        on_episode: Called with each finished ``Episode``.

    Attributes:
        learner: The one slot.
        venv: The vector env.

    Raises:
        ConfigurationError: If there are several copies or learning agents, ``learn`` does not name one group, or a
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
                f"a Gymnasium Env has one agent, but here learn {self.learner.group.agent_ids} in {venv.num_envs} "
                "copies: expected one agent in one copy; GymVectorEnv takes any number of both"
            )
        self._copy = EnvCopy(venv)
        self._agent = self.learner.agent_id(0)
        self._over = True
        self._action_space = self.learner.group.action_space
        self.observation_space = self._copy.observation_spaces[self._agent]
        self.action_space = self._copy.action_spaces[self._agent]
        self.metadata = {**self.metadata, **self._copy.get_attr("metadata", {})}
        self.render_mode = self._copy.get_attr("render_mode", None)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[ArrayTree, dict[str, Any]]:
        """Start a new episode.

        Args:
            seed: Of the environment's random stream, which goes on if it is None.
            options: For the environment.

        Returns:
            What the agent observes, and what the environment says of it.

        Raises:
            ConfigurationError: If seed or options cannot be used; nothing was reset then.
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
        """Let the agent take one decision.

        Returns:
            What it observes, its reward, whether its task ended, whether it was cut off, and the info.

        Raises:
            ResetRequiredError: If no episode has begun, or it is over.
            InvalidActionError: If the action does not lie in its space; nothing was stepped then.
            EnvStepError: If the environment raised. The agent is cut off, which the next step tells.
        """
        if self._over:
            raise ResetRequiredError(f"no running episode of {self._agent!r} in {self._copy.env_id}: call reset()")
        step = self.learner.step(batch_of_one(action, self._action_space, self._agent, self._copy.env_id))
        terminated = bool(step.terminated[0])
        # An episode may be over before the agent has come.
        truncated = bool(step.truncated[0] or (step.finished[0] and not terminated))
        self._over = terminated or truncated
        info = self._copy.info(self._agent)
        if not self.learner.group.is_field:
            info["decision_length"] = int(step.lengths[0])
        if step.lengths[0] == 0 and not self._over:
            info["inert"] = True
        return row(step.observations, 0), float(step.rewards[0]), terminated, truncated, info

    def render(self) -> Any:
        """The environment's own picture."""
        return self._copy.call("render")

    def close(self) -> None:
        """Close the vector env."""
        self.venv.close()
