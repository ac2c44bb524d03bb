"""Addresses of the public archives: ``config/archive.yaml``."""

import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from fuxiflow import ROOT
from fuxiflow.config.base import (
    Section,
    complaints,
    did_you_mean,
    lay_over,
    read_yaml,
    unknown,
)

FILE = ROOT / "config" / "archive.yaml"
Address = Annotated[str, Field(pattern=r"^https?://.*[^/]$")]


def grid_in_address(url: str) -> str:
    """Return the columns and rows that the name of a store tells, ``64x32``; empty without any."""
    match = re.search(r"[-_](\d+x\d+)(?=[_.-]|$)", url.rpartition("/")[2])
    return match[1] if match else ""


def cells_in_address(url: str) -> int | None:
    """Return the cells of the grid that the name of a store tells; None without any."""
    grid = grid_in_address(url)
    return math.prod(map(int, grid.split("x"))) if grid else None


class Era5Store(Section):
    """A public Zarr store of ERA5, which needs no account."""

    url: Address
    """Base address of the store, or of a mirror of it, without a slash at its end."""


class Era5Archive(Section):
    """Access to ERA5, by a provider that is chosen.

    The key of the Climate Data Store comes from CDSAPI_URL and CDSAPI_KEY or from ``~/.cdsapirc``.
    """

    provider: Literal["cds", "wb2", "arco"] = "cds"
    """``cds``: the Climate Data Store, which needs an account and queues requests. ``wb2``: a store
    of WeatherBench2, up to January 2023, on a grid that its address chooses. ``arco``: Google's
    ARCO-ERA5, 0.25 degrees, up to some days ago. What is in the raw store is not asked for again,
    whoever it came from."""
    days_per_request: int = Field(8, gt=0, le=31)
    """Days asked of ``cds`` at once. The store refuses requests that are too large."""
    wb2: Era5Store | None = None
    """The store of ``wb2``: 13 levels, every 6 hours; by default none."""
    arco: Era5Store | None = None
    """The store of ``arco``: 37 levels, every hour, of which what is needed is taken; by default
    none."""

    @model_validator(mode="after")
    def _has_store(self):
        if self.provider != "cds" and getattr(self, self.provider) is None:
            raise ValueError(f"{self.provider}: none, allowed: its url, as provider names it")
        return self

    @property
    def store_url(self) -> str:
        """Address of the provider's Zarr store; empty where it is the Climate Data Store."""
        return "" if self.provider == "cds" else getattr(self, self.provider).url


class GfsArchive(Section):
    """A public bucket of GFS files with their ``.idx`` inventories."""

    url: Address
    """Base address of the bucket, or of a mirror of the same layout, without a slash at its end."""
    resolution: Literal["0p25", "0p50", "1p00"] = "0p25"
    """Grid of the files: 0.25, 0.5 or 1 degree."""


class GranuleArchive(Section):
    """A public bucket with one folder for each product and day."""

    layout: Literal["granules"] = "granules"
    """Layout of the archive; ``granules`` where it is not given."""
    url: Address
    """Base address of the bucket, or of a mirror of the same layout, without a slash at its end."""
    products: list[str] = Field(min_length=1)
    """The products that make up one granule, as the bucket names them."""


class NnjaAiArchive(Section):
    """NNJA-AI: observations as Parquet, a file for each day and message."""

    layout: Literal["nnja_ai"]
    """Layout of the archive."""
    url: Address
    """Address of its folder ``data/v1``, or of a mirror of the same layout, without a slash at its
    end."""
    data_sets: list[Annotated[str, Field(pattern=r"^\w+/\w+/\w+$")]] = Field(min_length=1)
    """Data sets as ``sensor/source/message``, such as ``amsua/1bamua/NC021023``."""


class OccultationArchive(Section):
    """The public bucket gnss-ro-data of radio occultations, one file each."""

    layout: Literal["gnssro"]
    """Layout of the archive."""
    url: Address
    """Base address of the bucket, or of a mirror of the same layout, without a slash at its end."""
    version: Literal["v1.1", "v2.0"] = "v1.1"
    """Version of the files and of their folders."""
    filetype: Literal["refractivityRetrieval", "atmosphericRetrieval"] = "refractivityRetrieval"
    """Files of measured refractivity, or of retrievals with a prior."""
    missions: list[Annotated[str, Field(pattern=r"^\w+/\w+$")]] = Field(min_length=1)
    """Missions, each with the centre that has processed it, as ``metop/ucar``.

    Both as the bucket names them. A run that changes the list gives all of it."""


