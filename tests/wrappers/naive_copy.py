"""Reference implementation of one environment under a hierarchy, agent by agent, without the package's code."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box


class FailedError(Exception):
    """The error of a copy that raised."""


class End(NamedTuple):
    observation: Any
    terminated: bool
    truncated: bool


@dataclass
class Tree:
    """Coordinator -> its subordinates and period, from the top down. All commands have the same space."""

    below: dict[str, list[str]]
    period: dict[str, int]
    command: Any = None


class OneAgent:
    """A Gymnasium environment as a PettingZoo environment of one agent, `"agent"`."""

    possible_agents = ("agent",)

    def __init__(self, env):
        self.env = env

    def reset(self, *, seed=None, options=None):
        observation, info = self.env.reset(seed=seed, options=options)
        self.agents = ["agent"]
        return {"agent": observation}, {"agent": info}

    def step(self, actions):
        results = self.env.step(actions["agent"])
        self.agents = [] if results[2] or results[3] else ["agent"]
        return tuple({"agent": result} for result in results)


class NaiveCopy:
    """One environment under a hierarchy, in which some agents learn and policies decide for the others.

    `ends` has the unreported ends of learners, `gain` and `lengths` the rewards and steps of the last decision.
    """

    def __init__(self, env, learners, tree=None, policies=None, discount=1.0):
        self.env, self.learners, self.tree = env, list(learners), tree or Tree({}, {})
        self.policies, self.discount = policies or {}, discount
        self.fields = list(env.possible_agents)
        self.upstream = {agent: above for above, agents in self.tree.below.items() for agent in agents}
        self.period = self.tree.period.get(self.learners[0], 1)
        self.begun, self.reset_infos = False, {}
        self.forget()

    def forget(self):
        """Return to the state before the first reset."""
        self.steps, self.active, self.infos = 0, set(), {}
        self.observed, self.rewards, self.heard, self.commands, self.kept = {}, {}, {}, {}, {}
        self.decided, self.cut_below, self.deciders = set(), set(), []
        self.gain, self.lengths = self.nothing(), self.nothing()
        self.ends = {}

    def nothing(self):
        return dict.fromkeys(self.learners, 0)

    @property
    def over(self):
        return not self.active

    def reset(self, seed=None, options=None):
        """Begin an episode, and decide for the coordinators above the learners."""
        self.forget()
        self.begun = True
        observations, infos = self.env.reset(seed=seed, options=None if options is None else dict(options))
        self.infos = self.reset_infos = {agent: info for agent, info in infos.items() if info}
        self.active = set(self.env.agents)
        self.observed = {agent: observations[agent] for agent in self.active}
        for above in reversed(self.tree.below):
            if any(agent in self.active for agent in self.tree.below[above]):
                self.active.add(above)
        self.tell_upstream(self.active)
        self.decide()

    def decide(self, actions=None):
        """Decide for coordinators from the top down. Learners that are due wait for their actions."""
        for above in self.tree.below:
            due = above in self.active and self.steps % self.tree.period[above] == 0 and above not in self.decided
            if not due:
                continue
            if above in self.learners and actions is None:
                return
            action = actions[above] if above in self.learners else self.policies[above](self.seen(above))
            agents = self.tree.below[above]
            for agent, command in zip(agents, np.split(np.asarray(action), len(agents)), strict=True):
                if agent in self.active:
                    self.commands[agent] = command
            self.decided.add(above)

    def advance(self, actions):
        """Step the environment once, and note the ends of the agents that have decided."""
        before = set(self.active)
        chosen = {
            agent: actions[agent] if agent in self.learners else self.policies[agent](self.seen(agent))
            for agent in self.fields
            if agent in self.active
        }
        self.decided.clear()
        self.steps += 1
        try:
            results, there = self.env.step(chosen), self.env.agents
        except RuntimeError:  # all are truncated
            results, there = None, []
        ends = self.follow_fields(chosen, results or ({}, {}, {}, {}, {}), there)
        for above, agents in reversed(self.tree.below.items()):
            self.follow_below(above, agents, ends, above in before)
        self.tell_upstream(before | self.active)
        self.kept |= {agent: self.own(agent) for agent in ends if agent in self.tree.below}
        for agent in [agent for agent in self.deciders if agent in ends]:
            self.ends[agent] = End(self.seen(agent), *ends[agent])
            self.deciders.remove(agent)
        if results is None:
            raise FailedError

    def follow_fields(self, acting, results, there):
        """Store the results of a step, and return the agents that ended with their flags."""
        observations, rewards, terminated, truncated, infos = results
        self.infos = {agent: info for agent, info in infos.items() if info}
        self.observed |= {agent: seen for agent, seen in observations.items() if agent in there or agent in acting}
        self.rewards = {agent: float(rewards.get(agent, 0)) for agent in acting}
        flags = {agent: (bool(terminated.get(agent)), bool(truncated.get(agent))) for agent in self.fields}
        self.active = {agent for agent in there if not any(flags[agent])}
        gone_silently = (False, True)
        return {
            agent: flags[agent] if any(flags[agent]) else gone_silently for agent in acting if agent not in self.active
        }

    def follow_below(self, above, agents, ends, was_active):
        """Set coordinators' rewards to those of their subordinates, and end them with the last subordinate."""
        self.rewards[above] = sum(self.rewards.get(agent, 0.0) for agent in agents)
        if any(ends[agent][1] for agent in agents if agent in ends):
            self.cut_below.add(above)
        if any(agent in self.active for agent in agents):
            self.active.add(above)
            self.kept.pop(above, None)
        elif was_active:
            ends[above] = (above not in self.cut_below, above in self.cut_below)

    def tell_upstream(self, senders):
        for agents in reversed(self.tree.below.values()):
            for agent in agents:
                if agent in senders:
                    self.heard[agent] = (self.own(agent), self.rewards.get(agent, 0.0), self.steps)

    def own(self, agent):
        """Return the info that an agent sends upstream: its observation, or a coordinator's infos from below."""
        if agent not in self.tree.below:
            if agent in self.observed:
                return self.observed[agent]
            space = self.env.observation_space(agent)
            return np.zeros(space.shape, space.dtype)
        if agent in self.kept:
            return self.kept[agent]
        parts = []
        for child in self.tree.below[agent]:
            told, reward, when = self.heard.get(child, (0 * self.own(child), 0.0, self.steps + 1))
            parts += [told, [reward, self.steps - when]]
        return np.concatenate(parts).astype(np.float32)

    def seen(self, agent):
        """Return an agent's observation, followed by its latest command."""
        if agent not in self.upstream:
            return self.own(agent)
        command, space = self.commands.get(agent), self.tree.command
        if isinstance(space, Box):
            shown = np.zeros(space.shape) if command is None else command
        else:
            shown = np.zeros(space.n) if command is None else np.eye(space.n)[int(command[0]) - space.start]
        return np.concatenate([self.own(agent), shown]).astype(np.float32)

    def rest(self, actions):
        """Complete a decision that an error in another copy interrupted. Yields after each step."""
        while not self.over and self.steps % self.period:
            self.decide(actions)
            yield self.advance(actions)

    def play(self, actions):
        """Play until the learners are due again, or the episode is over. Yields after each step."""
        if self.over:
            return
        self.decide(actions)
        self.deciders = [agent for agent in self.learners if agent in self.active]
        while True:
            took_part = list(self.deciders)
            self.advance(actions)
            for agent in took_part:
                self.gain[agent] += self.discount ** self.lengths[agent] * self.rewards[agent]
                self.lengths[agent] += 1
            yield
            if self.over or self.steps % self.period == 0:
                return
            self.decide()
