"""Findings about buckets of observations: granules and occultations.

What is expected: NOAA's registry page of JPSS, the bucket gnss-ro-data's Data Description.
"""

import io
import re
from datetime import date, datetime, timedelta

import h5py
import numpy as np
import requests

from fuxiflow.archive.findings import ProviderReport, lacking, outside_period, shortened
from fuxiflow.archive.listings import has_objects, list_folders, list_objects
from fuxiflow.archive.occultations import SUFFIXES, mission_folder
from fuxiflow.archive.retries import DownloadError
from fuxiflow.archive.transfer import get_file
from fuxiflow.config.archives import GranuleArchive, OccultationArchive

LARGEST_PIECE = 64 << 20
"""Bytes of a file that is read whole."""
GPS_EPOCH, LEAP_SECONDS = datetime(1980, 1, 6), 18
JPSS_CONTENT = {
    "ATMS-SDR": "All_Data/ATMS-SDR_All/BrightnessTemperature",
    "ATMS-SDR-GEO": "All_Data/ATMS-SDR-GEO_All/Latitude",
}
"""Data sets of JPSS's files, by product."""
JPSS_NAMES = {
    "ATMS-SDR": r"SATMS_\w+_d\d{8}_t\d{7}_e\d{7}_b\d{5}_c\d+_\w+\.h5",
    "ATMS-SDR-GEO": r"GATMO_\w+_d\d{8}_t\d{7}_e\d{7}_b\d{5}_c\d+_\w+\.h5",
}
OCCULTATION_CONTENT = {
    "v1.1": (
        *("refTime", "refLatitude", "refLongitude", "radiusOfCurvature", "undulation"),
        *("impactParameter", "bendingAngle", "altitude", "latitude", "longitude", "refractivity"),
        "quality",
    ),
    "v2.0": (
        *("time", "reference_latitude", "reference_longitude"),
        *("pre_Abel/radius_of_curvature", "pre_Abel/geoid_undulation"),
        *("pre_Abel/impact_parameter", "pre_Abel/bending_angle", "post_Abel/altitude"),
        *("post_Abel/latitude", "post_Abel/longitude", "post_Abel/refractivity"),
        "post_Abel/quality",
    ),
}
"""Variables of measured refractivity, by version."""
_FILL = 9e20  # a fill value is -9.99e20


def day_folders(
    session: requests.Session, url: str, prefix: str
) -> tuple[date | None, date | None]:
    """Return the first and last day of which a bucket has a folder ``YYYY/MM/DD``.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    url : str
        Address of the bucket.
    prefix : str
        Beginning of the folders, with a slash at its end.

    Returns
    -------
    tuple of date or None
        None where there are no such folders.
    """
    years = _numbered(list_folders(session, url, prefix))
    days = []
    for choose in (min, max) if years else ():
        path = [choose(years)]
        while path and len(path) < 3:
            folders = _numbered(list_folders(session, url, f"{prefix}{'/'.join(path)}/"))
            path = [*path, choose(folders)] if folders else []
        days.append(date(*map(int, path)) if path else None)
    return (days[0], days[1]) if days else (None, None)


def _numbered(folders: list[str]) -> list[str]:
    return [name for name in folders if name.isdigit()]


def check_granules(
    session: requests.Session,
    report: ProviderReport,
    archive: GranuleArchive,
    days: tuple[str, str] | None,
) -> None:
    """Compare a bucket of granules with what is read of it.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    archive : GranuleArchive
        Address and products.
    days : tuple of str or None
        First and last day that are needed.
    """
    for product in archive.products:
        first, last = day_folders(session, archive.url, f"{product}/")
        report.expect(f"{product}: folders by day", "" if last else "there are none")
        if last is None:
            continue
        report.newest_day = max(report.newest_day, str(last))
        report.expect(
            f"{product}: days {spell_days(days)}", outside_period(str(first), str(last), days)
        )
        folder = f"{product}/{last:%Y/%m/%d}/"
        key, length = next(list_objects(session, archive.url, folder), ("", 0))
        name = key.rpartition("/")[2]
        if product not in JPSS_CONTENT:
            continue
        matches = bool(re.fullmatch(JPSS_NAMES[product], name))
        report.expect(f"{product}: names of files", "" if matches else f"one is {name}")
        if length > LARGEST_PIECE:
            report.expect(f"{product}: files of a granule", f"{name} has {length / 1e6:.0f} MB")
            continue
        with _netcdf(get_file(session, f"{archive.url}/{key}").content, key) as file:
            place = JPSS_CONTENT[product]
            report.expect(f"{product}: {place}", "" if place in file else "it is not there")


def spell_days(days: tuple[str, str] | None) -> str:
    """Return a period in words, that of anybody where there is none."""
    return f"{days[0]} to {days[1]}" if days else "that anybody needs"


def _netcdf(content: bytes, key: str) -> h5py.File:
    """Open a file of HDF5 or NetCDF-4 in memory; DownloadError where it is none."""
    try:
        return h5py.File(io.BytesIO(content), "r")
    except OSError as error:
        raise DownloadError(f"{key}: no whole NetCDF-4 or HDF5 ({error})") from error


