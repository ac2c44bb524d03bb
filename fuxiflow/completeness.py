"""Completeness: how much of its data a job must find, and in one line what is missing.

A job that finds less than the configuration's section ``completeness`` asks for fails. What is
missing above that is a warning, which reaches the status page and the report. Nothing here changes
what a job makes.
"""

import logging
import math
from collections.abc import Container, Iterable, Sequence
from datetime import date
from typing import Protocol

import numpy as np

MOST_SPANS = 8
"""Spans of missing times that a message names; the others are counted."""
ROUNDING = 1e-9


class IncompleteError(RuntimeError):
    """Less data than the configuration asks for, or values that are missing without being listed.

    The message says what is missing, where, and what to do.
    """


class Asked(Protocol):
    """The least share of its data that a job must find, and the setting that says so.

    Rules hand it over as a namespace, which Snakemake does not compare: another share makes nothing
    run again.
    """

    setting: str
    least: float


def list_times(times: Iterable, step_hours: int = 6) -> str:
    """List times compactly, as spans of a fixed step.

    Parameters
    ----------
    times : iterable
        Times, of any kind that NumPy takes for one.
    step_hours : int
        Hours from a time to the next of the same span; 24 lists days.

    Returns
    -------
    str
        ``2022-01-03T00 .. 2022-01-04T18 (8), 2022-01-07T06``; after :data:`MOST_SPANS` spans the
        rest is counted. ``nothing`` without a time.
    """
    step = np.timedelta64(step_hours, "h")
    ordered = np.unique(np.array([np.datetime64(time, "h") for time in times], "datetime64[h]"))
    if not len(ordered):
        return "nothing"
    spans = np.split(ordered, np.flatnonzero(np.diff(ordered) != step) + 1)
    unit = "D" if step_hours == 24 else "h"

    def text(span: np.ndarray) -> str:
        first, last = (str(np.datetime64(time, unit)) for time in (span[0], span[-1]))
        return first if len(span) == 1 else f"{first} .. {last} ({len(span)})"

    listed = [text(span) for span in spans[:MOST_SPANS]]
    others = sum(map(len, spans[MOST_SPANS:]))
    return ", ".join([*listed, *([f"and {others} more"] if others else [])])


def list_names(names: Sequence[str]) -> str:
    """List the first names, and count the others."""
    others = len(names) - MOST_SPANS
    listed = ", ".join(names[:MOST_SPANS]) or "nothing"
    return f"{listed} and {others} more" if others > 0 else listed


def check_share(
    asked: Asked, present: int, total: int, what: str, missing: str, log: logging.Logger
) -> None:
    """Fail where less than the asked share is there; warn where it is not all.

    Parameters
    ----------
    asked : Asked
        The setting and its value.
    present, total : int
        How many there are, and how many there should be; nothing is asked of none.
    what : str
        What is counted, and where: ``times of era5 in results/…``.
    missing : str
        What is missing.
    log : logging.Logger
        Gets the warning.

    Raises
    ------
    IncompleteError
        Says what is missing, where, and what to do.
    """
    if present >= total:
        return
    if present + ROUNDING < asked.least * total:
        lower = math.floor(1000 * present / total) / 1000
        raise IncompleteError(
            f"{asked.setting}: {present} of {total} {what}, and at least "
            f"{asked.least:g} of them are asked for; missing: {missing}. Get what is missing and "
            f"run again, or set {asked.setting} to {lower:g} to go on without"
        )
    # `fuxiflow.runtime.data_warnings` reads this line: its form is fixed
    log.warning("%s: %d of %d %s; missing: %s", asked.setting, present, total, what, missing)


def check_days(
    asked: Asked, expected: Sequence[date], present: Container[date], what: str, log: logging.Logger
) -> None:
    """Fail where too few of the expected days have data; warn where not all have.

    Parameters
    ----------
    asked : Asked
        The setting and its value.
    expected : sequence of date
        The days that should have data.
    present : container of date
        Those that have.
    what : str
        What is counted: ``days of atms have an observation``.
    log : logging.Logger
        Gets the warning.

    Raises
    ------
    IncompleteError
        As :func:`check_share`.
    """
    absent = [day for day in expected if day not in present]
    there = len(expected) - len(absent)
    check_share(asked, there, len(expected), what, list_times(absent, step_hours=24), log)


def check_finite(finite: Sequence[bool], names: Sequence[str], place: str) -> None:
    """Fail where values are missing that no list of missing ones has.

    Parameters
    ----------
    finite : sequence of bool
        For each channel, whether all its values are numbers.
    names : sequence of str
        The channels.
    place : str
        The store or file, and the time.

    Raises
    ------
    IncompleteError
        Names the place and its channels.
    """
    bad = [name for name, whole in zip(names, finite, strict=True) if not whole]
    if bad:
        raise IncompleteError(
            f"{place}: {len(bad)} of {len(names)} channels hold values that are no numbers "
            f"({list_names(bad)}), though they are not listed as missing: the store is damaged. "
            f"Delete it and run again, it is made anew"
        )
