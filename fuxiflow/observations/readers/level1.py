"""What readers of level-1 files share: damage that is caught, plausible values, flags, clocks."""

import logging
from collections.abc import Callable
from contextlib import contextmanager
from datetime import date

import numpy as np
import pyarrow as pa

from fuxiflow.observations import footprint_table
from fuxiflow.observations.readers.granule import Granule
from fuxiflow.observations.rejection_codes import Reason

DAMAGE = (
    OSError,
    LookupError,
    ValueError,
    RuntimeError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)
"""What h5py, numpy and satpy raise on damaged files."""
PLAUSIBLE = 2.7, 350.0
"""Temperatures in K that a sounder can see: from the cosmic background up to more than any surface on earth."""
LARGEST = 20_000, 512
"""More scans and positions than any file has; a damaged shape must not fill the memory."""


class Refused(Exception):
    """A file that is not used: the reason and how many footprints are lost."""

    def __init__(self, reason: Reason, message: str, count: int = 0):
        super().__init__(message)
        self.reason, self.count = reason, count


def granule(file: str, day: date | None, decode: Callable[[], pa.Table]) -> Granule:
    """The granule of a file: the footprints that ``decode`` returns or why there are none."""
    try:
        with quiet():
            found = decode()
    except Refused as refusal:
        return Granule(
            file, reason=refusal.reason, message=str(refusal), count=refusal.count, day=day
        )
    except DAMAGE as error:
        return Granule(
            file, reason=Reason.UNREADABLE, message=f"{type(error).__name__}: {error}", day=day
        )
    return Granule(file, footprints=found, count=len(found), day=day)


@contextmanager
def quiet():
    """Without satpy's traceback of a damaged file, which the ledger and the log name in one line."""
    logger = logging.getLogger("satpy.readers.core.hdf5")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def plausible(temperature: np.ndarray) -> np.ndarray:
    """Temperatures in K as float32, NaN where no sounder can see them."""
    with np.errstate(invalid="ignore", over="ignore"):
        seen = (temperature >= PLAUSIBLE[0]) & (temperature <= PLAUSIBLE[1])
        return np.where(seen, temperature, np.nan).astype(np.float32)


def flagged(found: pa.Table, unusable: np.ndarray) -> pa.Table:
    """The table with the code ``quality`` for footprints (n,) that their producer calls unusable."""
    codes = footprint_table.column_values(found, "rejected")
    codes = np.where((codes == Reason.USED) & unusable, np.uint8(Reason.QUALITY), codes)
    return footprint_table.replace_values(found, footprint_table.values_of(found), codes)


def instants(year: np.ndarray, day: np.ndarray, milliseconds: np.ndarray) -> np.ndarray:
    """Times datetime64[us] of years, days of the year and milliseconds of the day, NaT where out of range."""
    year, day, milliseconds = (np.asarray(part, np.int64) for part in (year, day, milliseconds))
    known = (year >= 1998) & (year <= 2100) & (day >= 1) & (day <= 366) & (milliseconds >= 0)
    known &= milliseconds < 86_400_000
    start = (np.where(known, year, 1998) - 1970).astype("datetime64[Y]").astype("datetime64[us]")
    elapsed = np.where(known, (day - 1) * 86_400_000 + milliseconds, 0) * 1000
    return np.where(known, start + elapsed.astype("timedelta64[us]"), np.datetime64("NaT", "us"))
