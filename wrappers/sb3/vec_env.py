"""One group of a vector env as an SB3 ``VecEnv``."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Space
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from heron.batch.copy_selection import EnvSelection, spread_seeds
from heron.errors import ConfigurationError
from heron.play.action_masks import MASK_KEY, MASKS_METHOD, legal_actions, masks_in
from heron.play.policies import PolicyLike
from heron.play.sb3_actions import actions_from_sb3, counted_from_zero
from heron.play.turn_engine import Episode
from heron.wrappers.sb3.sb3_slots import AnySlots, sb3_slots
from heron.wrappers.sb3.slot_envs import SlotEnvs
from heron.wrappers.sb3.slot_infos import SlotInfos
from heron.wrappers.sb3.slot_rows import SlotRows


class Sb3VecEnv(VecEnv):
    """An SB3 ``VecEnv`` in which one group of agents learns, with one slot per copy and agent.

    Slot ``env_index * num_agents + agent_index`` is that agent of that copy; all slots share the learner's
    parameters. A copy is reset automatically when all of its agents have ended. An agent that ends earlier is done
    once, with its last observation as ``terminal_observation``. Until its copy is reset, its slot repeats that
    observation with reward 0, and ``infos[slot]["inert"]`` is true. The slot of an agent that has not appeared yet is
    inert, too.

    The next step reports an unreported end, with its ``terminal_observation``: where a step or a reset raised, and
    where ``reset_envs`` interrupted an episode. ``infos[slot]["stale"]`` is true for a slot that did not act in such a
    step, and for all slots of a copy that stands still in it: there is nothing to learn from their actions.

    Where agents act in turn, as in most AEC environments, a step is one agent's move. ``infos[slot]["waited"]`` is true
    for all other agents, whose actions are ignored.

    ``infos[slot]["decision_length"]`` is the number of environment steps of a coordinator's decision, over
    which its reward is summed.

    In SB3's ``VecMonitor`` episodes have their true length and return: steps in which a slot took no part are not
    counted, and an episode that ``reset_envs`` interrupts ends with the step before.

    With plain Gymnasium factories the view behaves like SB3's ``DummyVecEnv``, with one slot per environment. A
    Gymnasium ``VectorEnv`` of another library is passed to ``heron.make_vec``.

    Action masks are the result of the environments' method ``action_masks`` (by agent, if it is a dict), or
    ``"action_mask"`` in a ``Dict`` observation or in the info. A mask that allows nothing, because it is another
    agent's turn, is replaced by one that allows everything.

    Args:
        venv: The vector env, or functions that each make a Gymnasium ``Env``, or a Gymnasium ``VectorEnv``. Several
            views may take turns on one vector env. Each learner must reset its view when its turn begins, as
            ``model.set_env(view, force_reset=True)`` does; otherwise its next step raises an error.
        learn: The group that learns, or a level of one group. May be left out if there is only one group.
        policies: Group or level name -> its policy: an SB3 model, a function of a batch of observations, or a constant
            action. Every group that does not learn needs one.
        discount: Discount of a reward per environment step since a coordinator's decision; 1 by default.
        on_episode: Called with each finished ``Episode``.
        reset_mask: For a ``VectorEnv`` of another library: True if it supports ``options["reset_mask"]``. False accepts
            the extra step after each end in mode ``NEXT_STEP``, which has ``infos[slot]["inert"]``.

    Raises:
        ConfigurationError: If ``learn`` is not exactly one group, or a policy is missing, superfluous or does not fit.
            Also if a ``VectorEnv`` cannot be reset as SB3 needs it, or the actions are a ``Dict`` or ``Tuple``, for
            which SB3 has no algorithms.
    """

    def __init__(
        self,
        venv: AnySlots,
        learn: str | None = None,
        policies: Mapping[str, PolicyLike] | None = None,
        *,
        discount: float | None = None,
        on_episode: Callable[[Episode], None] | None = None,
        reset_mask: bool | None = None,
    ) -> None:
        slots = sb3_slots(venv, learn, policies, discount=discount, on_episode=on_episode, reset_mask=reset_mask)
        self._autoreset = slots.autoreset
        self.learner = self._autoreset.learner
        self.venv = self.learner.venv
        self.rows = SlotRows()
        self._envs = SlotEnvs(self.learner, slots.envs)
        self._infos = SlotInfos(self._autoreset, is_plain=slots.is_plain)
        self._actions: npt.NDArray[Any] = np.zeros(0)
        self._has_own_masks: bool | None = None
        self._observations: Any = None
        group = self.learner.group
        seen = slots.envs[0].observation_space if slots.is_plain and slots.envs else group.observation_space
        super().__init__(self.learner.num_slots, seen, counted_from_zero(group.action_space))
        # A video recorder looks for "render_fps" here.
        self.metadata = {**self._envs.metadata, **({} if slots.is_plain else self.metadata)}

    @property
    def envs(self) -> list[gymnasium.Env[Any, Any]]:
        """The Gymnasium environment of each slot, if it has one of its own in this process.

        Raises:
            AttributeError: If it does not.
        """
        if self._envs.singles is None:
            raise AttributeError("envs: the slots of this view have no Gymnasium environments of their own")
        return self._envs.singles

    @property
    def can_reset_some(self) -> bool:
        """True if ``reset_envs`` can reset some copies without affecting the others."""
        return self.venv.batch_env.steps_some or self.venv.batch_env.resets_some

    def reset(self) -> VecEnvObs:
        # Seeds and options are per slot, but a copy takes only one of each: that of its first slot.
        size = self.learner.group.num_agents
        seeds, options = list(self._seeds[::size]), self._options[::size]
        copies = range(self.venv.num_envs)
        if _all_same(options):
            self._observations = self._autoreset.reset(None, seeds, options[0] or None)
        else:
            for copy in copies:
                self._observations = self._autoreset.reset(copy, [seeds[copy]], options[copy] or None)
        self._note_resets(copies)
        self._infos.begin_counts()
        self._reset_seeds()
        self._reset_options()
        return self._observations  # type: ignore[no-any-return]

    def reset_envs(
        self,
        which: EnvSelection,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> VecEnvObs:
        """Start a new episode in some copies. Other copies are not affected.

        The next step reports slots whose episode had not ended as truncated, with their observation before this reset.
        SB3's own algorithms ignore the observations that this method returns: in the middle of a rollout they act once
        more on the old ones. So these copies stand still in that step, with reward 0, and then return the first
        observation of their new episode. Copies that can only be stepped together cannot stand still. There the next
        step is the last one of the old episode, and the reset follows it.

        Args:
            which: The copies, as for ``HierarchicalVectorEnv.reset_envs``.
            seed: As for ``HierarchicalVectorEnv.reset_envs``.
            options: As for ``HierarchicalVectorEnv.reset_envs``.

        Returns:
            ``(num_slots, ...)``, the current observation of every slot.

        Raises:
            ConfigurationError: If the environment does not support it, see ``can_reset_some``. Nothing was reset.
            ResetRequiredError: If a ``VectorEnv`` of another library has not been reset yet.
        """
        self._observations = self._autoreset.cut(self.venv.indices(which), seed, options)
        self._note_resets(self.venv.indices(which))
        return self._observations  # type: ignore[no-any-return]

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        step = self._autoreset.step(_as_the_space_has_them(self._actions, self.learner.group.action_space))
        self._observations = step.observations
        dones = step.terminated | step.truncated
        self.rows.put(step, dones)
        infos = self._infos.of_step(step, dones)
        self.reset_infos = self._infos.of_resets
        return step.observations, step.rewards.astype(np.float32), dones, infos  # type: ignore[return-value]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the next reset. All agents of copy i have the seed ``seed + i``."""
        first = int(np.random.default_rng().integers(2**31)) if seed is None else spread_seeds([seed], 1)[0]
        self._seeds = [cast("int", first) + self.learner.env_index(slot) for slot in range(self.num_envs)]
        return self._seeds

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """Set the options of the next reset.

        Args:
            options: One dict for all slots, or a list of one dict per slot, where a copy uses that of its first slot.

        Raises:
            ConfigurationError: If the options are neither, or contain a ``"reset_mask"``.
        """
        listed = options if isinstance(options, (list, tuple)) else [{} if options is None else options]
        if listed is options and len(listed) != self.num_envs:
            raise ConfigurationError(f"expected {self.num_envs} dicts of options, one per slot, got {options!r:.200}")
        for one in listed:
            if not isinstance(one, Mapping):
                raise ConfigurationError(f"options must be a dict or a list of one dict per slot, got {one!r:.200}")
            if "reset_mask" in one:
                raise ConfigurationError("options: reset() has no reset_mask; use reset_envs() to reset some copies")
        super().set_options(options)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        slots = list(self._get_indices(indices))
        if attr_name == MASKS_METHOD:
            self._action_masks(slots)
            return [partial(self._action_mask, slot) for slot in slots]
        return self._envs.get_attr(attr_name, slots)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        self._envs.set_attr(attr_name, value, list(self._get_indices(indices)))

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method once in each copy of these slots. Each slot gets the result of its copy."""
        slots = list(self._get_indices(indices))
        if method_name == MASKS_METHOD and not method_args and not method_kwargs:
            return self._action_masks(slots)
        return self._envs.call(method_name, slots, *method_args, **method_kwargs)

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Return True for each slot whose Gymnasium environment has the wrapper.

        It is False for a slot without its own environment, such as one agent of several.
        """
        envs = self._envs.singles
        return [envs is not None and is_wrapped(envs[slot], wrapper_class) for slot in self._get_indices(indices)]

    def get_images(self) -> Sequence[npt.NDArray[np.uint8] | None]:
        """Return one image per copy."""
        if self.render_mode != "rgb_array":
            warnings.warn(f"images need render mode 'rgb_array', got {self.render_mode!r}", stacklevel=2)
            return [None] * self.num_envs
        return self._envs.images()

    def describe(self) -> str:
        """Return a description of the agents, their spaces, and the learner or policy of each group."""
        return self.learner.describe()

    def close(self) -> None:
        self.venv.close()

    def _note_resets(self, copies: Sequence[int]) -> None:
        self._infos.note_resets(copies)
        self.reset_infos = self._infos.of_resets

    def _action_mask(self, slot: int) -> npt.NDArray[np.bool_]:
        return self._action_masks([slot])[0]

    def _action_masks(self, slots: Sequence[int]) -> list[npt.NDArray[np.bool_]]:
        """Return the current action mask of each slot.

        Raises:
            AttributeError: If neither the environments nor their observations nor their infos have masks.
        """
        return [legal_actions([mask], self.action_space)[0] for mask in self._masks(slots)]

    def _masks(self, slots: Sequence[int]) -> Sequence[Any]:
        if self._has_own_masks is None:
            self._has_own_masks = self._envs.has_attr(MASKS_METHOD)
        if self._has_own_masks:
            return self._envs.call(MASKS_METHOD, slots)
        if masks_in(self.observation_space) and self._observations is not None:
            return [self._observations[MASK_KEY][slot] for slot in slots]
        masks = [info.get(MASK_KEY) for info in self._infos.now(slots)]
        if any(mask is None for mask in masks):
            raise AttributeError(
                f"no action masks: the environments need a method {MASKS_METHOD!r}, or {MASK_KEY!r} in a Dict "
                "observation or in the info of every slot"
            )
        return masks


def _as_the_space_has_them(actions: Any, space: Space[Any]) -> Any:
    """Return a model's actions as the environments take them; what makes no array is refused later."""
    try:
        return actions_from_sb3(np.asarray(actions), space)
    except ValueError:
        return actions


def _all_same(options: Sequence[Mapping[str, Any]]) -> bool:
    """Return True if options are known to be the same: arrays in different dicts are not compared."""
    try:
        return all(one == options[0] for one in options)
    except ValueError:  # the truth of an array
        return False
