"""The registries of the user's own names."""

import pytest

from heron.errors import InvalidMessageError
from heron.messaging import ChannelRegistry, MessageTypeRegistry


@pytest.fixture(params=[ChannelRegistry, MessageTypeRegistry])
def registry(request):
    known = request.param._descriptions
    before = dict(known)
    yield request.param
    known.clear()
    known.update(before)


def test_registries_know_nothing_of_each_other(registry):
    registry.register("test_only_here")
    other = ({ChannelRegistry, MessageTypeRegistry} - {registry}).pop()
    assert not other.is_registered("test_only_here")


def test_registry_knows_what_was_registered(registry):
    registry.register("test_bid", "a bid")
    registry.register("test_ask")

    assert registry.is_registered("test_bid")
    assert not registry.is_registered("test_other")
    assert registry.get_all()["test_bid"] == "a bid"
    assert registry.get_all()["test_ask"] == ""


def test_registering_again_replaces_the_description(registry):
    registry.register("test_bid", "old")
    registry.register("test_bid", "new")

    assert registry.get_all()["test_bid"] == "new"


def test_registry_gives_away_a_copy(registry):
    registry.get_all()["test_bid"] = "not registered"

    assert not registry.is_registered("test_bid")


@pytest.mark.parametrize("bad", ["", None, 3])
def test_registry_refuses_a_bad_name(registry, bad):
    with pytest.raises(InvalidMessageError, match="Registry"):
        registry.register(bad)
