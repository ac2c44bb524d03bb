"""Periods, analysis times and the calendar segments that jobs work on. All times are UTC."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cache

STEP_HOURS = 6


def hours(count: float) -> timedelta:
    """Return a timedelta of ``count`` hours."""
    return timedelta(hours=count)


def times(start: date, end: date, step_hours: int = STEP_HOURS) -> list[datetime]:
    """List all times of the days from ``start`` to ``end``, both included.

    Parameters
    ----------
    start, end : date
        The first time is 00 UTC of ``start``, the last one the last step of the day ``end``.
    step_hours : int
        Hours from one time to the next.

    Returns
    -------
    list of datetime
        Times in UTC, without a time zone.
    """
    first = datetime(start.year, start.month, start.day)
    last = datetime(end.year, end.month, end.day) + hours(24)
    count = int((last - first) / hours(step_hours))
    return [first + hours(step_hours * i) for i in range(count)]


def segment(day: date, months: int) -> str:
    """Return the label of the calendar segment of ``months`` months that holds ``day``.

    The label YYYY-MM is that of the segment's first month.
    """
    first = (day.month - 1) // months * months + 1
    return f"{day.year:04d}-{first:02d}"


def segment_bounds(label: str, months: int) -> tuple[date, date]:
    """Return the first and last day of the segment of ``months`` months with a label YYYY-MM."""
    year, month = map(int, label.split("-"))
    end_year, end_month = (
        (year, month + months) if month + months <= 12 else (year + 1, month + months - 12)
    )
    return date(year, month, 1), date(end_year, end_month, 1) - timedelta(days=1)


def segments(start: date, end: date, months: int) -> list[str]:
    """List the segments that touch the days from ``start`` to ``end``.

    Parameters
    ----------
    start, end : date
        First and last day, both included.
    months : int
        Length of a segment; the first segment of a year begins in January.

    Returns
    -------
    list of str
        Labels YYYY-MM in order of time.
    """
    return list(_segment_labels(start, end, months))


@cache
def _segment_labels(start: date, end: date, months: int) -> tuple[str, ...]:
    """List the segments once: a plan of forty years asks for the same ones thousands of times.

    Parameters
    ----------
    start, end, months : object
        As in :func:`segments`.

    Returns
    -------
    tuple of str
        Labels in order of time.
    """
    labels = []
    day = start
    while day <= end:
        label = segment(day, months)
        labels.append(label)
        day = segment_bounds(label, months)[1] + timedelta(days=1)
    return tuple(labels)


def previous_segment(label: str, months: int) -> str:
    """Return the label of the segment before that of ``label``; both are of ``months`` months."""
    return segment(segment_bounds(label, months)[0] - timedelta(days=1), months)


def clip(label: str, months: int, start: date, end: date) -> tuple[date, date]:
    """Return the part of a segment that lies within a period.

    Parameters
    ----------
    label : str
        The segment's first month, YYYY-MM.
    months : int
        Length of the segment.
    start, end : date
        First and last day of the period, both included.

    Returns
    -------
    tuple of date
        First and last day, both included.

    Raises
    ------
    ValueError
        When no day of the segment lies in the period.
    """
    first, last = segment_bounds(label, months)
    first = max(first, start)
    last = min(last, end)
    if first > last:
        raise ValueError(f"segment {label} has no day between {start} and {end}")
    return first, last


def as_datetime64(values: Iterable[datetime]):
    """Convert times to a numpy array ``(time,)`` of ``datetime64[ns]``."""
    import numpy as np

    return np.array(list(values), dtype="datetime64[ns]")


def span(start: date | str, end: date | str):
    """Return the first and last 6-hourly time of the days from ``start`` to ``end``.

    Both days are included; the times are numpy ``datetime64[ns]``.
    """
    import numpy as np

    first = np.datetime64(str(start), "ns")
    return first, np.datetime64(str(end), "ns") + np.timedelta64(24 - STEP_HOURS, "h")


def whole_hours(values, unit: str | None) -> list[int]:
    """Return durations ``(n,)`` in whole hours.

    They are times, or numbers in a ``unit`` of CF; whole hours where that is None. ValueError names
    a unit that is not known.
    """
    import numpy as np

    if values.dtype.kind == "m":
        hours_of_each = values / np.timedelta64(1, "h")
    else:
        in_an_hour = {None: 1, "hours": 1, "days": 1 / 24, "minutes": 60, "seconds": 3600}
        in_an_hour |= {"milliseconds": 3.6e6, "microseconds": 3.6e9, "nanoseconds": 3.6e12}
        if unit not in in_an_hour:
            known_units = ", ".join(name for name in in_an_hour if name)
            raise ValueError(f"durations in {unit!r}, expected one of {known_units}")
        hours_of_each = values / in_an_hour[unit]
    return [round(float(hour)) for hour in hours_of_each]
