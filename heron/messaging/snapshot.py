"""Copies of payloads and infos, because environments reuse their arrays and dicts."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def snapshot(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as they are now, which later changes of the given ones do not reach.

    Dicts, lists, tuples and arrays are copied at any depth. Other objects are shared, because some cannot be copied,
    such as a simulator. A value that contains itself makes the result a shallow copy.

    >>> said = {"position": [1, 2]}
    >>> kept = snapshot(said)
    >>> said["position"].append(3)
    >>> kept
    {'position': [1, 2]}
    """
    try:
        return {name: _copied(value) for name, value in values.items()}
    except RecursionError:
        return dict(values)


def _copied(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_copied(part) for part in value]
    if type(value) is tuple:  # named tuples are made in their own way
        return tuple([_copied(part) for part in value])
    return value
