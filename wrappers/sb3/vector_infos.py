"""Gymnasium's infos of a whole batch, taken apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def infos_by_slot(infos: Mapping[str, Any] | Sequence[Mapping[str, Any]], num_slots: int) -> list[dict[str, Any]]:
    """One new dict for each slot.

    Args:
        infos: As ``VectorEnv.step`` gives them: arrays by key, and under ``"_key"`` who has one, or everybody where
            that is missing; or one dict a slot already, as ``DictInfoToList`` makes them.
        num_slots: How many slots there are.

    >>> infos_by_slot({"speed": np.array([3.0, 0.0]), "_speed": np.array([True, False])}, 2)
    [{'speed': np.float64(3.0)}, {}]
    """
    if not isinstance(infos, Mapping):
        return [dict(info) for info in infos]
    found: list[dict[str, Any]] = [{} for _ in range(num_slots)]
    for key, values in infos.items():
        if key.startswith("_"):
            continue
        slots = np.flatnonzero(infos.get(f"_{key}", np.ones(num_slots, dtype=bool))).tolist()
        by_slot = infos_by_slot(values, num_slots) if isinstance(values, Mapping) else values
        for slot in slots:
            found[slot][key] = by_slot[slot]
    return found
