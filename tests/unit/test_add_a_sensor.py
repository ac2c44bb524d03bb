"""The one file of docs/guides/add-a-sensor.md is all that a sensor of a known format takes."""

import logging
import re
from types import SimpleNamespace

import numpy as np
import pytest

from fuxiflow import ROOT
from fuxiflow.cli import main
from fuxiflow.config import sources
from fuxiflow.grids import Grid
from fuxiflow.observations import footprint_table, ledger
from fuxiflow.observations.sparse_grids import SparseGrids
from tests.support.helpers import asked_of_source, documented_source, load_script, realdata

LOG = logging.getLogger("test")
STEM = "npp_d20181022_t0022213_e0022529_b36187_c20181022014936"
FILES = [f"SATMS_{STEM}019618_noac_ops.h5", f"GATMO_{STEM}013060_noac_ops.h5"]
DATES = ["2018-10-22", "2018-10-22"]


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The file in a folder of sources of its own."""
    folder = tmp_path / "sources"
    folder.mkdir()
    monkeypatch.setattr(sources, "DIRECTORY", folder)
    sources.load_source.cache_clear()
    (folder / "snpp_atms.yaml").write_text(documented_source())
    yield folder / "snpp_atms.yaml"
    sources.load_source.cache_clear()


def test_the_file_is_checked_as_the_page_says(path, capsys):
    assert main(["check", str(path)]) == 0
    said = capsys.readouterr().out.replace(str(path), "config/sources/snpp_atms.yaml")
    assert said in (ROOT / "docs" / "guides" / "add-a-sensor.md").read_text()
    path.write_text(path.read_text().replace("reader: atms_sdr", "reader: atms_sdx"))
    assert main(["check", str(path)]) == 1
    assert re.search(
        r"reader: unknown 'atms_sdx', allowed: .*did you mean 'atms_sdr'\?", capsys.readouterr().err
    )


def test_a_real_granule_becomes_a_sparse_grid(path, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in FILES:
        (raw / name).symlink_to(realdata(f"atms_sdr/{name}"))
    assert sources.source_names() == ["snpp_atms"]
    source = sources.load_source("snpp_atms")
    grid = Grid(180, 360)
    shared = {
        "source": source.name,
        "channels": source.channel_names,
        "dates": DATES,
        "completeness": asked_of_source(DATES, 1.0, 1.0),
    }
    made = SimpleNamespace(
        **{name: tmp_path / f"read_{name}.parquet" for name in ("table", "ledger", "windows")}
    )
    load_script("observations_read").main(
        SimpleNamespace(files=raw, patterns=()),
        made,
        SimpleNamespace(
            reader=source.reader,
            file_pattern=source.file_pattern,
            platforms=source.platform_names,
            **shared,
        ),
        LOG,
    )
    limits = SimpleNamespace(
        histograms=tmp_path / "histograms.parquet", limits=tmp_path / "limits.parquet"
    )
    scales = SimpleNamespace(
        ranges=source.valid_ranges,
        logarithmic=source.logarithmic,
        denials=[],
        withheld=None,
        **shared,
    )
    load_script("observations_limits_part").main(
        SimpleNamespace(table=made.table), limits, scales, LOG
    )
    load_script("observations_limits").main(
        SimpleNamespace(histograms=[limits.histograms]), limits, scales, LOG
    )
    good = SimpleNamespace(table=tmp_path / "table.parquet", ledger=tmp_path / "ledger.parquet")
    load_script("observations_quality").main(
        SimpleNamespace(table=made.table, ledger=made.ledger, limits=limits.limits),
        good,
        SimpleNamespace(
            ranges=source.valid_ranges,
            max_z=source.max_z,
            max_speed=source.max_speed,
            denials=[],
            withheld=None,
            **shared,
        ),
        LOG,
    )
    load_script("observations_grid").main(
        good,
        SimpleNamespace(grid=tmp_path / "grid.zarr"),
        SimpleNamespace(
            units=source.units,
            options={"platforms": source.platform_names},
            seed=0,
            grid={"nlat": grid.nlat, "nlon": grid.nlon},
            **shared,
        ),
        LOG,
    )

    counts = (
        ledger.read_ledgers([good.ledger]).query("channel == ''").groupby("reason")["count"].sum()
    )
    assert counts["read"] == 12 * 96 == counts.drop("read").sum()
    assert counts["used"] > 0.99 * counts["read"]
    grids = SparseGrids([tmp_path / "grid.zarr"])
    assert (grids.platforms, grids.channels) == (["Suomi-NPP"], [str(i) for i in range(1, 23)])
    window = grids.window(np.datetime64("2018-10-22T03"), -3, 5)
    used = footprint_table.read_used_footprints(
        good.table, *map(np.datetime64, ("2018-10-22",) * 2)
    )
    cells = grid.cell(
        footprint_table.column_values(used, "lat"), footprint_table.column_values(used, "lon")
    )
    assert window.cell.tolist() == np.unique(cells).tolist()
    assert set(window.slot.tolist()) == {0}
    one = cells == window.cell[len(window) // 2]
    assert window.values[len(window) // 2] == pytest.approx(
        np.nanmean(footprint_table.values_of(used)[one], 0), abs=1e-3
    )
    assert 180 < np.nanmin(window.values) < np.nanmax(window.values) < 300
