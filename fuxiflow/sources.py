"""Observation sources as data: one YAML file under ``config/sources`` for each instrument on a platform."""

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fuxiflow import ROOT

DIRECTORY = ROOT / "config" / "sources"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceChannel(_Section):
    """One channel of an instrument; ``noise`` is the NEdT in K (the embedded world draws from it)."""

    name: str
    frequency: str
    polarisation: Literal["QV", "QH", "V", "H"]
    unit: str = "K"
    noise: float = Field(gt=0)


class Quality(_Section):
    """Limits of the quality control: a plain range, and bi-weight z-scores in three latitude bands."""

    valid_min: float = 50.0
    valid_max: float = 350.0
    max_z: float = 6.0


class Gridding(_Section):
    """How footprints that share a cell and an hour become one value."""

    method: Literal["mean", "nearest"] = "mean"


class Orbit(_Section):
    """A sun-synchronous orbit, for the embedded world's swaths."""

    catalogue_number: int
    inclination: float
    ascending_node_hour: float
    revolutions_per_day: float


class Source(_Section):
    """An instrument on a platform.

    ``window`` is the span of hours about the analysis time whose observations enter the analysis, [start, end).
    """

    name: str
    long_name: str
    group: str
    instrument: str
    platform: str
    reader: str
    file_pattern: str
    window: tuple[int, int] = (-3, 5)
    channels: list[SourceChannel]
    quality: Quality = Quality()
    gridding: Gridding = Gridding()
    orbit: Orbit | None = None

    @property
    def channel_names(self) -> list[str]:
        """Names of the channels in instrument order."""
        return [channel.name for channel in self.channels]


def known() -> list[str]:
    """Names of all sources that have a file."""
    return sorted(path.stem for path in DIRECTORY.glob("*.yaml"))


@cache
def load(name: str) -> Source:
    """The source called ``name``; KeyError lists the known ones, ValueError names the file and key at fault."""
    path: Path = DIRECTORY / f"{name}.yaml"
    if not path.exists():
        raise KeyError(f"unknown source {name!r}; known: {', '.join(known())}")
    try:
        source = Source(name=name, **yaml.safe_load(path.read_text()))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return source


def by_source(names: list[str], paths: list[Path]) -> dict[str, list[Path]]:
    """Sort paths ``…/{source}/{file}`` by source."""
    return {name: [path for path in paths if path.parent.name == name] for name in names}
