"""Bit-exact comparison of environments' results."""

import numpy as np


def assert_same(left, right):
    """Compare arrays and plain values in dicts, lists and tuples: types, order and every bit."""
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert list(left) == list(right)
        for key, value in left.items():
            assert_same(value, right[key])
    elif isinstance(left, (list, tuple)):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    else:
        np.testing.assert_array_equal(left, right, strict=True)
