"""Every source of the embedded world from the truth to the statistics of its grid, by scripts."""

import logging
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest

from fuxiflow.config import configuration, sources
from fuxiflow.observations import ledger
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.observations.statistics import GridStatistics
from tests.support.helpers import asked_of_source, load_script
from tests.support.world_truth import write_truth

LOG = logging.getLogger("test")
DATES = ["2022-07-01", "2022-07-02"]
WORLD = {
    "amsua": {"scan_stride": 60, "field_of_view_stride": 7},
    "mhs": {"scan_stride": 180, "field_of_view_stride": 20},
    "fy3e_mwts3": {"scan_stride": 60, "field_of_view_stride": 7},
    "fy3e_mwhs2": {"scan_stride": 60, "field_of_view_stride": 7},
    "land_stations": {"stations": 60},
    "ships_buoys": {"stations": 30},
    "radiosondes": {"stations": 60, "interval_hours": 12},
    "gnssro": {"daily": 40},
    "nnja_atms": {"scan_stride": 180, "field_of_view_stride": 20},
    "nnja_amsua": {"scan_stride": 60, "field_of_view_stride": 7},
    "nnja_mhs": {"scan_stride": 180, "field_of_view_stride": 20},
    "nnja_land_stations": {"stations": 60},
    "nnja_radiosondes": {"stations": 60, "interval_hours": 12},
}
SCRIPTS = {
    "swaths": ("swath", "swaths"),
    "networks": ("network", "reports"),
    "occultations": ("occultations", "profiles"),
}


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return write_truth(tmp_path_factory.mktemp("truth") / "2022-07.zarr", datetime(2022, 7, 1), 9)


def run(script, inputs, outputs, **params):
    load_script(script).main(
        *(SimpleNamespace(**values) for values in (inputs, outputs, params)), LOG
    )


@pytest.mark.parametrize("name", WORLD)
def test_a_source_gets_from_the_truth_to_its_grid(truth, tmp_path, name):
    source = sources.load_source(name)
    section = source.simulated_as
    key, folder = SCRIPTS[section]
    options = (
        configuration.World(**{section: {name: WORLD[name]}})
        .observing(source)
        .model_dump(mode="json")
    )
    raw, read, histograms, limits, checked, grid, moments, statistics = (
        tmp_path / part
        for part in (
            "raw",
            "read.parquet",
            "histograms.parquet",
            "limits.parquet",
            "checked.parquet",
            "grid.zarr",
            "moments.parquet",
            "statistics.zarr",
        )
    )
    books = [tmp_path / "read_ledger.parquet", tmp_path / "ledger.parquet"]
    run(
        f"world_{section}",
        {"truth": [truth]},
        {folder: raw},
        source=name,
        radiances={},
        dates=DATES,
        seed=3,
        granule_minutes=360,
        **{key: options},
    )
    run(
        "observations_read",
        {"files": raw, "patterns": ()},
        {"table": read, "ledger": books[0], "windows": tmp_path / "windows.parquet"},
        source=name,
        reader=source.reader,
        file_pattern=source.file_pattern,
        platforms=source.platform_names,
        channels=source.channel_names,
        dates=DATES,
        completeness=asked_of_source(DATES, 1.0, 1.0),
    )
    run(
        "observations_limits_part",
        {"table": read},
        {"histograms": histograms},
        channels=source.channel_names,
        ranges=source.valid_ranges,
        logarithmic=source.logarithmic,
        dates=DATES,
        denials=[],
        withheld=None,
    )
    run(
        "observations_limits",
        {"histograms": [histograms]},
        {"limits": limits},
        channels=source.channel_names,
        ranges=source.valid_ranges,
        logarithmic=source.logarithmic,
    )
    run(
        "observations_quality",
        {"table": read, "ledger": books[0], "limits": limits},
        {"table": checked, "ledger": books[1]},
        source=name,
        ranges=source.valid_ranges,
        max_z=source.max_z,
        max_speed=source.max_speed,
        dates=DATES,
        denials=[],
        withheld=None,
        completeness=asked_of_source(DATES, 1.0, 1.0),
    )
    run(
        "observations_grid",
        {"table": checked},
        {"grid": grid},
        source=name,
        units=source.units,
        seed=3,
        dates=DATES,
        completeness=asked_of_source(DATES, 1.0, 1.0),
        grid={"nlat": 16, "nlon": 32},
        options={
            "platforms": source.platform_names,
            "method": source.gridding.method,
            "merged": source.gridding.platforms == "merged",
            "frame": source.frame,
        },
    )
    run("observations_statistics_part", {"grid": grid}, {"moments": moments}, dates=DATES)
    run("observations_statistics", {"moments": [moments]}, {"statistics": statistics}, source=name)
    counts = ledger.read_ledgers([books[1]]).groupby("reason")["count"].sum()
    assert counts["read"] > 100
    assert counts["used"] > 0.95 * counts["read"], counts
    assert set(
        SparseGrids([grid]).window(datetime(2022, 7, 1, 12), *source.window).platform
    ) <= set(range(-1, len(source.platforms)))
    assert len(SparseGrids([grid]).window(datetime(2022, 7, 1, 12), *source.window))
    result = GridStatistics.read(statistics)
    assert np.isfinite(result.mean).all()
    assert (result.std > 0).all()
