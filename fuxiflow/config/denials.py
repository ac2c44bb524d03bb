"""Channels that died: ``config/denials.csv``, platform by platform with days and sources."""

import csv
from datetime import date
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from fuxiflow import ROOT
from fuxiflow.config.base import Day, Section, complaints, unknown
from fuxiflow.config.sources import Source, load_source, source_names

FILE = ROOT / "config" / "denials.csv"


class Denial(Section):
    """A channel of an instrument on a platform, which is not used on some days."""

    platform: str
    """Name of the platform, as sources have it."""
    instrument: str
    """Name of the instrument, as sources have it."""
    channel: str
    """Name of the channel, as sources have it."""
    since: Day
    """First day."""
    until: Day | None = None
    """Last day; by default none, so that the channel stays unused."""
    source: str = Field(min_length=1)
    """Source of the fact."""

    @model_validator(mode="after")
    def _ordered(self):
        if self.until is not None and self.until < self.since:
            raise ValueError(f"until: {self.until} is before {self.since}, allowed: since or later")
        return self

    def days_within(self, first: date, last: date) -> tuple[date, date] | None:
        """Return the part of some days on which it holds; None where it does not."""
        start, end = max(first, self.since), min(last, self.until or last)
        return (start, end) if start <= end else None


@cache
def read_denials(path: Path = FILE) -> tuple[Denial, ...]:
    """Read and check a list of denials.

    ValueError has a line for each mistake: the line of the file, the key, and what is allowed.
    """
    names = list(Denial.model_fields)
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != names:
            raise ValueError(
                f"{path}: columns {', '.join(reader.fieldnames or ()) or 'none'}, expected "
                f"{', '.join(names)}"
            )
        rows = [(reader.line_num, row) for row in reader]
    mistakes, denials = [], []
    for line, row in rows:
        place = f"{path}, line {line}"
        if None in row or None in row.values():
            mistakes.append(f"{place}: not {len(names)} columns; texts with commas are in quotes")
            continue
        try:
            denial = Denial(**{key: value for key, value in row.items() if value != ""})
        except ValidationError as error:
            mistakes += [f"{place}: {text}" for text in complaints(error, Denial)]
            continue
        mistakes += [f"{place}: {text}" for text in _unknown_names(denial)]
        mistakes += [
            f"{place}: channel {denial.channel} of {denial.platform} is denied on these days twice"
            for other in denials
            if _same_channel(denial, other)
            and denial.days_within(other.since, other.until or date.max)
        ]
        denials.append(denial)
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return tuple(denials)


def _same_channel(one: Denial, other: Denial) -> bool:
    keys = ("platform", "instrument", "channel")
    return all(getattr(one, key) == getattr(other, key) for key in keys)


def _unknown_names(denial: Denial) -> list[str]:
    """Say which names of a denial no source has."""
    sources = [load_source(name) for name in source_names()]
    of_instrument = [source for source in sources if source.instrument == denial.instrument]
    if not of_instrument:
        instruments = {source.instrument for source in sources}
        return [unknown("instrument", denial.instrument, instruments)]
    platforms = {name for source in of_instrument for name in source.platform_names}
    channels = {name for source in of_instrument for name in source.channel_names}
    return [
        unknown(key, value, names)
        for key, value, names in (
            ("platform", denial.platform, platforms),
            ("channel", denial.channel, channels),
        )
        if value not in names
    ]


def denials_of(source: Source, first: date, last: date, path: Path = FILE) -> list[dict]:
    """Return the denials of a source on some days, as parameters of a rule.

    Parameters
    ----------
    source : Source
        The source.
    first, last : date
        The days, both included.
    path : Path
        The list.

    Returns
    -------
    list of dict
        ``platform``, ``channel``, and ``since`` and ``until`` in ISO form, within the days.
    """
    parts = []
    for denial in read_denials(path):
        days = denial.days_within(first, last)
        if (
            days
            and denial.instrument == source.instrument
            and denial.platform in source.platform_names
            and denial.channel in source.channel_names
        ):
            parts.append(
                {
                    "platform": denial.platform,
                    "channel": denial.channel,
                    "since": str(days[0]),
                    "until": str(days[1]),
                }
            )
    return parts
