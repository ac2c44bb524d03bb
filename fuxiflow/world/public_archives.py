"""Publish all raw files of the embedded world in the layouts of public archives, as a folder.

The folder holds what is at the addresses of ``config/archive.yaml`` and of WeatherBench2, each
bucket being a folder: :func:`place_of` tells where. A server of the folder is a mirror of all
(:mod:`fuxiflow.world.public_server`).
"""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from fuxiflow.config.archives import (
    GranuleArchive,
    NnjaAiArchive,
    OccultationArchive,
    load_archives,
)
from fuxiflow.config.configuration import Config
from fuxiflow.storage.files import publish, remove, temporary
from fuxiflow.world.public_states import publish_states
from fuxiflow.world.publication import publish_nnja_ai, publish_occultations

DATA_SETS = "https://storage.googleapis.com/weatherbench2/datasets"
"""Address of WeatherBench2's stores."""
_GRANULE = re.compile(r"(SATMS|GATMO)_\w+?_d(\d{4})(\d{2})(\d{2})_")
_PRODUCTS = {"SATMS": "ATMS-SDR", "GATMO": "ATMS-SDR-GEO"}
_S3_HOST = re.compile(r"(.+)\.s3[.-][a-z0-9-]*\.?amazonaws\.com")


def place_of(address: str) -> str:
    """Return where what is at an address lies in the folder: the bucket, and the path in it.

    S3 has the bucket in the name of the host, Google's storage in the path.
    """
    parts = urlsplit(address)
    bucket = _S3_HOST.fullmatch(parts.netloc)
    return (f"{bucket[1]}{parts.path}" if bucket else parts.path).strip("/")


def publish_world(config: Config, raw: Path, folder: Path) -> None:
    """Publish ERA5, GFS and all sources whose archive has a public layout.

    Parameters
    ----------
    config : Config
        The configuration of the embedded world.
    raw : Path
        Its raw files.
    folder : Path
        The folder to write; it appears whole, in place of one that was there.

    Raises
    ------
    ValueError
        When the configuration is not of the embedded world, or a source has no public layout.
    FileNotFoundError
        When its raw files are not there.
    """
    if config.kind != "embedded":
        raise ValueError(f"{config.name}: kind is {config.kind}, allowed: embedded")
    if not (raw / "era5" / "invariants").is_dir():
        raise FileNotFoundError(f"{raw}: no raw files; make them with the target 'world'")
    written = temporary(folder)
    remove(written)
    try:
        publish_states(config, raw, written / place_of(DATA_SETS))
        _publish_sources(config, raw, written)
        publish(written, folder)
    finally:
        remove(written)


def _publish_sources(config: Config, raw: Path, target: Path) -> None:
    """Publish the sources.

    Parameters
    ----------
    config : Config
        The configuration of the embedded world.
    raw : Path
        Its raw files.
    target : Path
        The folder to write.

    Raises
    ------
    ValueError
        When the archive of a source has another layout than those that are written.
    """
    archives = load_archives(changes=config.archives)
    for name in config.sources:
        archive = archives.sources.get(name)
        folders = sorted(path for path in (raw / name).iterdir() if path.is_dir())
        if isinstance(archive, NnjaAiArchive):
            publish_nnja_ai(folders, archive, target / place_of(archive.url))
        elif isinstance(archive, OccultationArchive):
            publish_occultations(folders, archive, target / place_of(archive.url))
        elif isinstance(archive, GranuleArchive):
            _publish_granules(folders, target / place_of(archive.url))
        else:
            raise ValueError(
                f"{name}: its archive in config/archive.yaml has no public layout that is written, "
                f"allowed: nnja_ai, gnssro, granules of ATMS"
            )


def _publish_granules(folders: Iterable[Path], target: Path) -> None:
    """Publish granules of ATMS as NOAA's bucket has them, ``{product}/YYYY/MM/DD/{file}``."""
    for path in (path for folder in folders for path in sorted(folder.iterdir())):
        if match := _GRANULE.match(path.name):
            kind, *day = match.groups()
            place = target / _PRODUCTS[kind] / "/".join(day) / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
