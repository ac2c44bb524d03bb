"""Miniatures of NNJA-AI's Parquet files, with the columns that its data sets have."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fuxiflow.world.writers import nnja_parquet

ROOT = "gcp-nnja-ai/data/v1"
AMSUA = "amsua/1bamua/NC021023"


def key_of(data_set: str, day: str, root: str = ROOT) -> str:
    """The key of a day's file, with the bucket in front."""
    message = data_set.rpartition("/")[2]
    name = f"gdas.{day.replace('-', '')}.{message}.parquet"
    return f"{root}/{data_set}/OBS_DATE={day}/{name}"


def sounder(message: str, time, lat, lon, satellite, position, zenith, azimuth, values) -> pa.Table:
    """Footprints of a sounder; ``values`` are ``(n, channel)`` by the names of the members."""
    view = {
        "time": time,
        "LAT": lat,
        "LON": lon,
        "SAID": satellite,
        "SIID": 570.0,
        "FOVN": position,
        "SAZA": zenith,
        "SOZA": 60.0,
        "BEARAZ": azimuth,
        "HMSL": 850_000.0,
    }
    return nnja_parquet.sounder_table(message, view, values)


def content(table: pa.Table, rows: int = 1000) -> bytes:
    """A table as a Parquet file, ``rows`` a row group."""
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=rows)
    return file.getvalue()


def amsua(time="2022-07-01T23:30:00", scans=40, satellite=209, seed=0) -> pa.Table:
    """Scans of an AMSU-A from a time on, where a satellite may see them."""
    from tests.support.bufr_files import swath

    elements, values = swath("amsua", scans=scans, start=time, seed=seed)
    seconds = elements[4004] * 3600 + elements[4005] * 60 + elements[4006]
    day = np.array(
        [
            f"{y:04.0f}-{m:02.0f}-{d:02.0f}"
            for y, m, d in zip(elements[4001], elements[4002], elements[4003], strict=True)
        ],
        "datetime64[D]",
    )
    moment = day.astype("datetime64[us]") + (seconds * 1e6).astype("timedelta64[us]")
    return sounder(
        "NC021023",
        moment,
        elements[5001],
        elements[6001],
        satellite,
        elements[5043],
        elements[7024],
        elements[5021],
        {"TMBR": values},
    )
