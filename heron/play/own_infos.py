"""Copies of infos that the environment can no longer change."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def own_info(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of an info, since the environment may keep writing to its own.

    Dicts, lists, tuples and arrays are copied at any depth. Other values are shared, because some of them cannot be
    copied, such as a simulator. An info with a circular reference is copied only at its top level.

    >>> said = {"position": [1, 2]}
    >>> kept = own_info(said)
    >>> said["position"].append(3)
    >>> kept
    {'position': [1, 2]}
    """
    try:
        return _own_dict(info)
    except RecursionError:
        return dict(info)


def _own_dict(info: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _own(value) for key, value in info.items()}


def _own(value: Any) -> Any:
    kind = type(value)
    if kind is np.ndarray:
        return value.copy()
    if kind is dict:
        return _own_dict(value)
    if kind is list or kind is tuple:
        return kind(map(_own, value))
    return value
