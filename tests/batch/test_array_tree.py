import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, OneOf, Sequence, Text, Tuple
from hypothesis import given
from hypothesis import strategies as st

from heron.batch import array_tree
from heron.errors import ConfigurationError

LEAVES = st.one_of(
    st.builds(lambda n, start: Discrete(n, start=start), st.integers(1, 5), st.integers(-3, 3)),
    st.builds(lambda shape: Box(-1, 1, tuple(shape), np.float32), st.lists(st.integers(1, 3), max_size=3)),
    st.builds(lambda shape: Box(0, 255, tuple(shape), np.uint8), st.lists(st.integers(1, 3), max_size=3)),
    st.builds(MultiBinary, st.integers(1, 4)),
    st.builds(lambda n, start: MultiDiscrete(n, start=[start] * len(n)), st.lists(st.integers(1, 4), min_size=1,
              max_size=3), st.integers(-2, 2)),
    st.builds(MultiDiscrete, st.just([[2, 3], [4, 1]])),
)  # fmt: skip
SPACES = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=3).map(lambda found: Tuple(tuple(found))),
        st.dictionaries(st.sampled_from("abc"), parts, min_size=1).map(Dict),
    ),
    max_leaves=5,
)


def filled(space, batch_shape, seed):
    space.seed(seed)
    tree = array_tree.zeros(space, batch_shape)
    samples = {}
    for index in np.ndindex(*batch_shape):
        samples[index] = space.sample()
        array_tree.write(tree, index, samples[index])
    return tree, samples


@given(SPACES, st.integers(0, 1000))
def test_flatten_lays_out_as_gymnasium_does(space, seed):
    tree, samples = filled(space, (2, 3), seed)

    flat = array_tree.flatten(space, tree, batch_dims=2)

    assert flat.shape == (2, 3, array_tree.flat_size(space))
    assert flat.dtype == np.float32
    for index, sample in samples.items():
        np.testing.assert_array_equal(flat[index], gymnasium.spaces.flatten(space, sample).astype(np.float32))


@given(SPACES, st.integers(0, 1000))
def test_a_row_written_is_a_row_read_and_a_sample_of_the_space(space, seed):
    tree, samples = filled(space, (4,), seed)

    for (index,), sample in samples.items():
        row = array_tree.row(tree, index)
        np.testing.assert_array_equal(gymnasium.spaces.flatten(space, row), gymnasium.spaces.flatten(space, sample))


@given(SPACES, st.integers(0, 1000))
def test_clear_zeroes_one_row_and_no_other(space, seed):
    tree, _ = filled(space, (3,), seed)
    before = array_tree.map_arrays(np.copy, tree)

    array_tree.clear(tree, 1)

    kept = array_tree.map_arrays(lambda array: array[[0, 2]].tolist(), tree)
    assert kept == array_tree.map_arrays(lambda array: array[[0, 2]].tolist(), before)
    assert array_tree.map_arrays(lambda array: bool(array[1].any()), tree) == array_tree.map_arrays(
        lambda array: False, tree
    )


def test_row_is_a_copy():
    tree = {"x": np.ones((2, 3))}
    row = array_tree.row(tree, 0)
    tree["x"][0] = 5

    assert row["x"].tolist() == [1, 1, 1]


def test_flat_vectors_are_not_copied():
    array = np.ones((2, 3, 4), np.float32)
    assert array_tree.flatten(Box(-1, 1, (4,), np.float32), array, batch_dims=2).base is array


@pytest.mark.parametrize(
    "odd", [Text(5), Sequence(Discrete(2)), Graph(Discrete(2), None), OneOf((Discrete(2), Discrete(3)))]
)
def test_spaces_without_a_fixed_shape_are_refused_by_name(odd):
    for space, where in ((odd, ""), (Dict(a=odd), r"\['a'\]"), (Tuple((Discrete(2), odd)), r"\[1\]")):
        with pytest.raises(ConfigurationError, match=f"^observation{where} is .*expected Box, Discrete"):
            array_tree.check_supported(space, "observation")
