import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heron.errors import InvalidMessageError
from heron.messaging import ChannelManager, ChannelRegistry, ParsedChannel

PIECES = [
    "_",
    "__",
    "to",
    "_to_",
    "_to_to_",
    "_to",
    "to_",
    "%",
    "%5F",
    "%25",
    "%5f",
    "env_",
    "a",
    "B",
    "0",
    "é",
    "蒼",
    " ",
    "/",
]
TYPES = ["action", "info", "broadcast", "state_updates", "results"]

nasty_ids = st.lists(st.sampled_from([*PIECES, *TYPES]), min_size=1, max_size=6).map("".join)
plain_ids = st.from_regex(r"[A-Za-z0-9.\-é]+(_[A-Za-z0-9.\-é]+)*", fullmatch=True).filter(
    lambda text: "_to_" not in text and not text.endswith("_to")
)
custom_types = nasty_ids.filter(lambda text: text not in TYPES)


@st.composite
def named_routes(draw, ids=nasty_ids, types=custom_types):
    """Draw the purpose of a channel, and the name that `ChannelManager` gives it."""
    env_id, one, other = draw(ids), draw(ids), draw(ids)
    custom = draw(types)
    return draw(
        st.sampled_from(
            [
                (
                    ParsedChannel(env_id, "action", sender_id=one, recipient_id=other),
                    ChannelManager.action_channel(one, other, env_id),
                ),
                (
                    ParsedChannel(env_id, "info", sender_id=one, recipient_id=other),
                    ChannelManager.info_channel(one, other, env_id),
                ),
                (
                    ParsedChannel(env_id, "broadcast", agent_id=one),
                    ChannelManager.broadcast_channel(one, env_id),
                ),
                (ParsedChannel(env_id, "state_updates"), ChannelManager.state_update_channel(env_id)),
                (ParsedChannel(env_id, "results", agent_id=one), ChannelManager.result_channel(env_id, one)),
                (ParsedChannel(env_id, custom, agent_id=one), ChannelManager.custom_channel(custom, env_id, one)),
            ]
        )
    )


@given(named_routes(), named_routes())
def test_two_routes_share_a_name_only_if_they_are_one(first, second):
    assert (first[0] == second[0]) == (first[1] == second[1])


def test_no_two_of_many_short_routes_share_a_name():
    ids = [
        "_",
        "__",
        "to",
        "_to_",
        "_to",
        "to_",
        "%",
        "%5F",
        "a",
        "a_to",
        "to_a",
        "a_",
        "_a",
        "a__a",
        "a_to_a",
        "a_to_to_a",
        "_to_to_",
        "a___a",
    ]
    names = [
        *(ChannelManager.action_channel(one, other, "e") for one in ids for other in ids),
        *(ChannelManager.info_channel(one, other, "e") for one in ids for other in ids),
        *(ChannelManager.broadcast_channel(one, other) for one in ids for other in ids),
        *(ChannelManager.result_channel(one, other) for one in ids for other in ids),
        *(ChannelManager.custom_channel(one, other, "e") for one in ids for other in ids),
        *(ChannelManager.custom_channel("e", one, other) for one in ids for other in ids),
        *(ChannelManager.state_update_channel(one) for one in ids),
    ]

    assert len(set(names)) == len(names)
    for name in names:
        assert made(ChannelManager.parse(name)) == name


@given(named_routes())
def test_parse_inverts_every_name(named):
    route, name = named
    assert ChannelManager.parse(name) == route


@given(named_routes(ids=st.text(min_size=1), types=st.text(min_size=1).filter(lambda text: text not in TYPES)))
def test_parse_inverts_names_of_any_text(named):
    route, name = named
    assert ChannelManager.parse(name) == route


@given(st.lists(st.sampled_from([*PIECES, *TYPES, "env_e__", "__action__"]), max_size=9).map("".join))
@example("env_e__state_updates__a")
@example("env_e__action__a")
@example("env_e__action__a_to_")
@example("env_e__action___to_a")
@example("env_e__broadcast")
@example("env_e__results__a__b")
@example("env_e__market")
@example("env___state_updates")
@example("env_%41__state_updates")
@example("env_%5f__state_updates")
@example("env_%FF__state_updates")
@example("env_e__%61ction__a")
@example("env_e__action__a_to_b_to_c")
def test_parse_accepts_just_the_names_that_a_method_makes(name):
    try:
        parsed = ChannelManager.parse(name)
    except InvalidMessageError as error:
        assert repr(name) in str(error) or not name  # noqa: PT017
        return
    assert made(parsed) == name


def made(parsed: ParsedChannel) -> str:
    """The name from the public method for this type of channel."""
    match parsed:
        case ParsedChannel(env_id, "action", sender, recipient, None):
            return ChannelManager.action_channel(sender, recipient, env_id)
        case ParsedChannel(env_id, "info", sender, recipient, None):
            return ChannelManager.info_channel(sender, recipient, env_id)
        case ParsedChannel(env_id, "broadcast", None, None, agent):
            return ChannelManager.broadcast_channel(agent, env_id)
        case ParsedChannel(env_id, "state_updates", None, None, None):
            return ChannelManager.state_update_channel(env_id)
        case ParsedChannel(env_id, "results", None, None, agent):
            return ChannelManager.result_channel(env_id, agent)
        case ParsedChannel(env_id, custom, None, None, agent):
            return ChannelManager.custom_channel(custom, env_id, agent)
    raise AssertionError(parsed)


