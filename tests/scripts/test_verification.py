"""The scripts of the verification stage on tiny stores whose scores are known by hand.

The synthetic world: truth is climatology plus a wave in longitude that moves east; ERA5, analyses
and forecasts are the truth plus constants, so that RMSE and bias are those constants whatever the
weights.
"""

import json
import logging
import shutil
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xarray as xr

from fuxiflow import times
from fuxiflow.channels import channel_table
from fuxiflow.completeness import IncompleteError
from fuxiflow.config import sources
from fuxiflow.grids import Grid
from fuxiflow.observations.sparse_grids import SparseWriter
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.states.forecasts import ForecastWriter
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import write_states
from fuxiflow.storage.datasets import read_dataset
from fuxiflow.verification import cases, departures, maps, score_table
from fuxiflow.verification.departures import simulate_at_cells
from fuxiflow.verification.systems import observation_counts
from tests.support.climatologies import build_climatology
from tests.support.helpers import asked, load_script

LOG = logging.getLogger("test")
GRID = Grid(8, 16)
CHANNELS = channel_table().select(["Z500", "T850", "TP"])
ANALYSED = channel_table().select(["Z500", "T850"])
PERIOD = ("2023-01-03", "2023-01-08")
CYCLE = ("2023-01-01", "2023-01-08")
LEADS = [6, 12]
NORMAL = 100.0
ERA5_ERROR, GFS_ERROR, ANALYSIS_ERROR, BACKGROUND_ERROR = 1.0, 4.0, 2.0, 3.0
ANALYSIS = np.datetime64("2023-01-01T00", "h")


def truth(time, channels=CHANNELS) -> np.ndarray:
    """A wave of amplitude 10 that moves by one cell in 6 hours, about the climatology."""
    step = int((np.datetime64(time, "h") - ANALYSIS) / np.timedelta64(6, "h"))
    wave = 10 * np.cos(2 * np.pi * (np.arange(GRID.nlon) - step) / GRID.nlon)
    return np.broadcast_to(NORMAL + wave, (len(channels), *GRID.shape)).astype(np.float32)


def moments(first, last):
    return times.as_datetime64(times.times(date.fromisoformat(first), date.fromisoformat(last)))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> SimpleNamespace:
    return build_world(tmp_path_factory.mktemp("verification"))


def build_world(root) -> SimpleNamespace:
    valid = moments("2023-01-01", "2023-01-09")
    for name, error in (("truth", 0.0), ("era5", ERA5_ERROR)):
        write_states(
            root / f"{name}.zarr", valid, CHANNELS, GRID, [truth(t) + error for t in valid]
        )
    gfs = [truth(t) + GFS_ERROR for t in valid]
    for state in gfs:
        state[2] = np.nan  # an analysis has no precipitation
    write_states(root / "gfs.zarr", valid, CHANNELS, GRID, gfs)
    normal = np.full((len(CHANNELS), *GRID.shape), NORMAL, np.float32)
    build_climatology(
        root / "climatology.zarr", valid[:4], lambda time: normal, CHANNELS, GRID, 61, LOG
    )
    cycle = moments(*CYCLE)
    write_states(
        root / "analyses.zarr",
        cycle,
        ANALYSED,
        GRID,
        {
            "analysis": [truth(t, ANALYSED) + ANALYSIS_ERROR for t in cycle],
            "background": [None, *(truth(t, ANALYSED) + BACKGROUND_ERROR for t in cycle[1:])],
        },
    )
    inits = moments(*PERIOD)
    for name, starts, growth in (
        ("forecasts", inits[::2], 0.25),
        ("gfs_forecasts", inits[::10], 0.5),
    ):
        with ForecastWriter(root / f"{name}.zarr", starts, LEADS, CHANNELS, GRID) as writer:
            for i, init in enumerate(starts):
                for j, lead in enumerate(LEADS):
                    writer.write(i, j, truth(init + np.timedelta64(lead, "h")) + growth * lead)
    return SimpleNamespace(
        root=root,
        out=root / "out",
        **{
            name: [root / f"{name}.zarr"]
            for name in ("truth", "era5", "gfs", "analyses", "forecasts", "gfs_forecasts")
        },
        climatology=root / "climatology.zarr",
    )