class NcepArchive(Section):
    """NCEP's BUFR in the public archive NNJA, a file for each cycle of six hours."""

    layout: Literal["ncep"]
    """Layout of the archive."""
    url: Address
    """Base address of the bucket, or of a mirror of the same layout, without a slash at its end."""
    data_sets: list[Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)*$")]] = Field(min_length=1)
    """Folders above those of the years, such as ``observations/reanalysis/amsua/1bamua``."""


LAYOUTS: dict[str, type[Section]] = {
    "granules": GranuleArchive,
    "nnja_ai": NnjaAiArchive,
    "gnssro": OccultationArchive,
    "ncep": NcepArchive,
}
"""Sections of archives of sources, by ``layout``."""


def _of_layout(value: object) -> object:
    """Check the archive of a source as the section of its layout."""
    if isinstance(value, Section):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"{value!r}, allowed: keys with values")
    layout = value.get("layout", "granules")
    if not isinstance(layout, str) or layout not in LAYOUTS:
        raise ValueError(unknown("layout", layout, LAYOUTS))
    try:
        return LAYOUTS[layout].model_validate(value)
    except ValidationError as error:
        raise ValueError("\n".join(complaints(error, LAYOUTS[layout]))) from error


SourceArchive = Annotated[
    GranuleArchive | NnjaAiArchive | OccultationArchive | NcepArchive, BeforeValidator(_of_layout)
]


class BestTrackArchive(Section):
    """NCEI's public folder of IBTrACS, the best tracks of tropical cyclones."""

    url: Address
    """Address of its folder ``access``, or of a mirror, without a slash at its end."""
    version: str = Field("v04r01", pattern=r"^v\d\dr\d\d$")
    """Version of the files."""
    part: Literal[
        "ALL", "NA", "EP", "WP", "NI", "SI", "SP", "SA", "since1980", "last3years", "ACTIVE"
    ] = "since1980"
    """Basin or years that the file holds."""


class OpenDataArchive(Section):
    """ECMWF's open data: forecasts as GRIB 2 with indices, a file for each step."""

    url: Address
    """Base address, above the folders of days, or of a mirror, without a slash at its end."""
    model: Literal["ifs", "aifs-single"] = "ifs"
    """Model of the forecasts: ``ifs`` is HRES."""
    resolution: Literal["0p25"] = "0p25"
    """Grid of the files: 0.25 degrees; of before March 2024 those of 0.4 degrees are taken too."""


class Provider(Section):
    """The archive of a product as somebody meets it who has to fetch files from there."""

    archive: str
    """Name of the archive, with the collection where it has one."""
    address: str
    """Address of its web page."""
    account: str
    """Account that is needed, or none."""
    licence: str
    """Terms of use."""
    gb_per_month: float = Field(gt=0)
    """Gigabytes of a month of all its platforms, roughly."""


class Archives(Section):
    """All archives."""

    era5: Era5Archive = Era5Archive()
    """Access to ERA5."""
    gfs: GfsArchive
    """Access to GFS."""
    sources: dict[str, SourceArchive] = {}
    """Archives by name of the source. You bring the files of a source that has none here."""
    ibtracs: BestTrackArchive | None = None
    """Access to best tracks of cyclones; by default none."""
    ecmwf_open_data: OpenDataArchive | None = None
    """Access to forecasts of ECMWF; by default none."""

    providers: dict[str, Provider] = {}
    """Archives as people meet them, by era5, gfs or the name of a source: told where files lack."""

    def source(self, name: str) -> SourceArchive:
        """Return the archive of a source; KeyError lists those that have one."""
        if name not in self.sources:
            raise KeyError(
                f"no archive for source {name!r} in config/archive.yaml; "
                f"known: {', '.join(self.sources)}{did_you_mean(name, self.sources)}"
            )
        return self.sources[name]


@cache
def _contents(path: Path) -> dict:
    """Return the values of an archive file."""
    try:
        values = read_yaml(path)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected keys with values")
    return values


def load_archives(path: Path = FILE, changes: Mapping | None = None) -> Archives:
    """Read and check an archive file.

    Parameters
    ----------
    path : Path
        The file.
    changes : mapping, optional
        What a configuration lays over it, its section ``archives``.

    Returns
    -------
    Archives
        All archives.

    Raises
    ------
    ValueError
        With a line for each mistake, with its key and the file, or the section that changes it.
    """
    place = "archives." if changes else f"{path}: "
    try:
        return Archives(**lay_over(_contents(path), changes or {}))
    except ValidationError as error:
        lines = complaints(error, Archives)
        raise ValueError("\n".join(f"{place}{line}" for line in lines)) from error
