"""PettingZoo and Gymnasium environments as subjects of a check."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import gymnasium
from gymnasium.spaces import Space
from pettingzoo import AECEnv, ParallelEnv

from heron.errors import EnvCreationError
from heron.testing.env.step_record import BadReturnError, StepRecord, Subject, checked_dicts, unpacked

_RESET: Final = ("observations", "infos")
_STEP: Final = ("observations", "rewards", "terminations", "truncations", "infos")
_AGENT: Final = "agent"


class _PettingZooSubject:
    """Common part of ``ParallelEnv`` and ``AECEnv``."""

    def __init__(self, env: Any) -> None:
        self.env = env
        self._step = 0

    @property
    def possible_agents(self) -> Sequence[Any]:
        return list(getattr(self.env, "possible_agents", ()))

    def observation_space(self, agent: Any) -> Space[Any]:
        space: Space[Any] = self.env.observation_space(agent)
        return space

    def action_space(self, agent: Any) -> Space[Any]:
        space: Space[Any] = self.env.action_space(agent)
        return space

    def close(self) -> None:
        self.env.close()


class ParallelSubject(_PettingZooSubject):
    """A ``ParallelEnv`` under examination."""

    every_agent_each_step = True

    def __init__(self, env: ParallelEnv) -> None:
        super().__init__(env)
        self.agents: list[Any] = []

    def reset(self, seed: int | None) -> StepRecord:
        before, self._step = tuple(getattr(self.env, "agents", ())), 0
        parts = unpacked(self.env.reset(seed=seed), _RESET, "reset")
        checked_dicts(_RESET, parts, "reset")
        observations, infos = parts
        self.agents = list(self.env.agents)
        return StepRecord(0, before, tuple(self.agents), {}, observations, {}, {}, {}, infos)

    def step(self, actions: Mapping[Any, Any]) -> StepRecord:
        before = tuple(self.env.agents)
        self._step += 1
        parts = unpacked(self.env.step(dict(actions)), _STEP, "step")
        checked_dicts(_STEP, parts, "step")
        after = tuple(self.env.agents)
        record = StepRecord(self._step, before, after, actions, *parts)
        self.agents = [agent for agent in after if not record.ended(agent)]
        return record


class AecSubject(_PettingZooSubject):
    """An ``AECEnv`` under examination. A step holds the results of the agent that acts next.

    Agents that have ended take a last step with the action None, as PettingZoo requires.
    """

    every_agent_each_step = False

    @property
    def agents(self) -> list[Any]:
        return [self.env.agent_selection] if self.env.agents else []

    def reset(self, seed: int | None) -> StepRecord:
        before, self._step = tuple(getattr(self.env, "agents", ())), 0
        self.env.reset(seed=seed)
        return self._record(before, {})

    def step(self, actions: Mapping[Any, Any]) -> StepRecord:
        before = tuple(self.env.agents)
        selected = self.env.agent_selection
        over = self.env.terminations[selected] or self.env.truncations[selected]
        self._step += 1
        self.env.step(None if over else actions[selected])
        return self._record(before, {} if over else actions)

    def _record(self, before: tuple[Any, ...], actions: Mapping[Any, Any]) -> StepRecord:
        after = tuple(self.env.agents)
        if not after:
            return StepRecord(self._step, before, after, actions, {}, {}, {}, {}, {})
        agent = self.env.agent_selection
        if agent not in after:
            raise BadReturnError("agent_selection must be one of agents", f"{agent!r} is not in {list(after)}")
        observation, reward, terminated, truncated, info = unpacked(
            self.env.last(), ("observation", "reward", "termination", "truncation", "info"), "last"
        )
        flags = ({agent: terminated}, {agent: truncated}, {agent: info})
        return StepRecord(self._step, before, after, actions, {agent: observation}, {agent: reward}, *flags)


class SingleSubject:
    """A Gymnasium ``Env`` under examination, as an environment of one agent."""

    every_agent_each_step = True

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self.env = env
        self.agents: list[Any] = []
        self._step = 0

    @property
    def possible_agents(self) -> Sequence[Any]:
        return (_AGENT,)

    def observation_space(self, _agent: Any) -> Space[Any]:
        return self.env.observation_space

    def action_space(self, _agent: Any) -> Space[Any]:
        return self.env.action_space

    def reset(self, seed: int | None) -> StepRecord:
        before, self._step = tuple(self.agents), 0
        observation, info = unpacked(self.env.reset(seed=seed), ("observation", "info"), "reset")
        self.agents = [_AGENT]
        return StepRecord(0, before, (_AGENT,), {}, {_AGENT: observation}, {}, {}, {}, {_AGENT: info})

    def step(self, actions: Mapping[Any, Any]) -> StepRecord:
        before = tuple(self.agents)
        self._step += 1
        names = ("observation", "reward", "terminated", "truncated", "info")
        values = unpacked(self.env.step(actions[_AGENT]), names, "step")
        over = bool(values[2]) or bool(values[3])
        self.agents = [] if over else [_AGENT]
        return StepRecord(self._step, before, tuple(self.agents), actions, *({_AGENT: value} for value in values))

    def close(self) -> None:
        self.env.close()


def subject_of(env: Any) -> Subject:
    """Return an environment as a subject.

    Raises:
        EnvCreationError: If it is not of one of the three kinds.
    """
    if isinstance(env, ParallelEnv):
        return ParallelSubject(env)
    if isinstance(env, AECEnv):
        return AecSubject(env)
    if isinstance(env, gymnasium.Env):
        return SingleSubject(env)
    raise EnvCreationError(f"expected a PettingZoo ParallelEnv or AECEnv, or a Gymnasium Env, got {env!r}")
