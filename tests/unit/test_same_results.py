"""The comparison of two runs finds what they computed differently, and nothing else."""

import shutil

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import zarr
from PIL import Image

from tests.support import same_results

FRAME = pd.DataFrame({"system": ["a", "b"], "value": [1.0, np.nan], "n": [3, 4]})


def write_scores(path, frame=FRAME, stamp="one"):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table.replace_schema_metadata({"provenance": stamp, "origin": "here"}), path)


def write_zarr(path, values, stamp="one", units="K"):
    group = zarr.create_group(path, overwrite=True, attributes={"provenance": stamp})
    array = group.create_array("forecast/state", data=np.asarray(values, np.float32))
    array.attrs["units"] = units


def write_checkpoint(path, weight, stamp="one", updates=4):
    content = {
        "format": 1,
        "weights": {"layer.weight": torch.tensor(weight)},
        "history": [{"stage": "joint", "updates": updates}],
        "provenance": stamp,
    }
    torch.save(content, path)


def write_all(results, stamp):
    for name in ("scores", "models", "states", "figures", "raw", "logs"):
        (results / name).mkdir(parents=True)
    write_scores(results / "scores/scores.parquet", stamp=stamp)
    write_zarr(results / "states/2022-01.zarr", [1.0, np.nan], stamp)
    write_checkpoint(results / "models/joint.ckpt", [1.0, 2.0], stamp)
    (results / "figures/cycling.csv").write_text("time,rmse\n1,2\n")
    (results / "figures/costs.csv").write_text(stamp)
    (results / "logs/a.log").write_text(stamp)
    (results / "raw/provenance.json").write_text(stamp)
    (results / "raw/gfs.f000").write_bytes(b"GRIB")
    Image.new("RGB", (2, 2)).save(results / "figures/cycling.png")
    np.savez(results / "raw/nature.npz", wind=np.arange(3))
    with h5py.File(results / "raw/swath.h5", "w") as file:
        file.attrs["provenance"] = stamp
        file["All_Data/temperature"] = np.arange(4, dtype=np.uint16)


@pytest.fixture
def runs(tmp_path):
    write_all(tmp_path / "a", "one")
    write_all(tmp_path / "b", "another")
    return tmp_path / "a", tmp_path / "b"


def change_weight(results):
    write_checkpoint(results / "models/joint.ckpt", [1.0, 2.0000002384185791015625])


def change_history(results):
    write_checkpoint(results / "models/joint.ckpt", [1.0, 2.0], updates=5)


def change_swath(results):
    with h5py.File(results / "raw/swath.h5", "a") as file:
        file["All_Data/temperature"][1] = 7


CHANGES = {
    "scores/scores.parquet/value: 1 of 2 values differ, by up to 0.5": lambda results: write_scores(
        results / "scores/scores.parquet", FRAME.assign(value=[1.5, np.nan])
    ),
    "scores/scores.parquet/system: 1 of 2 values differ, the first at 1": lambda results: (
        write_scores(results / "scores/scores.parquet", FRAME.assign(system=["a", "c"]))
    ),
    "scores/scores.parquet/n: in the first alone": lambda results: write_scores(
        results / "scores/scores.parquet", FRAME.drop(columns="n")
    ),
    "states/2022-01.zarr/forecast/state: 1 of 2 values differ, by up to 1": lambda results: (
        write_zarr(results / "states/2022-01.zarr", [2.0, np.nan])
    ),
    "states/2022-01.zarr/forecast/state: float32 (2,) and float32 (1,)": lambda results: write_zarr(
        results / "states/2022-01.zarr", [1.0]
    ),
    "states/2022-01.zarr/forecast/state@units: 'K' and 'degC'": lambda results: write_zarr(
        results / "states/2022-01.zarr", [1.0, np.nan], units="degC"
    ),
    "models/joint.ckpt/weights/layer.weight: 1 of 2 values differ": change_weight,
    "models/joint.ckpt/history[0]/updates: 4 and 5": change_history,
    "figures/cycling.csv/bytes": lambda results: (results / "figures/cycling.csv").write_text(
        "time,rmse\n1,3\n"
    ),
    "figures/cycling.png/pixels: 12 of 12 values differ": lambda results: Image.new(
        "RGB", (2, 2), "white"
    ).save(results / "figures/cycling.png"),
    "raw/gfs.f000: in the first alone": lambda results: (results / "raw/gfs.f000").unlink(),
    "raw/nature.npz/wind: int64 (3,) and int64 (2,)": lambda results: np.savez(
        results / "raw/nature.npz", wind=np.arange(2)
    ),
    "raw/swath.h5/All_Data/temperature: 1 of 4 values differ, by up to 6": change_swath,
}


def test_runs_that_differ_in_provenance_logs_and_costs_alone_are_the_same(runs, capsys):
    assert same_results.differences(*runs) == []
    assert same_results.main([str(folder) for folder in runs]) == 0
    assert capsys.readouterr().out == "8 products compared, 0 differences\n"


@pytest.mark.parametrize("line", CHANGES)
def test_a_difference_is_named_down_to_the_array(runs, line, capsys):
    CHANGES[line](runs[1])
    lines = same_results.differences(*runs)
    assert any(one.startswith(line) for one in lines), lines
    assert same_results.main([str(folder) for folder in runs]) == 1
    assert line in capsys.readouterr().out


def test_zero_of_another_sign_is_another_number(runs):
    write_zarr(runs[0] / "states/2022-01.zarr", [0.0, 1.0])
    write_zarr(runs[1] / "states/2022-01.zarr", [-0.0, 1.0])
    assert len(same_results.differences(*runs)) == 1


def test_a_number_instead_of_a_missing_value_is_a_difference(runs):
    write_zarr(runs[1] / "states/2022-01.zarr", [1.0, 3.0])
    assert same_results.differences(*runs) == [
        "states/2022-01.zarr/forecast/state: 1 of 2 values differ, by up to 0"
    ]


def test_a_part_can_be_compared_alone_and_nothing_is_no_agreement(runs):
    change_weight(runs[1])
    assert same_results.differences(*runs, within="scores/") == []
    assert len(same_results.differences(*runs, within="models/")) == 1
    shutil.rmtree(runs[1] / "scores")
    with pytest.raises(FileNotFoundError, match="no products"):
        same_results.differences(*runs, within="scores/")
