"""Infos that nobody else writes into."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def own_info(info: Mapping[str, Any]) -> dict[str, Any]:
    """The info as it is now, for the environment may go on writing into the one that it has handed out.

    Dicts, lists, tuples and arrays in it are copied, at any depth. Anything else is not: it may be something that
    cannot be, such as a simulator; nor is what holds itself, and everything beside it in the info.

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
