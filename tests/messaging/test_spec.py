"""Every code block, table and promise of the specification, `spec.md`, holds as written."""

import inspect
import re
import threading
import typing
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from unittest.mock import Mock

import pytest

import heron.messaging
from heron.errors import HeronError
from heron.messaging import (
    ChannelManager,
    ChannelRegistry,
    InMemoryBroker,
    Message,
    MessageBroker,
    MessageType,
    MessageTypeRegistry,
)

SPEC = (Path(__file__).parent / "spec.md").read_text(encoding="utf-8")


def sections() -> dict[str, str]:
    """Heading -> text below it, up to the next heading. Lines inside code fences are no headings."""
    found, heading, fenced = {}, "", False
    for line in SPEC.splitlines():
        fenced ^= line.startswith("```")
        if line.startswith("#") and not fenced:
            heading = line.lstrip("# ")
            # "Message" stands twice: under Components and under API Reference.
            heading += " (API)" if heading in found else ""
            found[heading] = ""
        else:
            found[heading] = found.get(heading, "") + line + "\n"
    return found


SECTIONS = sections()


def blocks(heading: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", SECTIONS[heading], flags=re.DOTALL)


def table(heading: str) -> list[list[str]]:
    """The rows of the section's table, without its head and without backticks."""
    rows = [line for line in SECTIONS[heading].splitlines() if line.startswith("|")][2:]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows]


def run(source: str, **names: object) -> dict[str, object]:
    namespace = {"__name__": "spec", "List": list, "Callable": Callable, **names}
    exec(compile(source, "spec.md", "exec"), namespace)  # noqa: S102
    return namespace


@pytest.fixture(autouse=True)
def _registries_as_they_were():
    registries = [MessageTypeRegistry._descriptions, ChannelRegistry._descriptions]
    before = [dict(known) for known in registries]
    yield
    for known, old in zip(registries, before, strict=True):
        known.clear()
        known.update(old)


TESTED_BLOCKS = {
    "Message": 1,
    "MessageType": 1,
    "MessageBroker (Abstract)": 1,
    "InMemoryBroker": 1,
    "ChannelManager": 1,
    "ChannelRegistry": 1,
    "Pattern 1: Hierarchical Communication": 1,
    "Pattern 2: Agent Integration": 1,
    "Pattern 3: Vectorized Environments": 1,
    "Pattern 4: Reactive Subscriptions": 1,
    "Thread Safety": 1,
    "Extending with Custom Brokers": 1,
}


def test_every_python_block_has_a_test():
    assert {heading: len(blocks(heading)) for heading in SECTIONS if blocks(heading)} == TESTED_BLOCKS
    assert SPEC.count("```python") == len(TESTED_BLOCKS)


class TestComponents:
    def test_message(self):
        (block,) = blocks("Message")
        message = run(block)["msg"]

        assert message == Message("env_0", "coordinator_1", "field_1", 10.5, MessageType.ACTION, {"setpoint": 0.5})
        assert message.recipient_id == "field_1"

    def test_message_type_table(self):
        assert [row[0] for row in table("MessageType")] == [kind.name for kind in MessageType]

    def test_message_type_registry(self):
        (block,) = blocks("MessageType")
        assert "        ...,\n" in block
        real = 'env_id="env_0", sender_id="a", recipient_id="b", timestamp=0.0,\n'
        namespace = run(block.replace("...,\n", real), Message=Message)

        assert MessageTypeRegistry.is_registered("sensor_reading")
        assert namespace["msg"].message_type is MessageType.CUSTOM
        assert namespace["msg"].payload == {"custom_type": "market_bid", "price": 50.0}

    def test_message_broker(self):
        (block,) = blocks("MessageBroker (Abstract)")
        own = run(block, Message=Message)["MyBroker"]

        assert isinstance(own(), MessageBroker)
        assert {name for name in vars(own) if not name.startswith("_")} == MessageBroker.__abstractmethods__
        for name in MessageBroker.__abstractmethods__:
            declared = inspect.signature(getattr(own, name)).parameters
            real = inspect.signature(getattr(MessageBroker, name)).parameters
            assert [(p.name, p.default) for p in real.values()] == [(p.name, p.default) for p in declared.values()]

    def test_in_memory_broker(self, capsys):
        (block,) = blocks("InMemoryBroker")
        before_end, end = block.split("# Clean up\n")
        namespace = run(before_end)
        broker, message = namespace["broker"], namespace["msg"]

        assert namespace["messages"] == [message]
        assert broker.consume("env_0__action__coordinator_to_field_1", "field_1", "env_0") == []
        broker.publish("env_0__broadcast__coordinator", message)
        assert capsys.readouterr().out == "Received: {'power_setpoint': 100.0}\n"
        run(end, broker=broker)
        with pytest.raises(HeronError):
            broker.publish("c", message)

    def test_channel_manager_returns_the_names_in_its_comments(self):
        (block,) = blocks("ChannelManager")
        pieces = re.split(r'# Returns: "(.*)"\n', block)
        sources, names = pieces[:-1:2], pieces[1::2]
        namespace = {}

        assert len(names) == 6
        for source, name in zip(sources, names, strict=True):
            namespace = run(source, **{key: value for key, value in namespace.items() if key != "__builtins__"})
            assert namespace["channel"] == name

    def test_channel_registry(self, capsys):
        (block,) = blocks("ChannelRegistry")
        all_types = run(block)["all_types"]

        assert capsys.readouterr().out == "Market channels are supported\n"
        assert all_types["market"] == "P2P trading marketplace channel"
        assert all_types["telemetry"] == "Sensor telemetry data channel"


