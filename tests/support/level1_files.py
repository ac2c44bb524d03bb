"""Swaths of a real orbit, FY-3 HDF5 and AAPP level 1c files made of them, and damaged copies."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from fuxiflow.config.sources import Orbit
from fuxiflow.observations.orbits import Swath, swath

ORBIT = Orbit(
    catalogue_number=49008, inclination=98.75, ascending_node_hour=17.5, revolutions_per_day=14.1956
)
START = "2022-07-01T10:22:00"


def orbit(
    start: str = START, minutes: float = 1.0, columns: slice = slice(None), stride: int = 1
) -> Swath:
    """Make a swath of 96 fields of view, or some ``columns``, by pyorbital.

    There is a scan every ``stride`` x 8/3 s.
    """
    first = np.datetime64(start, "ns")
    found = swath(
        "FY-3E", ORBIT, "atms", first, first + np.timedelta64(int(minutes * 60e9), "ns"), stride
    )
    values = {
        name: value[:, columns]
        for name, value in vars(found).items()
        if name not in ("scan", "field_of_view")
    }
    return Swath(scan=found.scan, field_of_view=found.field_of_view[columns], **values)


def temperatures(view: Swath, channels: int, seed: int = 0) -> np.ndarray:
    """Temperatures ``(scan, field of view, channel)`` in K, multiples of 0.01 K."""
    random = np.random.default_rng(seed).uniform(180, 300, (*view.lat.shape, channels))
    return np.round(random, 2)


def write_fy3(path: Path, view: Swath, values: np.ndarray, **options) -> Path:
    """Write a level 1 file by hand, independently of the world's writer.

    Options: ``last`` (channel axis last), ``order`` (byte order), ``slopes`` (array: one slope a
    channel), ``float_`` (temperatures as float32), ``unit`` (microseconds of a count of the day),
    ``epoch``, ``platform``, ``sensor``, ``compression``.
    """
    order = options.get("order", "<")
    scan_time = view.time[:, 0].astype("datetime64[us]")
    elapsed = (scan_time - np.datetime64(options.get("epoch", "2000-01-01T12:00:00"), "us")).astype(
        np.int64
    )
    slope = np.asarray(options.get("slopes", [0.01]), float)
    stored = values if options.get("float_") else np.round(values / slope)
    stored = np.where(np.isfinite(stored), stored, -999).astype(
        order + ("f4" if options.get("float_") else "i2")
    )
    with h5py.File(path, "w") as file:
        attributes = {
            "Satellite Name": options.get("platform", "FY-3E"),
            "Sensor Name": options.get("sensor", "MWTS"),
        }
        for word, moment in (("Beginning", scan_time[0]), ("Ending", scan_time[-1])):
            day, clock = str(moment.astype("datetime64[ms]")).split("T")
            attributes |= {f"Observing {word} Date": day, f"Observing {word} Time": clock}
        for key, text in attributes.items():
            file.attrs[key] = np.bytes_(text)
        data = stored if options.get("last") else np.moveaxis(stored, -1, 0)
        written = file.create_dataset(
            "Data/Earth_Obs_BT", data=data, compression=options.get("compression")
        )
        written.attrs["Slope"] = (np.zeros(1) if options.get("float_") else slope).astype(
            order + "f4"
        )
        written.attrs["Intercept"] = np.zeros(slope.shape, order + "f4")
        written.attrs["FillValue"] = np.array([-999], stored.dtype)
        group = file.create_group("Geolocation")
        group["Latitude"], group["Longitude"] = (
            view.lat.astype(order + "f4"),
            view.lon.astype(order + "f4"),
        )
        for key, angle in (
            ("SensorZenith", view.zenith),
            ("SensorAzimuth", (view.azimuth + 180) % 360 - 180),
        ):
            group[key] = np.round(angle * 100).astype(order + "i2")
            group[key].attrs["Slope"] = np.array([0.01], order + "f4")
        group["Scnlin_daycnt"] = (elapsed // 86_400_000_000).astype(order + "i4")
        group["Scnlin_mscnt"] = (elapsed % 86_400_000_000 // options.get("unit", 1000)).astype(
            order + "i4"
        )
    return path


def write_aapp(
    path: Path,
    view: Swath,
    values: np.ndarray,
    header: np.dtype,
    scan: np.dtype,
    instrument: int,
    satellite: int = 3,
    order: str = "<",
) -> Path:
    """Write an AAPP level 1c file: a header padded to a record, and a record a scan."""
    head, body = np.zeros(1, header), np.zeros(len(view), scan)
    moments = view.time[:, 0].astype("datetime64[ms]")
    days = moments.astype("datetime64[D]")
    years = days.astype("datetime64[Y]")
    clock = (moments - days).astype(np.int64)
    of_year = (days - years.astype("datetime64[D]")).astype(np.int64) + 1
    for word, i in (("start", 0), ("end", -1)):
        head[f"{word}datayr"], head[f"{word}datady"] = years[i].astype(int) + 1970, of_year[i]
        head[f"{word}datatime"] = clock[i]
    head["satid"], head["instrument"], head["scnlin"], head["vnantennacorr"] = (
        satellite,
        instrument,
        len(view),
        1,
    )
    body["scnlinyr"], body["scnlindy"], body["scnlintime"] = (
        years.astype(int) + 1970,
        of_year,
        clock,
    )
    body["latlon"] = np.round(np.stack([view.lat, view.lon], -1) * 1e4)
    body["angles"][..., 0], body["angles"][..., 1] = (
        np.round(view.zenith * 100),
        np.round(view.azimuth * 100),
    )
    body["btemps"] = np.where(np.isfinite(values), np.round(values * 100), -999999)
    head, body = (part.astype(part.dtype.newbyteorder(order)) for part in (head, body))
    path.write_bytes(head.tobytes().ljust(scan.itemsize, b"\0") + body.tobytes())
    return path


def mutations(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Yield copies of a file, each cut off or with one byte changed at a random place."""
    generator = np.random.default_rng(seed)
    for i in range(count):
        place = int(generator.integers(len(content)))
        if i % 4 == 0:
            yield content[:place]
        else:
            changed = bytearray(content)
            changed[place] ^= int(generator.integers(1, 256))
            yield bytes(changed)
