"""A tiny truth of the embedded world, for tests: smooth fields that are linear in time."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from fuxiflow.channels import PRESSURE_LEVELS, channel_table
from fuxiflow.grids import Grid
from fuxiflow.world.truth import TruthWriter

GRID = Grid(19, 36, poles=True)
STEP = timedelta(hours=6)


def write_truth(path: Path, start: datetime, count: int) -> Path:
    """Write ``count`` 6-hourly times from ``start`` as a store of the truth.

    All its fields are smooth; it has hills of 550 m.
    """
    times = [start + i * STEP for i in range(count)]
    lat = np.cos(np.deg2rad(GRID.lat))[:, None] * np.ones(GRID.nlon)
    wave = np.cos(2 * np.deg2rad(GRID.lon))[None, :] * lat
    static = {
        "land_fraction": (wave > 0.3).astype(float),
        "surface_geopotential": 7845.0 * np.maximum(wave - 0.3, 0.0),
    }
    with TruthWriter(path, times, GRID, static, channel_table()) as writer:
        for time in times:
            hours = (time - datetime(2022, 7, 1)) / timedelta(hours=1)
            fields = {
                f"T{level}": 215.0
                + 70.0 * (level / 1000.0) * (0.6 + 0.4 * lat)
                + 3.0 * wave
                + 0.02 * hours
                for level in PRESSURE_LEVELS
            }
            q = np.array([max(3e-6, 1.2e-2 * (level / 1000.0) ** 3) for level in PRESSURE_LEVELS])
            fields["specific_humidity"] = q[:, None, None] * (0.3 + 0.7 * lat)
            scale = 9.80665 * 7400.0 * (1.0 + 0.02 * lat)
            fields["surface_pressure"] = 101_300.0 * np.exp(-static["surface_geopotential"] / scale)
            fields["skin_temperature"] = 270.0 + 28.0 * lat + 0.02 * hours
            for level in PRESSURE_LEVELS:
                fields[f"Z{level}"] = scale * np.log(1013.0 / level)
                fields[f"U{level}"] = 20.0 * lat * (1000.0 / level) ** 0.3 + 0.05 * hours
                fields[f"V{level}"] = 6.0 * wave
                fields[f"R{level}"] = 50.0 + 20.0 * wave
            fields |= {
                "T2M": fields["T1000"],
                "U10": 0.5 * fields["U1000"],
                "V10": 0.5 * fields["V1000"],
                "MSL": 101_300.0 + 900.0 * wave + hours,
                "TP": 0.0 * wave,
            }
            writer.write(time, fields)
    return path
