"""Artefacts described as text."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import xarray as xr
import zarr
from PIL import Image, PngImagePlugin

from fuxiflow.cli import main
from fuxiflow.grids import Grid
from fuxiflow.inspection import describe, stores
from fuxiflow.models import checkpoint
from fuxiflow.models.networks import parameter_count
from fuxiflow.observations import footprint_table, ledger, quality
from fuxiflow.observations.biweight import BiweightLimits
from fuxiflow.observations.ledger import LedgerEntry
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.observations.sparse_grids import SparseWriter
from fuxiflow.states.store import StateWriter
from fuxiflow.verification import score_table
from tests.support import tiny
from tests.support.footprint_tables import START, footprints

STAMP = json.dumps({"rule": "some_rule", "commit": "abc"})


def test_a_store(tmp_path):
    path = tmp_path / "x.zarr"
    data = xr.Dataset(
        {"state": (("time", "lat"), np.zeros((3, 2), "float32"))},
        {"time": [1, 2, 5]},
        {"provenance": STAMP},
    )
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


def test_everything_below_results_can_be_inspected(tmp_path):
    """Folders, whatever their depth, and files of kinds that have no description of their own."""
    (tmp_path / "raw" / "x.zarr").mkdir(parents=True)
    group = zarr.open_group(tmp_path / "raw" / "x.zarr", mode="w")
    group.create_array("t", data=np.arange(6.0).reshape(2, 3))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("".join(f"line {i}\n" for i in range(30)))
    (tmp_path / "a.json").write_text('{"rule": "x", "params": {"a": 1}}')
    (tmp_path / "b.json").write_text("[1, 2]")
    (tmp_path / "c.restart").write_bytes(bytes(range(256)))
    (tmp_path / "empty").touch()
    for path in [tmp_path, *tmp_path.rglob("*")]:
        if not path.is_relative_to(tmp_path / "raw" / "x.zarr") or path.suffix == ".zarr":
            assert describe(path).startswith(f"{path}: "), path
    text = describe(tmp_path)
    assert "5 files" in text
    assert "1 Zarr stores" in text
    assert "raw/x.zarr" in text
    assert line_of(describe(tmp_path / "raw" / "x.zarr"), "all") == [0, 2.5, 5, 0]
    assert "30 lines" in describe(tmp_path / "logs" / "a.log")
    assert 'params: {"a": 1}' in describe(tmp_path / "a.json")
    assert "2 entries" in describe(tmp_path / "b.json")
    assert "SHA-256 40aff2e9d2d8922e" in describe(tmp_path / "c.restart")


def test_what_is_not_what_its_name_says_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match=r"a.json: not JSON"):
        describe(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError, match="no such file"):
        describe(tmp_path / "none.zarr")


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny.record(tmp_path_factory.mktemp("record"), 40)


def line_of(text, name):
    """The numbers behind a name in a table of the text."""
    rows = [
        line.split()[1:]
        for line in text.splitlines()
        if line.startswith("    ") and line.split()[:1] == [name]
    ]
    (numbers,) = [row for row in rows if row[-1].isdigit() or len(row) == 3]
    return [float(word) for word in numbers]


def test_states_by_channel(record):
    text = describe(record.states[0])
    assert "2022-01-01T00:00:00.000000000 .. 2022-01-10T18:00:00.000000000" in text
    z500 = record.fields[:, tiny.channel_table().names.index("Z500")].astype(float)
    assert line_of(text, "Z500") == pytest.approx(
        [z500.min(), z500.mean(), z500.max(), 0], rel=1e-5
    )


def test_large_states_are_sampled_and_said_to_be(record, monkeypatch):
    monkeypatch.setattr(stores, "MOST_BYTES", record.fields.nbytes // 3 + 1)
    monkeypatch.setattr(stores, "BLOCK_BYTES", record.fields[:2].nbytes)
    text = describe(record.states[0])
    assert "of 14 of 40 entries along time" in text
    t2m = record.fields[::3, tiny.channel_table().names.index("T2M")].astype(float)
    assert line_of(text, "T2M") == pytest.approx([t2m.min(), t2m.mean(), t2m.max(), 0], rel=1e-5)


def test_gaps_of_states_are_told(tmp_path):
    fields = tiny.states(4)
    with StateWriter(tmp_path / "s.zarr", tiny.times(4), tiny.channel_table(), tiny.GRID) as writer:
        for i, field in enumerate(fields):
            writer.write(i, None if i == 2 else field)
    assert "missing: 2022-01-01T12:00:00" in describe(tmp_path / "s.zarr")


def test_statistics_and_climatologies(record):
    text = describe(record.grid_statistics[0])
    assert line_of(text, "22") == [99, 250, 10]
    assert "tendency_std" in describe(record.statistics)
    assert "climatology (dayofyear, hour, channel, lat, lon) float32" in describe(
        record.climatology
    )


def test_sparse_grids(tmp_path):
    path = tmp_path / "g.zarr"
    with SparseWriter(
        path,
        "sounder",
        ["1", "2"],
        ["K", "K"],
        Grid(4, 8),
        START,
        72,
        ["A", "B"],
        "single",
        {"method": "mean"},
    ) as writer:
        values = np.array([[200, np.nan], [210, 300]], "f4")
        writer.write(
            1,
            np.array([3, 5]),
            values,
            np.zeros(2, "f4"),
            np.zeros((2, 2), "f4"),
            np.array([2, 1]),
            np.array([1, -1], "i1"),
        )
        writer.write(
            50, np.array([3]), values[:1], np.zeros(1, "f4"), np.zeros((1, 2), "f4"), np.array([4])
        )
        writer.note(passed_over=6)
    text = describe(path)
    for words in (
        "sounder: 2022-07-01T00 .. 2022-07-04T00 (72 hours, 2 with observations), "
        "4 x 8 cells, frame single",
        "7 footprints in 3 cells; 6 more are of platforms that were not drawn",
        "cells by platform: several 1, A 1, B 1",
        "days without an observation: 2022-07-02",
    ):
        assert words in text
    assert line_of(text, "1") == pytest.approx([200, 203.333, 210, 0])
    assert line_of(text, "2") == [300, 300, 300, 2]


def test_footprint_tables_and_their_ledger(tmp_path):
    path = tmp_path / "2022-07.parquet"
    part = footprints(
        [[200, np.nan], [210, 300], [1, 1]], rejected=[0, 0, Reason.RANGE], station=["X", "Y", ""]
    )
    with footprint_table.FootprintWriter(path, ["1", "2"]) as writer:
        writer.write(part)
    text = describe(path)
    for words in (
        "3 rows",
        "time: 2022-07-01T00:00:00.000000000 .. 2022-07-01T00:00:02.000000000",
        "footprints: used 2, range 1",
        "platforms: NOAA-20 3",
        "files: 1; stations: 2",
    ):
        assert words in text
    assert "ledger:" not in text
    assert line_of(text, "1") == [200, 205, 210, 0]
    assert line_of(text, "2") == [300, 300, 300, 1]

    (tmp_path / "ledger").mkdir()
    day = START.astype("datetime64[D]").item()
    lines = ledger.build_ledger(
        [
            LedgerEntry("s", "f.h5", day, "read", 3),
            *ledger.count_reasons("s", part),
            LedgerEntry("s", "g.h5", day, "platform", 0, message="of Aqua"),
            LedgerEntry("s", "f.h5", day, "outlier", 5, "2"),
        ]
    )
    ledger.write_ledger(tmp_path / "ledger" / path.name, lines)
    assert "ledger: read 3, used 2, range 1, platform 0 (1 files)" in describe(path)
    text = describe(tmp_path / "ledger" / path.name)
    for words in (
        "in all: read 3",
        "read = used + rejected for every file",
        "g.h5: platform, of Aqua",
        "channel 2: 5 single values set missing: outlier",
        "used by day: 2 .. 2 on 1 days",
    ):
        assert words in text
    ledger.write_ledger(
        tmp_path / "wrong.parquet",
        ledger.build_ledger(
            [LedgerEntry("s", "f.h5", day, "read", 3), LedgerEntry("s", "f.h5", day, "used", 2)]
        ),
    )
    assert "does not add up: f.h5: 3 footprints read, but 2" in describe(tmp_path / "wrong.parquet")


def test_an_empty_footprint_table(tmp_path):
    with footprint_table.FootprintWriter(tmp_path / "t.parquet", ["1"]):
        pass
    text = describe(tmp_path / "t.parquet")
    assert "time: none" in text
    assert "footprints: none" in text


def test_limits_and_scores(tmp_path):
    BiweightLimits(["1"], np.full((1, 3), 250.0), np.full((1, 3), 2.0), np.ones((1, 3), int)).write(
        tmp_path / "limits.parquet"
    )
    assert line_of(describe(tmp_path / "limits.parquet"), "mean")[-4:] == [250, 250, 250, 0]
    shape = (2, 1, 1)
    rows = score_table.score_rows(
        experiment="full",
        system="fuxiflow",
        reference="era5",
        metric="rmse",
        leads=[6, 12],
        channels=["T500"],
        regions=["global"],
        value=np.array([1.0, 3.0]).reshape(shape),
        n=np.ones(shape),
        ci_low=np.zeros(shape),
        ci_high=np.zeros(shape),
    )
    score_table.write_scores(tmp_path / "scores.parquet", rows)
    text = describe(tmp_path / "scores.parquet")
    assert "rmse, leads 6 .. 12 h, 1 channels, 1 regions:" in text
    assert [
        line.split()[3:] for line in text.splitlines() if line.split()[:2] == ["full", "fuxiflow"]
    ] == [["2", "1", "2", "3"]]


def test_checkpoints_and_carries(tmp_path, record):
    history = [
        {
            "stage": "joint",
            "settings": {"updates": 3, "batch": 2},
            "period": ["2022-01-01", "2022-01-09"],
            "updates": 3,
            "skipped": 0,
            "final_loss": 0.25,
        }
    ]
    networks = tiny.networks(record)
    checkpoint.save_checkpoint(tmp_path / "joint.ckpt", checkpoint.Checkpoint(networks, history))
    text = describe(tmp_path / "joint.ckpt")
    for words in (
        "70 channels on 8 x 16",
        "source noaa20_atms: 22 channels",
        "provenance:",
        "forecaster: ",
        "stage joint: samples of 2022-01-01 .. 2022-01-09, updates 3, skipped 0, final loss 0.25",
    ):
        assert words in text
    assert "not finite" not in text
    assert "do not fit" not in text
    assert f"{parameter_count(networks.forecaster):,} parameters; patch 2, width 8" in text
    normaliser = networks.normaliser
    expected = [
        float(x[0]) for x in (normaliser.mean, normaliser.std, normaliser.tendency * normaliser.std)
    ]
    assert line_of(text, "Z50") == pytest.approx(expected, rel=1e-5)
    assert "settings: updates 3, batch 2" in text
    torch.save({"time": "2022-01-01", "analysis": torch.arange(4.0)}, tmp_path / "a.carry.pt")
    text = describe(tmp_path / "a.carry.pt")
    assert "time: 2022-01-01" in text
    assert line_of(text, "all") == [0, 1.5, 3, 0]


def test_channels_without_an_equivalent_are_named_and_not_called_broken(tmp_path, record):
    networks = tiny.networks(record)
    with torch.no_grad():
        networks.assimilator.branches["noaa20_atms"].pillars.scale[[2, 5]] = float("inf")
    checkpoint.save_checkpoint(tmp_path / "joint.ckpt", checkpoint.Checkpoint(networks, []))
    text = describe(tmp_path / "joint.ckpt")
    assert "not assimilated, too few observations to fit an equivalent: 3, 6\n" in text
    assert "not finite" not in text


def test_what_is_wrong_with_a_checkpoint_is_said(tmp_path, record):
    networks = tiny.networks(record)
    with torch.no_grad():
        networks.forecaster.position[0, 0, 0, :2] = float("nan")
    checkpoint.save_checkpoint(tmp_path / "joint.ckpt", checkpoint.Checkpoint(networks, []))
    assert "2 weights are not finite, in forecaster.position" in describe(tmp_path / "joint.ckpt")
    content = torch.load(tmp_path / "joint.ckpt", weights_only=True)
    del content["weights"]["forecaster.head.bias"]
    content["weights"]["forecaster.position"] = torch.zeros(3)
    torch.save(content, tmp_path / "other.ckpt")
    assert "do not fit the design: forecaster.head.bias, forecaster.position" in describe(
        tmp_path / "other.ckpt"
    )
    del content["history"]
    torch.save(content, tmp_path / "cut.ckpt")
    with pytest.raises(
        ValueError, match=r"cut\.ckpt: not a whole checkpoint of format 1 \(KeyError\('history'\)\)"
    ):
        describe(tmp_path / "cut.ckpt")


def test_tables_of_figures(tmp_path):
    pd.DataFrame({"lead": [6, 12], "rmse": [1.0, 3.0], "system": ["a", "b"]}).to_csv(
        tmp_path / "f.csv", index=False
    )
    text = describe(tmp_path / "f.csv")
    assert "lead int64, 6 .. 12" in text
    assert line_of(text, "rmse") == [1, 2, 3, 0]


@pytest.mark.parametrize("name", ["x.zarr", "x.parquet", "x.ckpt", "x.pt"])
def test_damaged_files_end_in_one_line(tmp_path, name, capsys):
    path = tmp_path / name
    if path.suffix == ".zarr":
        path.mkdir()
    else:
        path.write_bytes(b"PAR1 damaged")
    assert main(["inspect", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"{path}: ")


def test_quality_columns_are_in_every_table():
    assert set(quality.IDENTITY) <= set(footprint_table.footprint_schema([]).names)
