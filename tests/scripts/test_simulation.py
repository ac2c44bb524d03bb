"""The scripts of the simulation stage on a tiny record, and a stage of training on their output."""

import logging
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from fuxiflow.config import sources
from fuxiflow.cycling.analyses import Observer
from fuxiflow.observations import footprint_table
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.operators import equivalents
from fuxiflow.simulation.errors import ObservationErrors
from fuxiflow.simulation.reanalysis import ReanalysisSampler
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries
from tests.scripts import test_training_and_cycling as training
from tests.support import tiny
from tests.support.helpers import load_script

LOG = logging.getLogger("test")
SOURCE = sources.load_source("noaa20_atms")
TEMPLATE, PERIOD = ["2022-01-05", "2022-01-08"], ["2022-01-01", "2022-01-03"]
BIAS, NOISE = 1.5, 0.5


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """The tiny record with footprints: equivalents of its states, with errors that are known."""
    directory = tmp_path_factory.mktemp("record")
    made = tiny.record(directory)
    reanalysis = ReanalysisSampler(
        StateSeries(made.states), Statistics.read(made.statistics), equivalents.SOUNDED
    )
    random = np.random.default_rng(0)
    n = 3000
    seconds = np.sort(random.integers(0, 8 * 86400, n))
    columns = {
        "time": tiny.START + seconds.astype("timedelta64[s]"),
        "lat": random.uniform(-80, 80, n),
        "lon": random.uniform(-180, 180, n),
        "zenith": random.uniform(0, 50, n),
        "azimuth": np.zeros(n),
        "scan_position": random.integers(1, 5, n).astype(np.int16),
        "rejected": np.zeros(n, np.uint8),
    }
    clean = equivalents.simulate_equivalents(
        equivalents.equivalent_operator(SOURCE),
        reanalysis.at(columns["lat"], columns["lon"], columns["time"]),
        columns["zenith"],
    )
    values = clean + BIAS + NOISE * random.standard_normal(clean.shape, dtype=np.float32)
    made.table = directory / "2022-01.parquet"
    with footprint_table.FootprintWriter(made.table, SOURCE.channel_names) as writer:
        writer.write(
            footprint_table.build_footprints(SOURCE.channel_names, values, columns, "NOAA-20", "f")
        )
    made.reanalysis = reanalysis
    return made


def simulate(record, directory, geometry="template", seed=3):
    """Run the three scripts; the paths of what they made."""
    shared = {"source": SOURCE.name, "template": TEMPLATE, "seed": seed, "dates": PERIOD}
    made = SimpleNamespace(
        errors=directory / "errors.zarr",
        table=directory / "2022-01.parquet",
        grid=directory / SOURCE.name / "2022-01.zarr",
    )
    states = {"states": record.states, "statistics": record.statistics}
    load_script("simulation_departures").main(
        SimpleNamespace(tables=[record.table], **states), made, SimpleNamespace(**shared), LOG
    )
    load_script("simulation_observations").main(
        SimpleNamespace(tables=[record.table], errors=made.errors, **states),
        made,
        SimpleNamespace(geometry=geometry, strides=[300, 12], **shared),
        LOG,
    )
    options = {
        "platforms": SOURCE.platform_names,
        "method": "mean",
        "merged": False,
        "frame": "hourly",
    }
    load_script("simulation_grid").main(
        SimpleNamespace(table=made.table),
        made,
        SimpleNamespace(
            units=SOURCE.units, options=options, grid={"nlat": 8, "nlon": 16}, **shared
        ),
        LOG,
    )
    return made


@pytest.fixture(scope="module")
def made(record, tmp_path_factory):
    return simulate(record, tmp_path_factory.mktemp("made"))


def test_errors_are_those_of_the_real_observations(made):
    result = ObservationErrors.read(made.errors)
    np.testing.assert_allclose(result.bias, BIAS, atol=0.1)
    np.testing.assert_allclose(np.sqrt((result.factor**2).sum(-1)), NOISE, rtol=0.1)
    assert 1300 < result.count < 1700  # the days of the template alone