def parameters(**more) -> SimpleNamespace:
    return SimpleNamespace(
        **{
            "experiment": "full",
            "period": PERIOD,
            "cycle": CYCLE,
            "init_hours": [0, 12],
            "max_lead_hours": 12,
            "channels": None,
            "array": "analysis",
            "regions": ["global", "tropics"],
            "windows": {"noaa20_atms": [-3, 5]},
            "own": True,
            "baselines": ["gfs", "persistence", "climatology"],
            "map_leads": [12],
            "map_channels": ["Z500"],
            "bootstrap": 50,
            "block_days": 1,
            "seed": 1,
            "completeness": asked(),
            **more,
        }
    )


def gather(kind, inputs, folder, periods, **more) -> list:
    """Make the parts of a kind of verification, one for each period."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for period in periods:
        path = folder / f"{kind}-{period[0]}.zarr"
        output = SimpleNamespace(
            cases=path, sums=path, departures=path, observations=path.with_suffix(".parquet")
        )
        chosen = parameters(period=period, climatology=True, persistence=True, **more)
        load_script(f"verification_{kind}_part").main(inputs, output, chosen, LOG)
        parts.append(path)
    return parts


def make_baselines(world, folder, periods=(PERIOD,), **more) -> SimpleNamespace:
    inputs = SimpleNamespace(
        era5=world.era5,
        truth=world.truth,
        gfs=world.gfs,
        forecasts=world.gfs_forecasts,
        climatology=world.climatology,
    )
    parts = gather("baselines", inputs, folder / "baselines", periods, **more)
    output = SimpleNamespace(scores=folder / "baselines.parquet", cases=folder / "baselines.zarr")
    load_script("verification_baselines").main(
        SimpleNamespace(parts=parts), output, parameters(**more), LOG
    )
    return output


def make_forecasts(
    world, baselines, folder, periods=(PERIOD,), analyses=None, **more
) -> SimpleNamespace:
    inputs = SimpleNamespace(
        forecasts=world.forecasts,
        analyses=analyses or world.analyses,
        era5=world.era5,
        truth=world.truth,
        climatology=world.climatology,
    )
    parts = gather("forecasts", inputs, folder / "forecasts", periods, **more)
    output = SimpleNamespace(
        scores=folder / "forecasts.parquet", cases=folder / "forecasts.cases.zarr"
    )
    inputs = SimpleNamespace(parts=parts, baselines=baselines.cases)
    load_script("verification_forecasts").main(inputs, output, parameters(**more), LOG)
    return output


def make_analyses(
    world, baselines, folder, periods=(CYCLE,), analyses=None, **more
) -> SimpleNamespace:
    inputs = SimpleNamespace(
        analyses=analyses or world.analyses,
        era5=world.era5,
        truth=world.truth,
        climatology=world.climatology,
        grids=[],
    )
    parts = gather("analyses", inputs, folder / "analyses", periods, **more)
    output = SimpleNamespace(
        scores=folder / "analyses.parquet",
        cycle=folder / "cycle.parquet",
        observations=folder / "observations.parquet",
        cases=folder / "analyses.cases.zarr",
    )
    inputs = SimpleNamespace(
        parts=parts,
        observations=[path.with_suffix(".parquet") for path in parts],
        baselines=baselines.cases,
    )
    load_script("verification_analyses").main(inputs, output, parameters(**more), LOG)
    return output


def make_maps(world, folder, periods=(PERIOD,)) -> SimpleNamespace:
    inputs = SimpleNamespace(
        forecasts=world.forecasts, era5=world.era5, truth=world.truth, climatology=world.climatology
    )
    parts = gather("maps", inputs, folder / "maps", periods)
    output = SimpleNamespace(maps=folder / "maps.zarr")
    load_script("verification_maps").main(SimpleNamespace(parts=parts), output, parameters(), LOG)
    return output


@pytest.fixture(scope="module")
def baselines(world) -> SimpleNamespace:
    return make_baselines(world, world.root)


@pytest.fixture(scope="module")
def forecasts(world, baselines) -> SimpleNamespace:
    return make_forecasts(world, baselines, world.root)


@pytest.fixture(scope="module")
def analyses(world, baselines) -> SimpleNamespace:
    return make_analyses(world, baselines, world.root)


def one(path, **where):
    rows = score_table.read_scores(path, **{"region": "global", "channel": "Z500", **where})
    assert len(rows) == 1
    return rows.iloc[0]


def days_of(period, size):
    """Cut a period into spans of so many days."""
    days = np.unique(moments(*period).astype("datetime64[D]"))
    return [(str(days[i]), str(days[i : i + size][-1])) for i in range(0, len(days), size)]


@pytest.mark.parametrize("size", [1, 4])
def test_any_parts_give_what_one_part_gives(world, baselines, forecasts, analyses, tmp_path, size):
    # latest first: no order of the parts counts either; on some days GFS starts no forecast
    test, cycle = (days_of(period, size)[::-1] for period in (PERIOD, CYCLE))
    made = make_baselines(world, tmp_path, test)
    others = [
        (baselines, made),
        (forecasts, make_forecasts(world, made, tmp_path, test)),
        (analyses, make_analyses(world, made, tmp_path, cycle)),
        (make_maps(world, world.root), make_maps(world, tmp_path, test)),
    ]
    for one_part, several in others:
        for name, path in vars(one_part).items():
            assert_same(path, getattr(several, name))


def assert_same(first, second):
    """Compare two products bit by bit, their provenance apart."""
    if first.suffix == ".parquet":
        pd.testing.assert_frame_equal(
            *(pq.read_table(path).to_pandas() for path in (first, second)),
            check_exact=True,
            check_categorical=False,
        )
        return
    groups = read_dataset(first).attrs.get("pairs", [])
    assert groups == read_dataset(second).attrs.get("pairs", [])
    for group in ["", *groups]:
        xr.testing.assert_equal(read_dataset(first, group), read_dataset(second, group))


def test_the_share_that_is_asked_for_is_of_all_parts_together(world, baselines, tmp_path, caplog):
    # the cold start has no background: a quarter of the first day, a 32nd of the whole cycle
    with caplog.at_level(logging.WARNING):
        make_analyses(world, baselines, tmp_path, days_of(CYCLE, 1), completeness=asked(0.9))
    assert "31 of 32 cases of background have a field; missing: those valid at 2023-01-01T00" in (
        caplog.text
    )
    with pytest.raises(IncompleteError, match="31 of 32 cases of background"):
        make_analyses(world, baselines, tmp_path, days_of(CYCLE, 4), completeness=asked(0.99))


def test_parts_that_do_not_fit_are_named(world, tmp_path):
    inputs = SimpleNamespace(
        era5=world.era5, truth=world.truth, gfs=[], forecasts=[], climatology=world.climatology
    )
    first, second = days_of(PERIOD, 3)
    path = tmp_path / "cases.zarr"
    output = SimpleNamespace(scores=tmp_path / "baselines.parquet", cases=path)
    parts = gather("baselines", inputs, tmp_path / "a", [first])
    for others, reason in (
        (
            gather("baselines", inputs, tmp_path / "b", [first]),
            "two parts have cases of 2023-01-03",
        ),
        (gather("baselines", inputs, tmp_path / "b", [second], regions=["global"]), "regions"),
    ):
        with pytest.raises(ValueError, match=reason) as error:
            load_script("verification_baselines").main(
                SimpleNamespace(parts=parts + others), output, parameters(), LOG
            )
        assert str(others[0]) in str(error.value)


def test_forecasts_from_gfs_are_scored_against_its_analyses(world, baselines, tmp_path):
    output = make_forecasts(world, baselines, tmp_path, analyses=world.gfs, array="state")
    row = one(output.scores, system="fuxiflow", reference="own", metric="bias", lead_time=12)
    assert row["value"] == pytest.approx(3.0 - GFS_ERROR, rel=1e-4)


def test_forecast_scores_are_the_errors_put_in(forecasts):
    row = one(forecasts.scores, system="fuxiflow", reference="truth", metric="rmse", lead_time=12)
    assert row["value"] == pytest.approx(3.0, rel=1e-4)
    assert row["n"] == 12
    assert row["ci_low"] == pytest.approx(3.0, rel=1e-4)
    against_era5 = one(
        forecasts.scores, system="fuxiflow", reference="era5", metric="bias", lead_time=12
    )
    assert against_era5["value"] == pytest.approx(3.0 - ERA5_ERROR, rel=1e-4)
    own = one(forecasts.scores, system="fuxiflow", reference="own", metric="bias", lead_time=6)
    assert own["value"] == pytest.approx(1.5 - ANALYSIS_ERROR, rel=1e-4)


def test_own_analysis_verifies_as_far_as_the_cycle_reaches(forecasts):
    # the last start, 8 January 12 UTC, has no own analysis 12 h later
    assert (
        one(forecasts.scores, system="fuxiflow", reference="own", metric="rmse", lead_time=12)["n"]
        == 11
    )
    assert (
        one(forecasts.scores, system="fuxiflow", reference="own", metric="rmse", lead_time=6)["n"]
        == 12
    )


def test_precipitation_is_scored_where_both_sides_have_it(forecasts, baselines):
    has = {"channel": "TP", "metric": "rmse", "region": "global"}
    assert len(
        score_table.read_scores(forecasts.scores, system="fuxiflow", reference="truth", **has)
    ) == len(LEADS)
    assert score_table.read_scores(
        forecasts.scores, system="fuxiflow", reference="own", **has
    ).empty
    assert score_table.read_scores(forecasts.scores, system="persistence", **has).empty
    assert score_table.read_scores(baselines.scores, system="gfs", reference="own", **has).empty


def test_persistence_starts_from_the_analyses(forecasts):
    row = one(forecasts.scores, system="persistence", reference="truth", metric="rmse", lead_time=6)
    # a wave against itself one cell further: amplitude 2 sin(pi / 16) x 10, mean square half of its
    # square, and 2^2
    assert row["value"] == pytest.approx(
        np.sqrt((20 * np.sin(np.pi / 16)) ** 2 / 2 + ANALYSIS_ERROR**2), rel=1e-4
    )
    assert row["experiment"] == "full"


def test_acc_and_activity(forecasts):
    row = one(forecasts.scores, system="fuxiflow", reference="truth", metric="acc", lead_time=12)
    assert row["value"] == pytest.approx(
        50 / np.sqrt(50 * (50 + 9)), rel=1e-4
    )  # uncentred: the bias of 3 counts
    assert one(
        forecasts.scores, system="fuxiflow", reference="truth", metric="activity", lead_time=12
    )["value"] == pytest.approx(np.sqrt(50), rel=1e-4)
    assert one(
        forecasts.scores,
        system="fuxiflow",
        reference="truth",
        metric="activity_ratio",
        lead_time=12,
    )["value"] == pytest.approx(1.0, rel=1e-4)


def test_comparisons_are_on_common_cases(forecasts):
    row = one(forecasts.scores, metric="rmse_vs_gfs", reference="truth", lead_time=12)
    assert row["value"] == pytest.approx((3.0 - 6.0) / 6.0, rel=1e-4)
    assert row["n"] == 3  # GFS starts every 60 h
    assert row["ci_high"] < 0
    climate = one(forecasts.scores, metric="rmse_vs_climatology", reference="truth", lead_time=6)
    assert climate["value"] == pytest.approx(1.5 / np.sqrt(50) - 1, rel=1e-4)
    assert climate["n"] == 12


def test_baselines(baselines):
    row = one(baselines.scores, system="climatology", reference="truth", metric="rmse", lead_time=6)
    assert row["experiment"] == score_table.BASELINE
    assert row["value"] == pytest.approx(np.sqrt(50), rel=1e-4)
    assert row["n"] == 12
    assert one(baselines.scores, system="gfs", reference="truth", metric="rmse", lead_time=0)[
        "value"
    ] == pytest.approx(GFS_ERROR, rel=1e-4)
    assert one(baselines.scores, system="era5", reference="truth", metric="bias", lead_time=0)[
        "value"
    ] == pytest.approx(ERA5_ERROR, rel=1e-4)
    assert one(baselines.scores, system="gfs", reference="own", metric="bias", lead_time=12)[
        "value"
    ] == pytest.approx(6.0 - GFS_ERROR, rel=1e-4)


def test_analyses_are_compared_with_the_reanalysis_they_learned_from(analyses):
    row = one(analyses.scores, metric="rmse_vs_era5", reference="truth", lead_time=0)
    assert row["value"] == pytest.approx((ANALYSIS_ERROR - ERA5_ERROR) / ERA5_ERROR, rel=1e-3)
    assert row["ci_low"] > 0


def test_experiments_are_compared_case_by_case(world, baselines, analyses, forecasts, tmp_path):
    # another experiment whose analyses are as far off as the first one's backgrounds, and whose
    # forecasts are the same
    stores = {kind: tmp_path / "other" / f"{kind}.cases.zarr" for kind in ("analyses", "forecasts")}
    stores["forecasts"].parent.mkdir()
    shutil.copytree(forecasts.cases, stores["forecasts"])
    times_ = moments(*CYCLE)
    write_states(
        tmp_path / "worse.zarr",
        times_,
        ANALYSED,
        GRID,
        {
            name: [truth(t, ANALYSED) + BACKGROUND_ERROR for t in times_]
            for name in ("analysis", "background")
        },
    )
    worse = make_analyses(
        world, baselines, tmp_path / "other", analyses=[tmp_path / "worse.zarr"], experiment="other"
    )
    assert worse.cases == stores["analyses"]

    compared = SimpleNamespace(scores=tmp_path / "comparisons.parquet")
    inputs = SimpleNamespace(own=[analyses.cases, forecasts.cases], others=list(stores.values()))
    load_script("verification_comparisons").main(inputs, compared, parameters(), LOG)
    better = one(compared.scores, metric="rmse_vs_other", reference="truth", lead_time=0)
    assert better["value"] == pytest.approx(
        (ANALYSIS_ERROR - BACKGROUND_ERROR) / BACKGROUND_ERROR, rel=1e-3
    )
    assert better["ci_high"] < 0
    assert (better["experiment"], better["n"]) == ("full", len(moments(*PERIOD)))
    alike = one(compared.scores, metric="rmse_vs_other", reference="era5", lead_time=12)
    assert (alike["value"], alike["ci_low"], alike["ci_high"]) == (0, 0, 0)
    assert score_table.read_scores(compared.scores, reference="own").empty


def test_baselines_cases_come_back(baselines):
    kept = cases.StoredCases(baselines.cases)
    assert ("climatology", "truth") in kept
    assert ("gfs", "own") in kept
    assert kept["gfs_analysis", "era5"].leads == [0]
    np.testing.assert_allclose(kept["gfs", "truth"].values["error"][:, 1, 0, 0], 6.0, rtol=1e-4)


def test_maps(world, tmp_path):
    output = make_maps(world, tmp_path)
    errors = maps.read_error_maps(output.maps)
    assert errors["error"].dims == ("reference", "lead_time", "channel", "lat", "lon")
    np.testing.assert_allclose(
        errors["error"].sel(reference="truth", lead_time=12, channel="Z500"), 3.0, rtol=1e-4
    )
    np.testing.assert_allclose(
        errors["rmse"].sel(reference="era5", lead_time=12, channel="Z500"), 2.0, rtol=1e-4
    )
    assert int(errors["n"].sel(reference="truth", lead_time=12, channel="Z500")) == 12
    assert "rule" in json.loads(errors.attrs["provenance"])


def test_analyses_and_backgrounds(analyses):
    assert one(analyses.scores, metric="rmse", reference="truth")["value"] == pytest.approx(
        ANALYSIS_ERROR, rel=1e-4
    )
    row = one(analyses.scores, metric="background_bias", reference="era5")
    assert row["value"] == pytest.approx(BACKGROUND_ERROR - ERA5_ERROR, rel=1e-4)
    assert row["n"] == 24
    assert row["lead_time"] == 0
    for other, value in (("background", -1 / 3), ("gfs", -1 / 2)):
        row = one(analyses.scores, metric=f"rmse_vs_{other}", reference="truth")
        assert row["value"] == pytest.approx(value, rel=1e-4)


def test_cycle_holds_the_spin_up(analyses):
    frame = pq.read_table(analyses.cycle).to_pandas()
    assert list(frame.columns) == [
        "experiment",
        "time",
        "array",
        "reference",
        "channel",
        "rmse",
        "bias",
    ]
    rows = frame[(frame["reference"] == "truth") & (frame["channel"] == "T850")]
    assert (rows["array"] == "analysis").sum() == 32
    assert (rows["array"] == "background").sum() == 31  # the cold start has none
    assert rows.loc[rows["array"] == "background", "rmse"].to_numpy() == pytest.approx(
        BACKGROUND_ERROR, rel=1e-4
    )
    climatology = rows.loc[rows["array"] == "climatology", "rmse"].to_numpy()
    assert len(climatology) == 32
    assert climatology == pytest.approx(10 / 2**0.5, rel=1e-4)  # the wave about the climatology
    assert pq.read_table(analyses.observations).num_rows == 0


def test_merged_scores_and_provenance(world, baselines, forecasts, analyses):
    output = SimpleNamespace(scores=world.root / "scores.parquet")
    paths = [baselines.scores, forecasts.scores, analyses.scores]
    load_script("verification_scores").main(
        SimpleNamespace(scores=paths), output, SimpleNamespace(), LOG
    )
    own = len(
        score_table.read_scores(baselines.scores, system="era5")
    )  # ERA5's own error is no system's: it stays behind
    assert own > 0
    assert (
        pq.read_metadata(output.scores).num_rows
        == sum(pq.read_metadata(path).num_rows for path in paths) - own
    )
    assert b"provenance" in pq.read_schema(output.scores).metadata
    with pytest.raises(ValueError, match="second row with its key"):
        load_script("verification_scores").main(
            SimpleNamespace(scores=[*paths, analyses.scores]), output, SimpleNamespace(), LOG
        )


def test_the_headline_numbers_are_a_table_with_a_verdict_for_each(world, analyses, tmp_path):
    output = SimpleNamespace(table=tmp_path / "acceptance.csv")
    inputs = SimpleNamespace(scores=analyses.scores, cycle=analyses.cycle)
    load_script("verification_acceptance").main(inputs, output, SimpleNamespace(), LOG)
    table = pd.read_csv(output.table)
    assert list(table.columns) == ["number", "reference", "value", "bar", "verdict"]
    assert table.iloc[0].tolist() == [
        "analysis better than its background, channels",
        "truth",
        "2 of 2 (100%)",
        ">= 80%",
        "met",
    ]
    assert set(table["verdict"]) == {"met", "not computed"}


def test_an_archive_has_no_truth(world, tmp_path):
    archive = SimpleNamespace(
        era5=world.era5, truth=[], gfs=[], gfs_forecasts=[], climatology=world.climatology
    )
    output = make_baselines(archive, tmp_path, baselines=["climatology"])
    frame = score_table.read_scores(output.scores)
    assert set(frame["system"]) == {"climatology"}
    assert set(frame["reference"]) == {"era5"}


@pytest.fixture(scope="module")
def sounder(tmp_path_factory) -> SimpleNamespace:
    """A full column of air, 15 degrees, and observations of it that are 1 K too warm."""
    root = tmp_path_factory.mktemp("departures")
    channels = channel_table().analysed
    state = np.zeros((len(channels), *GRID.shape), np.float32)
    for i, channel in enumerate(channels):
        level = channel.level or 1000
        state[i] = {"T": 288 * (level / 1000) ** 0.19, "R": 50.0, "M": 101325.0}.get(
            channel.name[0], 0.0
        )
    shape = (len(channels),)
    mean, std, tendency_std = np.ones((3, *shape), np.float32)
    sea = {
        name: np.zeros(GRID.shape, np.float32) for name in ("surface_geopotential", "land_fraction")
    }
    statistics = Statistics(
        channels=channels.names,
        mean=mean,
        std=std,
        tendency_std=tendency_std,
        raw=sea,
        statics=np.stack(list(sea.values())),
        static_names=list(sea),
    )
    statistics.write(root / "statistics.zarr")
    cycle = moments("2023-01-01", "2023-01-03")
    warm = state.copy()
    warm[channels.index("T500")] += 2
    write_states(
        root / "analyses.zarr",
        cycle,
        channels,
        GRID,
        {"analysis": [state] * len(cycle), "background": [warm] * len(cycle)},
    )
    source = sources.load_source("noaa20_atms")
    operator = MicrowaveOperator.for_instrument(source.instrument)
    cell = np.arange(0, GRID.nlat * GRID.nlon, 3)
    zenith = np.full(len(cell), 30, np.float32)
    columns = state.reshape(len(state), -1)[:, cell].T
    seen = simulate_at_cells(operator, columns, channels.names, statistics, cell, zenith) + 1
    (root / source.name).mkdir()
    path = root / source.name / "2023-01.zarr"
    with SparseWriter(
        path, source.name, source.channel_names, ["K"] * 22, GRID, cycle[0], 72
    ) as writer:
        for hour in range(72):
            writer.write(
                hour, cell, seen, zenith, np.zeros((len(cell), 2)), np.ones(len(cell), np.int32)
            )
    return SimpleNamespace(root=root, grids=[path], rows=len(cell), times=len(cycle))


def make_departures(sounder, folder, periods) -> SimpleNamespace:
    inputs = SimpleNamespace(
        analyses=[sounder.root / "analyses.zarr"],
        grids=sounder.grids,
        statistics=sounder.root / "statistics.zarr",
    )
    chosen = {"sources": ["noaa20_atms"]}
    parts = gather("departures", inputs, folder / "departures", periods, **chosen)
    output = SimpleNamespace(scores=folder / "departures.parquet")
    inputs = SimpleNamespace(parts=parts)
    load_script("verification_departures").main(inputs, output, parameters(**chosen), LOG)
    return output


def test_departures_of_any_parts_are_those_of_one(sounder, tmp_path, monkeypatch):
    # fewer than are observed, so that some are drawn
    monkeypatch.setattr(departures.collect_departures, "__defaults__", (20,))
    period = ("2023-01-01", "2023-01-03")
    one_part = make_departures(sounder, tmp_path / "one", [period])
    several = make_departures(sounder, tmp_path / "several", days_of(period, 1)[::-1])
    first, second = (pd.read_parquet(output.scores) for output in (one_part, several))
    assert first["n"].max() == 20 * sounder.times
    pd.testing.assert_frame_equal(first, second, rtol=1e-5, atol=1e-5)


def test_departures(sounder, tmp_path):
    output = make_departures(sounder, tmp_path, [("2023-01-01", "2023-01-03")])
    channel = "noaa20_atms/5"
    row = one(output.scores, metric="departure_analysis_mean", channel=channel)
    assert row["value"] == pytest.approx(1.0, abs=2e-3)
    assert row["n"] == sounder.rows * (
        2 * sounder.times - 1
    )  # the first hour before the record is not there
    assert row["reference"] == "observations"
    assert one(output.scores, metric="departure_analysis_std", channel=channel)[
        "value"
    ] == pytest.approx(0.0, abs=2e-2)
    assert (
        one(output.scores, metric="departure_background_mean", channel=channel)["value"] < 0.9
    )  # it is too warm


def test_observation_counts(sounder):
    cycle = np.concatenate(
        [moments("2023-01-01", "2023-01-03"), [np.datetime64("2023-03-01", "ns")]]
    )
    frame = observation_counts(sounder.grids, cycle, "full", {"noaa20_atms": (-3, 5)})
    assert frame["n"].tolist()[1] == 8 * sounder.rows * 22
    assert frame["n"].tolist()[-1] == 0
    assert frame["n"].tolist()[0] == 5 * sounder.rows * 22  # only from the record's first hour on