class TestPatterns:
    def test_hierarchical_communication(self):
        (block,) = blocks("Pattern 1: Hierarchical Communication")
        pattern = run(block, current_time=3.0)
        broker = pattern["broker"]
        pattern["send_action"]("coordinator", "field_1", 0.5)
        for value in (1, 2):
            pattern["send_info"]("field_1", "coordinator", {"voltage": value})
        pattern["send_info"]("field_3", "coordinator", {"voltage": 3}, env_id="env_1")

        (action,) = broker.consume("env_default__action__coordinator_to_field_1", "field_1", "default")
        assert (action.payload, action.timestamp) == ({"action": 0.5}, 3.0)
        receive = pattern["receive_subordinate_info"]
        subordinates = ["field_1", "field_2", "field_3"]
        assert receive("coordinator", subordinates) == {"field_1": [{"voltage": 1}, {"voltage": 2}]}
        assert receive("coordinator", subordinates) == {}
        assert receive("coordinator", subordinates, env_id="env_1") == {"field_3": [{"voltage": 3}]}

    def test_agent_integration(self):
        (block,) = blocks("Pattern 2: Agent Integration")
        pattern = run(block, action_value=0.25)

        assert pattern["actions"] == [0.25]
        assert pattern["field_agents"][1].receive_action_messages() == []
        for action in (1, 2, 3):
            pattern["coordinator"].send_action_to_subordinate("field_2", action)
        assert pattern["field_agents"][2].receive_action_messages() == [1, 2, 3]
        assert pattern["field_agents"][2].receive_action_messages() == []

    def test_vectorized_environments(self):
        (block,) = blocks("Pattern 3: Vectorized Environments")
        pattern = run(block)

        assert pattern["channels"] == []
        assert pattern["broker"].get_environment_channels("env_2") == []

    def test_environments_of_one_broker_are_isolated(self):
        broker = InMemoryBroker()
        for index in range(4):
            env_id = f"env_{index}"
            message = Message(env_id, "a", "b", 0.0, MessageType.INFO, {"index": index})
            broker.publish(ChannelManager.info_channel("a", "b", env_id), message)
        broker.clear_environment("env_2")

        for index in range(4):
            env_id = f"env_{index}"
            (channel,) = broker.get_environment_channels(env_id)
            got = [message.payload["index"] for message in broker.consume(channel, "b", env_id)]
            assert got == ([] if index == 2 else [index])

    def test_reactive_subscriptions(self, capsys):
        (block,) = blocks("Pattern 4: Reactive Subscriptions")
        pattern = run(block)
        message = Message("env_0", "system", "broadcast", 0.0, MessageType.BROADCAST, {"alert": 1})
        pattern["broker"].publish(pattern["broadcast_channel"], message)

        assert capsys.readouterr().out == "Broadcast from system: {'alert': 1}\n"

    def test_callbacks_are_called_outside_the_lock(self):
        broker = InMemoryBroker()
        held = []
        broker.subscribe("c", lambda _: held.append(broker.lock.locked()))
        broker.publish("c", Message("env_0", "a", "b", 0.0, MessageType.INFO, {}))

        assert held == [False]


class TestNamingConvention:
    """The document names channels in two ways; what is said about environments holds for both."""

    EXAMPLES = re.findall(r"^- (env_0__\S+)", SECTIONS["Channel Naming Convention"], flags=re.MULTILINE)

    def test_examples_are_all_there(self):
        assert len(self.EXAMPLES) == 6

    def test_examples_are_what_channel_manager_makes_for_environment_0(self):
        assert [
            ChannelManager.action_channel("coordinator_1", "field_1", "0"),
            ChannelManager.info_channel("field_1", "coordinator_1", "0"),
            ChannelManager.broadcast_channel("coordinator_1", "0"),
            ChannelManager.state_update_channel("0"),
            ChannelManager.result_channel("0", "field_1"),
            ChannelManager.custom_channel("market", "0", "trader_1"),
        ] == self.EXAMPLES

    @pytest.mark.parametrize("env_id", ["env_0", "0"])
    def test_clearing_and_listing_cover_both(self, env_id):
        broker = InMemoryBroker()
        names = [*self.EXAMPLES, *(f"env_{name}" for name in self.EXAMPLES)]
        for name in names:
            broker.publish(name, Message(env_id, "a", "b", 0.0, MessageType.INFO, {}))
            broker.publish(name, Message("env_00", "a", "b", 0.0, MessageType.INFO, {}))

        assert broker.get_environment_channels(env_id) == names
        broker.clear_environment(env_id)
        for name in names:
            assert broker.consume(name, "b", env_id) == []
            assert len(broker.consume(name, "b", "env_00")) == 1


