"""Differences between spaces; misfits of samples are tested where environments are checked."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple

from heron.batch.space_fit import misfit, space_difference

BOX = Box(-1, 1, (2,), np.float32)


@pytest.mark.parametrize(
    ("got", "expected", "told"),
    [
        (Box(-1, 1, (3,), np.float32), BOX, "it is of shape (3,), expected (2,)"),
        (Box(-1, 1, (2,), np.float64), BOX, "it is float64, expected float32"),
        (Box(-1, 2, (2,), np.float32), BOX, "it has high 2.0, expected 1.0 at entry 0, and 1 more"),
        (Box(np.float32([-1, 0]), np.float32([1, 1])), BOX, "it has low 0.0, expected -1.0 at entry 1"),
        (Discrete(3), BOX, "it is a Discrete, expected a Box"),
        (None, BOX, "it is None, expected a Box"),
        (Discrete(3), Discrete(5), "it has n 3, expected 5"),
        (Discrete(5, start=1), Discrete(5), "it has start 1, expected 0"),
        (MultiDiscrete([2, 3]), MultiDiscrete([2, 4]), "it has nvec 3, expected 4 at entry 1"),
        (MultiBinary(3), MultiBinary(4), "it is of shape (3,), expected (4,)"),
        (Dict(x=BOX), Dict(x=BOX, y=BOX), "it has keys ['x'], expected ['x', 'y']"),
        (Dict(x=Dict(y=Discrete(2))), Dict(x=Dict(y=Discrete(3))), "['x']['y'] has n 2, expected 3"),
        (Tuple((BOX,)), Tuple((BOX, BOX)), "it has 1 parts, expected 2"),
        (Tuple((BOX, Discrete(2))), Tuple((BOX, BOX)), "[1] is a Discrete, expected a Box"),
        (Text(3), Text(4), "it is Text(1, 3, charset="),
    ],
)
def test_difference(got, expected, told):
    assert space_difference(got, expected).startswith(told)
    assert space_difference(expected, expected) is None


def test_the_first_value_outside_is_told_and_how_many_more():
    assert misfit(BOX, np.array([2, -3], np.float32)) == "[0] is 2.0, outside [-1.0, 1.0], as are 1 more"
    assert misfit(Dict(x=BOX), {"x": np.array([0, -3], np.float32)}) == "['x'][1] is -3.0, outside [-1.0, 1.0]"
