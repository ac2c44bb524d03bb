"""UTC from the clocks and calendars of level-1 files.

Atomic clocks run without leap seconds: TAI, which JPSS counts, and GPS time, 19 s behind it. Other
files give years, days of the year or calendar dates in UTC. All times are ``datetime64[us]``; what
is no time is NaT.
"""

from collections.abc import Sequence

import numpy as np

NOT_A_TIME = np.datetime64("NaT", "us")
GPS_BEHIND_TAI = np.timedelta64(19, "s")
GPS_EPOCH = np.datetime64("1980-01-06T00:00:00", "us")
_IDPS_EPOCH = np.datetime64("1958-01-01", "us")
# of a report's day or hour from its header's, where one of the two is missing
_OFFSETS = tuple(np.timedelta64(hours, "h") for hours in (0, -1, 1, -24, 24))
_FIRST_ATMS = np.datetime64("2009-01-01", "us")
# TAI - UTC in s: IERS Bulletin C 16 (1998), 30 (2005), 36 (2008), 43 (2012), 49 (2015), 52 (2016)
_LEAP_SECONDS = (
    ("1999-01-01", 32),
    ("2006-01-01", 33),
    ("2009-01-01", 34),
    ("2012-07-01", 35),
    ("2015-07-01", 36),
    ("2017-01-01", 37),
)


def utc_of_tai(tai: np.ndarray) -> np.ndarray:
    """Convert TAI, of any shape, to UTC; NaT before 1999, when our leap seconds begin."""
    offsets = np.array([seconds for _, seconds in _LEAP_SECONDS], "timedelta64[s]")
    # a leap second enters at the UTC day boundary: TAI of that instant is the day + the new offset
    starts = np.array([day for day, _ in _LEAP_SECONDS], "datetime64[us]") + offsets
    index = np.searchsorted(starts, tai, side="right") - 1  # NaT is sorted last
    return np.where(index >= 0, tai - offsets[index.clip(0)], NOT_A_TIME)


def utc_of_gps(seconds: float) -> np.datetime64:
    """Convert GPS seconds (since 1980-01-06, no leap seconds) to UTC.

    NaT before 1999 or if absurd.
    """
    if not 0 <= seconds < 4e9:
        return NOT_A_TIME
    gps = GPS_EPOCH + np.timedelta64(round(seconds * 1e6), "us")
    return utc_of_tai(np.array(gps + GPS_BEHIND_TAI))[()]


def gps_of_utc(time: np.datetime64) -> float:
    """Convert UTC, from 1999 on, to GPS seconds since 1980-01-06; NaN where it is no time."""
    days = [np.datetime64(day, "us") for day, _ in _LEAP_SECONDS]
    if not time >= days[0]:
        return np.nan
    _, ahead = _LEAP_SECONDS[int(np.searchsorted(days, time, side="right")) - 1]
    behind = GPS_BEHIND_TAI / np.timedelta64(1, "s")
    return (time - GPS_EPOCH) / np.timedelta64(1, "s") + ahead - behind


def utc_of_idps(microseconds: np.ndarray) -> np.ndarray:
    """Convert IDPS epoch time, of any shape, to UTC; fill values, which are negative, to NaT.

    IDPS epoch time is microseconds since 1958-01-01 TAI. Times before 2009, when no ATMS flew, are
    damaged and become NaT. ValueError where all are such, as they would be of another epoch.
    """
    tai = np.where(
        microseconds > 0, _IDPS_EPOCH + microseconds.astype("timedelta64[us]"), NOT_A_TIME
    )
    is_time = ~np.isnat(tai)
    early = is_time & (tai < _FIRST_ATMS)
    if is_time.any() and (early == is_time).all():
        raise ValueError(f"time {tai[is_time].min()} is before {_FIRST_ATMS}")
    return utc_of_tai(np.where(early, NOT_A_TIME, tai))


def times_of_year_and_day(
    year: np.ndarray, day: np.ndarray, milliseconds: np.ndarray
) -> np.ndarray:
    """Combine years, days of the year and milliseconds of the day to times.

    Parameters
    ----------
    year : np.ndarray
        Years ``(n,)`` from 1998 to 2100.
    day : np.ndarray
        Days of the year ``(n,)``, from 1.
    milliseconds : np.ndarray
        Milliseconds since midnight ``(n,)``.

    Returns
    -------
    np.ndarray
        Times ``(n,)``, NaT where a part is out of its range.
    """
    year, day, milliseconds = (np.asarray(part, np.int64) for part in (year, day, milliseconds))
    valid = (year >= 1998) & (year <= 2100) & (day >= 1) & (day <= 366) & (milliseconds >= 0)
    valid &= milliseconds < 86_400_000
    start = (np.where(valid, year, 1998) - 1970).astype("datetime64[Y]").astype("datetime64[us]")
    elapsed = np.where(valid, (day - 1) * 86_400_000 + milliseconds, 0) * 1000
    return np.where(valid, start + elapsed.astype("timedelta64[us]"), NOT_A_TIME)


