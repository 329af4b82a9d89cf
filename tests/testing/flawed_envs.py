"""One small sound environment of each kind, and what goes wrong with environments, one flaw a class."""

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import seeding
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils import AgentSelector

HORIZON = 6
SHARED = np.random.default_rng(0)


class Walk(ParallelEnv):
    """Two agents walk at random and by their actions. ``b`` is done after three steps, ``a`` is cut off at the end."""

    metadata: ClassVar[dict[str, Any]] = {"name": "walk_v0", "render_modes": []}

    def __init__(self):
        self.possible_agents = ["a", "b"]
        self.agents = []
        self.render_mode = None
        self.spaces = {agent: (Box(-2, 2, (2,), np.float32), Discrete(3)) for agent in self.possible_agents}
        self.np_random, _ = seeding.np_random()
        self.closed = 0

    def observation_space(self, agent):
        return self.spaces[agent][0]

    def action_space(self, agent):
        return self.spaces[agent][1]

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.np_random, _ = seeding.np_random(seed)
        self.steps = 0
        self.agents = list(self.possible_agents)
        self.places = {agent: self.np_random.uniform(-1, 1, 2).astype(np.float32) for agent in self.agents}
        return self.observe(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions):
        self.steps += 1
        acted = list(self.agents)
        for agent in acted:
            noise = self.np_random.uniform(-0.1, 0.1, 2)
            moved = self.places[agent] + noise + 0.1 * (actions[agent] - 1)
            self.places[agent] = moved.clip(-2, 2).astype(np.float32)
        terminations = {agent: agent == "b" and self.steps == 3 for agent in acted}
        truncations = dict.fromkeys(acted, self.steps == HORIZON)
        self.agents = [agent for agent in acted if not (terminations[agent] or truncations[agent])]
        rewards = {agent: float(self.places[agent].sum()) for agent in acted}
        return self.observe(acted), rewards, terminations, truncations, {agent: {} for agent in acted}

    def observe(self, agents):
        return {agent: self.places[agent].copy() for agent in agents}

    def close(self):
        self.closed += 1


class Outside(Walk):
    """From its second step on, ``b`` sees something far away."""

    def observe(self, agents):
        seen = super().observe(agents)
        if self.steps >= 2 and "b" in seen:
            seen["b"][1] = 7
        return seen


class WrongShape(Walk):
    def observe(self, agents):
        return {agent: seen[:1] for agent, seen in super().observe(agents).items()}


class WrongDtype(Walk):
    def observe(self, agents):
        return {agent: seen.astype(np.float64) for agent, seen in super().observe(agents).items()}


class NarrowDtype(Walk):
    """Fits into the space, but will be converted."""

    def observe(self, agents):
        return {agent: seen.astype(np.float16) for agent, seen in super().observe(agents).items()}


class NotANumber(Walk):
    def observe(self, agents):
        return {agent: seen * np.float32("nan") for agent, seen in super().observe(agents).items()}


class SeesNothing(Walk):
    """``b`` is left out of the observations."""

    def observe(self, agents):
        return {agent: seen for agent, seen in super().observe(agents).items() if agent != "b"}


class Stepwise(Walk):
    """Changes what a step returns."""

    def step(self, actions):
        return self.change(*super().step(actions))


class InfiniteReward(Stepwise):
    def change(self, observations, rewards, *rest):
        return observations, dict.fromkeys(rewards, float("inf")), *rest


class ArrayReward(Stepwise):
    def change(self, observations, rewards, *rest):
        return observations, {agent: np.ones(1) for agent in rewards}, *rest


class NoReward(Stepwise):
    def change(self, observations, rewards, *rest):
        return observations, {"a": 1.0}, *rest


class IntFlags(Stepwise):
    def change(self, observations, rewards, terminations, truncations, infos):
        return observations, rewards, {agent: int(flag) for agent, flag in terminations.items()}, truncations, infos


class NoInfo(Stepwise):
    def change(self, *parts):
        return *parts[:4], dict.fromkeys(parts[4], None)


class FourParts(Stepwise):
    def change(self, *parts):
        return parts[:4]


class ListOfRewards(Stepwise):
    def change(self, observations, rewards, *rest):
        return observations, list(rewards.values()), *rest


class Silent(Stepwise):
    """``b`` goes without a word."""

    def change(self, observations, rewards, terminations, truncations, infos):
        return observations, rewards, dict.fromkeys(terminations, False), truncations, infos


class Lingering(Walk):
    """Ended agents stay in the list for another step."""

    def step(self, actions):
        results = super().step({"a": 1, "b": 1} | dict(actions))
        if self.steps == 3:
            self.agents = ["a", "b"]
        return results


class Reborn(Walk):
    def step(self, actions):
        if self.steps == 4:
            self.agents = ["a", "b"]
        return super().step({"b": 1} | actions)


class Unknown(Walk):
    def reset(self, seed=None, options=None):
        results = super().reset(seed, options)
        self.agents = ["a", "b", "c"]
        return results


class Numbered(Walk):
    def __init__(self):
        super().__init__()
        self.possible_agents = [0, 1]
        self.spaces = dict(enumerate(self.spaces.values()))


class NewSpaces(Walk):
    def observation_space(self, agent):
        return Box(-2, 2, (2,), np.float32)


class GrowingSpaces(Walk):
    def reset(self, seed=None, options=None):
        self.spaces = {agent: (Box(-3, 3, (2,), np.float32), Discrete(3)) for agent in self.possible_agents}
        return super().reset(seed, options)


