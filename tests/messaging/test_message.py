import copy
import pickle
from dataclasses import fields, replace

import numpy as np
import pytest

from heron.errors import HeronError, InvalidMessageError, MessagingError
from heron.messaging import BROADCAST_ID, Message, MessageType

GOOD = {
    "env_id": "env_0",
    "sender_id": "a",
    "recipient_id": "b",
    "timestamp": 1.5,
    "message_type": MessageType.INFO,
    "payload": {"x": 1},
}


def test_message_keeps_what_it_was_given():
    message = Message(**GOOD)

    assert {name: getattr(message, name) for name in GOOD} == GOOD
    assert message.payload is GOOD["payload"]


def test_message_takes_its_fields_by_position_in_the_documented_order():
    assert Message(*GOOD.values()) == Message(**GOOD)
    assert [field.name for field in fields(Message)] == list(GOOD)


def test_messages_with_the_same_fields_are_equal():
    assert Message(**GOOD) == Message(**GOOD)
    assert Message(**GOOD) != Message(**(GOOD | {"timestamp": 2.0}))


def test_message_is_copied_pickled_and_replaced_like_any_record():
    message = Message(**GOOD)

    assert pickle.loads(pickle.dumps(message)) == message
    assert copy.deepcopy(message) == message
    assert replace(message, sender_id="c").sender_id == "c"


@pytest.mark.parametrize("name", ["env_id", "sender_id", "recipient_id"])
@pytest.mark.parametrize("bad", ["", None, 0, b"a", ["a"]])
def test_id_must_be_a_non_empty_string(name, bad):
    with pytest.raises(InvalidMessageError, match=f"^{name} "):
        Message(**(GOOD | {name: bad}))


@pytest.mark.parametrize("good", [0, 1, -2.5, np.float32(0.5), np.float64(0.5), np.int64(3)])
def test_timestamp_becomes_a_float(good):
    timestamp = Message(**(GOOD | {"timestamp": good})).timestamp

    assert type(timestamp) is float
    assert timestamp == good


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, None, "1.0", 1j, True, np.bool_(True), np.zeros(1), 10**400])
def test_timestamp_must_be_a_finite_number(bad):
    with pytest.raises(InvalidMessageError, match=r"^timestamp "):
        Message(**(GOOD | {"timestamp": bad}))


@pytest.mark.parametrize("bad", ["info", "INFO", None, 1, MessageType])
def test_message_type_must_be_a_message_type(bad):
    with pytest.raises(InvalidMessageError, match=r"^message_type "):
        Message(**(GOOD | {"message_type": bad}))


@pytest.mark.parametrize("bad", [None, [], [("x", 1)], "x", np.zeros(2)])
def test_payload_must_be_a_dict(bad):
    with pytest.raises(InvalidMessageError, match=r"^payload "):
        Message(**(GOOD | {"payload": bad}))


@pytest.mark.parametrize("bad", [1, None, "", ("x",)])
def test_payload_keys_must_be_non_empty_strings(bad):
    with pytest.raises(InvalidMessageError, match="payload key"):
        Message(**(GOOD | {"payload": {"x": 1, bad: 2}}))


def test_payload_may_be_empty_and_hold_anything():
    assert Message(**(GOOD | {"payload": {}})).payload == {}
    value = object()
    assert Message(**(GOOD | {"payload": {"x": value}})).payload["x"] is value


def test_invalid_message_error_is_caught_as_heron_error_and_as_value_error():
    assert issubclass(InvalidMessageError, (MessagingError, HeronError))
    with pytest.raises(ValueError, match="env_id"):
        Message(**(GOOD | {"env_id": ""}))


@pytest.mark.parametrize("message_type", MessageType)
def test_broadcast_is_by_recipient_or_by_type(message_type):
    by_type = message_type is MessageType.BROADCAST

    assert Message(**(GOOD | {"message_type": message_type})).is_broadcast == by_type
    assert Message(**(GOOD | {"message_type": message_type, "recipient_id": BROADCAST_ID})).is_broadcast


def test_broadcast_id_is_the_documented_one():
    assert BROADCAST_ID == "broadcast"
