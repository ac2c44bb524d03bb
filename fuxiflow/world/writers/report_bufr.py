"""Write a time's reports as WMO BUFR bulletins.

Templates: SYNOP 3-07-080, SHIP 3-08-009, BUOY 3-15-009 and TEMP 3-09-052 of WMO-No. 306, Volume
I.2, Part B, Table D; one compressed message for all stations of a time and kind. Values are rounded
as the templates have it: 0.01 K, 10 Pa, 1 degree and 0.1 m/s, 1 gpm; ships' positions to 0.01
degrees.
"""

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from fuxiflow.world.networks import Reports
from fuxiflow.world.reports import STANDARD_LEVELS
from fuxiflow.world.stations import Stations, Vessels
from fuxiflow.world.writers import bufr

SYNOP, SHIP, BUOY, TEMP = 307080, 308009, 315009, 309052
SURFACE_LAND, SURFACE_SEA, SOUNDING = 0, 1, 2
"""Data categories of BUFR Table A."""
_DECK = "heightOfSensorAboveLocalGroundOrDeckOfMarinePlatform"
# extended vertical sounding significance, 0-08-042, 18 bits: surface, standard level, significant
# temperature level
_AT_SURFACE, _STANDARD, _SIGNIFICANT = 2.0**17, 2.0**16, 2.0**13


