"""What an artefact holds, and the commands."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr
from PIL import Image, PngImagePlugin

from fuxiflow.__main__ import main
from fuxiflow.inspection import describe

STAMP = json.dumps({"rule": "some_rule", "commit": "abc"})


def test_a_store(tmp_path):
    path = tmp_path / "x.zarr"
    data = xr.Dataset({"state": (("time", "lat"), np.zeros((3, 2), "float32"))}, {"time": [1, 2, 5]},
                      {"provenance": STAMP})
    data.to_zarr(path, consolidated=False)
    text = describe(path)
    assert "time 3, lat 2" in text
    assert "state (time, lat) float32" in text
    assert "1 .. 5" in text
    assert "rule: some_rule" in text


def test_a_table(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": [1, 2]}).replace_schema_metadata({"provenance": STAMP}), path)
    assert "2 rows" in describe(path)
    assert "a int64" in describe(path)
    assert "commit: abc" in describe(path)


def test_a_figure(tmp_path):
    path = tmp_path / "x.png"
    info = PngImagePlugin.PngInfo()
    info.add_text("provenance", STAMP)
    Image.new("RGB", (4, 3)).save(path, pnginfo=info)
    assert "4 x 3 pixels" in describe(path)
    assert "rule: some_rule" in describe(path)


def test_a_folder_of_raw_files(tmp_path):
    (tmp_path / "a.grib").write_bytes(bytes(1_500_000))
    (tmp_path / "provenance.json").write_text(STAMP)
    assert "2 files, 1.5 MB" in describe(tmp_path)


def test_a_stamp_may_be_missing(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "x.png")
    assert "provenance: none" in describe(tmp_path / "x.png")


def test_other_things_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not one of"):
        describe(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        describe(tmp_path / "none.zarr")


def test_commands(tmp_path, capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Config"
    assert main(["check", "config/demo.yaml"]) == 0
    assert "valid, name demo" in capsys.readouterr().out
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\n")
    assert main(["check", str(bad)]) == 1
    assert "bad.yaml" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "none")]) == 1
