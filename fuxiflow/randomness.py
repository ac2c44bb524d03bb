"""Random generators that a configuration's seed fixes: the same on every machine and in every process."""

import zlib

import numpy as np


def generator(seed: int, *labels: object) -> np.random.Generator:
    """Return a random generator of the seed and the labels."""
    return np.random.default_rng([seed, *(zlib.crc32(str(label).encode()) for label in labels)])
