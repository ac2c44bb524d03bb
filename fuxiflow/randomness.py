"""Random generators fixed by a configuration's seed, the same on every machine.

Each function is a recipe: which numbers follow the seed decides all random numbers of a run, so a
recipe that has been used stays as it is.
"""

import zlib

import numpy as np


def label_number(label: object) -> int:
    """Return a 32-bit number for a label: the CRC-32 of its text, the same in every process."""
    return zlib.crc32(str(label).encode())


def generator(seed: int, *labels: object) -> np.random.Generator:
    """Return a random generator of the seed and the texts of the labels."""
    return numbered_generator(seed, *map(label_number, labels))


def numbered_generator(seed: int, *numbers: int) -> np.random.Generator:
    """Return a random generator of the seed and numbers from 0, which are taken as they are."""
    return np.random.default_rng([seed, *numbers])


def derived_seeds(count: int, seed: int, *numbers: int) -> list[int]:
    """Return 32-bit seeds for generators of other libraries.

    Parameters
    ----------
    count : int
        How many seeds.
    seed : int
        The seed of the configuration.
    *numbers : int
        Numbers from 0 that tell this draw from others.

    Returns
    -------
    list of int
        The seeds.
    """
    return np.random.SeedSequence([seed, *numbers]).generate_state(count).tolist()
