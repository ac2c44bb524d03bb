"""Write AMSU-A and MHS footprints as EUMETSAT and NOAA distribute them, in WMO BUFR.

Templates 3-10-009 and 3-10-010: WMO-No. 306, Volume I.2, Part B, Table D; channels are numbered as
ATOVS numbers them, from 28 for AMSU-A and from 43 for MHS. A file holds a granule, in compressed
messages of at most :data:`MINUTES`. Scan lines and fields of view keep their numbers when a swath
is thinned. Values are rounded to 0.01 K, places to 0.00001 degrees.
"""

from pathlib import Path

import numpy as np

from fuxiflow.observations.bufr_messages import BUFR_SATELLITES
from fuxiflow.observations.orbits import EPOCH, Swath
from fuxiflow.world.writers import bufr

MINUTES = 45
"""Longest message: footprints of one follow each other, none more than 30 minutes from the middle
one."""
SATELLITE_DATA = 21
"""Data category of BUFR Table A: radiances (satellite measured)."""
# template, sensor (0-02-048), number of the first channel (0-02-150), channels; bulletin
INSTRUMENTS = {"amsua": (310009, 3.0, 28, 15, "INAX01"), "mhs": (310010, 11.0, 43, 5, "INMX01")}
SATELLITES = {name: number for number, name in BUFR_SATELLITES.items()}


def write_atovs_granule(
    directory: Path, swath: Swath, brightness: np.ndarray, instrument: str, platform: str
) -> Path:
    """Write one granule; names of files differ by platform and minute.

    Parameters
    ----------
    directory : Path
        Where the file is written.
    swath : Swath
        Places, times and angles of the footprints.
    brightness : np.ndarray
        In K, ``(scan, field of view, channel)``, NaN where missing.
    instrument : str
        ``amsua`` or ``mhs``.
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
    for name, allowed in ((instrument, INSTRUMENTS), (platform, SATELLITES)):
        if name not in allowed:
            raise KeyError(f"no ATOVS in BUFR of {name!r}; known: {', '.join(allowed)}")
    channels = INSTRUMENTS[instrument][3]
    if brightness.shape != (*swath.lat.shape, channels):
        raise ValueError(
            f"brightness {brightness.shape} fits no swath {swath.lat.shape} of {channels} channels"
        )
    begin = swath.time[0, 0].astype("datetime64[us]").item()
    path = (
        Path(directory)
        / f"{instrument}_{platform.replace('-', '').lower()}_{begin:%Y%m%d%H%M}_fuxi_sim.bufr"
    )
    # no footprint of a message may be far from its middle one in time
    part = (swath.time[:, 0] - swath.time[0, 0]) // np.timedelta64(MINUTES, "m")
    with open(path, "wb") as file:
        for number in np.unique(part):
            rows = np.flatnonzero(part == number)
            some = slice(rows[0], rows[-1] + 1)
            file.write(_message(swath.scans(some), brightness[some], instrument, platform))
    return path


def _message(swath: Swath, brightness: np.ndarray, instrument: str, platform: str) -> bytes:
    """Encode one message of all footprints of some scans, with its heading.

    Parameters
    ----------
    swath : Swath
        The scans.
    brightness : np.ndarray
        In K, ``(scan, field of view, channel)``.
    instrument, platform : str
        Names of the instrument and the platform.

    Returns
    -------
    bytes
        The bulletin.
    """
    template, sensor, first, channels, heading = INSTRUMENTS[instrument]
    count = swath.lat.size
    shape = swath.lat.shape

    def flat(values: np.ndarray, digits: int) -> np.ndarray:
        return np.round(np.broadcast_to(values, shape).ravel(), digits)

    seconds = np.rint((swath.time.ravel() - EPOCH) / np.timedelta64(1, "ms")).astype(
        "timedelta64[ms]"
    )
    columns = {
        "satelliteIdentifier": float(SATELLITES[platform]),
        "satelliteSensorIndicator": sensor,
        # the template gives the number 13 bits
        "scanLineNumber": flat(swath.scan[:, None] % 8000 + 1.0, 0),
        "fieldOfViewNumber": flat(swath.field_of_view[None] + 1.0, 0),
        **bufr.clock_elements(EPOCH + seconds.astype("timedelta64[ns]")),
        "latitude": flat(swath.lat, 5),
        "longitude": flat(swath.lon, 5),
        "heightOfStation": 830_000.0,
        "satelliteZenithAngle": flat(swath.zenith, 2),
        "bearingOrAzimuth": flat(swath.azimuth, 2) % 360.0,
        "solarZenithAngle": flat(swath.solar_zenith, 2),
        "solarAzimuth": flat(swath.solar_azimuth, 2) % 360.0,
    }
    keyed = {f"#1#{name}": values for name, values in columns.items()}
    for i in range(channels):
        keyed[f"#{i + 1}#tovsOrAtovsOrAvhrrInstrumentationChannelNumber"] = float(first + i)
        keyed[f"#{i + 1}#brightnessTemperature"] = brightness[..., i].ravel()
    time = swath.time[0, 0].astype("datetime64[s]").item()
    return bufr.encode_bulletin(
        heading, time, bufr.encode_message(template, SATELLITE_DATA, time, count, keyed)
    )