class Raising(Walk):
    def step(self, actions):
        if self.steps == 2:
            raise ZeroDivisionError("no wind")
        return super().step(actions)


class Aliased(Walk):
    """Hands its own arrays out, and goes on with them."""

    def observe(self, agents):
        return {agent: self.places[agent] for agent in agents}

    def step(self, actions):
        before = dict(self.places)
        super().step(actions)
        self.steps -= 1  # once more, in place
        self.agents = list(before if self.steps < 3 else ["a"])
        results = super().step(actions)
        for agent, place in self.places.items():
            before[agent][:] = place
            self.places[agent] = before[agent]
        return self.observe(results[0]), *results[1:]


class ChangesActions(Walk):
    def action_space(self, agent):
        return self.actions[agent]

    def __init__(self):
        super().__init__()
        self.actions = {agent: Box(-1, 1, (2,), np.float32) for agent in self.possible_agents}

    def step(self, actions):
        for action in actions.values():
            action[:] = 0
        return super().step(actions)


class TrustsItsObservations(Walk):
    """Lets its caller write into what it goes on with."""

    def observe(self, agents):
        seen = super().observe(agents)
        self.places = {**self.places, **seen}
        return seen


class Unseeded(Walk):
    def reset(self, seed=None, options=None):
        return super().reset(None, options)


class UnseededLater(Walk):
    """Makes a new generator at every reset."""

    def reset(self, seed=None, options=None):
        self.np_random, _ = seeding.np_random(seed)
        return super().reset(None, options)


class Replaying(Walk):
    """A reset without a seed takes the last seed again."""

    seed = 0

    def reset(self, seed=None, options=None):
        self.seed = self.seed if seed is None else seed
        return super().reset(self.seed, options)


class Tired(Walk):
    """Carries something from one episode to the next."""

    age = 0

    def reset(self, seed=None, options=None):
        self.age += 1
        return super().reset(seed, options)

    def step(self, actions):
        results = super().step(actions)
        return results[0], {agent: reward / self.age for agent, reward in results[1].items()}, *results[2:]


class GlobalRandom(Walk):
    """Seeds a generator that all copies share."""

    def reset(self, seed=None, options=None):
        global SHARED  # noqa: PLW0603 - the flaw
        if seed is not None:
            SHARED = np.random.default_rng(seed)
        results = super().reset(seed, options)
        self.np_random = SHARED
        return results

    def step(self, actions):
        self.np_random = SHARED
        return super().step(actions)


class Endless(Walk):
    def step(self, actions):
        self.steps = 0
        return super().step(actions)


class Certain(Walk):
    """Has nothing random in it."""

    def reset(self, seed=None, options=None):
        return super().reset(1, options)

    def step(self, actions):
        self.np_random, _ = seeding.np_random(self.steps)
        return super().step(actions)


class Warns(Walk):
    def step(self, actions):
        gymnasium.logger.warn("the wind is rising")
        return super().step(actions)


class Turns(AECEnv):
    """Two agents take turns, with masks; counting past 6 ends the game."""

    metadata: ClassVar[dict[str, Any]] = {"name": "turns_v0", "render_modes": []}

    def __init__(self):
        self.possible_agents = ["a", "b"]
        self.agents = []
        self.render_mode = None
        self.spaces = {
            agent: (
                gymnasium.spaces.Dict(observation=Box(0, 20, (1,), np.float32), action_mask=Box(0, 1, (3,), np.int8)),
                Discrete(3),
            )
            for agent in self.possible_agents
        }
        self.np_random, _ = seeding.np_random()

    def observation_space(self, agent):
        return self.spaces[agent][0]

    def action_space(self, agent):
        return self.spaces[agent][1]

    def observe(self, agent):
        return {"observation": np.array([self.count], np.float32), "action_mask": np.array([0, 1, 1], np.int8)}

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.np_random, _ = seeding.np_random(seed)
        self.agents = list(self.possible_agents)
        self.count = int(self.np_random.integers(1, 3))
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}
        self._order = AgentSelector(self.agents)
        self.agent_selection = self._order.next()

    def step(self, action):
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        assert action > 0, "the mask forbids 0"
        self.count += int(action)
        self._cumulative_rewards[agent] = 0.0
        self._clear_rewards()
        if self.count > 6:
            self.rewards[agent] = 1.0
            self.terminations = dict.fromkeys(self.agents, True)
        self.agent_selection = self._order.next()
        self._accumulate_rewards()


class TurnsOutside(Turns):
    def observe(self, agent):
        seen = super().observe(agent)
        return seen if self.count < 5 else seen | {"observation": np.array([-1], np.float32)}


class Single(gymnasium.Env):
    """A point that walks at random."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self):
        self.observation_space = Box(-2, 2, (2,), np.float32)
        self.action_space = Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        self.place = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self.place.copy(), {}

    def step(self, action):
        self.steps += 1
        moved = self.place + self.np_random.uniform(-0.1, 0.1, 2) + 0.1 * (action - 1)
        self.place = moved.clip(-2, 2).astype(np.float32)
        return self.place.copy(), float(self.place.sum()), bool(self.place[0] > 1), self.steps == HORIZON, {}


class SingleOutside(Single):
    def step(self, action):
        observation, *rest = super().step(action)
        return (observation * 100 if self.steps == 4 else observation), *rest
