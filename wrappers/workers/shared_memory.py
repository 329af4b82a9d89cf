"""Arrays in memory that several processes share."""

from collections.abc import Mapping
from ctypes import Array as CArray
from ctypes import c_byte
from multiprocessing.context import BaseContext
from typing import cast

import numpy as np

from heron.batch.batch_env import AgentGroup
from heron.wrappers.workers.batch_arrays import Array, BatchArrays

Memory = CArray[c_byte]
"""Bytes shared with child processes. They have no name in the file system, so they cannot be left behind there."""

_CACHE_LINE = 64


def allocate(context: BaseContext, groups: Mapping[str, AgentGroup], num_envs: int) -> Memory:
    """Allocate zeroed memory for the arrays of these groups, to be given to processes of the context at their start."""
    size = 0

    def measure(template: Array) -> Array:
        nonlocal size
        size += _room(template)
        return template

    BatchArrays.of(groups, num_envs, measure)
    return cast("Memory", context.RawArray(c_byte, size))


def arrays_within(memory: Memory, groups: Mapping[str, AgentGroup], num_envs: int) -> BatchArrays:
    """Return views of memory that ``allocate`` made for the same groups and number of copies."""
    whole = np.frombuffer(memoryview(memory).cast("B"), dtype=np.uint8)
    offset = 0

    def place(template: Array) -> Array:
        nonlocal offset
        start, offset = offset, offset + _room(template)
        return np.ndarray(template.shape, template.dtype, whole, start)

    return BatchArrays.of(groups, num_envs, place)


def _room(array: Array) -> int:
    """Return the bytes from one array to the next, so that each begins on a cache line of its own."""
    return -(-array.nbytes // _CACHE_LINE) * _CACHE_LINE
