"""Forecasts of others: from a store in WeatherBench2's layout to scores beside ours."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from fuxiflow.completeness import IncompleteError
from fuxiflow.grids import Grid
from fuxiflow.states.climatology import Climatology, create_climatology
from fuxiflow.states.forecasts import Forecasts, ForecastWriter
from fuxiflow.states.store import StateSeries, write_states
from fuxiflow.storage.tables import read_parquet
from fuxiflow.storage.zarr_stores import consolidate
from fuxiflow.verification import score_table
from tests.scripts import test_verification as ours
from tests.scripts.test_verification import one, parameters
from tests.support.helpers import asked, load_script
from tests.support.wb2_stores import climatology_field, climatology_store, field, public_store

LOG = logging.getLogger("test")
GRID = {"nlat": 8, "nlon": 16}
TIMES = [f"2020-01-0{day}T{hour:02d}" for day in (1, 2) for hour in (0, 12)]
LEADS = [0, 6, 12]
CHANNELS = ["Z500", "Z850", "T850", "T2M", "TP"]


def make(kind, store, tmp_path, **more):
    output = SimpleNamespace(
        forecasts=tmp_path / "forecasts.zarr",
        states=tmp_path / "states.zarr",
        ledger=tmp_path / "ledger.parquet",
    )
    params = {
        "system": "hres",
        "grid": GRID,
        "dates": ("2020-01-01", "2020-01-02"),
        "init_hours": [0, 12],
        "max_lead_hours": 12,
        "channels": CHANNELS,
        "compression": "none",
        "completeness": asked(0.9),
        **more,
    }
    script = load_script(f"states_system_{kind}")
    script.main(SimpleNamespace(store=store), output, SimpleNamespace(**params), LOG)
    return output


def test_a_store_of_forecasts_becomes_one_of_ours(tmp_path):
    store = public_store(tmp_path / "hres.zarr", TIMES, LEADS)
    output = make("forecasts", store, tmp_path)
    forecasts = Forecasts([output.forecasts])
    assert forecasts.channels.names == CHANNELS
    assert forecasts.lead_hours == [6, 12]
    assert len(forecasts.init_times) == 4
    grid = Grid(**GRID)
    valid = np.datetime64("2020-01-02T12", "ns")
    expected = field("geopotential", valid, grid.lat, grid.lon)
    found = forecasts.read("2020-01-02T00", 12)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-4)
    assert len(read_parquet(output.ledger)) == 0


def test_what_a_store_lacks_is_counted_and_judged(tmp_path, caplog):
    store = public_store(tmp_path / "hres.zarr", TIMES, LEADS, without=[(TIMES[1], 6)])
    with pytest.raises(IncompleteError, match="7 of 8 fields of forecasts of hres"):
        make("forecasts", store, tmp_path)
    output = make("forecasts", store, tmp_path, completeness=asked(0.8))
    forecasts = Forecasts([output.forecasts])
    assert not forecasts.available(TIMES[1], 6)
    assert forecasts.available(TIMES[1], 12)
    assert set(read_parquet(output.ledger)["channel"]) == set(CHANNELS)


def test_a_store_of_analyses_becomes_states(tmp_path):
    times = [f"2020-01-0{day}T{hour:02d}" for day in (1, 2) for hour in (0, 6, 12, 18)]
    store = public_store(tmp_path / "hres_t0.zarr", times[:-1], ascending=True)
    output = make("analyses", store, tmp_path, completeness=asked(0.8))
    states = StateSeries(output.states)
    # precipitation is of forecasts alone
    assert states.channels.names == CHANNELS[:-1]
    assert np.datetime64(times[0], "ns") in states
    assert np.datetime64(times[-1], "ns") not in states
    with pytest.raises(IncompleteError, match="7 of 8 analyses of hres"):
        make("analyses", store, tmp_path, completeness=asked(0.9))


def test_a_public_climatology_is_that_of_scores(tmp_path):
    training, grid = tmp_path / "training.zarr", Grid(**GRID)
    group = create_climatology(training, ours.channel_table().select(["T2M", "R850"]), grid, 61)
    group["climatology"][...] = 42.0
    consolidate(training)
    store = climatology_store(tmp_path / "public.zarr", names={"2m_temperature": "K"})
    inputs = SimpleNamespace(store=store, training=training)
    output = SimpleNamespace(climatology=tmp_path / "scored.zarr")
    script = load_script("states_scored_climatology")
    script.main(inputs, output, SimpleNamespace(), LOG)
    state = Climatology.read(output.climatology).at(np.datetime64("2020-01-11T06"))
    expected = climatology_field("2m_temperature", 11, 6, grid.lat, grid.lon)
    np.testing.assert_allclose(state[0], expected, rtol=1e-5)
    assert (state[1] == 42.0).all()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return ours.build_world(tmp_path_factory.mktemp("systems"))


def gather_system(world, folder, forecasts, analyses=(), **more):
    inputs = SimpleNamespace(
        forecasts=forecasts,
        analyses=list(analyses),
        era5=world.era5,
        truth=world.truth,
        climatology=world.climatology,
    )
    return ours.gather("systems", inputs, folder, [ours.PERIOD], system="hres", **more)


def merge(world, tmp_path, parts):
    """Merge parts of a system with those of the baselines, and score our forecasts beside them."""
    inputs = SimpleNamespace(
        era5=world.era5,
        truth=world.truth,
        gfs=world.gfs,
        forecasts=world.gfs_forecasts,
        climatology=world.climatology,
    )
    own_parts = ours.gather("baselines", inputs, tmp_path / "baselines", [ours.PERIOD])
    output = SimpleNamespace(
        scores=tmp_path / "baselines.parquet", cases=tmp_path / "baselines.zarr"
    )
    load_script("verification_baselines").main(
        SimpleNamespace(parts=[*own_parts, *parts]), output, parameters(), LOG
    )
    inputs = SimpleNamespace(
        forecasts=world.forecasts,
        analyses=world.analyses,
        era5=world.era5,
        truth=world.truth,
        climatology=world.climatology,
    )
    parts = ours.gather("forecasts", inputs, tmp_path / "forecasts", [ours.PERIOD])
    compared = SimpleNamespace(
        scores=tmp_path / "forecasts.parquet", cases=tmp_path / "forecasts.cases.zarr"
    )
    beside = parameters(baselines=[*parameters().baselines, "hres"])
    inputs = SimpleNamespace(parts=parts, baselines=output.cases)
    load_script("verification_forecasts").main(inputs, compared, beside, LOG)
    return output, compared


def test_a_system_is_scored_and_compared(world, tmp_path, caplog):
    """Its errors are 0.5 K or m2 s-2 an hour against the truth; GFS's analyses are its own."""
    parts = gather_system(world, tmp_path, world.gfs_forecasts, world.gfs)
    with caplog.at_level(logging.INFO):
        scores, compared = merge(world, tmp_path, parts)
    said = "full: compared with hres against truth on 3 of 12 start times, 2 of 2 leads, 3 of 3"
    assert said in caplog.text
    row = one(scores.scores, system="hres", reference="truth", metric="rmse", lead_time=12)
    assert row["value"] == pytest.approx(6.0, rel=1e-3)
    assert row["experiment"] == "baseline"
    own = one(scores.scores, system="hres", reference="own", metric="bias", lead_time=12)
    assert own["value"] == pytest.approx(6.0 - ours.GFS_ERROR, rel=1e-3)
    # ours is 3 where hres is 6, on the start times that both have
    row = one(compared.scores, reference="truth", metric="rmse_vs_hres", lead_time=12)
    assert row["value"] == pytest.approx(-0.5, rel=1e-3)
    assert row["n"] == 3
    merged = score_table.system_scores(score_table.merge_scores([scores.scores, compared.scores]))
    assert {"hres", "gfs", "fuxiflow"} <= set(merged["system"])
    assert "era5" not in set(merged["system"])


