"""The scripts that compare all systems with observations, on stores whose departures are known."""

import logging
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fuxiflow.channels import channel_table
from fuxiflow.config import sources
from fuxiflow.observations.footprint_table import FootprintWriter
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.states.forecasts import ForecastWriter
from tests.support import tiny
from tests.support.footprint_tables import footprints
from tests.support.helpers import asked, load_script

LOG = logging.getLogger("test")
SOURCE = sources.load_source("land_stations")
PERIOD = ["2022-01-01", "2022-01-02"]
INITS = [0, 12]
LEADS = [0, 12, 24]
NAMES = ["full", "era5", "persistence", "climatology"]
CELLS = [(2, 3), (4, 0), (5, 15)]


def run(rule, inputs, output, **params):
    load_script(rule).main(
        SimpleNamespace(**inputs), SimpleNamespace(**output), SimpleNamespace(**params), LOG
    )


def station_table(path, fields):
    """Reports of T2M at the centres of cells, of the state itself; the second is withheld."""
    place = channel_table().names.index("T2M")
    times = tiny.times(len(fields))
    rows = [(time, i, row, column) for time in range(8) for i, (row, column) in enumerate(CELLS)]
    values = np.full((len(rows), len(SOURCE.channels)), np.nan)
    for k, (time, _, row, column) in enumerate(rows):
        values[k, SOURCE.channel_names.index("T2M")] = fields[time, place, row, column]
    part = footprints(
        values,
        channels=SOURCE.channel_names,
        time=[times[time] for time, *_ in rows],
        lat=[tiny.GRID.lat[row] for *_, row, _ in rows],
        lon=[tiny.GRID.lon[column] for *_, column in rows],
        station=[f"S{i}" for _, i, *_ in rows],
        scan_position=[0] * len(rows),
        rejected=[Reason.WITHHELD if i == 1 else 0 for _, i, *_ in rows],
    )
    with FootprintWriter(path, SOURCE.channel_names) as writer:
        writer.write(part)


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """Analyses are the observed states, ERA5 half a kelvin and forecasts two kelvins warmer."""
    root = tmp_path_factory.mktemp("observed")
    fields = tiny.states(9)
    for name in ("analyses/full", "states/era5", "forecasts/full", "observed/land_stations"):
        (root / name).mkdir(parents=True)
    analyses = tiny.write_states(root / "analyses/full/2022-01.zarr", fields, "analysis")
    era5 = tiny.write_states(root / "states/era5/2022-01.zarr", fields + np.float32(0.5))
    statistics = tiny.write_statistics(root / "statistics.zarr", fields)
    climatology = tiny.write_climatology(root / "climatology.zarr", fields)
    inits = tiny.times(8)[::2]
    forecasts = root / "forecasts/full/2022-01.zarr"
    with ForecastWriter(forecasts, inits, LEADS[1:], channel_table(), tiny.GRID) as writer:
        for i in range(len(inits)):
            for j, lead in enumerate(LEADS[1:]):
                writer.write(i, j, fields[min(2 * i + lead // 6, 8)] + np.float32(2.0))
    station_table(root / "checked.parquet", fields)
    drawn = root / "observed/land_stations/2022-01.parquet"
    run(
        "verification_observations",
        {"table": root / "checked.parquet", "statistics": statistics},
        {"table": drawn},
        source=SOURCE.name,
        dates=PERIOD,
        seed=0,
    )
    run(
        "verification_observed_part",
        {
            "observations": [drawn],
            "forecasts": [forecasts],
            "analyses": [analyses],
            "era5": [era5],
            "climatology": climatology,
            "statistics": statistics,
        },
        {"sums": root / "sums.zarr"},
        sources=[SOURCE.name],
        systems=NAMES,
        period=PERIOD,
        init_hours=INITS,
        leads=LEADS,
        regions=["global", "tropics"],
    )
    run(
        "verification_observed",
        {"parts": [root / "sums.zarr"]},
        {"scores": root / "observed.parquet"},
        sources=[SOURCE.name],
        completeness=asked(1.0),
    )
    frame = pd.read_parquet(root / "observed.parquet")
    return frame.set_index(["channel", "system", "sample", "region", "lead_time"]).sort_index()


@pytest.mark.parametrize(("system", "bias"), [("full", -2.0), ("era5", -0.5)])
def test_errors_that_were_put_in_come_out(scores, system, bias):
    for sample, stations in (("withheld", 1), ("assimilated", 2)):
        row = scores.loc[("T2M", system, sample, "global", 12)]
        # of four start times, the last one's forecast is valid after the observations
        assert row["n"] == 3 * stations
        assert row["bias"] == pytest.approx(bias, abs=0.02)
        assert row["rmse"] == pytest.approx(-bias, abs=0.02)
        assert row["main_rmse"] == pytest.approx(2.0, abs=0.02)


def test_analyses_fit_what_they_were_made_of(scores):
    row = scores.loc[("T2M", "full", "assimilated", "global", 0)]
    assert (row["n"], row["unit"]) == (8, "K")
    assert row["rmse"] == pytest.approx(0, abs=0.02)
    assert ("T2M", "persistence", "assimilated", "global", 0) not in scores.index


def test_persistence_and_climatology_are_compared_too(scores):
    for system in ("persistence", "climatology"):
        row = scores.loc[("T2M", system, "assimilated", "global", 24)]
        assert row["n"] == 4
        assert row["rmse"] > 0
