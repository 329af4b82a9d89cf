"""Turn order of one environment step: coordinators that are due, then the field agents."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from heron.batch.array_tree import ArrayTree, any_true
from heron.batch.batch_env import BoolArray
from heron.batch.copy_selection import EnvSelection, env_mask
from heron.play.group_decider import GroupDecider
from heron.play.policies import AnyPolicy
from heron.vector.hierarchical_vector_env import HierarchicalVectorEnv


@dataclass(frozen=True, slots=True)
class Episode:
    """One finished episode of one copy.

    Attributes:
        env_id: The copy.
        length: Number of environment steps.
        returns: Group name -> ``(num_agents,) float64``, each agent's sum of the environment's rewards.
    """

    env_id: str
    length: int
    returns: Mapping[str, npt.NDArray[np.float64]]

    def team_return(self, groups: Iterable[str]) -> float:
        """Return the sum of the returns of all agents of some groups."""
        return float(sum(self.returns[name].sum() for name in groups))


class TurnEngine:
    """The turn order of a vector env: coordinators that are due, from the top down, then the field agents.

    Groups with a policy decide by themselves. All others wait for the actions given to ``decide`` and ``advance``. The
    engine never resets a copy.

    Args:
        venv: The vector env.
        policies: Group name -> its policy.
        on_episode: Called with each finished episode.

    Attributes:
        stepped: ``(num_envs,) bool``, the copies that the last ``advance`` stepped, also if it raised; None for all.
    """

    def __init__(
        self,
        venv: HierarchicalVectorEnv,
        policies: Mapping[str, AnyPolicy],
        on_episode: Callable[[Episode], None] | None = None,
    ) -> None:
        self.venv = venv
        self.on_episode = on_episode
        self._deciders = {name: GroupDecider(venv, venv.groups[name], policy) for name, policy in policies.items()}
        self._field_deciders = [
            self._deciders[group.name] for group in venv.field_groups if group.name in self._deciders
        ]
        self._episodes: deque[Episode] = deque()
        self.stepped: BoolArray | None = None

    def reset(
        self,
        which: EnvSelection,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Start a new episode in some copies, and decide for the coordinators that have a policy.

        Args:
            which: The copies, as for ``HierarchicalVectorEnv.reset_envs``.
            seed: As for ``HierarchicalVectorEnv.reset_envs``.
            options: As for ``HierarchicalVectorEnv.reset_envs``.
        """
        venv = self.venv
        copies = venv.indices(which)
        venv.reset_envs(copies, seed, options)
        self.decide(env_mask(copies, venv.num_envs) & venv.running)

    def decide(self, mask: BoolArray, given: Mapping[str, ArrayTree] | None = None) -> None:
        """Decide for the coordinators that are due, from the top down.

        A copy stops at the first coordinator that is due and has neither a policy nor an action. Commands that a link
        has delayed are received in every case.

        Args:
            mask: ``(num_envs,) bool``, the copies.
            given: Group name -> ``(num_envs, num_agents, ...)``, the actions of groups without a policy.
        """
        venv = self.venv
        if not venv.coordinator_groups or not any_true(mask):
            return
        concerned, mask = mask, mask.copy()
        some_due = any_true(mask & venv.undecided)
        for group in venv.coordinator_groups if some_due else ():
            due = venv.due(group.name) & mask[:, None]
            if not any_true(due):
                continue
            if group.name in self._deciders:
                self._decide_by_policy(self._deciders[group.name], due, mask)
            elif given and group.name in given:
                venv.decide({group.name: given[group.name]}, mask)
            else:
                mask &= ~due.any(axis=1)
        venv.decide(mask=concerned)  # receive commands that a link has delayed

    def advance(self, copies: BoolArray | None, given: Mapping[str, ArrayTree] | None = None) -> None:
        """Step some copies once, and report the episodes that end.

        Args:
            copies: ``(num_envs,) bool``, the copies, all of which are running; None for all.
            given: Field group name -> ``(num_envs, num_agents, ...)``, the actions of groups without a policy.

        Raises:
            EnvStepError: If a copy raised. All others were stepped.
            PolicyError: If a policy raised, or returned invalid actions. Nothing was stepped.
        """
        venv = self.venv
        actions = self._field_actions(copies, given or {})
        steps, self.stepped = venv.steps.copy(), copies
        try:
            venv.advance(actions, copies)
        except BaseException:  # copies that did not raise were stepped
            self.stepped = venv.steps > steps
            raise
        finally:
            for decider in self._field_deciders:
                decider.keep(np.ones((1, 1), dtype=bool) if self.stepped is None else self.stepped[:, None])
            if not venv.all_running:
                self._note_episodes(~venv.running if self.stepped is None else self.stepped > venv.running)
            if self._episodes:
                self.report_episodes()

    def report_episodes(self) -> None:
        """Call ``on_episode`` once with each finished episode, even if an earlier call raised."""
        while self._episodes:
            episode = self._episodes.popleft()
            if self.on_episode is not None:
                self.on_episode(episode)

    def _decide_by_policy(self, decider: GroupDecider, due: BoolArray, mask: BoolArray) -> None:
        """Decide for the agents that are due by their policy, and send the commands to their subordinates."""
        name = decider.group.name
        actions = decider.ask(due)
        try:
            self.venv.decide({name: actions}, mask)
        finally:  # all messages except a rejected one were delivered
            decider.keep(~self.venv.due(name))

    def _field_actions(self, mask: BoolArray | None, given: Mapping[str, ArrayTree]) -> Mapping[str, ArrayTree]:
        if not self._field_deciders:
            return given
        asked = {}
        for decider in self._field_deciders:
            active = self.venv.results[decider.group.name].active
            asked[decider.group.name] = decider.ask(active if mask is None else active & mask[:, None])
        return {**given, **asked}

    def _note_episodes(self, ended: BoolArray) -> None:
        if not any_true(ended):
            return
        for index in np.flatnonzero(ended):
            returns = {name: returns[index].copy() for name, returns in self.venv.returns.items()}
            self._episodes.append(Episode(self.venv.env_ids[index], int(self.venv.steps[index]), returns))
