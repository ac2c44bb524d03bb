"""The rules' scripts that write reports and occultations, on a tiny truth."""

import logging
from datetime import datetime
from types import SimpleNamespace

import pytest

from tests.support.helpers import load_script
from tests.support.world_truth import write_truth

LOG = logging.getLogger("test")
COMMON = {"noise": 1.0, "outages": [], "start": None, "end": None}
NETWORK = COMMON | {"stations": 12, "interval_hours": 12, "missing": 0.1}
OCCULTATIONS = COMMON | {"daily": 3, "spacing_metres": 500, "platforms": ["Metop-B", "COSMIC-2"]}


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return write_truth(tmp_path_factory.mktemp("truth") / "2022-07.zarr", datetime(2022, 7, 1), 9)


def run(script, truth, folder, source, dates=("2022-07-01", "2022-07-02"), **options):
    key, out, arguments = {
        "world_networks": ("network", "reports", NETWORK),
        "world_occultations": ("occultations", "profiles", OCCULTATIONS),
    }[script]
    params = SimpleNamespace(
        source=source, dates=list(dates), seed=5, world="test", **{key: arguments | options}
    )
    load_script(script).main(
        SimpleNamespace(truth=[truth]), SimpleNamespace(**{out: folder}), params, LOG
    )
    assert (folder / "provenance.json").exists()
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.name not in ("provenance.json", "manifest.json")
    }


@pytest.mark.parametrize(
    ("script", "source", "suffix"),
    [
        ("world_networks", "land_stations", "bufr"),
        ("world_networks", "ships_buoys", "bufr"),
        ("world_networks", "radiosondes", "bufr"),
        ("world_occultations", "gnssro", "nc"),
    ],
)
def test_a_file_a_day_that_depends_on_no_other(truth, tmp_path, script, source, suffix):
    both = run(script, truth, tmp_path / "a", source)
    assert list(both) == [f"{source}_{day}_fuxi_sim.{suffix}" for day in (20220701, 20220702)]
    second = run(script, truth, tmp_path / "b", source, dates=("2022-07-02", "2022-07-02"))
    assert second == {name: content for name, content in both.items() if "20220702" in name}


def test_a_source_that_comes_later_leaves_no_file(truth, tmp_path):
    assert list(
        run("world_networks", truth, tmp_path / "a", "land_stations", start="2022-07-02")
    ) == ["land_stations_20220702_fuxi_sim.bufr"]
    assert run("world_occultations", truth, tmp_path / "b", "gnssro", start="2022-08-01") == {}


def test_a_truth_that_ends_early_is_logged(truth, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        run(
            "world_networks",
            truth,
            tmp_path / "a",
            "land_stations",
            dates=("2022-07-02", "2022-07-03"),
        )
        run(
            "world_occultations",
            truth,
            tmp_path / "b",
            "gnssro",
            dates=("2022-07-02", "2022-07-03"),
        )
    assert caplog.text.count("the truth ends at 2022-07-03 00:00:00") == 2