class TestThreadSafety:
    def test_block(self):
        (block,) = blocks("Thread Safety")
        message = Message("env_0", "a", "b", 0.0, MessageType.INFO, {})
        names = run(block, channel="c", msg=message, recipient="b", env_id="env_0")
        for target in (names["publisher_thread"], names["consumer_thread"]):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join(10)

        assert names["broker"].statistics().published == 1
        assert names["broker"].consume("c", "b", "env_0") == []

    def test_lock_is_a_threading_lock(self):
        assert isinstance(InMemoryBroker().lock, type(threading.Lock()))


class TestReference:
    def test_message_fields_and_types(self):
        expected = {name: kind for name, kind, _ in table("Message (API)")}
        actual = {field.name: field.type for field in fields(Message)}

        assert list(actual) == list(expected)
        assert {name: getattr(kind, "__name__", kind) for name, kind in actual.items()} == {
            **expected,
            "payload": "dict",
        }
        assert actual["payload"] == dict[str, typing.Any]

    def test_message_broker_methods_and_signatures(self):
        for signature, _ in table("MessageBroker"):
            name, parameters = call(signature)
            real = parameters_of(getattr(MessageBroker, name))
            # The table says create_channel(name), the code block create_channel(channel_name).
            assert real == ([("channel_name", None)] if name == "create_channel" else parameters)
        assert {call(signature)[0] for signature, _ in table("MessageBroker")} == MessageBroker.__abstractmethods__

    def test_channel_manager_methods_and_signatures(self):
        for signature, _ in table("ChannelManager (API)"):
            name, parameters = call(signature)
            real = parameters_of(getattr(ChannelManager, name))
            # The table says custom_channel(type, ...), the code block custom_channel(channel_type=...).
            assert real == [("channel_type" if known == "type" else known, default) for known, default in parameters]

    def test_in_memory_broker_attributes(self):
        broker = InMemoryBroker()
        message = Message("env_0", "a", "b", 0.0, MessageType.INFO, {})
        broker.subscribe("c", print)
        broker.publish("c", message)

        assert [row[0] for row in table("InMemoryBroker (API)")] == ["channels", "subscribers", "lock"]
        assert dict(broker.channels) == {"c": [message]}
        assert broker.subscribers == {"c": [print]}
        assert broker.lock.acquire(blocking=False)

    def test_file_structure(self):
        files = re.findall(r"── (\S+\.py)", SECTIONS["File Structure"])

        assert files == ["__init__.py", "base.py", "in_memory_broker.py"]
        folder = Path(heron.messaging.__file__).parent
        assert all((folder / name).is_file() for name in files)

    def test_public_exports(self):
        imported = re.findall(r"^from heron\.messaging import (.+)$", SPEC, flags=re.MULTILINE)
        names = {name.strip() for line in imported for name in line.split(",")}

        assert names >= {"Message", "MessageType", "MessageTypeRegistry", "MessageBroker", "ChannelRegistry"}
        assert names <= set(heron.messaging.__all__)
        assert all(hasattr(heron.messaging, name) for name in heron.messaging.__all__)


def call(signature: str) -> tuple[str, list[tuple[str, str | None]]]:
    """`name(one, other=default)` as written in a table."""
    name, arguments = re.fullmatch(r"(\w+)\((.*)\)", signature).groups()
    parts = [part.strip().partition("=") for part in arguments.split(",") if part]
    return name, [(known, default or None) for known, _, default in parts]


def parameters_of(function) -> list[tuple[str, str | None]]:
    parameters = inspect.signature(function).parameters.values()
    return [
        (parameter.name, None if parameter.default is parameter.empty else str(parameter.default))
        for parameter in parameters
        if parameter.name != "self"
    ]


class TestExtending:
    def test_redis_sketch_is_abstract_until_the_rest_is_implemented(self):
        (block,) = blocks("Extending with Custom Brokers")
        sketch = run(block)["RedisBroker"]

        assert sketch.__abstractmethods__ == {
            "subscribe",
            "clear_environment",
            "get_environment_channels",
            "close",
        }
        with pytest.raises(TypeError, match="abstract"):
            sketch("redis://localhost")

    def test_redis_sketch_becomes_a_broker_with_the_remaining_methods(self):
        (block,) = blocks("Extending with Custom Brokers")
        namespace = run(block, serialize=lambda message: message.payload)
        remaining = dict.fromkeys(namespace["RedisBroker"].__abstractmethods__, lambda self, *_: None)
        complete = type("Complete", (namespace["RedisBroker"],), {"__init__": lambda self: None, **remaining})
        broker = complete()
        broker.client = Mock()
        broker.publish("c", Message("env_0", "a", "b", 0.0, MessageType.INFO, {"x": 1}))

        broker.client.publish.assert_called_once_with("c", {"x": 1})
