"""Actions as records beside what Gymnasium makes of the same batches."""

from collections import OrderedDict

import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Tuple
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from hypothesis import given
from hypothesis import strategies as st

from heron.batch.action_records import action_dtype, as_actions, as_tree, map_leaves, samples_of, zero_actions
from heron.batch.array_tree import equal
from heron.errors import InvalidActionError

from .test_array_tree import SPACES

TREES = SPACES.filter(lambda space: isinstance(space, (Dict, Tuple)))


def kinds(tree):
    """Return all parts of a sample: types, keys, dtypes, shapes and every bit."""
    if isinstance(tree, dict):
        return {key: kinds(part) for key, part in tree.items()}
    if isinstance(tree, tuple):
        return tuple(map(kinds, tree))
    return type(tree), tree.dtype, tree.shape, tree.tobytes()


def batch_of(space, size, seed=0):
    space.seed(seed)
    samples = [space.sample() for _ in range(size)]
    return concatenate(space, samples, create_empty_array(space, size))


@given(TREES, st.integers(0, 1000))
def test_samples_are_those_that_gymnasium_hands_out(space, seed):
    batch = batch_of(space, 4, seed)
    records = as_actions(space, batch, (4,))
    assert records.dtype == action_dtype(space)
    assert equal(as_tree(space, records), batch)
    expected = [kinds(sample) for sample in iterate(batch_space(space, 4), batch)]
    assert [kinds(sample) for sample in samples_of(space, records)] == expected
    assert [kinds(sample) for sample in samples_of(space, records.reshape(2, 2)).ravel()] == expected


@given(SPACES, st.integers(0, 1000))
def test_what_map_leaves_finds_makes_the_same_actions_from_a_tree_and_from_records(space, seed):
    batch = batch_of(space, 3, seed)
    actions = as_actions(space, batch, (3,))
    paths = []

    def note(_space, part, path):
        paths.append(path)
        return part

    for given_actions in (batch, actions):
        again = as_actions(space, map_leaves(space, given_actions, note, "it", InvalidActionError), (3,))
        assert again.tobytes() == actions.tobytes()
    assert len(set(paths)) == len(paths) / 2


ODD = {
    "keys in an order of their own": Dict(OrderedDict(z=Discrete(3), a=Discrete(4, start=2))),
    "keys that are no names": Dict({0: Discrete(3), 1: Tuple((Discrete(2), Box(0, 1, (2,))))}),
    "keys of several kinds": Dict([("x", Discrete(3)), (1, Discrete(2)), ("", MultiBinary(2))]),
    "keys that look like places": Dict([(1, Discrete(3)), ("0", Discrete(2))]),
}


@pytest.mark.parametrize("space", ODD.values(), ids=ODD)
def test_odd_keys(space):
    batch = batch_of(space, 3)
    found = samples_of(space, as_actions(space, batch, (3,)))
    assert [list(sample) for sample in found] == [list(space.spaces)] * 3
    samples = [*iterate(batch_space(space, 3), batch)]
    assert [kinds(sample) for sample in found] == [kinds(sample) for sample in samples]


@pytest.mark.parametrize("space", [Dict(), Tuple(()), Dict(x=Discrete(3), y=Tuple(()), z=Dict())])
def test_parts_without_anything_to_choose(space):
    """Gymnasium's own batches have no place for them."""
    sample = space.sample()
    records = zero_actions(space, (2, 1))
    records[:] = as_actions(space, sample, ())
    assert [kinds(found) for found in samples_of(space, records)[:, 0]] == [kinds(sample)] * 2


def test_fields_are_called_as_keys_are():
    space = Dict(OrderedDict(z=Box(0, 1, (2,)), a=Tuple((Discrete(3), MultiBinary(2)))))
    records = zero_actions(space, (2,))
    records["z"][:, 1] = 0.5
    records["a"]["1"][1] = 1
    first, second = samples_of(space, records)
    assert first["z"].tolist() == [0, 0.5]
    assert second["a"][1].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (None, r"^it must be a dict with keys \['x', 'y'\], got None$"),
        ({"x": 1}, r"^it must be a dict with keys \['x', 'y'\], got one with keys \['x'\]$"),
        (
            {"x": 1, "y": (2,), "z": 0},
            r"^it must be a dict with keys \['x', 'y'\], got one with keys \['x', 'y', 'z'\]",
        ),
        ({"x": 1, "y": [2, 3]}, r"^it \['y'\] must be a tuple of 1, got a list of 2$"),
        ({"x": 1, "y": 4}, r"^it \['y'\] must be a tuple of 1, got 4$"),
        (zero_actions(Dict(x=Discrete(2)), ()), r"^it must be a dict with keys \['x', 'y'\], got array\(\(0,\)"),
    ],
)
def test_trees_that_are_not_like_the_space(tree, message):
    space = Dict(x=Discrete(2), y=Tuple((Discrete(2),)))
    with pytest.raises(InvalidActionError, match=message):
        map_leaves(space, tree, lambda _space, part, _path: part, "it", InvalidActionError)
