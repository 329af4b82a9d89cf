"""Observations come from received messages alone, even if those are late, lost or sent by hand."""

import numpy as np
import pytest

from heron.errors import InvalidMessageError
from heron.messaging import ChannelManager, InMemoryBroker, Message, MessageType

from .vec_envs import A, B, SevenMethods, commands, scripted, star, step, still


class TestWhatWasReceived:
    """A broker that loses and delays: the vector env knows only what has come."""

    def test_lost_infos_age(self):
        lost = set()
        broker = SevenMethods(loses=lambda m: m.message_type is MessageType.INFO and m.sender_id in lost)
        venv = scripted(1, star(period=9), broker, horizon=9, step_length=0.1)
        venv.reset()
        step(venv)
        lost.add(A)
        ages, steps_seen = [], []
        for number in range(4):
            venv.advance(still(venv))
            if number == 2:
                lost.clear()
            seen = venv.observe("coordinator")[0, 0].reshape(2, 6)
            ages.append(seen[:, 5].tolist())
            steps_seen.append(seen[:, 0].tolist())
        assert ages == [[1, 0], [2, 0], [3, 0], [0, 0]]
        assert steps_seen == [[1, 2], [1, 3], [1, 4], [5, 5]]

    def test_age_is_minus_one_before_the_first(self):
        broker = SevenMethods(loses=lambda m: m.sender_id == A)
        venv = scripted(1, star(), broker)
        venv.reset()
        step(venv)
        assert venv.observe("coordinator")[0, 0, :6].tolist() == [0, 0, 0, 0, 0, -1]

    def test_delayed_infos_are_seen_when_they_come_with_their_age(self):
        broker = SevenMethods(delay=lambda m: 2 * (m.message_type is MessageType.INFO))
        venv = scripted(1, star(period=9), broker, horizon=9)
        venv.reset()
        step(venv)
        seen = []
        for _ in range(4):
            seen.append(venv.observe("coordinator")[0, 0, [0, 4, 5]].tolist())
            venv.advance(still(venv))
        assert seen == [[0, 0, -1], [0, 0, 2], [1, 1, 2], [2, 2, 2]]

    def test_delayed_commands_are_seen_when_they_come(self):
        broker = SevenMethods(delay=lambda m: 1 * (m.message_type is MessageType.ACTION))
        venv = scripted(1, star(period=2), broker, horizon=9)
        venv.reset()
        seen = []
        for number in range(4):
            venv.decide({"coordinator": np.full((1, 1, 4), number / 4, np.float32)})
            seen.append(venv.commands("agent")[0, 0, 0].item())
            venv.advance(still(venv))
        assert seen == [0, 0, 0, 0.5]

    def test_an_older_command_that_comes_after_a_newer_one_does_not_count(self):
        slow = [3, 0]
        broker = SevenMethods(delay=lambda m: slow[int(m.timestamp > 0)] * (m.message_type is MessageType.ACTION))
        venv = scripted(1, star(), broker, horizon=9)
        venv.reset()
        for number in (0.25, 0.5):
            step(venv, number)
        for _ in range(4):
            venv.decide()
        assert broker.under_way == []
        assert venv.commands("agent")[0, 0].tolist() == [0.5, 0.5]

    def test_an_older_info_that_comes_after_a_newer_one_does_not_count(self):
        is_info = lambda message: message.message_type is MessageType.INFO  # noqa: E731
        broker = SevenMethods(
            delay=lambda m: 2 * (is_info(m) and m.timestamp == 1), loses=lambda m: is_info(m) and m.timestamp == 3
        )
        venv = scripted(1, star(period=9), broker, horizon=9)
        venv.reset()
        step(venv)
        seen = []
        for _ in range(2):
            venv.advance(still(venv))
            seen.append(venv.observe("coordinator")[0, 0, [0, 4, 5]].tolist())
        assert broker.under_way == []
        assert seen == [[2, 2, 0], [2, 2, 1]]

    def test_nothing_of_the_last_episode_is_known_after_a_reset(self):
        broker = SevenMethods(delay=lambda m: 1)
        venv = scripted(2, star(), broker)
        venv.reset()
        step(venv, 0.5)
        venv.decide(commands(venv, 0.25))
        venv.reset_envs(0)
        venv.decide(commands(venv))
        assert venv.commands("agent")[0].tolist() == [[0, 0], [0, 0]]
        assert venv.observe("coordinator")[0, 0, [4, 5]].tolist() == [0, -1]
        assert venv.commands("agent")[1].tolist() == [[0.25, 0.25]] * 2

    def test_seven_methods_are_enough(self):
        runs = []
        for broker in (InMemoryBroker(), SevenMethods()):
            venv = scripted(3, star(period=2), broker)
            venv.reset(seed=4)
            run = []
            while venv.running.all():
                step(venv, 0.5)
                run += [venv.observe("coordinator").tolist(), venv.observe("agent").tolist()]
            runs.append(run)
            venv.close()
        assert runs[0] == runs[1]


