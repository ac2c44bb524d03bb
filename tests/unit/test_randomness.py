"""The recipes of random numbers, which decide the bits of every run."""

import zlib

import numpy as np

from fuxiflow import randomness


def first(generator):
    return generator.integers(2**32, size=4).tolist()


def test_the_recipes_are_those_of_all_runs_so_far():
    assert first(randomness.generator(3, "noaa20_atms", 2)) == first(
        np.random.default_rng([3, zlib.crc32(b"noaa20_atms"), zlib.crc32(b"2")])
    )
    assert first(randomness.numbered_generator(3, 5, 420000)) == first(
        np.random.default_rng([3, 5, 420000])
    )
    assert randomness.derived_seeds(2, 3, 7, 1) == list(
        np.random.SeedSequence([3, 7, 1]).generate_state(2)
    )


def test_the_numbers_themselves_do_not_change():
    assert first(randomness.generator(0, "a")) == [79026516, 2228418906, 3343547357, 319408493]
    assert first(randomness.numbered_generator(0, 1)) == [
        2242647589,
        3821399010,
        4264680396,
        2392889704,
    ]
    assert randomness.derived_seeds(2, 0, 1) == [3964924996, 1358922860]
