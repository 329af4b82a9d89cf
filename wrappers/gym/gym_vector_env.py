"""One group of a vector env as a Gymnasium ``VectorEnv``."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from heron.batch.array_tree import ArrayTree, write, zeros
from heron.batch.batch_env import BoolArray
from heron.batch.copy_selection import checked_mask, spread_seeds
from heron.errors import ConfigurationError, InvalidMaskError
from heron.play.autoreset import AutoresetLearner
from heron.play.learner_env import LearnerEnv
from heron.play.policies import PolicyLike
from heron.play.slot_step import SlotStep
from heron.play.turn_engine import Episode
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers.gym.single_agent_envs import ObservationMode, PlainFactory, SingleAgentEnvs


class GymVectorEnv(VectorEnv[Any, Any, npt.NDArray[Any]]):
    """A Gymnasium ``VectorEnv`` in which one group of agents learns, with one slot per copy and agent.

    Slot ``env_index * num_agents + agent_index`` is that agent of that copy; ``num_envs`` counts slots. With plain
    Gymnasium factories each copy has one agent, and the view behaves like ``gymnasium.vector.SyncVectorEnv``, except
    that it never changes the caller's options, checks actions against their space, and names the copy in its errors.

    An agent that ends before its copy does is flagged once, with its true last observation. Until the copy is reset,
    its slot repeats that observation with reward 0, and ``infos["inert"]`` is true. A copy is over when all of its
    agents have ended. All of its slots begin the new episode together:

    - ``NEXT_STEP``: in the following step, with reward 0, whatever the actions are.
    - ``SAME_STEP``: in the same step. ``infos["final_obs"]`` and ``infos["final_info"]`` have the last observation
      and info of each slot that ended in it. A slot that ended earlier had its final values in its own last step.
    - ``DISABLED``: on request. ``options={"reset_mask": ...}`` leaves a copy as it is if the mask names only slots
      that have ended while others of the copy are active. So a mask of the slots that have just ended always works.

    ``reset_mask`` resets any copies at any time in all three modes, unless the environment can only reset all of
    them. The mask must name all active slots of a copy or none of them.

    For coordinators, ``infos["decision_length"]`` is the number of environment steps of each decision.

    Args:
        venv: The vector env, or functions that each make a Gymnasium ``Env``.
        learn: The group that learns, or a level of one group. May be left out if there is only one group.
        policies: Group or level name -> its policy: a model, a function of a batch of observations, or a constant
            action. Every group that does not learn needs one.
        copy: True for new observation arrays in every step, False to reuse the same ones.
        observation_mode: For plain factories: ``"same"``, ``"different"`` where bounds may differ, or a tuple of the
            batch's space and the space of one environment.
        autoreset_mode: An ``AutoresetMode`` or its value.
        discount: Discount of a reward per environment step since a coordinator's decision; 1 by default.
        on_episode: Called with each finished ``Episode``.

    Attributes:
        learner: The ``LearnerEnv`` with the slots.
        venv: The vector env.
        autoreset_mode: The autoreset mode, also in ``metadata``.

    Raises:
        ConfigurationError: If a mode is unknown, ``learn`` is not exactly one group, or a policy is missing,
            superfluous or does not fit. Also if the environment does not support the autoreset mode: ``NEXT_STEP``
            needs copies that can wait for a step after their end; the others need copies that can be reset while
            others run.
        EnvCreationError: If a factory raised, or its environment does not fit the others.
    """

    def __init__(
        self,
        venv: HierarchicalVectorEnv | Iterable[PlainFactory],
        learn: str | None = None,
        policies: Mapping[str, PolicyLike] | None = None,
        *,
        copy: bool = True,
        observation_mode: ObservationMode = "same",
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        discount: float | None = None,
        on_episode: Callable[[Episode], None] | None = None,
    ) -> None:
        super().__init__()
        self.autoreset_mode = checked_mode(autoreset_mode)
        self.plain = None if isinstance(venv, HierarchicalVectorEnv) else plain_envs(venv, observation_mode)
        if self.plain is None and observation_mode != "same":
            raise ConfigurationError(
                f"observation_mode {observation_mode!r} needs plain Gymnasium factories, got a vector env"
            )
        self.venv = venv if isinstance(venv, HierarchicalVectorEnv) else self.plain.venv  # type: ignore[union-attr]  # one of them is not None
        try:
            self.learner = LearnerEnv(self.venv, learn, policies, discount=discount, on_episode=on_episode)
            self._autoreset = AutoresetLearner(self.learner, self.autoreset_mode)
        except BaseException:
            if self.plain is not None:  # the caller has no handle to close it
                self.venv.close()
            raise
        self.num_envs = self.learner.num_slots
        self.copy = copy
        self.observation_mode = observation_mode
        self._set_spaces()
        self.metadata = {**self._env_attr("metadata", {}), "autoreset_mode": self.autoreset_mode}
        self.render_mode = self._env_attr("render_mode", None)
        self._observations = zeros(self.single_observation_space, (self.num_envs,)) if not copy else None

    @property
    def envs(self) -> list[gymnasium.Env[Any, Any]]:
        """The Gymnasium environments that plain factories made.

        Raises:
            AttributeError: If the view was made from a vector env.
        """
        return self._plain_envs("envs").envs

    @property
    def env_fns(self) -> Sequence[PlainFactory]:
        """The plain factories of the Gymnasium environments.

        Raises:
            AttributeError: If the view was made from a vector env.
        """
        return self._plain_envs("env_fns").env_fns

    @property  # type: ignore[misc]  # read-only, as in SyncVectorEnv
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]  # one per slot
        """Random streams, for each slot that of its copy."""
        return self.get_attr("np_random")

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]  # one per slot
        """Seeds, for each slot that of its copy."""
        return self.get_attr("np_random_seed")

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start a new episode in every copy, or in those of ``options["reset_mask"]``.

        Args:
            seed: An int, with which copy i gets ``seed + i``; or one seed per slot, the same for all slots of a copy.
                None continues each copy's random stream.
            options: ``"reset_mask"`` is ``(num_envs,) bool``. All other options are passed on to each copy.

        Returns:
            The observations of all slots, and the infos of those that were reset.

        Raises:
            InvalidMaskError: If the mask is invalid, or names some but not all active slots of a copy.
            ConfigurationError: If the seeds or the options are invalid. Nothing was reset.
            EnvStepError: If a copy raised. It needs another reset; all others were reset.
        """
        copies, rest = self._copies_to_reset(options)
        seeds = self._seeds_by_copy(seed)
        if not copies:
            return self._shown(self.learner.observations()), {}
        observations = self._autoreset.reset(copies, [seeds[copy] for copy in copies], rest)
        return self._shown(observations), self._env_infos({}, copies)

    def step(
        self, actions: Any
    ) -> tuple[Any, npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]]:
        """Take one decision of every slot.

        Args:
            actions: ``(num_envs, ...)``. Actions of slots that take no part are ignored.

        Returns:
            Observations ``(num_envs, ...)``, rewards ``(num_envs,) float64``, terminations and truncations
            ``(num_envs,) bool``, and infos.

        Raises:
            ResetRequiredError: If a copy was never reset or, in mode ``DISABLED``, is over. Nothing was stepped.
            InvalidActionError: If an action is outside its space. Nothing was stepped.
            EnvStepError: If a copy raised. Its agents are truncated; the next step reports it.
        """
        step = self._autoreset.step(actions)
        infos = self._env_infos(self._final_infos(step), range(self.venv.num_envs))
        self._add_slot_infos(infos, step)
        return self._shown(step.observations), step.rewards, step.terminated, step.truncated, infos

    def render(self) -> tuple[Any, ...]:
        """Return one rendering per slot, that of its copy."""
        return self._by_slot(self.venv.batch_env.call("render", range(self.venv.num_envs)))

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of the environments, or get an attribute. Each slot has the value of its copy."""
        copies = range(self.venv.num_envs)
        if args or kwargs:
            return self._by_slot(self.venv.batch_env.call(name, copies, *args, **kwargs))
        values = self.venv.batch_env.get_attr(name, copies)
        if callable(values[0]):
            values = self.venv.batch_env.call(name, copies)
        return self._by_slot(values)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute of the environments. Each slot has the value of its copy."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of the environments.

        Args:
            name: The attribute.
            values: A list or tuple of one value per slot, where a copy uses that of its first slot; or one value for
                all copies.

        Raises:
            ConfigurationError: If a list or tuple does not have one value per slot.
        """
        listed = list(values) if isinstance(values, (list, tuple)) else [values] * self.num_envs
        if len(listed) != self.num_envs:
            raise ConfigurationError(f"set_attr({name!r}): expected {self.num_envs} values, got {len(listed)}")
        copies = range(self.venv.num_envs)
        self.venv.batch_env.set_attr(name, listed[:: self.learner.group.num_agents], copies)

    def describe(self) -> str:
        """Return a description of the agents, their spaces, and the learner or policy of each group."""
        return self.learner.describe()

    def close_extras(self, **kwargs: Any) -> None:
        """Close the vector env. Keywords of other vector envs are accepted and ignored."""
        del kwargs
        self.venv.close()

    def __del__(self) -> None:
        """Leave the vector env open for other views. The base class of Gymnasium 1.2 would close it."""

    def _set_spaces(self) -> None:
        group = self.learner.group
        self.single_action_space = group.action_space
        self.action_space = batch_space(group.action_space, self.num_envs)
        self.single_observation_space = group.observation_space
        if self.plain is None:
            self.observation_space = batch_space(group.observation_space, self.num_envs)
        else:
            self.single_observation_space = self.plain.single_observation_space
            self.observation_space = self.plain.observation_space

    def _plain_envs(self, asked: str) -> SingleAgentEnvs:
        if self.plain is None:
            raise AttributeError(f"{asked} needs plain factories, but this view has a vector env: use venv.batch_env")
        return self.plain

    def _env_attr(self, name: str, default: Any) -> Any:
        try:
            return self.venv.batch_env.get_attr(name, [0])[0]
        except AttributeError:
            return default

    def _by_slot(self, values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(value for value in values for _ in self.learner.group.agent_ids)

    def _shown(self, observations: ArrayTree) -> Any:
        if self._observations is None:
            return observations
        write(self._observations, slice(None), observations)
        return self._observations

    def _seeds_by_copy(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None or isinstance(seed, (int, np.integer)):
            return spread_seeds(seed if seed is None else int(seed), self.venv.num_envs)
        seeds = spread_seeds(seed, self.num_envs)
        by_copy = seeds[:: self.learner.group.num_agents]
        if seeds != list(self._by_slot(by_copy)):
            raise ConfigurationError(f"seed: all slots of a copy must have the same seed, got {seeds}")
        return by_copy

    def _copies_to_reset(self, options: Mapping[str, Any] | None) -> tuple[list[int], dict[str, Any] | None]:
        """Return the copies that the options name, and the options to pass on to them."""
        if options is not None and not isinstance(options, Mapping):
            raise ConfigurationError(f"options must be a mapping, got {options!r:.200}")
        if options is None or "reset_mask" not in options:
            return list(range(self.venv.num_envs)), None if options is None else dict(options)
        mask = _checked_reset_mask(options["reset_mask"], self.num_envs)
        rest = {key: value for key, value in options.items() if key != "reset_mask"}
        named = mask.reshape(self.venv.num_envs, -1)
        active = self.venv.results[self.learner.group.name].active
        kept = (active & ~named).any(axis=1)
        if torn := np.flatnonzero(kept & (active & named).any(axis=1)).tolist():
            raise InvalidMaskError(
                f"reset_mask names only some of the active slots of {[self.venv.env_ids[copy] for copy in torn]}: name "
                "all of them or none, because a copy can only be reset as a whole"
            )
        return np.flatnonzero(named.any(axis=1) & ~kept).tolist(), rest

    def _final_infos(self, step: SlotStep) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            for slot, end in sorted(step.ends.items()):
                said = step.infos[self.learner.env_index(slot)].get(self.learner.agent_id(slot), {})
                self._add_info(infos, {"final_obs": end.observation, "final_info": dict(said)}, slot)
        return infos

    def _env_infos(self, infos: dict[str, Any], copies: Iterable[int]) -> dict[str, Any]:
        """Add the last infos of these copies' environments to ``infos``, and return it."""
        agents = self.learner.group.agent_ids
        by_copy = self.venv.infos
        if not any(by_copy):
            return infos
        for copy in copies:
            if said := by_copy[copy]:
                for place, agent in enumerate(agents):
                    self._add_info(infos, dict(said.get(agent, ())), copy * len(agents) + place)
        return infos

    def _add_slot_infos(self, infos: dict[str, Any], step: SlotStep) -> None:
        """Add the view's own infos of the slots."""
        if np.count_nonzero(step.lengths) < self.num_envs:
            inert = step.idle & ~(step.terminated | step.truncated)
            if self.autoreset_mode is AutoresetMode.NEXT_STEP:
                inert &= ~np.repeat(step.reset, self.learner.group.num_agents)
            if inert.any():
                infos["inert"], infos["_inert"] = inert, inert.copy()
        if not self.learner.group.is_field:
            infos["decision_length"] = step.lengths
            infos["_decision_length"] = np.ones(self.num_envs, dtype=bool)


def checked_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """Return ``mode`` as an ``AutoresetMode``.

    Raises:
        ConfigurationError: If the mode is unknown.
    """
    try:
        return AutoresetMode(mode)
    except ValueError as error:
        known = ", ".join(f"{one} ({one.value!r})" for one in AutoresetMode)
        raise ConfigurationError(f"autoreset_mode must be one of {known}, got {mode!r}") from error


def plain_envs(env_fns: Any, observation_mode: ObservationMode) -> SingleAgentEnvs:
    """Return the environments that plain factories make.

    Raises:
        ConfigurationError: If ``env_fns`` is not a list of factories, or the observation mode is unknown.
        EnvCreationError: If a factory raised, or its environment does not fit the others.
    """
    if not isinstance(env_fns, Iterable) or isinstance(env_fns, (str, VectorEnv)):
        raise ConfigurationError(
            "expected a HierarchicalVectorEnv or a list of functions that each make a Gymnasium Env, got "
            f"{env_fns!r}: heron.make_vec makes a HierarchicalVectorEnv, also from a VectorEnv"
        )
    return SingleAgentEnvs(env_fns, observation_mode)


def _checked_reset_mask(mask: Any, num_envs: int) -> BoolArray:
    checked = checked_mask(mask, num_envs, "options['reset_mask']")
    if not checked.any():
        raise InvalidMaskError("options['reset_mask'] must name at least one slot, got no true entry")
    return checked
