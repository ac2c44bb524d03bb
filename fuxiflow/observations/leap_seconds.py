"""UTC from atomic clocks: TAI, which JPSS counts, and GPS time, which is 19 s behind it."""

import numpy as np

GPS_BEHIND_TAI = np.timedelta64(19, "s")
# TAI - UTC in s: IERS Bulletin C 16 (1998), 30 (2005), 36 (2008), 43 (2012), 49 (2015), 52 (2016)
_LEAP_SECONDS = (
    ("1999-01-01", 32),
    ("2006-01-01", 33),
    ("2009-01-01", 34),
    ("2012-07-01", 35),
    ("2015-07-01", 36),
    ("2017-01-01", 37),
)


def utc(tai: np.ndarray) -> np.ndarray:
    """UTC ``datetime64[us]`` of TAI ``datetime64[us]``, any shape; NaT before 1999, where the table begins."""
    offsets = np.array([seconds for _, seconds in _LEAP_SECONDS], "timedelta64[s]")
    # a leap second enters at the UTC day boundary: TAI of that instant is the day + the new offset
    starts = np.array([day for day, _ in _LEAP_SECONDS], "datetime64[us]") + offsets
    index = np.searchsorted(starts, tai, side="right") - 1  # NaT is sorted last
    return np.where(index >= 0, tai - offsets[index.clip(0)], np.datetime64("NaT", "us"))
