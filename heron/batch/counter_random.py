"""Random numbers for many copies at once, computed from seed, tick and name instead of a generator's state.

The generator is SplitMix64: G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014. Each copy has one, of which each tick (a reset or step) splits off another, and each named draw one more.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import prod
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from heron.errors import ConfigurationError

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BitArray: TypeAlias = npt.NDArray[np.uint64]

IndexArray: TypeAlias = npt.NDArray[np.intp]

Rows: TypeAlias = IndexArray | slice
"""Rows of an array, such as those of the masked copies."""

_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST_FACTOR: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND_FACTOR: Final = np.uint64(0x94D049BB133111EB)
_SEED_BITS: Final = (1 << 64) - 1


def split_mix(states: BitArray, index: BitArray) -> BitArray:
    """Return output number ``index`` of the SplitMix64 generators with these initial states; arrays broadcast.

    >>> split_mix(np.array([1234567], np.uint64), np.arange(2, dtype=np.uint64))
    array([6457827717110365317, 3203168211198807973], dtype=uint64)
    """
    bits = states + (index + np.uint64(1)) * _GAMMA
    bits ^= bits >> np.uint64(30)
    bits *= _FIRST_FACTOR
    bits ^= bits >> np.uint64(27)
    bits *= _SECOND_FACTOR
    bits ^= bits >> np.uint64(31)
    return bits


class RandomDraws:
    """Random numbers of some copies for one reset or step.

    Every draw has a name. A copy's numbers depend on its seed, on how many resets and steps it has seen since, and on
    the name: other draws, other copies and the order of draws do not matter.

    Args:
        states: ``(n,) uint64``, the state of each copy's generator.

    >>> draws = RandomStreams(3, seeds=[7, 8, 9]).next(slice(None))
    >>> draws.integers("position", 0, 10, shape=(2,)).shape
    (3, 2)
    """

    def __init__(self, states: BitArray) -> None:
        self._states = states
        self._names: set[str] = set()

    def __len__(self) -> int:
        return len(self._states)

    def uniform(self, name: str, low: Any = 0.0, high: Any = 1.0, shape: tuple[int, ...] = ()) -> FloatArray:
        """Draw from the uniform distribution over ``[low, high)``.

        Args:
            name: Name of the draw, which no other draw of this reset or step has.
            low: A number, or an array that broadcasts to the result.
            high: The same.
            shape: Shape of each copy's part.

        Returns:
            ``(n, *shape) float64``, a new array.

        Raises:
            ConfigurationError: If the name was used before.
        """
        return np.asarray(self._unit(name, shape) * np.subtract(high, low) + low)

    def integers(self, name: str, low: Any, high: Any, shape: tuple[int, ...] = ()) -> IntArray:
        """Draw whole numbers from ``low`` to ``high - 1``, all equally likely up to 1 in 2 ** 53; see ``uniform``.

        Returns:
            ``(n, *shape) int64``, a new array.

        Raises:
            ConfigurationError: If the name was used before, or ``high`` is not above ``low``.
        """
        if np.any(np.less_equal(high, low)):
            raise ConfigurationError(f"draw {name!r}: high must be above low, got low={low} and high={high}")
        return np.asarray(np.floor(self._unit(name, shape) * np.subtract(high, low)).astype(np.int64) + low)

    def normal(self, name: str, mean: Any = 0.0, std: Any = 1.0, shape: tuple[int, ...] = ()) -> FloatArray:
        """Draw from the normal distribution, by the method of Box and Muller (1958); see ``uniform``.

        Returns:
            ``(n, *shape) float64``, a new array.
        """
        pairs = self._unit(name, (2, *shape))
        # 1 - u is above 0, unlike u. New arrays are contiguous, so that NumPy computes each entry in the same way.
        radius = np.sqrt(-2.0 * np.log(1.0 - pairs[:, 0]))
        return np.asarray(mean + std * radius * np.cos(2.0 * np.pi * pairs[:, 1]))

    def _unit(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """Return ``(n, *shape)`` multiples of 2 ** -53 in ``[0, 1)``."""
        if name in self._names:
            raise ConfigurationError(f"draw {name!r} was made before in this reset or step: give each its own name")
        self._names.add(name)
        states = split_mix(self._states ^ _bits_of(name), _counts(1))
        bits = split_mix(states[:, None], _counts(prod(shape))) >> np.uint64(11)
        return (bits.astype(np.float64) * 2.0**-53).reshape(len(states), *shape)


class RandomStreams:
    """Random stream of each copy.

    Args:
        num_envs: Number of copies.
        seeds: One seed a copy; by default the operating system chooses.

    Attributes:
        keys: ``(num_envs,) uint64``, the initial state of each copy's generator.
        ticks: ``(num_envs,) uint64``, resets and steps of each copy since it was seeded.
    """

    def __init__(self, num_envs: int, seeds: Sequence[int] | None = None) -> None:
        self.keys: BitArray = np.random.SeedSequence().generate_state(num_envs, np.uint64).astype(np.uint64)
        self.ticks: BitArray = np.zeros(num_envs, np.uint64)
        if seeds is not None:
            self.seed(np.arange(num_envs), seeds)

    def seed(self, indices: IndexArray, seeds: Sequence[int]) -> None:
        """Start the streams of these copies anew, with one seed each, of which 64 bits count."""
        bits = np.array([seed & _SEED_BITS for seed in seeds], np.uint64)
        self.keys[indices] = split_mix(bits, _counts(1))
        self.ticks[indices] = 0

    def next(self, rows: Rows) -> RandomDraws:
        """Return the draws of these copies for their next reset or step."""
        draws = RandomDraws(split_mix(self.keys[rows], self.ticks[rows]))
        self.ticks[rows] += np.uint64(1)
        return draws


@lru_cache
def _bits_of(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little"))


@lru_cache
def _counts(size: int) -> BitArray:
    counts = np.arange(size, dtype=np.uint64)
    counts.flags.writeable = False
    return counts