def test_simulated_observations_depart_like_real_ones(record, made):
    written = footprint_table.read_footprints(made.table)
    place = [footprint_table.column_values(written, name) for name in ("lat", "lon", "time")]
    clean = equivalents.simulate_equivalents(
        equivalents.equivalent_operator(SOURCE),
        record.reanalysis.at(*place),
        footprint_table.column_values(written, "zenith"),
    )
    departures = footprint_table.values_of(written) - clean
    assert departures.mean() == pytest.approx(BIAS, abs=0.05)
    assert departures.std() == pytest.approx(NOISE, rel=0.1)
    real = footprint_table.read_footprints(record.table)
    days = {
        day: set(
            np.round(
                footprint_table.column_values(t, "lat")[
                    footprint_table.column_values(t, "time").astype("datetime64[D]") == day
                ],
                4,
            )
        )
        for t, day in ((written, np.datetime64("2022-01-02")), (real, np.datetime64("2022-01-06")))
    }
    assert set.intersection(*days.values()) == days[np.datetime64("2022-01-02")] != set()


def test_what_is_simulated_says_so(made):
    assert pq.read_schema(made.table).metadata[b"origin"] == b"simulated"
    grids = SparseGrids([made.grid])
    assert grids.origin == "simulated"
    assert (grids.start, grids.end) == (
        np.datetime64("2022-01-01T00"),
        np.datetime64("2022-01-04T00"),
    )
    assert len(grids.hours(np.datetime64("2022-01-02T00"), 0, 24)) > 100


def test_a_cycle_takes_no_simulated_observations(record, made):
    with pytest.raises(ValueError, match="simulated observations are for training alone"):
        Observer(tiny.networks(record), {tiny.SOURCE: SparseGrids([made.grid])})


def test_the_seed_decides_the_errors_and_the_days_do_not(record, made, tmp_path):
    again, other = (simulate(record, tmp_path / str(seed), seed=seed) for seed in (3, 4))
    # of tables of pandas missing heights are equal
    first, second, third = (
        footprint_table.read_footprints(x.table).to_pandas() for x in (made, again, other)
    )
    assert first.equals(second)
    assert not first.equals(third)


def test_orbits_need_no_table(record, tmp_path):
    seen_values = footprint_table.read_footprints(
        simulate(record, tmp_path, geometry="orbits").table
    )
    assert len(seen_values) == pytest.approx(3 * 32400 / 300 * 8, rel=0.02)
    assert np.isfinite(footprint_table.values_of(seen_values)).all()


def test_hybrid_training_takes_both(record, made, tmp_path, caplog):
    torch.manual_seed(0)
    optimisation = {"updates": 2, "batch": 2, "learning_rate": 1e-3, "max_lead_hours": 12}
    training.train(tmp_path, record)
    for share, same in ((0.0, True), (1.0, False)):
        simulated = {tiny.SOURCE: [{"start": PERIOD[0], "end": PERIOD[1], "share": share}]}
        losses = {}
        for name, shares, grids in (("real", {}, []), ("hybrid", simulated, [made.grid])):
            input = SimpleNamespace(
                states=record.states,
                climatology=record.climatology,
                grids=record.grids,
                assimilator=tmp_path / "assimilator.ckpt",
                simulated=grids,
                compared=[],
            )
            output = SimpleNamespace(
                checkpoint=tmp_path / f"{name}.ckpt", losses=tmp_path / f"{name}.parquet"
            )
            arguments = training.params(
                tmp_path,
                stage={**optimisation, "cycles": 2},
                simulated=shares,
                dates=PERIOD,
                reach=PERIOD[0],
            )
            load_script("training_joint").main(input, output, arguments, LOG)
            losses[name] = pd.read_parquet(output.losses)["loss"].to_numpy()
        assert (losses["real"] == losses["hybrid"]).all() == same
