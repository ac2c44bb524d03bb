"""GNSS radio occultation: refractivity at heights, from NetCDF and from BUFR.

The first octets of a file tell its format, so one source may hold several. Channels are called
``refractivity_`` and a whole height in m above mean sea level; levels become heights in
:func:`fuxiflow.observations.profiles.refractivity_at`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fuxiflow.observations.decoding_process import DecodingFailure, DecodingProcess
from fuxiflow.observations.profiles import refractivity_at
from fuxiflow.observations.readers.granule import Granule
from fuxiflow.observations.readers.occultation import (
    PLATFORMS,
    Occultation,
    occultations_of_bufr,
)
from fuxiflow.observations.readers.occultation_names import (
    bucket_name,
    platform_of_receiver,
    rivals_by_occultation,
)
from fuxiflow.observations.readers.occultation_netcdf import occultations_of_netcdf
from fuxiflow.observations.readers.reports import (
    DAY,
    Report,
    ReportCollector,
    messages_of_category,
    period_about,
)
from fuxiflow.observations.rejection_codes import Reason

PREFIX = "refractivity_"
HIGHEST = 60_000
"""m: above, refractivity is a background's more than the occultation's."""
SOUNDINGS = 3  # data category of BUFR Table A: vertical soundings, satellite
_CHANNEL = re.compile(PREFIX + r"(0|[1-9]\d{0,4})")
_NETCDF = (b"CDF\1", b"CDF\2", b"CDF\5", b"\x89HDF")
_STAMP = re.compile(r"_(\w{4})\.\d{4}\.\d{3}\.\d{2}\.\d{2}\.\w\d{2}")  # in names of CDAAC's files
Period = tuple[np.datetime64, np.datetime64]
# GPS/MET was the first
_ALWAYS = (np.datetime64("1995-04-01", "us"), np.datetime64("2100-01-01", "us"))


def heights_of(channels: Sequence[str]) -> np.ndarray:
    """Return the heights ``(channel,)`` in m of channels.

    ValueError names the channels without a height, and says how channels are called.
    """
    matches = [_CHANNEL.fullmatch(name) for name in channels]
    unknown = [
        name
        for name, match in zip(channels, matches, strict=True)
        if not match or int(match[1]) > HIGHEST
    ]
    if unknown:
        raise ValueError(
            f"occultations have no channel {', '.join(unknown)}; known: {PREFIX} and a height in "
            f"m, {PREFIX}0 to {PREFIX}{HIGHEST}"
        )
    return np.array([int(match[1]) for match in matches], float)


def read(
    files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read occultations in the order of their files.

    One is a footprint at its tangent point at 10 km (:data:`.occultation.POSITION_HEIGHT`), with
    the azimuth of the occultation plane and without a zenith angle. Those that the processing
    centre calls bad are refused. Of the files of one occultation in the bucket gnss-ro-data the
    first that can be decoded is used, in the order of
    :data:`fuxiflow.observations.readers.occultation_names.CENTRES`.

    Parameters
    ----------
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`. Channels are ``refractivity_`` and a height
        in m, up to :data:`HIGHEST`.

    Yields
    ------
    Granule
        Occultations of many files each.
    """
    heights = heights_of(channels)
    collector = ReportCollector(channels)
    # neither process starts before a file of its format comes
    with (
        DecodingProcess(occultations_of_netcdf) as netcdf,
        DecodingProcess(occultations_of_bufr) as bufr,
    ):
        for rivals in rivals_by_occultation([Path(file) for file in files]):
            decoded = ""
            for path in rivals:
                if decoded:
                    why = f"the same occultation as {decoded}, which is used"
                    collector.refuse(path.name, Reason.SUPERSEDED, why, 1)
                    continue
                for occultation, period in _occultations(path, netcdf, bufr, collector):
                    add_occultation(path.name, occultation, period, collector, platforms, heights)
                    decoded = path.name
            yield from collector.granules()
    yield from collector.granules(rest=True)


def add_occultation(
    file: str,
    occultation: Occultation,
    period: Period,
    collector: ReportCollector,
    platforms: Sequence[str],
    heights: np.ndarray,
) -> None:
    """Add an occultation to the reports, or refuse it where it is of another platform.

    Parameters
    ----------
    file : str
        Name of its file.
    occultation : Occultation
        The profile.
    period : Period
        First and last time that it may have.
    collector : ReportCollector
        Takes it.
    platforms : Sequence[str]
        Platforms of the source.
    heights : np.ndarray
        Heights of the channels, in m.
    """
    platform = occultation.platform
    if platform not in platforms:
        why = f"platform {platform or 'unknown'}, expected {', '.join(platforms)}"
        collector.refuse(file, Reason.PLATFORM, why, 1)
        return
    report = Report(
        occultation.time,
        occultation.lat,
        occultation.lon,
        platform,
        "",
        refractivity_at(heights, occultation.height, occultation.refractivity),
        period,
        occultation.azimuth,
        reason=Reason.QUALITY if occultation.flaw else Reason.USED,
    )
    collector.add(file, report)
    if occultation.dated_by_header:
        collector.lose(file, occultation.time, "time", Reason.HEADER_DATE)


def _occultations(
    path: Path, netcdf: DecodingProcess, bufr: DecodingProcess, collector: ReportCollector
) -> Iterator[tuple[Occultation, Period]]:
    """Decode the occultations of a file.

    Parameters
    ----------
    path : Path
        The file.
    netcdf, bufr : DecodingProcess
        Decode a NetCDF file and a BUFR message.
    collector : ReportCollector
        Refusals are added to it.

    Yields
    ------
    occultation : Occultation
        One profile.
    period : Period
        First and last time that it may have.
    """
    try:
        with open(path, "rb") as file:
            is_netcdf = file.read(4) in _NETCDF
        data = path.read_bytes() if is_netcdf else b""
    except OSError as error:
        collector.refuse(path.name, Reason.UNREADABLE, str(error), 0)
        return
    if not is_netcdf:
        for message, occultations in messages_of_category(path, bufr, collector, SOUNDINGS):
            for occultation in occultations:
                yield occultation, period_about(message, occultation.time)
        return
    result = netcdf(data)
    if isinstance(result, DecodingFailure):
        collector.refuse(path.name, Reason.UNREADABLE, result.why, 0)
        return
    if not result:
        collector.refuse(path.name, Reason.EMPTY, "no profile", 0)
    name = bucket_name(path.name)
    period = (name.time - DAY, name.time + DAY) if name else _ALWAYS
    for occultation in result:
        yield _with_platform(occultation, path.name), period


def _with_platform(occultation: Occultation, file: str) -> Occultation:
    """Complete an occultation's platform from the name of a file that lacks it within."""
    if occultation.platform:
        return occultation
    if name := bucket_name(file):
        return replace(occultation, platform=platform_of_receiver(name.receiver))
    stamp = _STAMP.search(file)
    return (
        replace(occultation, platform=PLATFORMS.get(stamp[1], stamp[1])) if stamp else occultation
    )
