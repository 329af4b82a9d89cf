"""Records of steps for buffers that are filled by hand."""

import numpy as np

from heron.play.slot_step import SlotStep
from heron.wrappers.sb3.slot_rows import SlotRows


def rows_with_step(dones, lengths=1, waited=False):
    """Return the rows of a view after one step. ``lengths`` and ``waited`` are one value, or one per slot."""
    dones = np.asarray(dones, dtype=bool)
    nothing = np.zeros(dones.shape, dtype=bool)
    step = SlotStep(
        observations=np.zeros((len(dones), 1)),
        rewards=np.zeros(len(dones)),
        lengths=np.broadcast_to(np.asarray(lengths, dtype=np.int64), dones.shape).copy(),
        ends={},
        terminated=dones,
        truncated=nothing,
        finished=dones,
        waited=np.broadcast_to(np.asarray(waited, dtype=bool), dones.shape).copy(),
        in_turn=np.full(dones.shape, np.any(waited)),
        infos=(),
        reset=dones,
        stood_still=nothing,
    )
    rows = SlotRows()
    rows.put(step, dones)
    return rows
