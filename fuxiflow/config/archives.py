"""Where the archives are: ``config/archive.yaml``."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from fuxiflow import ROOT
from fuxiflow.config import base
from fuxiflow.config.base import Section, complaint

FILE = ROOT / "config" / "archive.yaml"
Address = Annotated[str, Field(pattern=r"^https?://.*[^/]$")]


class Era5Archive(Section):
    """The Climate Data Store; ``days_per_request`` keeps a request below what the store accepts."""

    days_per_request: int = Field(8, gt=0, le=31)


class GfsArchive(Section):
    """A public bucket of GFS files with their ``.idx`` inventories."""

    url: Address
    resolution: Literal["0p25", "0p50", "1p00"] = "0p25"


class GranuleArchive(Section):
    """A public bucket with one folder a product and day."""

    url: Address
    products: list[str] = Field(min_length=1)


class Archives(Section):
    """All archives; ``sources`` is keyed by source name."""

    era5: Era5Archive = Era5Archive()
    gfs: GfsArchive
    sources: dict[str, GranuleArchive] = {}

    def source(self, name: str) -> GranuleArchive:
        """The archive of a source; KeyError lists those that have one."""
        if name not in self.sources:
            raise KeyError(
                f"no archive for source {name!r} in config/archive.yaml; known: {', '.join(self.sources)}"
            )
        return self.sources[name]


@cache
def load_archives(path: Path = FILE) -> Archives:
    """Read and check an archive file; ValueError names the file and the key at fault."""
    try:
        return Archives(**base.read_yaml(path))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {error}") from error
    except ValidationError as error:
        raise ValueError(f"{path}: {complaint(error)}") from error
