"""Publish raw files of the embedded world in the layouts of public archives, below a folder.

The folder is what an archive's base address stands for. Layouts are those that
:mod:`fuxiflow.archive.nnja_ai` and :mod:`fuxiflow.archive.occultations` fetch from.
"""

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from fuxiflow.archive.occultations import mission_folder
from fuxiflow.config.archives import NnjaAiArchive, OccultationArchive
from fuxiflow.observations.clocks import GPS_EPOCH, gps_of_utc
from fuxiflow.observations.readers.occultation_netcdf import occultations_of_netcdf
from fuxiflow.world.writers.open_occultation import write_open_occultation

RECEIVERS = {
    "COSMIC-2": ("cosmic2", tuple(f"cosmic2e{i}" for i in range(1, 7))),
    "Metop-A": ("metop", ("metopa",)),
    "Metop-B": ("metop", ("metopb",)),
    "Metop-C": ("metop", ("metopc",)),
}
"""Missions and receivers of platforms, by their names in WMO OSCAR and in gnss-ro-data."""
RELEASE = "fuxisim"
"""Stands in names of occultations where a centre has the release of its software."""
_DAY_OF_NAME = re.compile(r"gdas\.(\d{4})(\d{2})(\d{2})\.(NC\d{6})\.parquet")
_TRANSMITTERS = 32
_NUMBERED = re.compile(r"(.+)_(?:(PRLC)|0)\d+")


def publish_nnja_ai(folders: Iterable[Path], archive: NnjaAiArchive, target: Path) -> list[Path]:
    """Publish Parquet files of a source as NNJA-AI lays them out.

    ``{data set}/OBS_DATE=YYYY-MM-DD/{file}``, with the description of each data set and their
    catalogue. A data set that the world has nothing of is there with its description alone.

    Parameters
    ----------
    folders : iterable of Path
        Raw folders of the source, one a segment.
    archive : NnjaAiArchive
        Its data sets.
    target : Path
        Folder of the archive; what other sources have published there is kept.

    Returns
    -------
    list of Path
        The files of days.
    """
    matches = {
        path: match
        for folder in folders
        for path in sorted(Path(folder).iterdir())
        if (match := _DAY_OF_NAME.fullmatch(path.name))
    }
    published = []
    for data_set in archive.data_sets:
        message = data_set.rpartition("/")[2]
        columns: list[str] = []
        for path, match in matches.items():
            year, month, day, kind = match.groups()
            if kind == message:
                place = target / data_set / f"OBS_DATE={year}-{month}-{day}" / path.name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
                published.append(place)
                columns = columns or pq.read_schema(path).names
        _describe(data_set, columns, target)
    return published


def _describe(data_set: str, columns: Sequence[str], target: Path) -> None:
    """Write the description of a data set, and name it in the catalogue.

    Parameters
    ----------
    data_set : str
        Its path, ``{sensor}/{source}/{message}``.
    columns : Sequence[str]
        Columns of its files.
    target : Path
        Folder of the archive.
    """
    sensor, source, message = data_set.split("/")
    place = target / data_set / ".pmetadata"
    place.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "name": f"{sensor}-{source}-{message}",
        "description": "fuxiflow embedded world: synthetic observations",
        "tags": ["synthetic"],
    }
    variables, dimensions = {}, {}
    for column in columns:
        match = _NUMBERED.fullmatch(column)
        name, dimension = column, None
        if match:
            name, dimension = match[1], "pressure" if match[2] else "channel"
            number = int(re.search(r"\d+$", column)[0])
            dimensions.setdefault(dimension, set()).add(number)
        variables[name] = {
            "id": name,
            "description": "",
            "category": "primary data" if dimension else "primary descriptors",
            "dimension": dimension,
            "extra_metadata": {},
        }
    formats = {"channel": (None, "{:05.0f}"), "pressure": ("Pa", "PRLC{:d}")}
    described = about | {
        "parquet_root_path": data_set,
        "dimensions": [
            {
                name: {
                    "units": formats[name][0],
                    "values": sorted(numbers),
                    "format_str": formats[name][1],
                }
            }
            for name, numbers in dimensions.items()
        ],
        "variables": list(variables.values()),
    }
    place.write_text(json.dumps(described, indent=1), encoding="utf-8")
    catalogue = target / "catalog.json"
    groups = json.loads(catalogue.read_text(encoding="utf-8")) if catalogue.exists() else {}
    group = groups.setdefault(f"{sensor}-{source}", {"description": "", "datasets": {}})
    group["datasets"][message] = about | {"json": f"{data_set}/.pmetadata"}
    catalogue.write_text(json.dumps(groups, indent=1, sort_keys=True), encoding="utf-8")


def publish_occultations(
    folders: Iterable[Path], archive: OccultationArchive, target: Path
) -> list[Path]:
    """Publish occultations as the bucket gnss-ro-data lays them out, one file each.

    Parameters
    ----------
    folders : iterable of Path
        Raw folders of the source, one a segment, with files of a day.
    archive : OccultationArchive
        Missions; those of platforms that are not in the bucket are left out.
    target : Path
        Folder of the bucket.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ValueError
        When the archive asks for another layout than the one that is written.
    """
    asked = archive.version, archive.filetype
    if asked != ("v1.1", "refractivityRetrieval"):
        raise ValueError(f"occultations are published as v1.1 refractivityRetrieval, not {asked}")
    centres = dict(mission.split("/") for mission in archive.missions)
    published = []
    for folder in folders:
        for path in sorted(Path(folder).glob("*.nc")):
            seen: dict[str, int] = {}
            for occultation in occultations_of_netcdf(path.read_bytes()):
                mission, receivers = RECEIVERS.get(occultation.platform, ("", ()))
                if mission not in centres:
                    continue
                rank = seen[occultation.platform] = seen.get(occultation.platform, -1) + 1
                seconds = gps_of_utc(occultation.time)
                # the bucket has days and names by GPS time
                clock = GPS_EPOCH + np.timedelta64(round(seconds * 1e6), "us")
                moment = clock.astype("datetime64[us]").item()
                # a receiver sees a transmitter again after hours alone, across midnight too
                transmitter = (moment.toordinal() * 7 + rank) % _TRANSMITTERS + 1
                centre = centres[mission]
                name = (
                    f"{archive.filetype}_{mission}_{centre}_{RELEASE}_G{transmitter:02d}-"
                    f"{receivers[rank % len(receivers)]}-{moment:%Y%m%d%H%M}.nc"
                )
                start = mission_folder(archive, mission, centre)
                place = target / f"{start}{moment:%Y/%m/%d}" / name
                place.parent.mkdir(parents=True, exist_ok=True)
                published.append(write_open_occultation(place, occultation, seconds))
    return published