def _ranked(columns: Mapping[str, np.ndarray], keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {f"#1#{key}": columns[key] for key in keys}


def _clock(time: np.ndarray, *parts: str) -> dict[str, np.ndarray]:
    return {
        f"#1#{key}": values for key, values in bufr.clock_elements(time).items() if key in parts
    }


_TO_MINUTES = ("year", "month", "day", "hour", "minute")
_AIR = (
    "nonCoordinatePressure",
    "pressureReducedToMeanSeaLevel",
    "airTemperature",
    "dewpointTemperature",
    "windDirection",
    "windSpeed",
)
_SEA = "oceanographicWaterTemperature"


def encode_reports(reports: Reports) -> bytes:
    """Encode the bulletins of one time: of radiosondes, of ships and buoys, or of land stations."""
    time, members, lat, lon, when, values = reports
    if "pressure" in values:
        return encode_temp(members, when, values, time)
    if isinstance(members, Vessels):
        return encode_marine(members, lat, lon, values, time)
    return encode_synop(members, values, time)


def encode_synop(stations: Stations, reported: Mapping[str, np.ndarray], time: datetime) -> bytes:
    """Encode the bulletin of land stations.

    Parameters
    ----------
    stations : Stations
        The stations that report.
    reported : Mapping[str, np.ndarray]
        Values by ecCodes' names of elements, ``(n,)``, NaN where missing.
    time : datetime
        Time of the reports.

    Returns
    -------
    bytes
        The bulletin.
    """
    when = np.full(len(stations), np.datetime64(time, "ns"))
    columns = {
        "#1#blockNumber": stations.number // 1000 + 0.0,
        "#1#stationNumber": stations.number % 1000 + 0.0,
        "#1#latitude": stations.lat,
        "#1#longitude": stations.lon,
        "#1#heightOfStationGroundAboveMeanSeaLevel": stations.height,
        f"#1#{_DECK}": 2.0,
        f"#7#{_DECK}": 10.0,
        **_clock(when, *_TO_MINUTES),
        **_ranked(reported, _AIR),
    }
    return bufr.encode_bulletin(
        "ISMC01",
        time,
        bufr.encode_message(
            SYNOP,
            SURFACE_LAND,
            time,
            len(stations),
            columns,
            {"delayedDescriptorReplicationFactor": [0] * 4},
        ),
    )


def encode_marine(
    vessels: Vessels,
    lat: np.ndarray,
    lon: np.ndarray,
    reported: Mapping[str, np.ndarray],
    time: datetime,
) -> bytes:
    """Encode the bulletins of ships and of buoys, where there are any.

    Ships have their thermometer at 20 m and their anemometer at 25 m and measure the water at 3 m
    of depth; the values are those of the surface all the same, as readers do not reduce them
    either. Buoys report no humidity.

    Parameters
    ----------
    vessels : Vessels
        The ships and buoys that report.
    lat, lon : np.ndarray
        Where they are, in degrees, ``(n,)``.
    reported : Mapping[str, np.ndarray]
        Values by ecCodes' names of elements, ``(n,)``, NaN where missing.
    time : datetime
        Time of the reports.

    Returns
    -------
    bytes
        The bulletins, one after the other.
    """
    return b"".join(
        bufr.encode_bulletin(
            heading,
            time,
            write(
                vessels.identifier[rows],
                {name: v[rows] for name, v in reported.items()},
                {"#1#latitude": lat[rows], "#1#longitude": lon[rows]},
                time,
            ),
        )
        for heading, write, rows in (
            ("ISSC01", _ships, np.flatnonzero(~vessels.buoy)),
            ("IOBC01", _buoys, np.flatnonzero(vessels.buoy)),
        )
        if len(rows)
    )


def _ships(
    names: np.ndarray, reported: Mapping[str, np.ndarray], place: dict, time: datetime
) -> bytes:
    """Encode the message of ships.

    Parameters
    ----------
    names : np.ndarray
        Call signs, ``(n,)``.
    reported : Mapping[str, np.ndarray]
        Values by ecCodes' names of elements, ``(n,)``.
    place : dict
        Elements of the position.
    time : datetime
        Time of the reports.

    Returns
    -------
    bytes
        The message.
    """
    when = np.full(len(names), np.datetime64(time, "ns"))
    columns = {
        "#1#shipOrMobileLandStationIdentifier": names.tolist(),
        f"#1#{_DECK}": 20.0,
        f"#7#{_DECK}": 25.0,
        "#1#depthBelowWaterSurface": 3.0,
        **place,
        **_clock(when, *_TO_MINUTES),
        **_ranked(reported, (*_AIR, _SEA)),
    }
    return bufr.encode_message(
        SHIP, SURFACE_SEA, time, len(names), columns, {"delayedDescriptorReplicationFactor": [0]}
    )


def _buoys(
    names: np.ndarray, reported: Mapping[str, np.ndarray], place: dict, time: datetime
) -> bytes:
    """Encode the message of buoys.

    The template's optional parts that hold air temperature and wind are there.

    Parameters
    ----------
    names : np.ndarray
        Numbers, ``(n,)``.
    reported : Mapping[str, np.ndarray]
        Values by ecCodes' names of elements, ``(n,)``.
    place : dict
        Elements of the position.
    time : datetime
        Time of the reports.

    Returns
    -------
    bytes
        The message.
    """
    when = np.full(len(names), np.datetime64(time, "ns"))
    dry = tuple(name for name in _AIR if name != "dewpointTemperature")
    columns = {
        "#1#marineObservingPlatformIdentifier": names.astype(float),
        **place,
        **_clock(when, *_TO_MINUTES),
        **_ranked(reported, (*dry, _SEA)),
    }
    return bufr.encode_message(
        BUOY,
        SURFACE_SEA,
        time,
        len(names),
        columns,
        {
            "delayedDescriptorReplicationFactor": [0],
            "shortDelayedDescriptorReplicationFactor": [0, 1, 1, 0],
        },
    )


def encode_temp(
    stations: Stations, launch: np.ndarray, levels: Mapping[str, np.ndarray], time: datetime
) -> bytes:
    """Encode the bulletin of soundings.

    Levels without a pressure are left missing, and all missing ones are at the end of a subset.

    Parameters
    ----------
    stations : Stations
        The stations that report.
    launch : np.ndarray
        Launches in UTC, datetime64[ns], ``(n,)``.
    levels : Mapping[str, np.ndarray]
        Values ``(n, level)`` by ecCodes' names of elements, ``pressure`` among them, the surface
        first.
    time : datetime
        Nominal time of the soundings.

    Returns
    -------
    bytes
        The bulletin.
    """
    # in a compressed message all subsets have as many levels
    order = np.argsort(np.isnan(levels["pressure"]), axis=1, kind="stable")
    rows = np.arange(len(stations))[:, None]
    levels = {name: column[rows, order] for name, column in levels.items()}
    pressure = levels["pressure"]
    kind = np.where(
        np.isin(np.round(pressure / 100.0, 3), STANDARD_LEVELS), _STANDARD, _SIGNIFICANT
    )
    kind[:, 0] = _AT_SURFACE
    count = int((~np.isnan(pressure)).any(axis=0).sum())
    columns = {
        "#1#blockNumber": stations.number // 1000 + 0.0,
        "#1#stationNumber": stations.number % 1000 + 0.0,
        "#1#latitude": stations.lat,
        "#1#longitude": stations.lon,
        "#1#heightOfStationGroundAboveMeanSeaLevel": stations.height,
        "#1#timeSignificance": 18.0,
        **_clock(launch, *_TO_MINUTES, "second"),
    }
    for i in range(count):
        significance = np.where(np.isnan(pressure[:, i]), np.nan, kind[:, i])
        columns[f"#{i + 1}#extendedVerticalSoundingSignificance"] = significance
        columns |= {f"#{i + 1}#{name}": column[:, i] for name, column in levels.items()}
    return bufr.encode_bulletin(
        "IUSC01",
        time,
        bufr.encode_message(
            TEMP,
            SOUNDING,
            time,
            len(stations),
            columns,
            {
                "extendedDelayedDescriptorReplicationFactor": [count],
                "delayedDescriptorReplicationFactor": [0],
            },
        ),
    )
