"""Miniatures of NNJA-AI's Parquet files, with the columns that its data sets have."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MISSING = 1e11
"""What stands for a missing value inside lists of levels."""
ROOT = "gcp-nnja-ai/data/v1"
AMSUA = "amsua/1bamua/NC021023"


def key_of(data_set: str, day: str, root: str = ROOT) -> str:
    """The key of a day's file, with the bucket in front."""
    message = data_set.rpartition("/")[2]
    name = f"gdas.{day.replace('-', '')}.{message}.parquet"
    return f"{root}/{data_set}/OBS_DATE={day}/{name}"


def common(time, lat, lon, message: str) -> dict:
    """The columns that all data sets have."""
    time = np.asarray(time, "datetime64[us]")
    count = len(time)
    return {
        "MSG_TYPE": pa.array([message] * count),
        "MSG_DATE": pa.array(time.astype("datetime64[D]")),
        "MSG_IDX": pa.array(np.zeros(count, np.int64)),
        "SUBSET_IDX": pa.array(np.arange(count)),
        "SRC_FILENAME": pa.array(["gdas.t00z.tm00.bufr_d"] * count),
        "LAT": pa.array(np.asarray(lat, float)),
        "LON": pa.array(np.asarray(lon, float)),
        "OBS_TIMESTAMP": pa.array(time).cast(pa.timestamp("ns", "UTC")),
        "OBS_DATE": pa.array(time.astype("datetime64[D]")),
    }


def sounder(message: str, time, lat, lon, satellite, position, zenith, azimuth, values) -> pa.Table:
    """Footprints of a sounder; ``values`` are ``(n, channel)`` by the names of the members."""
    group = {"NC021203": "ATMSCH"}.get(message, "BRITCSTC")
    count = len(time)
    columns = common(time, lat, lon, message)
    columns |= {
        "SAID": pa.array(np.broadcast_to(np.asarray(satellite, float), count)),
        "SIID": pa.array(np.full(count, 570.0)),
        "FOVN": pa.array(np.asarray(position, float)),
        "SAZA": pa.array(np.asarray(zenith, float)),
        "SOZA": pa.array(np.full(count, 60.0)),
        "BEARAZ": pa.array(np.asarray(azimuth, float)),
        "HMSL": pa.array(np.full(count, 850_000.0)),
    }
    for member, table in values.items():
        for channel, column in enumerate(np.asarray(table).T):
            columns[f"{group}.{member}_{channel + 1:05d}"] = pa.array(
                column.astype(float), from_pandas=True
            )
    return pa.table(columns)


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