def test_a_message_by_hand_that_does_not_fit_is_named():
    venv = scripted(1, star())
    venv.reset()
    channel = ChannelManager.action_channel("coordinator", A, "env_0")
    venv.broker.publish(channel, Message("env_0", "coordinator", A, 0.0, MessageType.ACTION, {"action": [1.0]}))
    with pytest.raises(ValueError, match=r"must carry 'action' of shape \(2,\)"):
        venv.decide()


class TestMessagesByHand:
    @pytest.fixture
    def venv(self):
        venv = scripted(2, star(period=2), horizon=9, intrinsic_reward=lambda *args: np.ones((2, 2)))
        venv.reset(seed=0)
        venv.decide(commands(venv))
        return venv

    def publish(self, venv, channel, *route, time=0.0, **payload):
        kind = MessageType.ACTION if "action" in payload else MessageType.INFO
        venv.broker.publish(channel, Message(*route, time, kind, payload))

    def inform(self, venv, **message):
        channel = ChannelManager.info_channel(A, "coordinator", "env_0")
        self.publish(venv, channel, "env_0", A, "coordinator", **message)

    def command(self, venv, recipient=A, **message):
        channel = ChannelManager.action_channel("coordinator", recipient, "env_0")
        self.publish(venv, channel, "env_0", "coordinator", recipient, **message)

    def test_an_info_that_does_not_fit_hides_nothing_else(self, venv):
        self.inform(venv, time=99.0, note="hi")
        with pytest.raises(InvalidMessageError, match="must carry 'observation'"):
            venv.advance(still(venv))
        assert venv.steps.tolist() == [1, 1]
        assert venv.returns["agent"].tolist() == [[1, 10]] * 2
        assert venv.returns["coordinator"].tolist() == [[11]] * 2
        assert venv.results["agent"].rewards.tolist() == [[1, 1]] * 2
        assert venv.observe("coordinator")[:, 0, [6, 11]].tolist() == [[1, 0]] * 2
        venv.advance(still(venv))
        assert venv.observe("coordinator")[:, 0, [0, 5]].tolist() == [[2, 0]] * 2

    @pytest.mark.parametrize("bad", [[np.nan, 0.0], [0.0, 77.0], [-np.inf, 0.0]])
    def test_a_command_outside_its_space_is_refused_and_all_others_count(self, venv, bad):
        self.command(venv, action=np.float32(bad))
        self.command(venv, B, action=np.float32([0.5, 0.5]))
        with pytest.raises(
            InvalidMessageError, match=r"env_0: command from 'coordinator' to 'agent_0' must lie in Box"
        ):
            venv.decide()
        assert venv.commands("agent")[0].tolist() == [[0, 0], [0.5, 0.5]]
        venv.decide()

    def test_a_coordinator_has_decided_though_another_message_was_refused(self, venv):
        for _ in range(2):
            venv.advance(still(venv))
        self.command(venv, time=3.0, action=np.float32([9, 9]))
        with pytest.raises(InvalidMessageError, match="agent_0"):
            venv.decide(commands(venv, 0.25))
        assert not venv.due("coordinator").any()

    def test_what_is_stamped_later_than_now_hides_nothing_that_follows(self, venv):
        self.command(venv, time=1e6, action=np.float32([0.5, 0.5]))
        self.inform(venv, time=1e6, observation=np.full(4, 7, np.float32), reward=1.0)
        venv.decide()
        venv.advance(still(venv))
        venv.advance(still(venv))
        assert venv.observe("coordinator")[0, 0, [0, 5]].tolist() == [2, 0]
        venv.decide(commands(venv, 0.25))
        assert venv.commands("agent")[0, 0].tolist() == [0.25, 0.25]
