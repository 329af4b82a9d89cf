"""Selections of copies, and errors about invalid ones."""

import numpy as np
import pytest

from heron.batch.copy_selection import select_envs
from heron.errors import ConfigurationError, InvalidMaskError, UnknownEnvError, meant

IDS = ("env_0", "env_1", "env_2")


@pytest.mark.parametrize(
    ("which", "indices"),
    [
        (2, [2]),
        (np.int64(1), [1]),
        ("env_1", [1]),
        (["env_2", 0], [2, 0]),
        (np.array([2, 0]), [2, 0]),
        (np.array([True, False, True]), [0, 2]),
        (np.zeros(3, bool), []),
        ([], []),
    ],
)
def test_selected(which, indices):
    assert select_envs(which, IDS) == indices


@pytest.mark.parametrize(
    ("which", "error", "message"),
    [
        ([True, False, True], InvalidMaskError, r"must be an array of shape \(3,\) and dtype bool, got list \[True"),
        ((np.True_, 1), InvalidMaskError, "must be an array of shape"),
        (True, UnknownEnvError, "unknown env copy True"),
        (np.array([True, False]), InvalidMaskError, r"got \(2,\) and bool"),
        (np.ones((3, 1), bool), InvalidMaskError, r"got \(3, 1\) and bool"),
        (np.array([1, 0, 1]), ConfigurationError, "duplicate copies"),
        (["env_0", 0], ConfigurationError, "duplicate copies"),
        ("env0", UnknownEnvError, "unknown env copy 'env0': .*; did you mean 'env_0'?"),
        ("ENV_2", UnknownEnvError, "did you mean 'env_2'?"),
        (3, UnknownEnvError, "unknown env copy 3: expected an index from 0 to 2, or one of env_0, env_1, env_2$"),
        (-1, UnknownEnvError, "unknown env copy -1"),
        (1.0, UnknownEnvError, "unknown env copy 1.0"),
        (None, UnknownEnvError, "unknown env copy None"),
        ([[0, 1]], UnknownEnvError, r"unknown env copy \[0, 1\]"),
    ],
)
def test_selected_wrongly(which, error, message):
    with pytest.raises(error, match=message):
        select_envs(which, IDS)


def test_nothing_is_meant_where_nothing_is_alike():
    assert meant("zebra", IDS) == ""
    assert meant("env_9", IDS) == ""
    assert meant(["env_0"], IDS) == ""
