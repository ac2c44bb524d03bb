"""The run of the real atmosphere on a laptop: what it needs, of whom, and what it costs."""

import pytest

from fuxiflow import ROOT
from fuxiflow.archive.needs import all_needs
from fuxiflow.config import work
from fuxiflow.config.archives import grid_in_address, load_archives
from fuxiflow.config.configuration import load_configuration

REAL = load_configuration(ROOT / "config" / "real.yaml")


def test_nothing_of_it_needs_an_account():
    archives = load_archives(changes=REAL.archives)
    assert archives.era5.provider == "wb2"
    for name in REAL.sources:
        assert name in archives.sources
        assert archives.providers[name].account.startswith("none")


def test_gfs_is_fetched_where_it_is_scored_or_started_from_alone(tmp_path):
    def products(overlay):
        path = tmp_path / "overlay.yaml"
        path.write_text(overlay, encoding="utf-8")
        config = load_configuration(ROOT / "config" / "real.yaml", path)
        return {need.product for need in all_needs(config)}

    assert "gfs" not in {need.product for need in all_needs(REAL)}
    assert "gfs" in products("verification: {baselines: [gfs]}")
    assert "gfs" in products("experiments: {from_gfs: {weights: full, initial: gfs}}")


@pytest.mark.parametrize(
    ("url", "grid"),
    [
        ("https://host/era5/1959-2023_01_10-6h-64x32_equiangular_conservative.zarr", "64x32"),
        ("https://host/pangu/2018-2022_0012_64x32_equiangular_conservative.zarr", "64x32"),
        ("https://host/fuxi/2020-1440x721.zarr", "1440x721"),
        ("https://host/pangu/2018-2022_0012_0p25.zarr", ""),
        ("https://host/240x121_other/2020.zarr", ""),
    ],
)
def test_the_grid_is_told_by_the_name_of_a_store(url, grid):
    assert grid_in_address(url) == grid


def test_raw_fields_are_as_large_as_those_of_the_store_that_is_read():
    assert work.raw_cells(REAL, {"reference": "era5", "segment": "2020-01"}) == 64 * 32
    assert work.raw_cells(REAL, {"system": "pangu", "segment": "2020-01"}) == 64 * 32
    assert work.raw_cells(REAL, {"segment": "2020-01"}) == work.RAW_CELLS
    paper = load_configuration(ROOT / "config" / "paper.yaml")
    assert work.raw_cells(paper, {"reference": "era5", "segment": "2020-01"}) == work.RAW_CELLS
