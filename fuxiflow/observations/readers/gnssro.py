"""GNSS radio occultation: refractivity at heights, from CDAAC and ROM SAF NetCDF and from WMO BUFR 3-10-026.

Which format a file is in shows in its first octets, so that one source may hold several. Channels are called
``refractivity_`` and a whole height in m above mean sea level; how levels become heights says
:func:`fuxiflow.observations.profiles.refractivity_at`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fuxiflow.observations.bufr import Decoder, Failure
from fuxiflow.observations.profiles import refractivity_at
from fuxiflow.observations.readers import occultation_bufr, occultation_netcdf, reports
from fuxiflow.observations.readers.granule import Granule
from fuxiflow.observations.readers.occultation import PLATFORMS, Occultation
from fuxiflow.observations.readers.reports import Collector, Report
from fuxiflow.observations.rejection_codes import Reason

PREFIX = "refractivity_"
HIGHEST = 60_000
"""m: above, refractivity is a background's more than the occultation's."""
SOUNDINGS = 3  # data category of BUFR Table A: vertical soundings, satellite
_CHANNEL = re.compile(PREFIX + r"(0|[1-9]\d{0,4})")
_NETCDF = (b"CDF\1", b"CDF\2", b"CDF\5", b"\x89HDF")
_STAMP = re.compile(r"_(\w{4})\.\d{4}\.\d{3}\.\d{2}\.\d{2}\.\w\d{2}")  # in names of CDAAC's files
Period = tuple[np.datetime64, np.datetime64]
_ALWAYS = (
    np.datetime64("1995-04-01", "us"),
    np.datetime64("2100-01-01", "us"),
)  # GPS/MET was the first


def heights_of(channels: Sequence[str]) -> np.ndarray:
    """Heights in m of ``channels``; ValueError says which have none and how they are called."""
    found = [_CHANNEL.fullmatch(name) for name in channels]
    unknown = [
        name
        for name, match in zip(channels, found, strict=True)
        if not match or int(match[1]) > HIGHEST
    ]
    if unknown:
        raise ValueError(
            f"occultations have no channel {', '.join(unknown)}; known: {PREFIX} and a height in m, "
            f"{PREFIX}0 to {PREFIX}{HIGHEST}"
        )
    return np.array([int(match[1]) for match in found], float)


def read(
    files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Occultations in the order of their files; see :func:`fuxiflow.observations.readers.read`.

    One footprint each, where its tangent point is at 10 km (:data:`.occultation.POSITION_HEIGHT`), with the azimuth of
    the occultation plane; a zenith angle it has not. Those that the processing centre calls bad are refused.
    """
    heights = heights_of(channels)
    collector = Collector(channels)
    with (
        Decoder(occultation_netcdf.occultations) as netcdf,
        Decoder(occultation_bufr.occultations) as bufr,
    ):
        for path in map(Path, files):
            for found, period in _occultations(path, netcdf, bufr, collector):
                if found.platform not in platforms:
                    why = f"platform {found.platform or 'unknown'}, expected {', '.join(platforms)}"
                    collector.refuse(path.name, Reason.PLATFORM, why, 1)
                    continue
                values = refractivity_at(heights, found.height, found.refractivity)
                reason = Reason.QUALITY if found.flaw else Reason.USED
                collector.add(
                    path.name,
                    Report(
                        found.time,
                        found.lat,
                        found.lon,
                        found.platform,
                        "",
                        values,
                        period,
                        found.azimuth,
                        reason,
                    ),
                )
            yield from collector.granules()
    yield from collector.granules(rest=True)


def _occultations(
    path: Path, netcdf: Decoder, bufr: Decoder, collector: Collector
) -> Iterator[tuple[Occultation, Period]]:
    """The occultations of a file, with the period that their times have to lie in."""
    try:
        with open(path, "rb") as file:
            classic = file.read(4) in _NETCDF
        data = path.read_bytes() if classic else b""
    except OSError as error:
        collector.refuse(path.name, Reason.UNREADABLE, str(error), 0)
        return
    if not classic:
        for message, result in reports.decoded(path, bufr, collector, SOUNDINGS):
            for found in result:
                yield found, reports.about(message)
        return
    result = netcdf(data)
    if isinstance(result, Failure):
        collector.refuse(path.name, Reason.UNREADABLE, result.why, 0)
        return
    if not result:
        collector.refuse(path.name, Reason.EMPTY, "no profile", 0)
    for found in result:
        yield _named(found, path.name), _ALWAYS


def _named(found: Occultation, name: str) -> Occultation:
    """The occultation, with its platform from the name of a CDAAC file that does not tell it within."""
    stamp = _STAMP.search(name)
    if found.platform or not stamp:
        return found
    return replace(found, platform=PLATFORMS.get(stamp[1], stamp[1]))
