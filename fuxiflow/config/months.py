"""Overlays of a configuration by which some months of its test are run alone."""

import calendar
import re
from datetime import date
from pathlib import Path

import yaml

from fuxiflow.config.configuration import load_configuration


def overlay_of_months(paths: list[Path], first: str, last: str) -> str:
    """Make the overlay of a test that is cut to some months.

    The cycle starts as long before it as before all that is scored. Training stays what it is, and
    there is no validation.

    Parameters
    ----------
    paths : list[Path]
        The configuration, and what is laid over it.
    first, last : str
        First and last month, ``YYYY-MM``, both included.

    Returns
    -------
    str
        YAML with the section ``periods``.

    Raises
    ------
    ValueError
        When these are no months, or no day of theirs is in the test.
    """
    periods = load_configuration(*paths).periods
    begin, end = _first_day(first), _first_day(last)
    end = end.replace(day=calendar.monthrange(end.year, end.month)[1])
    if begin > end:
        raise ValueError(f"months {first} to {last}, allowed: the first before the last")
    start, stop = max(begin, periods.test.start), min(end, periods.test.end)
    if start > stop:
        raise ValueError(
            f"months {first} to {last}: no day of theirs is in periods.test of "
            f"{', '.join(map(str, paths))}, {periods.test.start} to {periods.test.end}"
        )
    spin_up = periods.first_scored - periods.cold_start
    part = {"cold_start": start - spin_up, "test": {"start": start, "end": stop}}
    if periods.validation:
        part["validation"] = None  # it would lie before the cold start
    return yaml.safe_dump({"periods": part}, sort_keys=False)


def _first_day(month: str) -> date:
    """Return the first day of a month."""
    if not re.fullmatch(r"[1-9]\d{3}-(0[1-9]|1[0-2])", month):
        raise ValueError(f"month {month!r}, allowed: YYYY-MM, for example 2020-07")
    return date.fromisoformat(f"{month}-01")