@pytest.mark.parametrize(
    "name",
    [
        "market place",
        "env_0",
        "action",
        "env_e__state_updates__a",
        "env_e__action__a",
        "env_e__action__a__to__b",
        "env_e__results__a__b",
        "env_e__market",
        "env___state_updates",
        "env_%41__state_updates",
        "e__state_updates",
    ],
)
def test_parse_refuses_other_names(name):
    with pytest.raises(InvalidMessageError, match=r"ChannelManager.*'env_"):
        ChannelManager.parse(name)


@given(plain_ids, plain_ids, plain_ids, plain_ids.filter(lambda text: text not in TYPES))
@example("env_0", "coordinator_1", "field_1", "market")
@example("to", "to_b", "auto", "to")
@example("default", "a b", "c/d", "e:f")
def test_ordinary_ids_stand_in_the_name_as_they_are(env_id, one, other, custom):
    assert ChannelManager.action_channel(one, other, env_id) == f"env_{env_id}__action__{one}_to_{other}"
    assert ChannelManager.info_channel(one, other, env_id) == f"env_{env_id}__info__{one}_to_{other}"
    assert ChannelManager.broadcast_channel(one, env_id) == f"env_{env_id}__broadcast__{one}"
    assert ChannelManager.state_update_channel(env_id) == f"env_{env_id}__state_updates"
    assert ChannelManager.result_channel(env_id, one) == f"env_{env_id}__results__{one}"
    assert ChannelManager.custom_channel(custom, env_id, one) == f"env_{env_id}__{custom}__{one}"


def test_ids_that_would_run_into_a_separator_are_escaped():
    name = ChannelManager.action_channel("a_to_b", "c__d", "100%_")

    assert name == "env_100%25%5F__action__a%5Fto_b_to_c%5F%5Fd"


@pytest.mark.parametrize("standard", TYPES)
def test_custom_channel_refuses_a_standard_type(standard):
    with pytest.raises(InvalidMessageError, match=f"channel_type '{standard}'"):
        ChannelManager.custom_channel(standard, "env_0", "a")


@pytest.mark.parametrize("bad", ["", None, 1, b"a", ["a"]])
@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("upstream_id", lambda bad: ChannelManager.action_channel(bad, "a", "e")),
        ("node_id", lambda bad: ChannelManager.action_channel("a", bad, "e")),
        ("env_id", lambda bad: ChannelManager.action_channel("a", "b", bad)),
        ("node_id", lambda bad: ChannelManager.info_channel(bad, "a", "e")),
        ("upstream_id", lambda bad: ChannelManager.info_channel("a", bad, "e")),
        ("env_id", lambda bad: ChannelManager.info_channel("a", "b", bad)),
        ("agent_id", lambda bad: ChannelManager.broadcast_channel(bad, "e")),
        ("env_id", lambda bad: ChannelManager.broadcast_channel("a", bad)),
        ("env_id", ChannelManager.state_update_channel),
        ("env_id", lambda bad: ChannelManager.result_channel(bad, "a")),
        ("agent_id", lambda bad: ChannelManager.result_channel("e", bad)),
        ("channel_type", lambda bad: ChannelManager.custom_channel(bad, "e", "a")),
        ("env_id", lambda bad: ChannelManager.custom_channel("market", bad, "a")),
        ("agent_id", lambda bad: ChannelManager.custom_channel("market", "e", bad)),
        ("channel", ChannelManager.parse),
    ],
)
def test_bad_id_is_named(what, name, bad):
    with pytest.raises(InvalidMessageError, match=f"^{what} "):
        name(bad)


def test_agent_channels_of_an_agent_in_the_middle():
    channels = ChannelManager.agent_channels("mid", "top", ["low_1", "low_2"], "env_0")

    assert channels == {
        "subscribe": [
            "env_env_0__action__top_to_mid",
            "env_env_0__info__low_1_to_mid",
            "env_env_0__info__low_2_to_mid",
            "env_env_0__broadcast__top",
            "env_env_0__state_updates",
        ],
        "publish": [
            "env_env_0__info__mid_to_top",
            "env_env_0__action__mid_to_low_1",
            "env_env_0__action__mid_to_low_2",
            "env_env_0__broadcast__mid",
            "env_env_0__results__mid",
        ],
    }


def test_agent_channels_of_an_agent_alone():
    assert ChannelManager.agent_channels("one", None, [], "env_0") == {
        "subscribe": ["env_env_0__state_updates"],
        "publish": ["env_env_0__broadcast__one", "env_env_0__results__one"],
    }


def test_agent_channels_meet_along_the_tree():
    upper = ChannelManager.agent_channels("top", None, iter(["low"]), "env_0")
    lower = ChannelManager.agent_channels("low", "top", (), "env_0")

    assert set(upper["publish"]) & set(lower["subscribe"]) == {
        "env_env_0__action__top_to_low",
        "env_env_0__broadcast__top",
    }
    assert set(lower["publish"]) & set(upper["subscribe"]) == {"env_env_0__info__low_to_top"}


def test_agent_channels_refuses_a_string_for_the_subordinates():
    with pytest.raises(InvalidMessageError, match=r"subordinate_ids .*'low'"):
        ChannelManager.agent_channels("top", None, "low", "env_0")


def test_custom_channel_needs_no_registration():
    assert not ChannelRegistry.is_registered("test_market")
    assert ChannelManager.custom_channel("test_market", "e", "a") == "env_e__test_market__a"
