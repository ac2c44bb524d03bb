"""Write ATMS sensor data records as the agency delivers them: pairs of HDF5 files.

SATMS holds brightness temperatures, GATMO the geolocation. Layout and names: JPSS Common Data
Format Control Book, External, Vol. III, 474-00001-03; all that satpy's `atms_sdr_hdf5` reads, and
the times, noise and quality flags beside it. A thinned swath has fewer columns than the
instrument's 96.
"""

from datetime import datetime
from pathlib import Path

import h5py
import numpy as np

from fuxiflow.observations.orbits import EPOCH, Swath
from fuxiflow.storage import provenance

DATASET_SOURCE = "fuxiflow embedded world"
SCALE = np.float32(0.006)
MISSING = 65534
LARGEST = 65527
# file-name part, Platform_Short_Name, Mission_Name
PLATFORMS = {
    "NOAA-20": ("j01", "J01", "JPSS-1"),
    "NOAA-21": ("j02", "J02", "JPSS-2"),
    "Suomi-NPP": ("npp", "NPP", "S-NPP/JPSS"),
}
# of NOAA-20 at the orbits' epoch, counted back from a file of 2022-12-20 with orbit 26361
_ORBIT_AT_EPOCH = 21345
# TAI - UTC in seconds from each date on (IERS Bulletin C)
_LEAP_SECONDS = (("2009-01-01", 34), ("2012-07-01", 35), ("2015-07-01", 36), ("2017-01-01", 37))


def iet(time: np.ndarray) -> np.ndarray:
    """Convert UTC times to IDPS epoch time: microseconds of TAI since 1958, int64.

    ValueError before 2009.
    """
    time = np.asarray(time, "datetime64[us]")
    starts = np.array([start for start, _ in _LEAP_SECONDS], "datetime64[us]")
    if time.size and time.min() < starts[0]:
        raise ValueError(
            f"time {time.min()} is before {starts[0]}, the first entry of the table of leap seconds"
        )
    seconds = np.array([count for _, count in _LEAP_SECONDS])[
        np.searchsorted(starts, time, side="right") - 1
    ]
    return (time - np.datetime64("1958-01-01", "us")).astype(np.int64) + 1_000_000 * seconds


def orbit_number(time: np.datetime64, revolutions_per_day: float) -> int:
    """Return the number of the orbit at ``time``, at least 0."""
    # counted from the epoch at a constant rate, which is close enough for a file name
    days = (time - EPOCH) / np.timedelta64(1, "D")
    return max(0, _ORBIT_AT_EPOCH + int(np.floor(days * revolutions_per_day)))


def brightness_counts(brightness: np.ndarray) -> np.ndarray:
    """Convert brightness temperatures in K to unsigned 16-bit counts of :data:`SCALE`.

    NaN becomes the fill value.
    """
    scaled = np.clip(np.rint(brightness / SCALE), 0, LARGEST)
    return np.where(np.isfinite(brightness), scaled, MISSING).astype(np.uint16)


def _text(value: str) -> np.ndarray:
    return np.array([[value.encode()]])


def _moment(time: np.datetime64) -> datetime:
    return time.astype("datetime64[us]").item()


def _product(
    file: h5py.File,
    name: str,
    collection: str,
    begin: datetime,
    end: datetime,
    orbit: int,
    scans: int,
) -> None:
    """Write the group under ``Data_Products`` that describes the aggregate of one granule.

    Parameters
    ----------
    file : h5py.File
        The open file.
    name : str
        Name of the product, as ``ATMS-SDR``.
    collection : str
        Short name of its collection, as ``SATMS``.
    begin, end : datetime
        First and last time of the granule.
    orbit : int
        Number of the orbit.
    scans : int
        Number of scans.
    """
    group = file.create_group(f"Data_Products/{name}")
    group.attrs["Instrument_Short_Name"] = _text("ATMS")
    group.attrs["N_Collection_Short_Name"] = _text(collection)
    aggregate = group.create_dataset(f"{name}_Aggr", data=np.zeros(1, np.uint8))
    for key, moment in (("Beginning", begin), ("Ending", end)):
        aggregate.attrs[f"Aggregate{key}Date"] = _text(f"{moment:%Y%m%d}")
        aggregate.attrs[f"Aggregate{key}Time"] = _text(f"{moment:%H%M%S.%f}Z")
        aggregate.attrs[f"Aggregate{key}OrbitNumber"] = np.array([[orbit]], np.uint64)
    aggregate.attrs["AggregateNumberGranules"] = np.array([[1]], np.uint64)
    granule = group.create_dataset(f"{name}_Gran_0", data=np.zeros(1, np.uint8))
    granule.attrs["N_Number_Of_Scans"] = np.array([[scans]], np.int32)


