"""The rule's script on a tiny truth."""

import logging
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest

from fuxiflow.config import sources
from tests.support.helpers import load_script
from tests.support.world_truth import write_truth

LOG = logging.getLogger("test")


def params(**changes):
    swath = {
        "scan_stride": 200,
        "field_of_view_stride": 32,
        "noise": 1.0,
        "outages": [],
    } | changes.pop("swath", {})
    values = {
        "source": "noaa20_atms",
        "dates": ["2022-07-01", "2022-07-02"],
        "swath": swath,
        "granule_minutes": 360,
        "radiances": {},
        "seed": 5,
        "world": "test",
    }
    return SimpleNamespace(**{**values, **changes})


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return write_truth(tmp_path_factory.mktemp("truth") / "2022-07.zarr", datetime(2022, 7, 1), 9)


def run(truth, directory, **changes):
    load_script("world_swaths").main(
        SimpleNamespace(truth=[truth]), SimpleNamespace(swaths=directory), params(**changes), LOG
    )
    return sorted(path.name for path in directory.glob("*.h5"))


def test_writes_pairs_for_every_granule(truth, tmp_path):
    names = run(truth, tmp_path)
    assert len(names) == 2 * 2 * 4
    assert {name[5:] for name in names if name.startswith("SATMS")} == {
        n[5:] for n in names if n.startswith("GATMO")
    }
    assert (tmp_path / "provenance.json").exists()


def test_files_do_not_depend_on_the_days_asked_for(truth, tmp_path):
    import h5py

    both, second = (
        run(truth, tmp_path / "a"),
        run(truth, tmp_path / "b", dates=["2022-07-02", "2022-07-02"]),
    )
    assert second == [name for name in both if "d20220702" in name]
    key = "All_Data/ATMS-SDR_All/BrightnessTemperature"
    name = next(name for name in second if name.startswith("SATMS"))
    with h5py.File(tmp_path / "a" / name) as one, h5py.File(tmp_path / "b" / name) as other:
        difference = one[key][:].astype(int) - other[key][:]
    assert np.abs(difference).max() <= 1


def test_outages_leave_no_files(truth, tmp_path):
    names = run(truth, tmp_path, swath={"outages": [{"start": "2022-07-01", "end": "2022-07-01"}]})
    assert names
    assert not [name for name in names if "d20220701" in name]


def test_a_truth_that_ends_early_is_logged(truth, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        run(truth, tmp_path, dates=["2022-07-02", "2022-07-04"])
    assert "the truth ends at 2022-07-03 00:00:00" in caplog.text


def test_a_source_without_an_orbit_is_refused(truth, tmp_path, monkeypatch):
    source = sources.load_source("noaa20_atms").model_copy(
        update={"platforms": [sources.Platform(name="NOAA-20")]}
    )
    monkeypatch.setattr(sources, "load_source", lambda name: source)
    with pytest.raises(ValueError, match="has no orbit"):
        run(truth, tmp_path)