def test_cases_that_a_system_lacks_are_judged_and_said(world, tmp_path, caplog):
    starts = ours.moments(*ours.PERIOD)[::2]
    store = tmp_path / "few.zarr"
    with ForecastWriter(store, starts, ours.LEADS, ours.CHANNELS, ours.GRID) as writer:
        for i, start in enumerate(starts):
            for j, lead in enumerate(ours.LEADS):
                field = ours.truth(start + np.timedelta64(lead, "h")) + 1
                writer.write(i, j, None if (i, j) == (2, 1) else field)
    parts = gather_system(world, tmp_path, [store])
    with caplog.at_level(logging.WARNING):
        scores, compared = merge(world, tmp_path, parts)
    assert "23 of 24 cases of hres forecasts have a field" in caplog.text
    assert "compared with hres" not in caplog.text
    by_lead = {
        lead: one(scores.scores, system="hres", reference="truth", metric="rmse", lead_time=lead)
        for lead in ours.LEADS
    }
    assert [row["n"] for row in by_lead.values()] == [12, 11]
    row = one(compared.scores, reference="truth", metric="rmse_vs_hres", lead_time=12)
    assert row["n"] == 11


def test_channels_that_its_analyses_lack_are_left_out(world, tmp_path, caplog):
    valid = ours.moments("2023-01-01", "2023-01-09")
    few = ours.channel_table().select(["Z500"])
    own = tmp_path / "own.zarr"
    write_states(own, valid, few, ours.GRID, [ours.truth(time, few) for time in valid])
    parts = gather_system(world, tmp_path, world.gfs_forecasts, [own])
    scores, _ = merge(world, tmp_path, parts)
    assert "hres: not scored, as its analyses lack them: T850" in caplog.text
    rows = score_table.read_scores(scores.scores, system="hres")
    assert set(rows["channel"]) == {"Z500", "TP"}
