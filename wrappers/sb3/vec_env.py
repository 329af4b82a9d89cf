"""The vector env as Stable-Baselines3 expects it."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from heron.batch.array_tree import any_true
from heron.batch.copy_selection import EnvSelection, spread_seeds
from heron.errors import ConfigurationError
from heron.play.action_masks import MASK_KEY, MASKS_METHOD, legal_actions, masks_in
from heron.play.learner_env import LearnerEnv
from heron.play.policies import PolicyLike
from heron.play.turn_engine import Episode
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers.gym.gym_vector_env import GymVectorEnv, plain_envs
from heron.wrappers.gym.single_agent_envs import PlainFactory, SingleAgentEnvs
from heron.wrappers.make_vec import make_vec
from heron.wrappers.sb3.learner_source import LearnerSource
from heron.wrappers.sb3.slot_rows import SlotRows
from heron.wrappers.sb3.vector_slots import VectorEnvSlots
from heron.wrappers.sources.driver_choice import needs_driver


class Sb3VecEnv(VecEnv):
    """An SB3 ``VecEnv`` in which one group of agents learns, with one slot for each copy and agent.

    Slot ``env_index * num_agents + agent_index`` is that agent of that copy; all slots share the learner's
    parameters. A copy is reset by itself when all of its agents have ended. An agent that ends earlier is done
    once, with its last observation as ``terminal_observation``; until its copy is reset its slot then goes on
    with that observation, reward 0 and ``infos[slot]["inert"]`` true, as does an agent that has not come yet.

    An end that no step has told of yet is told by the next one, with its ``terminal_observation``: where a step or the
    reset of a copy raised, and where ``reset_envs`` has cut an episode short. ``infos[slot]["stale"]`` is true for such
    a step, and for all slots of a copy that stands still in it: there is nothing to learn from its action.

    Where agents act in turn, as in most AEC environments, a step is one agent's move. ``infos[slot]["waited"]`` is true
    in the steps of all others, whose actions were not used.

    ``infos[slot]["decision_length"]`` is the number of environment steps of a coordinator's decision, over
    which its reward is summed.

    Beside SB3's ``VecMonitor`` episodes have the length and return that they had: steps in which a slot took no part
    are not counted, and an episode that ``reset_envs`` cuts short ends with the step before.

    Over plain Gymnasium factories the view does as SB3's ``DummyVecEnv`` does, one slot an environment. Over another
    Gymnasium ``VectorEnv`` its ``SAME_STEP`` autoreset is used, or else ``options={"reset_mask": ...}``. EnvPool and
    ``CartPoleVectorEnv`` have neither, and so become the vector env that ``heron.make_vec`` makes of them.

    Action masks are what the environments' method ``action_masks`` returns (by agent, if it is a dict), or
    ``"action_mask"`` of a ``Dict`` observation or of the info. Where nothing is allowed, because it is not the agent's
    turn, everything is.

    Args:
        venv: The vector env, or functions that each make a Gymnasium ``Env``, or a Gymnasium ``VectorEnv``. Several
            views may take turns on one vector env: a learner whose turn begins must reset its view, as
            ``model.set_env(view, force_reset=True)`` does; if it does not, its next step is refused.
        learn: The group that learns, or a level of one group. May be left out if there is only one group.
        policies: Group or level name -> what decides for it: an SB3 model, a function of a batch of
            observations, or a constant action. Every other group needs one.
        discount: By how much a reward counts less for each environment step since a coordinator's decision.
        on_episode: Called with each finished ``Episode``.
        reset_mask: For a ``VectorEnv`` that is not Gymnasium's or ours: whether it honours
            ``options["reset_mask"]``. False lets one in mode ``NEXT_STEP`` take its extra step after each end,
            which has ``infos[slot]["inert"]``.

    Raises:
        ConfigurationError: If ``learn`` does not name one group, a policy is missing, superfluous or does
            not fit, a ``VectorEnv`` cannot be reset as SB3 needs it, or SB3 has no algorithms for the actions: they
            must be one array, not a ``Dict`` or ``Tuple``.
    """

    def __init__(
        self,
        venv: HierarchicalVectorEnv | VectorEnv[Any, Any, Any] | Iterable[PlainFactory],
        learn: str | None = None,
        policies: Mapping[str, PolicyLike] | None = None,
        *,
        discount: float | None = None,
        on_episode: Callable[[Episode], None] | None = None,
        reset_mask: bool | None = None,
    ) -> None:
        from_factories = not isinstance(venv, (HierarchicalVectorEnv, VectorEnv))
        if isinstance(venv, VectorEnv):
            _refuse_with_vector_env(learn, policies, discount, on_episode)
            if reset_mask is None and needs_driver(venv):
                venv = make_vec(venv)
        plain = plain_envs(venv, "same") if from_factories else None
        try:
            self._source = _source(
                venv if plain is None else plain.venv, learn, policies, discount, on_episode, plain, reset_mask
            )
        except ConfigurationError:
            if plain is not None:
                plain.venv.close()
            raise
        self.rows = SlotRows()
        self._actions: npt.NDArray[Any] = np.zeros(0)
        self._has_own_masks: bool | None = None
        self._observations: Any = None
        num_slots = self._source.num_slots
        self._steps, self._steps_taken = np.zeros(num_slots, dtype=np.int64), np.zeros(num_slots, dtype=np.int64)
        super().__init__(num_slots, self._source.observation_space, self._source.action_space)
        # A video recorder looks for "render_fps" here.
        self.metadata = {**self._source.metadata, **({} if self._source.envs else self.metadata)}

    @property
    def venv(self) -> Any:
        """The vector env under this view."""
        return self._source.venv

    @property
    def learner(self) -> LearnerEnv:
        """The slots as the view has them from the vector env.

        Raises:
            AttributeError: If the view stands on another Gymnasium ``VectorEnv``.
        """
        if self._source.learner is None:
            raise AttributeError(f"learner: this view stands on {self._source.describe()}, in which nobody learns")
        return self._source.learner

    @property
    def envs(self) -> list[gymnasium.Env[Any, Any]]:
        """The environments, where the view was made of plain Gymnasium factories.

        Raises:
            AttributeError: If it was not.
        """
        if self._source.envs is None:
            raise AttributeError("envs: this view was not made of Gymnasium factories")
        return self._source.envs

    @property
    def can_reset_some(self) -> bool:
        """Whether ``reset_envs`` can reset some copies and leave the others alone."""
        return self._source.can_reset_some

    def reset(self) -> VecEnvObs:
        self._observations = self._source.reset(self._seeds, self._options)
        self._steps[:] = self._steps_taken[:] = 0
        self.reset_infos = self._source.reset_infos
        self._reset_seeds()
        self._reset_options()
        return self._observations  # type: ignore[no-any-return]

    def reset_envs(
        self,
        which: EnvSelection,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> VecEnvObs:
        """Start a new episode in some copies, and touch no other.

        Slots whose episode had not ended are done at the next step, truncated, with what they saw before this reset.
        SB3's own algorithms do not look at what this returns: amid their rollout they act once more on what they saw
        before. So in that step these copies stand still, with reward 0, and then show the beginning of their new
        episode. Another Gymnasium ``VectorEnv`` cannot stand still: there the next step is the last one of the old
        episode, and the reset follows it.

        Args:
            which: The copies, as for ``HierarchicalVectorEnv.reset_envs``.
            seed: As there.
            options: As there.

        Returns:
            ``(num_slots, ...)``, what every slot sees now.

        Raises:
            ConfigurationError: If the environment cannot do this, see ``can_reset_some``; nothing was reset then.
        """
        self._observations = self._source.reset_envs(which, seed, options)
        self.reset_infos = self._source.reset_infos
        return self._observations  # type: ignore[no-any-return]

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        step, infos = self._source.step(self._actions)
        self._observations = step.observations
        self.reset_infos = self._source.reset_infos
        dones = step.terminated | step.truncated
        self.rows.put(step, dones)
        self._steps += 1
        self._steps_taken += step.lengths > 0
        if any_true(dones):
            for slot in np.flatnonzero(dones & (self._steps != self._steps_taken)).tolist():
                infos[slot] = _InfoForMonitor(infos[slot], int(self._steps_taken[slot]))
            self._steps[dones] = self._steps_taken[dones] = 0
        return step.observations, step.rewards.astype(np.float32), dones, infos  # type: ignore[return-value]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the next reset: copy i gets ``seed + i``, whatever the number of its agents."""
        first = int(np.random.default_rng().integers(2**31)) if seed is None else spread_seeds([seed], 1)[0]
        self._seeds = self._source.seeds(cast("int", first))
        return self._seeds

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """Give options to the next reset: the same to all slots, or one dict for each, of which a copy takes its first.

        Raises:
            ConfigurationError: If they are neither, or would reset only some of the copies.
        """
        listed = options if isinstance(options, (list, tuple)) else [{} if options is None else options]
        if listed is options and len(listed) != self.num_envs:
            raise ConfigurationError(f"expected {self.num_envs} dicts of options, one a slot, got {options!r:.200}")
        for one in listed:
            if not isinstance(one, Mapping):
                raise ConfigurationError(f"options must be a dict, or a list of one a slot, got {one!r:.200}")
            if "reset_mask" in one:
                raise ConfigurationError("a reset() of this view is one of all copies: use reset_envs() for some")
        super().set_options(options)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        slots = list(self._get_indices(indices))
        if attr_name == MASKS_METHOD:
            self._action_masks(slots)
            return [partial(self._action_mask, slot) for slot in slots]
        return self._source.get_attr(attr_name, slots)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        self._source.set_attr(attr_name, value, list(self._get_indices(indices)))

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the environment once in each copy of these slots; each slot gets its copy's answer."""
        slots = list(self._get_indices(indices))
        if method_name == MASKS_METHOD and not method_args and not method_kwargs:
            return self._action_masks(slots)
        return self._source.call(method_name, slots, *method_args, **method_kwargs)

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """False where a slot has no Gymnasium environment of its own, such as one agent of several."""
        envs = self._source.single_envs(list(self._get_indices(indices)))
        return [env is not None and is_wrapped(env, wrapper_class) for env in envs]

    def get_images(self) -> Sequence[npt.NDArray[np.uint8] | None]:
        """One image a copy."""
        if self.render_mode != "rgb_array":
            warnings.warn(f"render mode {self.render_mode!r} gives no images, 'rgb_array' does", stacklevel=2)
            return [None] * self.num_envs
        return self._source.images()

    def describe(self) -> str:
        """Who is who, and who decides for whom, as text."""
        return self._source.describe()

    def close(self) -> None:
        self._source.close()

    def _action_mask(self, slot: int) -> npt.NDArray[np.bool_]:
        return self._action_masks([slot])[0]

    def _action_masks(self, slots: Sequence[int]) -> list[npt.NDArray[np.bool_]]:
        """Which actions each slot may take now.

        Raises:
            AttributeError: If neither environment nor observation nor info says so.
        """
        return [legal_actions([mask], self.action_space)[0] for mask in self._masks(slots)]

    def _masks(self, slots: Sequence[int]) -> Sequence[Any]:
        if self._has_own_masks is None:
            self._has_own_masks = self._source.has_attr(MASKS_METHOD)
        if self._has_own_masks:
            return self._source.call(MASKS_METHOD, slots)
        if masks_in(self.observation_space) and self._observations is not None:
            return [self._observations[MASK_KEY][slot] for slot in slots]
        masks = [info.get(MASK_KEY) for info in self._source.current_infos(slots)]
        if any(mask is None for mask in masks):
            raise AttributeError(
                f"no {MASKS_METHOD}: the environments have no such method, and neither a Dict observation nor every "
                f"slot's info has an {MASK_KEY!r}"
            )
        return masks