def check_occultations(
    session: requests.Session,
    report: ProviderReport,
    archive: OccultationArchive,
    days: tuple[str, str] | None,
) -> None:
    """Compare a bucket of occultations with what is read of it.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    archive : OccultationArchive
        Address, version, missions and their centres.
    days : tuple of str or None
        First and last day that are needed.
    """
    spans = []
    for entry in archive.missions:
        mission, centre = entry.split("/")
        folder = mission_folder(archive, mission, centre)
        first, last = day_folders(session, archive.url, folder)
        report.expect(
            f"{entry}: files by day in {folder}YYYY/MM/DD",
            "" if last else "there are none",
            assumed=True,
        )
        if last is None:
            continue
        spans.append((str(first), str(last)))
        report.newest_day = max(report.newest_day, str(last))
        _check_occultation(session, report, archive, entry, last)
    if days and spans:
        first, last = min(start for start, _ in spans), max(end for _, end in spans)
        report.expect(f"days {spell_days(days)}", outside_period(first, last, days))
        for day in map(date.fromisoformat, days):
            there = any(
                has_objects(
                    session,
                    archive.url,
                    f"{mission_folder(archive, *entry.split('/'))}{day:%Y/%m/%d}/",
                )
                for entry in archive.missions
            )
            report.expect(
                f"occultations on {day}", "" if there else "there are none", matters=False
            )


def _check_occultation(
    session: requests.Session,
    report: ProviderReport,
    archive: OccultationArchive,
    entry: str,
    day: date,
) -> None:
    """Read an occultation of a day.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    archive : OccultationArchive
        The bucket.
    entry : str
        Mission and centre.
    day : date
        The day.
    """
    mission, centre = entry.split("/")
    folder = f"{mission_folder(archive, mission, centre)}{day:%Y/%m/%d}/"
    keys = (key for key, _ in list_objects(session, archive.url, folder) if key.endswith(SUFFIXES))
    key = next(keys, "")
    report.expect(f"{entry}: NetCDF files", "" if key else f"{folder} has none")
    if not key:
        return
    name = key.rpartition("/")[2]
    start = (
        f"{archive.filetype}_{mission}_{centre}"
        if archive.version == "v1.1"
        else f"gnssro_{mission}_{centre}_l2"
    )
    ending = rf"_[A-Z]\d\d-\w+-{day:%Y%m%d}\d{{4}}\.nc4?"
    matches = name.startswith(start) and re.search(ending, name)
    report.expect(
        f"{entry}: names {start}…_G05-receiver-YYYYMMDDhhmm.nc of the folder's day",
        "" if matches else f"one is {name}",
        assumed=True,
    )
    with _netcdf(get_file(session, f"{archive.url}/{key}").content, key) as file:
        if archive.filetype == "refractivityRetrieval":
            names = OCCULTATION_CONTENT[archive.version]
            report.expect(
                f"{entry}: variables {shortened(names)}",
                lacking(name for name in names if name not in file),
            )
        receiver = {"receiver", "leo"} & {*file.attrs}
        report.expect(
            f"{entry}: an attribute names the receiver",
            "" if receiver else f"attributes are {shortened(file.attrs, 12)}: its name is taken",
            assumed=True,
            matters=False,
        )
        version_1 = archive.version == "v1.1"
        _check_occultation_time(report, file, entry, day, "refTime" if version_1 else "time")
        groups = ("", "") if version_1 else ("pre_Abel/", "post_Abel/")
        impact = groups[0] + ("impactParameter" if version_1 else "impact_parameter")
        for place, rising in ((f"{groups[1]}altitude", True), (impact, False)):
            if place in file:
                _check_heights(report, file[place], f"{entry}: {place}", rising)


def _check_occultation_time(
    report: ProviderReport, file: h5py.File, entry: str, day: date, name: str
) -> None:
    """Compare the time of an occultation, GPS seconds, with the day of its folder.

    Parameters
    ----------
    report : ProviderReport
        Takes the finding.
    file : h5py.File
        The file.
    entry : str
        Mission and centre.
    day : date
        The day of the folder.
    name : str
        Name of the time.
    """
    if name not in file:
        return
    seconds = float(np.ravel(file[name][()])[0])
    in_reach = abs(seconds) < 1e10
    moment = GPS_EPOCH + timedelta(seconds=seconds - LEAP_SECONDS) if in_reach else None
    inside = moment and abs((moment.date() - day).days) <= 1
    report.expect(
        f"{entry}: {name} in GPS seconds",
        "" if inside else f"{seconds:g} is {moment}, the folder is of {day}",
        assumed=True,
    )


def _check_heights(report: ProviderReport, values: h5py.Dataset, place: str, rising: bool) -> None:
    """Compare unit and direction of heights.

    Parameters
    ----------
    report : ProviderReport
        Takes the findings.
    values : h5py.Dataset
        The heights.
    place : str
        How they are called.
    rising : bool
        Whether they are expected to rise.
    """
    unit = values.attrs.get("units", b"")
    unit = unit.decode() if isinstance(unit, bytes) else str(unit)
    in_metres = unit in ("", "m", "meter", "meters", "metre", "metres", "km")
    report.expect(f"{place} in metres", "" if in_metres else f"its unit is {unit}")
    heights = values[()]
    steps = np.diff(heights[np.abs(heights) < _FILL])
    runs = (steps > 0).all() if rising else (steps < 0).all()
    word = "rises" if rising else "falls"
    report.expect(f"{place} {word}", "" if runs else "it does not", matters=False)
