"""The channel table: the one list of state channels, read from ``config/channels.csv``."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fuxiflow import ROOT

TABLE = ROOT / "config" / "channels.csv"


@dataclass(frozen=True)
class Channel:
    """One two-dimensional field of the state.

    ``unit`` is that of the state; ``era5_scale`` and ``gfs_scale`` multiply the decoded GRIB value
    into it. ``level`` is in hPa, None at the surface. ``loss_weight`` weighs L_state,
    ``observation_weight`` L_obs. The fields with ``era5`` and ``gfs`` in their names are the GRIB
    keys by which files tell the channel.
    """

    name: str
    variable: str
    level: int | None
    long_name: str
    unit: str
    valid_min: float
    valid_max: float
    loss_weight: float
    observation_weight: float
    era5_param: int
    era5_scale: float
    gfs_discipline: int
    gfs_category: int
    gfs_number: int
    gfs_surface: int
    gfs_level: int
    gfs_scale: float

    @property
    def analysed(self) -> bool:
        """The analysis holds the channel; precipitation belongs to the forecast alone."""
        return self.name != "TP"


class ChannelTable(tuple):
    """An ordered tuple of :class:`Channel` with look-up by name."""

    @property
    def names(self) -> list[str]:
        """Channel names in order."""
        return [channel.name for channel in self]

    def index(self, name: str) -> int:
        """Return the position of ``name``; raise KeyError that lists the names there are."""
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(f"unknown channel {name!r}; known: {', '.join(self.names)}") from None

    def __getitem__(self, key):
        if isinstance(key, str):
            return tuple.__getitem__(self, self.index(key))
        if isinstance(key, slice):
            return ChannelTable(tuple.__getitem__(self, key))
        return tuple.__getitem__(self, key)

    def select(self, names: Iterable[str]) -> "ChannelTable":
        """Return the channels called ``names``, in that order."""
        return ChannelTable(self[name] for name in names)

    @property
    def analysed(self) -> "ChannelTable":
        """The channels of an analysis: all but precipitation."""
        return ChannelTable(channel for channel in self if channel.analysed)

    @property
    def pressure_levels(self) -> tuple[int, ...]:
        """The pressure levels of the upper-air channels in hPa, from the top."""
        return tuple(sorted({channel.level for channel in self if channel.level is not None}))


def read_channels(path: Path) -> ChannelTable:
    """Read a channel table; raise ValueError naming the line of a malformed row.

    The columns of the CSV file are the fields of :class:`Channel`; an empty ``level`` is None.
    """
    kinds = Channel.__annotations__
    channels = []
    with open(path, encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                row = {
                    key: None if key == "level" and text == "" else _KINDS[str(kinds[key])](text)
                    for key, text in row.items()
                }
                channels.append(Channel(**row))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{path}, line {number}: malformed channel row ({error})"
                ) from error
    names = [channel.name for channel in channels]
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: channel names are not unique")
    return ChannelTable(channels)


_KINDS = {"<class 'str'>": str, "<class 'int'>": int, "<class 'float'>": float, "int | None": int}


@cache
def channel_table() -> ChannelTable:
    """Return the project's channel table, the 70 channels of ``config/channels.csv``."""
    return read_channels(TABLE)


PRESSURE_LEVELS = channel_table().pressure_levels
"""The pressure levels of the state in hPa, from the top: 13 of them."""