class _InfoForMonitor(dict[str, Any]):
    """The info of an end of which ``VecMonitor`` does not know how many steps the slot has taken part in.

    It counts its calls, and writes what it has counted into a copy of the info, as ``"episode"``.
    """

    _length: int | None = None

    def __init__(self, info: Mapping[str, Any], length: int | None) -> None:
        super().__init__(info)
        self._length = length

    def copy(self) -> "_InfoForMonitor":
        return _InfoForMonitor(self, self._length)

    def __setitem__(self, key: str, value: Any) -> None:
        if key == "episode" and self._length is not None:
            value["l"] = self._length  # in the monitor's own dict, which it writes to its file as well
        super().__setitem__(key, value)


def _refuse_with_vector_env(*given: object) -> None:
    if given != (None, None, None, None):
        raise ConfigurationError(
            "learn, policies, discount and on_episode are for a HierarchicalVectorEnv; give them to the GymVectorEnv, "
            "if this is one"
        )


def _source(
    venv: Any,
    learn: str | None,
    policies: Mapping[str, PolicyLike] | None,
    discount: float | None,
    on_episode: Callable[[Episode], None] | None,
    plain: SingleAgentEnvs | None,
    reset_mask: bool | None,
) -> LearnerSource | VectorEnvSlots:
    """Return the slots of a vector env of any kind."""
    if isinstance(venv, GymVectorEnv):
        return LearnerSource(venv.learner, None if venv.plain is None else venv.plain.envs)
    if isinstance(venv, VectorEnv):
        return VectorEnvSlots(venv, reset_mask)
    learner = LearnerEnv(venv, learn, policies, discount=discount, on_episode=on_episode)
    return LearnerSource(learner, None if plain is None else plain.envs)
