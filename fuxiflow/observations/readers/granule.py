"""Granules, which every reader yields, and what readers of level-1 files share to make them."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa

from fuxiflow.observations import footprint_table
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
"""Exceptions that h5py, numpy and satpy raise on damaged files."""
PLAUSIBLE = 2.7, 350.0
"""Temperatures in K that a sounder can see: from the cosmic background up to more than any surface
on earth."""
LARGEST = 20_000, 512
"""More scans and positions than any file has; a damaged shape must not fill the memory."""


@dataclass(frozen=True)
class ValueCount:
    """A number of single values that a reader set missing, or remarks on.

    ``channel`` is the name of the channel, or of the column such as ``time``; ``day`` is None where
    it is not known.
    """

    file: str
    day: date | None
    channel: str
    reason: Reason
    count: int
    message: str = ""


@dataclass(frozen=True)
class Granule:
    """The footprints of one granule, or the reason why there are none.

    ``reason`` and ``message`` say why ``file`` is not used, ``count`` is the number of footprints
    it would have had (0 where that cannot be known), ``day`` is None where it is not known. The
    ``message`` of footprints that are used tells what the file leaves open; it goes to the log and
    the ledger as well. ``values`` count single values of the footprints that were not read.
    """

    file: str
    footprints: pa.Table | None = None
    reason: Reason = Reason.USED
    message: str = ""
    count: int = 0
    day: date | None = None
    values: tuple[ValueCount, ...] = ()


class RefusedFile(Exception):
    """A file that is not used."""

    def __init__(self, reason: Reason, message: str, count: int = 0):
        """Refuse a file.

        Parameters
        ----------
        reason : Reason
            The reason.
        message : str
            More about the reason.
        count : int
            Footprints that are lost; 0 where that cannot be known.
        """
        super().__init__(message)
        self.reason = reason
        self.count = count


Decoded = pa.Table | tuple[pa.Table, tuple[ValueCount, ...]]
"""A decoded file: its footprints, and the single values that were not read."""


def granule_of_file(file: str, day: date | None, decode: Callable[[], Decoded]) -> Granule:
    """Decode a file to a granule, whatever damage it has.

    Parameters
    ----------
    file : str
        Name of the file.
    day : date | None
        Day of its first footprint, by its name.
    decode : Callable[[], Decoded]
        Returns the footprints of the file, or raises :class:`RefusedFile` or one of
        :data:`DAMAGE`.

    Returns
    -------
    Granule
        The footprints, or the reason why there are none.
    """
    try:
        with without_satpy_traceback():
            decoded = decode()
    except RefusedFile as refusal:
        return Granule(
            file, reason=refusal.reason, message=str(refusal), count=refusal.count, day=day
        )
    except DAMAGE as error:
        return Granule(
            file, reason=Reason.UNREADABLE, message=f"{type(error).__name__}: {error}", day=day
        )
    table, values = decoded if isinstance(decoded, tuple) else (decoded, ())
    return Granule(file, footprints=table, count=len(table), day=day, values=values)


@contextmanager
def without_satpy_traceback() -> Iterator[None]:
    """Silence satpy's traceback of a damaged file.

    The ledger and the log name the damage in one line.
    """
    logger = logging.getLogger("satpy.readers.core.hdf5")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def channel_indices(channels: Sequence[str], available: Sequence[str], subject: str) -> list[int]:
    """Find channels among those that an instrument has.

    Parameters
    ----------
    channels : Sequence[str]
        Names of the channels to read.
    available : Sequence[str]
        Names of all channels, in the order of the file.
    subject : str
        The instrument and a verb for the error message, such as "MHS has".

    Returns
    -------
    list[int]
        Indices of ``channels`` in ``available``.

    Raises
    ------
    ValueError
        When a channel is not available; the message lists those that are.
    """
    places = {name: i for i, name in enumerate(available)}
    unknown = [name for name in channels if name not in places]
    if unknown:
        names = available if len(available) < 100 else (f"{available[0]} to {available[-1]}",)
        raise ValueError(f"{subject} no channel {', '.join(unknown)}; known: {', '.join(names)}")
    return [places[name] for name in channels]


def scans_that_can_be_read(path: Path, key: str, error: Exception) -> np.ndarray:
    """Read a data set of an HDF5 file that is damaged in places, scan by scan.

    Parameters
    ----------
    path : Path
        The file.
    key : str
        Path of the data set, scans along its first axis.
    error : Exception
        What reading the whole of it failed with; raised again where no scan can be read.

    Returns
    -------
    np.ndarray
        The data set; scans that cannot be read have fill values: the largest number of unsigned
        integers, else -999.
    """
    with h5py.File(path, "r") as file:
        stored = file[key]
        if not stored.ndim or not stored.size:
            raise error
        fill = np.iinfo(stored.dtype).max if stored.dtype.kind == "u" else -999
        values = np.full(stored.shape, fill, stored.dtype)
        read = 0
        for scan in range(len(stored)):
            try:
                values[scan] = stored[scan]
            except DAMAGE:
                continue
            read += 1
    if not read:
        raise error
    return values


def day_of(time: np.datetime64) -> date | None:
    """Return the day of a time, None for NaT."""
    return None if np.isnat(time) else time.astype("datetime64[D]").item()


def count_values(
    file: str, day: date | None, channels: Sequence[str], lost: np.ndarray, reason: Reason
) -> tuple[ValueCount, ...]:
    """Count single values of a file that are not read, by channel.

    Parameters
    ----------
    file : str
        Name of the file.
    day : date | None
        Its day.
    channels : Sequence[str]
        Names of the channels.
    lost : np.ndarray
        ``(..., channel)`` bool, True for the values.
    reason : Reason
        The reason for which they are not read.

    Returns
    -------
    tuple[ValueCount, ...]
        One for each channel that lost any.
    """
    counts = lost.reshape(-1, len(channels)).sum(axis=0)
    return tuple(
        ValueCount(file, day, channel, reason, int(count))
        for channel, count in zip(channels, counts, strict=True)
        if count
    )


def plausible_temperatures(temperature: np.ndarray) -> np.ndarray:
    """Return temperatures in K as float32, NaN where out of :data:`PLAUSIBLE`."""
    with np.errstate(invalid="ignore", over="ignore"):
        seen = (temperature >= PLAUSIBLE[0]) & (temperature <= PLAUSIBLE[1])
        return np.where(seen, temperature, np.nan).astype(np.float32)


def footprints_of_granule(
    channels: Sequence[str],
    values: np.ndarray,
    columns: dict[str, np.ndarray],
    period: tuple[np.datetime64, np.datetime64],
    platform: str,
    file: str,
) -> pa.Table:
    """Build the footprint table of a granule, with the reasons for rejection that the file gives.

    Parameters
    ----------
    channels : Sequence[str]
        Names of the channels.
    values : np.ndarray
        Values ``(n, channel)`` in the channels' units, NaN where missing.
    columns : dict[str, np.ndarray]
        ``time``, ``lat`` and ``lon``, each ``(n,)``; of scans also ``zenith``, ``azimuth`` and
        ``scan_position``; of reports also ``station``: a text that no two stations share, empty
        where a name is shared ("SHIP") or absent, and its ``height``. What is not seen at an angle,
        as reports are not, has zenith 0.
    period : tuple[np.datetime64, np.datetime64]
        First and last time that the file may hold, of all footprints or of each ``(n,)``.
    platform : str
        Name of the platform in WMO OSCAR.
    file : str
        Name of the file.

    Returns
    -------
    pa.Table
        The footprints. Coordinates out of range are NaN, times outside the period NaT, and
        ``rejected`` says so.
    """
    rows = len(values)
    defaults = {
        "zenith": np.zeros(rows, np.float32),
        "azimuth": np.full(rows, np.nan, np.float32),
        "scan_position": np.zeros(rows, np.int16),
    }
    columns = defaults | columns
    lat, lon, zenith = (np.asarray(columns[name], np.float32) for name in ("lat", "lon", "zenith"))
    time = columns["time"]
    with np.errstate(invalid="ignore"):
        located = (np.abs(lat) <= 90) & (np.abs(lon) <= 360)
        seen = (zenith >= 0) & (zenith < 90)
        timely = (time >= period[0]) & (time <= period[1])
    # of several reasons the last one written counts
    rejected = np.zeros(rows, np.uint8)
    rejected[~np.isfinite(values).any(axis=1)] = Reason.MISSING
    rejected[~timely] = Reason.TIME
    rejected[~(located & seen)] = Reason.LOCATION
    cleaned = {
        **columns,
        "lat": _kept(lat, located),
        "lon": _kept(lon, located),
        "zenith": _kept(zenith, seen),
        "time": _kept(time, timely, np.datetime64("NaT")),
        "rejected": rejected,
    }
    return footprint_table.build_footprints(channels, values, cleaned, platform, file)


def _kept(values: np.ndarray, valid: np.ndarray, missing: object = np.nan) -> np.ndarray:
    """Return values that are valid, and ``missing`` for others.

    Parameters
    ----------
    values : np.ndarray
        Values ``(n,)``.
    valid : np.ndarray
        Booleans ``(n,)``.
    missing : object
        Stands for a value that is missing.

    Returns
    -------
    np.ndarray
        The values themselves where all are valid.
    """
    return values if valid.all() else np.where(valid, values, missing)


def flag_unusable(footprints: pa.Table, unusable: np.ndarray) -> pa.Table:
    """Give the code ``quality`` to footprints ``(n,)`` that their producer calls unusable."""
    if not unusable.any():
        return footprints
    codes = footprint_table.column_values(footprints, "rejected")
    codes = np.where((codes == Reason.USED) & unusable, np.uint8(Reason.QUALITY), codes)
    return footprint_table.replace_values(footprints, footprint_table.values_of(footprints), codes)
