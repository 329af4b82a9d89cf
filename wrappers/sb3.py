"""The vector env as Stable-Baselines3 expects it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from heron.envs.array_tree import ArrayTree, row
from heron.envs.batch_env import BoolArray
from heron.errors import EnvError
from heron.wrappers.hierarchical_vector_env import HierarchicalVectorEnv
from heron.wrappers.learner_env import Episode, LearnerEnv
from heron.wrappers.policies import PolicyLike, actions_from_sb3, counted_from_zero
from heron.wrappers.selection import EnvSelection, env_mask


class Sb3VecEnv(VecEnv):
    """An SB3 ``VecEnv`` in which one group of agents learns, with one slot for each copy and agent.

    Slot ``env_index * num_agents + agent_index`` is that agent of that copy; all slots share the learner's
    parameters. A copy is reset by itself when all of its agents have ended. An agent that ends earlier is done
    once, with its last observation as ``terminal_observation``; until its copy is reset its slot then goes on
    with that observation, reward 0 and ``infos[slot]["inert"]`` true, as does an agent that has not come yet.

    An end that no step has told of yet is told by the next one, with its ``terminal_observation``: where a step or the
    reset of a copy raised, and where ``reset_envs`` has cut an episode short. ``infos[slot]["stale"]`` is true for such
    a step, and for every slot's first one after ``reset_envs``: its action was chosen before the reset. An end that it
    tells is that of the episode before; its reward and ``decision_length`` are of the episode that goes on now.

    ``infos[slot]["decision_length"]`` is the number of environment steps of a coordinator's decision, over
    which its reward is summed.

    Args:
        venv: The vector env. Several views may take turns on one: a learner whose turn begins must reset its
            view, as ``model.set_env(view, force_reset=True)`` does.
        learn: The group that learns, or a level of one group. May be left out if there is only one group.
        policies: Group or level name -> what decides for it: an SB3 model, a function of a batch of
            observations, or a constant action. Every other group needs one.
        discount: By how much a reward counts less for each environment step since a coordinator's decision.
        on_episode: Called with each finished ``Episode``.

    Raises:
        ConfigurationError: If ``learn`` does not name one group, or a policy is missing, superfluous or does
            not fit.
    """

    def __init__(
        self,
        venv: HierarchicalVectorEnv,
        learn: str | None = None,
        policies: Mapping[str, PolicyLike] | None = None,
        *,
        discount: float = 1.0,
        on_episode: Callable[[Episode], None] | None = None,
    ) -> None:
        self.learner = LearnerEnv(venv, learn, policies, discount=discount, on_episode=on_episode)
        group = self.learner.group
        self._actions: npt.NDArray[Any] = np.zeros(0)
        self._ends: dict[int, dict[str, Any]] = {}
        self._stale = np.zeros(self.learner.num_slots, dtype=bool)
        super().__init__(self.learner.num_slots, group.observation_space, counted_from_zero(group.action_space))

    @property
    def venv(self) -> HierarchicalVectorEnv:
        """The vector env under this view."""
        return self.learner.venv

    def reset(self) -> VecEnvObs:
        # Seeds and options are per slot, but a copy can follow only one of each: that of its first slot.
        seeds = self._seeds[:: self.learner.group.num_agents]
        options = self._options[:: self.learner.group.num_agents]
        if not any(options):
            observations = self.learner.reset(None, seeds)
        else:
            for copy in range(self.venv.num_envs):
                observations = self.learner.reset(copy, [seeds[copy]], options[copy] or None)
        self._ends.clear()
        self._stale[:] = False
        self._note_reset_infos(range(self.venv.num_envs))
        self._reset_seeds()
        self._reset_options()
        return observations  # type: ignore[return-value]

    def reset_envs(
        self,
        which: EnvSelection,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> VecEnvObs:
        """Start a new episode in some copies, and touch no other.

        Slots whose episode had not ended are done at the next step, truncated, with what they saw before this reset.
        SB3's own algorithms do not look at what this returns: amid their rollout they act once more on what they saw
        before, and the new episode's first reward counts for that action.

        Args:
            which: The copies, as for ``HierarchicalVectorEnv.reset_envs``.
            seed: As there.
            options: As there.

        Returns:
            ``(num_slots, ...)``, what every slot sees now.
        """
        copies = self.venv.indices(which)
        reset = np.repeat(env_mask(copies, self.venv.num_envs), self.learner.group.num_agents)
        ends = self._ends_by_reset(reset)
        try:
            observations = self.learner.reset(copies, seed, options)
        except EnvError:  # beside a copy that raised, the others were reset
            self._ends |= ends
            self._stale |= reset
            raise
        self._ends |= ends
        self._stale |= reset
        self._note_reset_infos(copies)
        return observations  # type: ignore[return-value]

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        self._actions = actions_from_sb3(np.asarray(actions), self.learner.group.action_space)

    def step_wait(self) -> VecEnvStepReturn:
        step = self.learner.step(self._actions)
        observations = step.observations
        late, new = self._ends, _ends(step.terminated, step.truncated, observations)
        self._ends = new | late  # kept if a reset raises
        infos = self._infos(step.lengths)
        if step.finished.any():
            observations = self.learner.reset(step.finished)
            self._note_reset_infos(np.flatnonzero(step.finished).tolist())
        dones = np.zeros(self.num_envs, dtype=bool)
        for slot, end in self._told_now(late, new).items():
            dones[slot] = True
            infos[slot] |= end
            infos[slot].pop("inert", None)
        for slot in np.flatnonzero(self._stale | (dones & (step.lengths == 0))).tolist():
            infos[slot] |= {"stale": True, "decision_length": int(step.lengths[slot])}
        self._stale[:] = False
        return observations, step.rewards.astype(np.float32), dones, infos  # type: ignore[return-value]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the next reset: copy i gets ``seed + i``, whatever the number of its agents."""
        first = int(np.random.default_rng().integers(2**31)) if seed is None else seed
        self._seeds = [first + self.learner.env_index(slot) for slot in range(self.num_envs)]
        return self._seeds

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        copies, places = self._copies(indices)
        try:
            values = self.venv.batch_env.get_attr(attr_name, copies)
        except AttributeError:
            if attr_name != "render_mode":
                raise
            values = [None] * len(copies)
        return [values[place] for place in places]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        copies, _ = self._copies(indices)
        self.venv.batch_env.set_attr(attr_name, [value] * len(copies), copies)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the environment once in each copy of these slots; each slot gets its copy's answer."""
        copies, places = self._copies(indices)
        values = self.venv.batch_env.call(method_name, copies, *method_args, **method_kwargs)
        return [values[place] for place in places]

    def env_is_wrapped(
        self,
        wrapper_class: type[gymnasium.Wrapper],  # noqa: ARG002
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        """False for every slot: no Gymnasium wrapper is around a single agent."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[npt.NDArray[np.uint8] | None]:
        """One image a copy."""
        copies = list(range(self.venv.num_envs))
        return self.venv.batch_env.call("render", copies)

    def describe(self) -> str:
        """Who is who, and who decides for whom, as text."""
        return self.learner.describe()

    def close(self) -> None:
        self.venv.close()

    def _told_now(self, late: dict[int, dict[str, Any]], new: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """The ends that this step tells. A slot has one end a step: a new one waits where this step is stale."""
        self._stale[list(late)] = True
        self._ends = {slot: end for slot, end in new.items() if self._stale[slot]}
        return late | {slot: end for slot, end in new.items() if not self._stale[slot]}

    def _ends_by_reset(self, reset: BoolArray) -> dict[int, dict[str, Any]]:
        """The ends that a reset of these slots makes or covers up."""
        learner = self.learner
        active = self.venv.results[learner.group.name].active.ravel()
        return _ends(learner.terminated & reset, (learner.truncated | active) & reset, learner.observations())

    def _infos(self, lengths: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        """One new dict a slot: what the environment said of its agent, and what the view has to add."""
        infos = self._env_infos()
        for slot in np.flatnonzero(lengths == 0):
            infos[slot]["inert"] = True
        if not self.learner.group.is_field:
            for info, length in zip(infos, lengths.tolist(), strict=True):
                info["decision_length"] = length
        return infos

    def _env_infos(self) -> list[dict[str, Any]]:
        agents = self.learner.group.agent_ids
        if not any(self.venv.infos):
            return [{} for _ in range(self.num_envs)]
        return [dict(copy.get(agent, ())) for copy in self.venv.infos for agent in agents]

    def _note_reset_infos(self, copies: Sequence[int]) -> None:
        infos = self._env_infos()
        num_agents = self.learner.group.num_agents
        for copy in copies:
            of_copy = slice(copy * num_agents, (copy + 1) * num_agents)
            self.reset_infos[of_copy] = infos[of_copy]

    def _copies(self, indices: VecEnvIndices) -> tuple[list[int], list[int]]:
        """The distinct copies of some slots, and for each slot the place of its copy among them."""
        of_slots = [self.learner.env_index(slot) for slot in self._get_indices(indices)]
        copies = list(dict.fromkeys(of_slots))
        return copies, [copies.index(copy) for copy in of_slots]


def _ends(terminated: BoolArray, truncated: BoolArray, observations: ArrayTree) -> dict[int, dict[str, Any]]:
    """Slot -> what its info says of its end."""
    return {
        slot: {
            "terminal_observation": row(observations, slot),
            "TimeLimit.truncated": bool(truncated[slot] and not terminated[slot]),
        }
        for slot in np.flatnonzero(terminated | truncated).tolist()
    }
