"""The command that fetches ECMWF's open data writes a store that the configuration then takes."""

from datetime import datetime

import numpy as np
import pytest
import yaml

from fuxiflow import ROOT
from fuxiflow.archive.open_data import step_paths
from fuxiflow.channels import channel_table
from fuxiflow.cli import main
from fuxiflow.config.archives import OpenDataArchive
from fuxiflow.config.configuration import ConfigurationError, load_configuration
from fuxiflow.grids import Grid
from fuxiflow.states.assembly import Ledger
from fuxiflow.states.public_stores import PublicFields
from fuxiflow.world.public_server import FolderServer, running
from fuxiflow.world.writers.open_data import write_open_data_forecast
from tests.support import grib_files

DAY = datetime(2024, 3, 1)
LEADS = [6, 12]
REAL = ROOT / "config" / "real.yaml"


@pytest.fixture
def mirror(tmp_path):
    """A folder in the archive's layout, without a forecast from 12 UTC."""
    folder, archive = tmp_path / "mirror" / "ecmwf-open-data", OpenDataArchive(url="http://any")
    for lead in LEADS:
        # in the middle of what is credible, so that humidity is too
        middle = [(one.valid_min + one.valid_max) / 2 for one in channel_table()]
        state = np.stack([np.full(grib_files.GRID.shape, value) for value in middle])
        name = step_paths(archive, DAY, lead)[0]
        write_open_data_forecast(folder, name, DAY, lead, state, channel_table(), grib_files.GRID)
    return folder.parent


def overlay(tmp_path, url, **system):
    values = {
        "archives": {"ecmwf_open_data": {"url": f"{url}/ecmwf-open-data"}},
        "periods": {
            "validation": None,
            "cold_start": "2024-02-01",
            "test": {"start": "2024-03-01", "end": "2024-03-01"},
        },
        "segment_months": 1,
        "cycling": {"max_lead_hours": 12, "init_hours": [0, 12]},
        "figures": {"map_leads": [12]},
        "verification": {"systems": {"open": system}},
        "cyclones": {"max_lead_hours": 12},
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_from_the_mirror_to_a_system(mirror, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    store = tmp_path / "stores" / "open.zarr"
    with running(FolderServer(mirror)) as server:
        mine = overlay(tmp_path, server.url, forecasts=str(store))
        with pytest.raises(ConfigurationError, match=r"open\.zarr is no folder"):
            load_configuration(REAL, mine)
        command = ["fetch-open-data", str(REAL), str(mine), "--system", "open"]
        assert main(command) == 0, capsys.readouterr().err
    assert str(store) in capsys.readouterr().out
    config = load_configuration(REAL, mine)
    channels = channel_table().select(config.system_channels)
    assert {*channels.names} > {*config.scored_channels}
    fields = PublicFields(store, channels, Grid(32, 64))
    # humidity and all else that is scored or tracked, on the levels of the index
    assert fields.channels.names == channels.names
    assert fields.lead_hours == LEADS
    states = list(fields.read(DAY, LEADS, Ledger()))
    assert all(state is not None for state in states)
    assert list((tmp_path / "resources" / "archive" / "ecmwf_open_data").iterdir())


def test_what_is_no_folder_to_write_is_named(tmp_path, capsys):
    for system in ({"forecasts": "https://there/hres.zarr"}, {}):
        mine = overlay(tmp_path, "http://127.0.0.1:1", **system)
        assert main(["fetch-open-data", str(REAL), str(mine), "--system", "open"]) == 1
        said = capsys.readouterr().err
        assert "verification.systems.open: no system whose forecasts are a folder" in said
        assert "hres, fuxi, pangu, graphcast, open" in said


def test_what_else_is_wrong_is_told(tmp_path, capsys):
    mine = overlay(tmp_path, "http://127.0.0.1:1", forecasts="new.zarr")
    values = yaml.safe_load(mine.read_text(encoding="utf-8")) | {"seed": -1}
    mine.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert main(["fetch-open-data", str(REAL), str(mine), "--system", "open"]) == 1
    assert "seed" in capsys.readouterr().err
