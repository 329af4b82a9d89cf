"""Agents as objects, and other vector envs, on a vector env's own broker."""

import numpy as np
import pytest

from heron.agents import CoordinatorAgent
from heron.errors import BrokerClosedError, ConfigurationError, EnvClosedError, UnknownEnvError
from heron.messaging import BrokerWrapper, ChannelManager, InMemoryBroker

from ..wrappers.small_envs import Life
from .vec_envs import A, B, commands, scripted, star, step, still


class TestAgentObjects:
    def test_kinds_and_ties(self):
        venv = scripted(2, star(), step_length=0.5)
        venv.reset()
        step(venv)
        agents = venv.agents("env_1")
        assert list(agents) == ["coordinator", A, B]
        assert isinstance(agents["coordinator"], CoordinatorAgent)
        assert agents["coordinator"].subordinate_ids == (A, B)
        assert agents[A].upstream_id == "coordinator"
        assert agents[A].env_id == "env_1"
        assert agents[A].broker is venv.broker
        assert agents[A].clock() == 0.5

    def test_a_scalar_coordinators_command_reaches_the_vector_env(self):
        venv = scripted(2, star())
        venv.reset()
        top = venv.agents("env_1")["coordinator"]
        top.send_action_to_subordinate(A, np.array([0.5, 0.25], np.float32))
        top.send_action_to_subordinate(B, [0.0, 0.75])
        venv.decide()

        assert venv.due("coordinator").tolist() == [[True], [False]]
        assert venv.commands("agent").tolist() == [[[0, 0], [0, 0]], [[0.5, 0.25], [0, 0.75]]]
        venv.decide(commands(venv, 1.0))
        assert venv.commands("agent")[1].tolist() == [[0.5, 0.25], [0, 0.75]]

    def test_a_scalar_field_agent_hears_the_vector_env_and_is_heard(self):
        broker = InMemoryBroker()
        venv = scripted(2, star(), broker)
        venv.reset()
        heard = []
        name = ChannelManager.action_channel("coordinator", A, "env_0")
        broker.subscribe(name, lambda message: heard.append(message.payload["action"].tolist()))
        step(venv, 0.5)
        assert heard == [[0.5, 0.5]]

    def test_what_a_scalar_field_agent_says_is_heard_when_its_own_copy_steps(self):
        venv = scripted(2, star(), lives={A: Life(), B: Life(joins=9)}, horizon=20)
        venv.reset()
        venv.agents("env_0")[B].send_info_to_upstream({"observation": np.full(4, 7, np.float32), "reward": 5.0})
        venv.decide(commands(venv))
        unknown = [0, 0, 0, 0, 0, -1]
        venv.advance(still(venv), np.array([False, True]))
        assert venv.observe("coordinator")[:, 0, 6:].tolist() == [unknown, unknown]
        venv.advance(still(venv), np.array([True, False]))
        assert venv.observe("coordinator")[:, 0, 6:].tolist() == [[7, 7, 7, 7, 5, 1], unknown]

    def test_a_field_agent_can_take_its_commands_itself(self):
        venv = scripted(1, star())
        venv.reset()
        agents = venv.agents("env_0")
        agents["coordinator"].send_action_to_subordinate(A, 3)
        assert agents[A].receive_action_messages() == [3]

    def test_unknown_copy(self):
        with pytest.raises(UnknownEnvError, match="'env_9'"):
            scripted().agents("env_9")


class TestSharedBroker:
    def test_two_vector_envs_with_different_ids(self):
        broker = InMemoryBroker()
        one = scripted(2, star(), broker, env_ids=["a", "b"])
        two = scripted(2, star(), broker, env_ids=["c", "d"])
        one.reset()
        two.reset()
        one.decide(commands(one, 0.5))
        two.decide(commands(two, 0.25))
        assert one.commands("agent").max() == 0.5
        assert two.commands("agent").max() == 0.25
        two.agents("c")["coordinator"].broadcast({"x": 1})
        one.agents("a")["coordinator"].broadcast({"x": 1})
        one.close()

        assert broker.statistics().messages == 1
        two.advance(still(two))
        assert two.steps.tolist() == [1, 1]
        two.close()
        assert broker.statistics().messages == 0
        broker.create_channel("still_open")

    def test_same_ids_are_refused_while_both_are_open(self):
        broker = InMemoryBroker()
        one = scripted(2, star(), broker)
        with pytest.raises(ConfigurationError, match=r"\['env_1'\]"):
            scripted(2, star(), broker, env_ids=["x", "env_1"])
        scripted(1, star(), broker, env_ids=["x"])
        one.close()
        scripted(2, star(), broker)

    def test_a_wrapped_broker_and_a_bare_one_are_the_same(self):
        broker = InMemoryBroker()
        one = scripted(2, star(), BrokerWrapper(broker))
        for same in (broker, BrokerWrapper(broker), BrokerWrapper(BrokerWrapper(broker))):
            with pytest.raises(ConfigurationError, match="env_1"):
                scripted(2, star(), same)
        one.close()
        scripted(2, star(), broker)

    def test_ids_are_free_again_when_a_vector_env_is_forgotten(self):
        broker = InMemoryBroker()
        scripted(2, star(), broker)
        scripted(2, star(), broker)

    def test_close(self):
        venv = scripted(2, star())
        copies = list(venv.batch_env.envs)
        venv.close()
        venv.close()
        assert [copy.closed for copy in copies] == [1, 1]
        for use in (venv.reset, venv.decide, lambda: venv.advance(still(venv))):
            with pytest.raises(EnvClosedError, match="env_0, env_1"):
                use()
        with pytest.raises(BrokerClosedError):
            venv.broker.clear_environment("env_0")

    def test_close_after_the_broker(self):
        broker = InMemoryBroker()
        venv = scripted(1, star(), broker)
        broker.close()
        venv.close()
        assert venv.batch_env.envs == []
