"""Small SATMS and GATMO files for tests, after CDFCB-X volume III (474-00001-03)."""

from datetime import datetime
from pathlib import Path

import h5py
import numpy as np

SCALE = np.float32(0.006)
POSITIONS = 4


def swath(
    start: str, scans: int = 5, positions: int = POSITIONS, seed: int = 0
) -> dict[str, np.ndarray]:
    """Make a swath down a meridian.

    Times are ``(scan,)``, coordinates and angles ``(scan, position)`` in degrees, temperatures
    ``(scan, position, channel)`` in K.
    """
    generator = np.random.default_rng(seed)
    shape = (scans, positions)
    time = np.datetime64(start, "us") + np.arange(scans) * np.timedelta64(2_666_667, "us")
    along = 20 + 0.16 * np.arange(scans, dtype="f4")
    across = np.linspace(
        -50, 50, positions, dtype="f4"
    )  # zenith angles; what the satellite sees them at:
    view = np.degrees(np.arcsin(np.sin(np.radians(np.abs(across))) * 6371 / (6371 + 835)))
    return {
        "time": time,
        "lat": np.broadcast_to(along[:, None], shape).copy(),
        "lon": (
            10 + np.sign(across) * (np.abs(across) - view) / np.cos(np.radians(along[:, None]))
        ).astype("f4"),
        "zenith": np.broadcast_to(np.abs(across), shape).copy(),
        "azimuth": np.full(shape, 90, "f4"),
        "temperature": generator.uniform(200, 290, (*shape, 22)),
    }


def _text(value: str) -> np.ndarray:
    return np.array([[value.encode()]])


def _products(file: h5py.File, collection: str, time: np.ndarray, granules: int) -> None:
    first, last = (t.item() for t in (time[0], time[-1]))
    group = file.create_group(f"Data_Products/{collection}")
    group.attrs["Instrument_Short_Name"] = _text("ATMS")
    aggregate = group.create_dataset(f"{collection}_Aggr", data=np.zeros(1, "u1"))
    for word, when in (("Beginning", first), ("Ending", last)):
        aggregate.attrs[f"Aggregate{word}Date"] = _text(f"{when:%Y%m%d}")
        aggregate.attrs[f"Aggregate{word}Time"] = _text(f"{when:%H%M%S.%f}Z")
        aggregate.attrs[f"Aggregate{word}OrbitNumber"] = np.array([[1]], "u8")
    aggregate.attrs["AggregateNumberGranules"] = np.array([[granules]], "u8")
    for i, part in enumerate(np.array_split(time, granules)):
        one = group.create_dataset(f"{collection}_Gran_{i}", data=np.zeros(1, "u1"))
        one.attrs["N_Number_Of_Scans"] = np.array([[len(part)]], "i4")


def write_pair(
    directory: Path,
    data: dict[str, np.ndarray],
    platform: str = "J01",
    short: str = "j01",
    granules: int = 1,
    created: str = "20230101000000000000",
) -> tuple[Path, Path]:
    """Write a swath as a SATMS and a GATMO file.

    Missing temperatures and coordinates become fill values.
    """
    time, temperature = data["time"], data["temperature"]
    first, last = (t.item() for t in (time[0], time[-1]))

    def name(product: str) -> Path:
        def clock(when: datetime) -> str:
            return f"{when:%H%M%S}{when.microsecond // 100000}"

        return Path(directory) / (
            f"{product}_{short}_d{first:%Y%m%d}_t{clock(first)}_e{clock(last)}_b00001_c{created}"
            "_test_dev.h5"
        )

    satms, gatmo = name("SATMS"), name("GATMO")
    counts = np.where(
        np.isfinite(temperature), np.round(np.nan_to_num(temperature) / SCALE), 65534
    ).astype("u2")
    beams = time[:, None] + (np.arange(counts.shape[1]) * 18000).astype("timedelta64[us]")
    epoch = (beams - np.datetime64("1958-01-01", "us")).astype("i8") + 37_000_000
    epoch = np.where(np.isnat(beams), -993, epoch)
    with h5py.File(satms, "w") as file:
        file.attrs["Platform_Short_Name"] = _text(platform)
        group = file.create_group("All_Data/ATMS-SDR_All")
        group["BrightnessTemperature"] = counts
        group["BrightnessTemperatureFactors"] = np.tile(np.array([SCALE, 0], "f4"), granules)
        group["BeamTime"] = epoch
        _products(file, "ATMS-SDR", time, granules)
    with h5py.File(gatmo, "w") as file:
        file.attrs["Platform_Short_Name"] = _text(platform)
        group = file.create_group("All_Data/ATMS-SDR-GEO_All")
        names = {
            "lat": "Latitude",
            "lon": "Longitude",
            "zenith": "SatelliteZenithAngle",
            "azimuth": "SatelliteAzimuthAngle",
        }
        for key, dataset in names.items():
            group[dataset] = np.where(np.isfinite(data[key]), data[key], -999.3).astype("f4")
        _products(file, "ATMS-SDR-GEO", time, granules)
    return satms, gatmo
