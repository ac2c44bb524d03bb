"""What is drawn at random in the embedded world, and when it is observed at all: both fixed by the configuration."""

import zlib
from collections.abc import Mapping
from datetime import date

import numpy as np


def generator(seed: int, *labels: object) -> np.random.Generator:
    """A random generator of the seed and labels, the same on every machine and in every process."""
    return np.random.default_rng([seed, *(zlib.crc32(str(label).encode()) for label in labels)])


def observed(day: date, options: Mapping) -> bool:
    """Whether a source observes on a day: from ``start`` to ``end``, where ``options`` give them, but for the
    ``outages`` ``{start, end}``, all days included."""

    def inside(start, end) -> bool:
        low, high = (
            None if text is None else date.fromisoformat(str(text)) for text in (start, end)
        )
        return (low is None or low <= day) and (high is None or day <= high)

    return inside(options.get("start"), options.get("end")) and not any(
        inside(outage["start"], outage["end"]) for outage in options["outages"]
    )
