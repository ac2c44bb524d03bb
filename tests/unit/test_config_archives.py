"""Where the archives are."""

from pathlib import Path
from typing import Literal

import pytest
import yaml

from fuxiflow import ROOT
from fuxiflow.archive import checks, fetching
from fuxiflow.config import archives as settings
from fuxiflow.config import sources, volumes
from fuxiflow.config.configuration import load_configuration


def test_the_committed_file():
    archives = settings.load_archives()
    assert archives.gfs.url.startswith("https://")
    assert set(archives.sources) <= set(sources.source_names())
    assert archives.source("noaa20_atms").products == ["ATMS-SDR", "ATMS-SDR-GEO"]
    with pytest.raises(KeyError, match=r"no archive for source 'goes'.*known: noaa20_atms"):
        archives.source("goes")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"gfs": {"url": "ftp://x"}}, "gfs.url"),
        ({"gfs": {"url": "https://x/"}}, "gfs.url"),
        ({"era5": {"days_per_request": 0}}, "era5.days_per_request"),
        ({"sources": {"x": {"url": "https://x", "products": []}}}, "sources.x.products"),
        ({"sources": {"x": {"url": "https://x/", "products": ["a"]}}}, "sources.x.url"),
        ({"sources": {"x": {"url": "https://x"}}}, "sources.x.products: required"),
        ({"sources": {"x": {"url": "https://x", "prodcts": ["a"]}}}, "sources.x.prodcts: unknown"),
        ({"sources": {"x": {"layout": "granule"}}}, "sources.x.layout: .*did you mean 'granules'"),
        ({"sources": {"x": {"layout": ["granules"]}}}, "sources.x.layout: unknown"),
        ({"sources": {"x": 5}}, "sources.x: 5, allowed: keys with values"),
        ({"more": 1}, "more"),
    ],
)
def test_faults_name_file_and_key(tmp_path, change, key):
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(settings.FILE.read_text()) | change))
    with pytest.raises(ValueError, match=rf"a\.yaml: {key}"):
        settings.load_archives(path)


def test_each_layout_has_its_downloads():
    assert set(fetching.SOURCE_DOWNLOADS) == set(settings.LAYOUTS)
    for name, section in settings.LAYOUTS.items():
        assert section.model_fields["layout"].annotation == Literal[name]


def test_a_repeated_key_is_refused(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(settings.FILE.read_text() + "gfs: {}\n")
    with pytest.raises(ValueError, match=r"a\.yaml: key 'gfs' stands here a second time"):
        settings.load_archives(path)


def test_every_source_has_a_provider_that_is_named_where_it_is_missing():
    archives = settings.load_archives()
    of_stores = {"era5_wb2", "era5_arco"}
    assert set(archives.providers) == {"era5", "gfs", *of_stores, *sources.source_names()}
    text = checks.missing_report(
        {"amsua": ["2018-06", "2018-07", "2019-01"]}, archives, Path("resources/archive")
    )
    provider = archives.providers["amsua"]
    for words in (
        "amsua: 3 months of 2018-06 to 2019-01",
        provider.archive,
        provider.address,
        provider.account,
        provider.licence,
        "about 5 GB a month, 15 GB in all",
        "months: 2018-06 to 2018-07, 2019-01",
        "resources/archive/{product}/{month}/",
    ):
        assert words in text


def test_a_run_chooses_who_is_asked_for_era5():
    archives = settings.load_archives()
    assert (archives.era5.provider, archives.era5.store_url) == ("cds", "")
    mirror = "http://localhost:8000/era5-6h-64x32.zarr"
    changes = {"era5": {"provider": "wb2", "wb2": {"url": mirror}}}
    chosen = settings.load_archives(changes=changes)
    assert chosen.era5.store_url == mirror
    assert chosen.era5.arco == archives.era5.arco
    assert chosen.gfs == archives.gfs
    assert settings.load_archives() == archives


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"era5": {"provider": "wb"}}, r"archives\.era5\.provider: .*wb2"),
        ({"era5": {"arco": {"url": "gs://bucket/"}}}, r"archives\.era5\.arco\.url: "),
        ({"era5": {"provider": "arco", "arco": None}}, r"archives\.era5\.arco: none, .*its url"),
        ({"era6": {}}, r"archives\.era6: .*era5"),
    ],
)
def test_a_mistake_in_what_a_run_changes_is_one_of_the_configuration(changes, line, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"archives": changes}))
    with pytest.raises(ValueError, match=line):
        load_configuration(ROOT / "config" / "test.yaml", path)


def test_the_volume_of_era5_is_that_of_the_grid_in_the_address():
    config = load_configuration(ROOT / "config" / "paper.yaml")
    config = config.model_copy(update={"archives": {"era5": {"provider": "cds"}}})
    wildcards = {"product": "era5", "segment": "2022-01"}
    whole = volumes.raw_archive(config, wildcards).mb
    for grid in ("64x32_equiangular_conservative", "64x32"):
        store = {"provider": "wb2", "wb2": {"url": f"https://mirror/1959-2023-6h-{grid}.zarr"}}
        small = config.model_copy(update={"archives": {"era5": store}})
        assert volumes.raw_archive(small, wildcards).mb == pytest.approx(whole * 0.0025, rel=0.2)
