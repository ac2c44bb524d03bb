"""What every reader yields: the footprints of a granule, or why there are none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from fuxiflow.observations import footprint_table
from fuxiflow.observations.rejection_codes import Reason


@dataclass(frozen=True)
class Granule:
    """One granule: its ``footprints``, or the ``reason`` and ``message`` why ``file`` is not used, with the ``count``
    of footprints it would have had (0 where that cannot be known) and its ``day``, where known. The ``message`` of
    footprints that are used tells what the file leaves open; it goes to the log and the ledger as well."""

    file: str
    footprints: pa.Table | None = None
    reason: Reason = Reason.USED
    message: str = ""
    count: int = 0
    day: date | None = None


def known_channels(channels: Sequence[str], known: Sequence[str], subject: str) -> list[int]:
    """Indices of ``channels`` in ``known``; ValueError lists the known ones, of the ``subject``: "MHS has"."""
    places = {name: i for i, name in enumerate(known)}
    unknown = [name for name in channels if name not in places]
    if unknown:
        listed = ", ".join(known) if len(known) < 100 else f"{known[0]} to {known[-1]}"
        raise ValueError(f"{subject} no channel {', '.join(unknown)}; known: {listed}")
    return [places[name] for name in channels]


def footprints(
    channels: Sequence[str],
    values: np.ndarray,
    columns: dict[str, np.ndarray],
    period: tuple[np.datetime64, np.datetime64],
    platform: str,
    file: str,
) -> pa.Table:
    """The footprint table of a granule, with the reasons that a file itself gives.

    ``values`` (n, channel); ``columns`` time, lat and lon, each (n,), and of a scan zenith, azimuth and scan_position,
    of reports ``station``: who made each, a text that no two share, empty where names are shared ("SHIP") or absent.
    What is not seen at an angle, as reports are not, has zenith 0. ``period`` is the first and last time that the file
    may hold, of all or of each (n,): what lies outside travelled in time. Coordinates out of range become NaN, times
    outside the period NaT.
    """
    rows = len(values)
    unseen = {
        "zenith": np.zeros(rows, np.float32),
        "azimuth": np.full(rows, np.nan, np.float32),
        "scan_position": np.zeros(rows, np.int16),
    }
    columns = unseen | columns
    lat, lon = (np.asarray(columns[name], np.float32) for name in ("lat", "lon"))
    zenith, time = np.asarray(columns["zenith"], np.float32), columns["time"]
    rejected = np.zeros(len(values), np.uint8)
    with np.errstate(invalid="ignore"):
        located = (np.abs(lat) <= 90) & (np.abs(lon) <= 360)
        seen = (zenith >= 0) & (zenith < 90)
        timely = (time >= period[0]) & (time <= period[1])
    rejected[~np.isfinite(values).any(axis=1)] = Reason.MISSING
    rejected[~timely] = Reason.TIME
    rejected[~(located & seen)] = Reason.LOCATION
    cleaned = {
        **columns,
        "lat": np.where(located, lat, np.nan),
        "lon": np.where(located, lon, np.nan),
        "zenith": np.where(seen, zenith, np.nan),
        "time": np.where(timely, time, np.datetime64("NaT")),
        "rejected": rejected,
    }
    return footprint_table.build_footprints(channels, values, cleaned, platform, file)
