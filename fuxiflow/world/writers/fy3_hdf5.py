"""Write FY-3E microwave sounder level 1 files as NSMC delivers them: MWTS-III and MWHS-II, HDF5.

Layout: what public readers of FY-3D, -E and -F files agree on, see
`fuxiflow.observations.satpy_readers.fy3_hdf5`; the channel axis is first, the days count from noon
of 2000-01-01. A thinned swath has fewer columns than the instrument's 98.
"""

from datetime import datetime
from pathlib import Path

import h5py
import numpy as np

from fuxiflow.observations.orbits import Swath
from fuxiflow.storage import provenance

SCALE = np.float32(0.01)
MISSING = np.int16(-32767)
EPOCH = np.datetime64("2000-01-01T12:00:00", "ns")
DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")
# name in the file name, resolution in km, Sensor Name, channels
INSTRUMENTS = {
    "mwts3": ("MWTS", 33, "Microwave Temperature Sounder-III", 17),
    "mwhs2": ("MWHS", 15, "Microwave Humidity Sounder-II", 15),
}
PLATFORMS = {"FY-3E": "FY3E", "FY-3F": "FY3F"}


def scaled_counts(values: np.ndarray) -> np.ndarray:
    """Convert values (K or degrees) to 16-bit counts of :data:`SCALE`.

    NaN becomes :data:`MISSING`.
    """
    scaled = np.clip(np.rint(values / SCALE), -32766, 32767)
    return np.where(np.isfinite(values), scaled, MISSING).astype(np.int16)


def day_and_milliseconds(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert UTC times to days since :data:`EPOCH` and milliseconds of the day, int32."""
    elapsed = time.astype("datetime64[ns]") - EPOCH
    days = elapsed // DAY
    milliseconds = np.rint((elapsed - days * DAY) / np.timedelta64(1, "ms")).astype(np.int64)
    return (days + milliseconds // 86_400_000).astype(np.int32), (milliseconds % 86_400_000).astype(
        np.int32
    )


def _write(
    file: h5py.File, key: str, data: np.ndarray, scale: float, units: str, missing: float | None
) -> None:
    """Write a data set with the attributes that readers need.

    Parameters
    ----------
    file : h5py.File
        The open file.
    key : str
        Path of the data set.
    data : np.ndarray
        Its values.
    scale : float
        Factor from the values to ``units``.
    units : str
        Name of the unit.
    missing : float or None
        Fill value.
    """
    written = file.create_dataset(key, data=data)
    written.attrs["Slope"] = np.array([scale], np.float32)
    written.attrs["Intercept"] = np.zeros(1, np.float32)
    written.attrs["units"] = np.bytes_(units)
    if missing is not None:
        written.attrs["FillValue"] = np.array([missing], data.dtype)


def write_fy3_granule(
    directory: Path, swath: Swath, brightness: np.ndarray, instrument: str, platform: str
) -> Path:
    """Write one granule; names of files differ by the minute in which a granule starts.

    Parameters
    ----------
    directory : Path
        Where the file is written.
    swath : Swath
        Places, times and angles of the footprints.
    brightness : np.ndarray
        In K, ``(scan, field of view, channel)``, NaN where missing.
    instrument : str
        ``mwts3`` or ``mwhs2``.
    platform : str
        Name of the platform.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    KeyError
        Lists the instruments or the platforms.
    ValueError
        If shapes disagree.
    """
    for name, allowed in ((instrument, INSTRUMENTS), (platform, PLATFORMS)):
        if name not in allowed:
            raise KeyError(f"no FY-3 level 1 of {name!r}; known: {', '.join(allowed)}")
    short, resolution, sensor, channels = INSTRUMENTS[instrument]
    if brightness.shape != (*swath.lat.shape, channels):
        raise ValueError(
            f"brightness {brightness.shape} fits no swath {swath.lat.shape} of {channels} channels"
        )
    begin, end = (
        time.astype("datetime64[us]").item() for time in (swath.time[0, 0], swath.time[-1, -1])
    )
    middle = swath.lat[:, swath.lat.shape[1] // 2]
    path = Path(directory) / (
        f"{PLATFORMS[platform]}_{short}-_ORB{'A' if middle[-1] >= middle[0] else 'D'}_L1_"
        f"{begin:%Y%m%d_%H%M}_{resolution:03d}KM_V0.HDF"
    )
    days, milliseconds = day_and_milliseconds(swath.time[:, 0])
    with h5py.File(path, "w") as file:
        _header(file, path.name, platform, sensor, begin, end, len(swath))
        _write(
            file,
            "Data/Earth_Obs_BT",
            np.moveaxis(scaled_counts(brightness), -1, 0),
            SCALE,
            "K",
            MISSING,
        )
        for key, values in {"Latitude": swath.lat, "Longitude": swath.lon}.items():
            _write(file, f"Geolocation/{key}", values.astype(np.float32), 1.0, "degree", None)
        angles = {
            "SensorZenith": swath.zenith,
            # from 0-360 to -180-180 degrees, which 16 bits hold
            "SensorAzimuth": (swath.azimuth + 180.0) % 360.0 - 180.0,
            "SolarZenith": swath.solar_zenith,
            "SolarAzimuth": (swath.solar_azimuth + 180.0) % 360.0 - 180.0,
        }
        for key, values in angles.items():
            _write(file, f"Geolocation/{key}", scaled_counts(values), SCALE, "degree", MISSING)
        _write(file, "Geolocation/Scnlin_daycnt", days, 1.0, "day", None)
        _write(file, "Geolocation/Scnlin_mscnt", milliseconds, 1.0, "ms", None)
        _write(file, "QA/Quality_Flag_Scnlin", np.zeros(len(swath), np.uint8), 1.0, "none", None)
    return path


def _header(
    file: h5py.File,
    name: str,
    platform: str,
    sensor: str,
    begin: datetime,
    end: datetime,
    scans: int,
) -> None:
    """Write the attributes of the file.

    Parameters
    ----------
    file : h5py.File
        The open file.
    name : str
        Name of the file.
    platform, sensor : str
        Names of the platform and the sensor.
    begin, end : datetime
        First and last time of the granule.
    scans : int
        Number of scans.
    """
    texts = {
        "File Name": name,
        "Satellite Name": platform,
        "Sensor Name": sensor,
        "Dataset Name": "fuxiflow embedded world",
        "provenance": provenance.as_json(),
    }
    for word, moment in (("Beginning", begin), ("Ending", end)):
        texts[f"Observing {word} Date"] = f"{moment:%Y-%m-%d}"
        texts[f"Observing {word} Time"] = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"
    for key, text in texts.items():
        file.attrs[key] = np.bytes_(text)
    file.attrs["Number Of Scans"] = np.array([scans], np.int32)
