"""Granules of swaths in the format of their source: each reader has a writer."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import numpy as np

from fuxiflow.config.sources import Platform, Source
from fuxiflow.observations.orbits import Swath
from fuxiflow.world.writers import atms_sdr, atovs_bufr, fy3_hdf5, nnja_parquet


def write_granules(
    directory: Path,
    source: Source,
    day: date,
    granules: Iterable[nnja_parquet.Rows],
    noise: np.ndarray,
) -> list[int]:
    """Write the granules of one day in the format that their source's reader expects.

    Parameters
    ----------
    directory : Path
        Where the files are written.
    source : Source
        The sounder, whose reader tells the format: a file each, or all in one.
    day : date
        The day, in UTC.
    granules : iterable of Rows
        Platform, swath, and brightness temperatures in K, ``(scan, field of view, channel)``.
    noise : np.ndarray
        Random error of the channels in K, ``(channel,)``.

    Returns
    -------
    list of int
        Footprints of the granules.
    """
    if source.reader.startswith("nnja_ai."):
        return nnja_parquet.write_nnja_swaths(directory, source, day, granules)
    counts = []
    for platform, swath, brightness in granules:
        write_granule(directory, source, platform, swath, brightness, noise)
        counts.append(swath.lat.size)
    return counts


def write_granule(
    directory: Path,
    source: Source,
    platform: Platform,
    swath: Swath,
    brightness: np.ndarray,
    noise: np.ndarray,
) -> None:
    """Write one granule of a source in the format that its reader expects.

    Parameters
    ----------
    directory : Path
        Where the files are written.
    source : Source
        The sounder, whose reader tells the format.
    platform : Platform
        The satellite.
    swath : Swath
        Places, times and angles of the footprints.
    brightness : np.ndarray
        In K, ``(scan, field of view, channel)``, NaN where missing.
    noise : np.ndarray
        Random error of the channels in K, ``(channel,)``.

    Raises
    ------
    ValueError
        Names the readers that have a writer.
    """
    format_, _, _ = source.reader.partition(".")
    if format_ == "atms_sdr":
        atms_sdr.write_atms_granule(
            directory, swath, brightness, noise, platform.name, platform.orbit.revolutions_per_day
        )
    elif format_ == "bufr_sounder":
        atovs_bufr.write_atovs_granule(
            directory, swath, brightness, source.instrument, platform.name
        )
    elif format_ == "fy3_hdf5":
        fy3_hdf5.write_fy3_granule(directory, swath, brightness, source.instrument, platform.name)
    else:
        raise ValueError(
            f"source {source.name}: nothing is written for reader {source.reader}; known: "
            "atms_sdr, bufr_sounder, fy3_hdf5"
        )
