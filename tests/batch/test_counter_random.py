"""Random numbers of copies: known answers, moments, and independence of seeds, ticks, names and entries."""

import numpy as np
import pytest

from heron.batch.counter_random import RandomStreams, split_mix
from heron.errors import ConfigurationError

COPIES, ENTRIES = 500, 400
EVERYONE = slice(None)


def streams(seeds=range(COPIES)):
    return RandomStreams(len(seeds), seeds)


def correlation(one, other):
    """Return the correlation in units of its own standard deviation for independent numbers."""
    return abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) * np.sqrt(one.size)


def test_known_answers_of_split_mix():
    """From the reference implementation by S. Vigna, https://prng.di.unimi.it/splitmix64.c, seed 1234567."""
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert split_mix(np.array([1234567], np.uint64), np.arange(5, dtype=np.uint64)).tolist() == expected


def test_moments():
    draws = streams().next(EVERYONE)
    uniform = draws.uniform("a", shape=(ENTRIES,))
    assert (uniform.min() >= 0, uniform.max() < 1) == (True, True)
    for power in range(1, 5):
        mean, variance = 1 / (power + 1), 1 / (2 * power + 1) - 1 / (power + 1) ** 2
        assert abs((uniform**power).mean() - mean) < 4 * np.sqrt(variance / uniform.size)
    normal = draws.normal("b", shape=(ENTRIES,))
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((normal**power).mean() - mean) < 4 * np.sqrt(variance / normal.size)
    assert abs((np.abs(normal) > 1.959964).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / normal.size)


def test_whole_numbers_are_equally_frequent():
    drawn = streams().next(EVERYONE).integers("a", -3, 4, shape=(ENTRIES,))
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    expected = drawn.size / 7
    assert ((counts - expected) ** 2 / expected).sum() < 22.5  # chi-squared, 6 degrees of freedom: p = 0.001


def test_bits_are_even():
    """Each of the 53 bits is set in half of the numbers, and independently of the others."""
    drawn = streams().next(EVERYONE).uniform("a", shape=(40,))
    bits = ((drawn.ravel() * 2.0**53).astype(np.uint64)[:, None] >> np.arange(53, dtype=np.uint64)) & np.uint64(1)
    signs = bits.astype(float) * 2 - 1
    products = np.abs(signs.T @ signs) / np.sqrt(len(signs))
    np.fill_diagonal(products, 0)
    assert products.max() < 5
    assert (np.abs(signs.sum(axis=0)) / np.sqrt(len(signs))).max() < 4.5


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_independence(kind):
    def draw(draws, name="a"):
        return getattr(draws, kind)(name, shape=(ENTRIES,))

    some, later = streams(), streams(range(COPIES, 2 * COPIES))
    draws = some.next(EVERYONE)
    first, of_other_name, of_others = draw(draws), draw(draws, "b"), draw(later.next(EVERYONE))
    of_next_tick = draw(some.next(EVERYONE))
    for other in (of_other_name, of_next_tick, of_others):
        assert correlation(first, other) < 4
    assert correlation(first[1:], first[:-1]) < 4  # neighbouring seeds
    assert correlation(first[:, 1:], first[:, :-1]) < 4  # neighbouring entries
    assert correlation(first[:, 1:], of_next_tick[:, :-1]) < 4
    assert len(np.unique(np.stack([first, of_other_name, of_next_tick, of_others]))) == 4 * first.size


def test_a_stream_is_the_same_whatever_runs_beside():
    alone, among = streams([7]), streams([3, 7, 9])
    for rows in (np.array([1]), EVERYONE, np.array([1, 2]), EVERYONE):
        one, several = alone.next(EVERYONE), among.next(rows)
        place = 0 if isinstance(rows, np.ndarray) else 1
        several.uniform("made for these only")
        for kind in ("normal", "uniform"):
            expected = getattr(one, kind)(kind, shape=(3, 2))[0]
            assert getattr(several, kind)(kind, shape=(3, 2))[place].tobytes() == expected.tobytes()
        among.next(np.array([0]))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 17, 64])
def test_numbers_do_not_depend_on_how_many_are_drawn(count):
    many = streams().next(EVERYONE).normal("a", shape=(7,))
    assert streams(range(count)).next(EVERYONE).normal("a", shape=(7,)).tobytes() == many[:count].tobytes()


def test_bounds_of_each_copy():
    draws = streams(range(4)).next(EVERYONE)
    low = np.array([[0], [10], [20], [30]])
    assert (draws.integers("a", low, low + 2, (50,)) // 10 == low // 10).all()
    assert (draws.uniform("b", low, low + 2, (50,)) // 10 == low // 10).all()
    assert (abs(draws.normal("c", low, low / 1000, (50,)) - low) <= low / 100).all()


def test_large_seeds():
    assert streams([2**64 + 5]).next(EVERYONE).uniform("a") == streams([5]).next(EVERYONE).uniform("a")
    assert streams([2**64 - 1]).next(EVERYONE).uniform("a") != streams([0]).next(EVERYONE).uniform("a")


def test_streams_without_a_seed_differ():
    one, other = RandomStreams(2), RandomStreams(2)
    assert len({*one.keys.tolist(), *other.keys.tolist()}) == 4


def test_a_name_is_used_once():
    draws = streams().next(EVERYONE)
    draws.uniform("wind")
    with pytest.raises(ConfigurationError, match="'wind'"):
        draws.normal("wind")


def test_whole_numbers_need_a_range():
    with pytest.raises(ConfigurationError, match="'kind'"):
        streams().next(EVERYONE).integers("kind", 3, 3)
