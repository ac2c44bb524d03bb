"""Periods, analysis times and the calendar segments that jobs work on. All times are UTC."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

STEP_HOURS = 6


def hours(count: float) -> timedelta:
    """A timedelta of ``count`` hours."""
    return timedelta(hours=count)


def times(start: date, end: date, step_hours: int = STEP_HOURS) -> list[datetime]:
    """All times from 00 UTC of ``start`` to the last step of the day ``end``, both days included."""
    first = datetime(start.year, start.month, start.day)
    last = datetime(end.year, end.month, end.day) + hours(24)
    count = int((last - first) / hours(step_hours))
    return [first + hours(step_hours * i) for i in range(count)]


def segment(day: date, months: int) -> str:
    """The label YYYY-MM, its first month, of the calendar segment of ``months`` months that holds ``day``."""
    first = (day.month - 1) // months * months + 1
    return f"{day.year:04d}-{first:02d}"


def segment_bounds(label: str, months: int) -> tuple[date, date]:
    """First and last day of a segment."""
    year, month = map(int, label.split("-"))
    end_year, end_month = (
        (year, month + months) if month + months <= 12 else (year + 1, month + months - 12)
    )
    return date(year, month, 1), date(end_year, end_month, 1) - timedelta(days=1)


def segments(start: date, end: date, months: int) -> list[str]:
    """Labels of all segments that touch the days from ``start`` to ``end``, in order."""
    labels, day = [], start
    while day <= end:
        label = segment(day, months)
        labels.append(label)
        day = segment_bounds(label, months)[1] + timedelta(days=1)
    return labels


def previous_segment(label: str, months: int) -> str:
    """The label of the segment before ``label``."""
    return segment(segment_bounds(label, months)[0] - timedelta(days=1), months)


def clip(label: str, months: int, start: date, end: date) -> tuple[date, date]:
    """The part of a segment inside the days from ``start`` to ``end``; ValueError when there is none."""
    first, last = segment_bounds(label, months)
    first, last = max(first, start), min(last, end)
    if first > last:
        raise ValueError(f"segment {label} has no day between {start} and {end}")
    return first, last


def as_datetime64(values: Iterable[datetime]):
    """Times as a numpy ``datetime64[ns]`` array ``(time,)``."""
    import numpy as np

    return np.array(list(values), dtype="datetime64[ns]")


def span(start: date | str, end: date | str):
    """First and last 6-hourly time of the days from ``start`` to ``end``, as numpy ``datetime64[ns]``."""
    import numpy as np

    first = np.datetime64(str(start), "ns")
    return first, np.datetime64(str(end), "ns") + np.timedelta64(24 - STEP_HOURS, "h")