def time_of_date(
    year: float, month: float, day: float, hour: float, minute: float, second: float = 0.0
) -> np.datetime64:
    """Combine the parts of one date to a time, to the microsecond.

    Parameters
    ----------
    year, month, day, hour, minute : float
        Numbers as a message gives them; fractions are cut off.
    second : float
        Seconds; NaN counts as 0, as reports often lack them.

    Returns
    -------
    np.datetime64
        The time, NaT where the parts are no date.
    """
    second = second if np.isfinite(second) else 0.0
    try:
        parts = [int(part) for part in (year, month, day, hour, minute)]
        whole = np.datetime64("{:04d}-{:02d}-{:02d}T{:02d}:{:02d}".format(*parts), "us")
    except (ValueError, OverflowError):
        return NOT_A_TIME
    return whole + np.timedelta64(round(second * 1e6), "us") if 0 <= second < 61 else NOT_A_TIME


def complete_time(
    parts: Sequence[float], about: np.datetime64, century: bool = True
) -> tuple[np.datetime64, bool]:
    """Combine the parts of a date to a time, taking what is missing from a message's header.

    Parameters
    ----------
    parts : Sequence[float]
        Year, month, day, hour, minute and second, NaN where missing. A year below 1000 has no
        century.
    about : np.datetime64
        Time of the header; NaT for none.
    century : bool
        Whether the header's century is to be relied on. A year without a century needs it.

    Returns
    -------
    time : np.datetime64
        The time: of those that the parts allow, the one nearest to ``about``. NaT where the parts
        are no date, or where the header is needed and has none.
    completed : bool
        Whether a part came from the header. Missing seconds count as 0, and not as such a part.
    """
    parts = np.array(parts, float)
    missing = ~np.isfinite(parts[:5])
    short = not missing[0] and 0 <= parts[0] < 1000
    if not missing.any() and not short:
        return time_of_date(*parts), False
    if np.isnat(about) or (short and not century):
        return NOT_A_TIME, False
    candidates = []
    hour = about.astype("datetime64[us]").item().hour
    for offset in _OFFSETS:
        base = (about + offset).astype("datetime64[us]").item()
        header = [base.year, base.month, base.day, base.hour, base.minute]
        filled = np.where(missing, header, parts[:5])
        if missing[4] and filled[3] != hour:
            filled[4] = 0  # the minute of another hour says nothing
        years = (filled[0],)
        if short:
            years = tuple(filled[0] % 100 + base.year // 100 * 100 + c for c in (-100, 0, 100))
        for year in years:
            candidates.append(time_of_date(year, *filled[1:], parts[5]))
    valid = [time for time in candidates if not np.isnat(time)]
    if not valid:
        return NOT_A_TIME, False
    return min(valid, key=lambda time: abs(time - about)), True


def times_of_dates(
    year: np.ndarray,
    month: np.ndarray,
    day: np.ndarray,
    hour: np.ndarray,
    minute: np.ndarray,
    second: np.ndarray,
) -> np.ndarray:
    """Combine the parts of many dates to times.

    Parameters
    ----------
    year, month, day, hour, minute, second : np.ndarray
        Numbers ``(n,)`` as a message gives them, NaN where missing.

    Returns
    -------
    np.ndarray
        Times ``(n,)``, NaT where a part is missing or out of its range.
    """
    parts = np.stack([year, month, day, hour, minute, second])
    low = np.array([1970, 1, 1, 0, 0, 0])[:, None]
    high = np.array([2100, 12, 31, 23, 59, 60.999])[:, None]
    with np.errstate(invalid="ignore"):
        valid = ((parts >= low) & (parts <= high)).all(axis=0)
    whole = np.where(valid, parts, low).astype(np.int64)
    months = (12 * (whole[0] - 1970) + whole[1] - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (whole[2] - 1)
    # numpy carries 30 February over into March: such a date is none
    valid &= days.astype("datetime64[M]") == months
    microseconds = np.round(np.where(valid, second, 0) * 1e6).astype("timedelta64[us]")
    clock = (whole[3] * 60 + whole[4]).astype("timedelta64[m]")
    return np.where(valid, days.astype("datetime64[us]") + clock + microseconds, NOT_A_TIME)
