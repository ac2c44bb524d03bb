"""Small footprint tables for the tests of the observations stage."""

import numpy as np
import pyarrow as pa

from fuxiflow.observations import footprint_table

START = np.datetime64("2022-07-01", "ns")


def footprints(values, channels=("1", "2"), file="f.h5", **columns) -> pa.Table:
    """Make a table with a row for each row of ``values``.

    Unless ``columns`` say otherwise there is a footprint a second from :data:`START` on.
    """
    values = np.asarray(values, "f4")
    n = len(values)
    defaults = {
        "time": START + np.arange(n) * np.timedelta64(1, "s"),
        "lat": np.zeros(n, "f4"),
        "lon": 0.05 * np.arange(n, dtype="f4"),
        "zenith": np.full(n, 10, "f4"),
        "azimuth": np.zeros(n, "f4"),
        "scan_position": np.arange(1, n + 1, dtype="i2"),
        "rejected": np.zeros(n, "u1"),
    }
    station = {"station": columns["station"]} if "station" in columns else {}
    columns = {
        name: np.asarray(columns.get(name, default), default.dtype)
        for name, default in defaults.items()
    }
    columns |= station
    return footprint_table.build_footprints(list(channels), values, columns, "NOAA-20", file)