def write_atms_granule(
    directory: Path,
    swath: Swath,
    brightness: np.ndarray,
    noise: np.ndarray,
    platform: str,
    revolutions_per_day: float,
) -> tuple[Path, Path]:
    """Write one granule's SATMS and GATMO files.

    The creation time in the names is the granule's end, so that the same granule has the same name.

    Parameters
    ----------
    directory : Path
        Where the files are written.
    swath : Swath
        Places, times and angles of the footprints.
    brightness : np.ndarray
        In K, ``(scan, field of view, channel)``, NaN where missing.
    noise : np.ndarray
        NEdT in K, ``(channel,)``.
    platform : str
        Name of the platform.
    revolutions_per_day : float
        Of the platform's orbit, for the number of the orbit.

    Returns
    -------
    tuple[Path, Path]
        The two files.

    Raises
    ------
    KeyError
        Lists the platforms that ATMS flies on.
    ValueError
        If shapes disagree.
    """
    if platform not in PLATFORMS:
        raise KeyError(f"no ATMS flies on {platform!r}; known: {', '.join(PLATFORMS)}")
    scans, views = swath.lat.shape
    if brightness.shape[:2] != (scans, views) or brightness.shape[2] != len(noise):
        raise ValueError(
            f"brightness {brightness.shape} and noise {noise.shape} do not fit a swath "
            f"{swath.lat.shape}"
        )
    tag, short, mission = PLATFORMS[platform]
    begin, end = _moment(swath.time[0, 0]), _moment(swath.time[-1, -1])
    orbit = orbit_number(swath.time[0, 0], revolutions_per_day)
    # file names hold tenths of seconds
    clock = "{0:%H%M%S}{1:d}"
    stem = (
        f"{tag}_d{begin:%Y%m%d}_t{clock.format(begin, begin.microsecond // 100_000)}"
        f"_e{clock.format(end, end.microsecond // 100_000)}_b{orbit:05d}"
        f"_c{end:%Y%m%d%H%M%S%f}_fuxi_sim.h5"
    )
    paths = Path(directory) / f"SATMS_{stem}", Path(directory) / f"GATMO_{stem}"
    channels = brightness.shape[2]
    sdr = {
        "BrightnessTemperature": brightness_counts(brightness),
        "BrightnessTemperatureFactors": np.array([SCALE, 0.0], np.float32),
        "BeamTime": iet(swath.time),
        "NEdTCold": np.broadcast_to(noise.astype(np.float32), (scans, channels)),
        "NEdTWarm": np.broadcast_to(noise.astype(np.float32), (scans, channels)),
        "QF19_SCAN_ATMSSDR": np.zeros(scans, np.uint8),
        "QF20_ATMSSDR": np.zeros((scans, channels), np.uint8),
    }
    starts = iet(swath.time[:, 0])
    geolocation = {
        "Latitude": swath.lat,
        "Longitude": swath.lon,
        "SatelliteZenithAngle": swath.zenith,
        "SatelliteAzimuthAngle": swath.azimuth,
        "SolarZenithAngle": swath.solar_zenith,
        "SolarAzimuthAngle": swath.solar_azimuth,
    }
    geolocation = {key: np.asarray(value, np.float32) for key, value in geolocation.items()}
    geolocation |= {"StartTime": starts, "MidTime": starts + (iet(swath.time[:, -1]) - starts) // 2}
    stamp = provenance.as_json()
    for path, group, name, collection, content in (
        (paths[0], "ATMS-SDR_All", "ATMS-SDR", "SATMS", sdr),
        (paths[1], "ATMS-SDR-GEO_All", "ATMS-SDR-GEO", "GATMO", geolocation),
    ):
        with h5py.File(path, "w") as file:
            file.attrs["Platform_Short_Name"] = _text(short)
            file.attrs["Mission_Name"] = _text(mission)
            file.attrs["N_Dataset_Source"] = _text(DATASET_SOURCE)
            file.attrs["N_HDF_Creation_Date"] = _text(f"{end:%Y%m%d}")
            file.attrs["N_HDF_Creation_Time"] = _text(f"{end:%H%M%S.%f}Z")
            file.attrs["provenance"] = stamp
            fields = file.create_group(f"All_Data/{group}")
            for key, value in content.items():
                fields[key] = value
            _product(file, name, collection, begin, end, orbit, scans)
    return paths
