"""The fast path: case statistics and what is made of them agree with the definitions."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.channels import channel_table
from fuxiflow.completeness import IncompleteError
from fuxiflow.grids import Grid
from fuxiflow.verification import area_means, metrics, scoring
from fuxiflow.verification import cases as module
from fuxiflow.verification.case_counts import check_counts
from fuxiflow.verification.cases import Cases
from fuxiflow.verification.collection import climatology_cases, collect_cases, valid_time
from fuxiflow.verification.references import (
    Normals,
    RecentArrays,
    Reference,
    ReferenceSet,
    align_channels,
)
from tests.support.helpers import asked

GRID = Grid(18, 36)
REGIONS = ["global", "tropics", "central_africa"]
WEIGHTS = metrics.region_weights(GRID, REGIONS)
CELLS = WEIGHTS.reshape(len(REGIONS), -1)
FLAT = area_means.PieceWeights.of_cells(CELLS)
CHANNELS = channel_table().select(["Z500", "T850"])
TIMES = np.datetime64("2023-01-01", "ns") + np.arange(8) * np.timedelta64(12, "h")
LEADS = [6, 12]
LOG = logging.getLogger("test")
NAMES = {"experiment": "e", "system": "s", "reference": "truth", "other_name": "gfs"}


class FakeStates:
    """States in memory, as :class:`fuxiflow.states.store.StateSeries`."""

    def __init__(self, fields, channels=CHANNELS):
        self.fields, self.channels, self.grid, self.paths = fields, channels, GRID, ["memory"]

    def __contains__(self, time):
        return np.datetime64(time, "ns") in self.fields

    def read(self, time):
        return self.fields[np.datetime64(time, "ns")]


class FakeClimatology:
    """A climatology that is the same at all times."""

    channels, grid = CHANNELS, GRID

    def __init__(self):
        self.field = (
            np.random.default_rng(9).normal(250, 5, size=(2, *GRID.shape)).astype(np.float32)
        )

    def at(self, time):
        return self.field


@pytest.fixture(scope="module")
def setting():
    generator = np.random.default_rng(0)
    climatology = FakeClimatology()
    valid = np.unique(
        np.concatenate([[valid_time(t, lead) for lead in (0, *LEADS)] for t in TIMES])
    )
    truth = {
        t: (climatology.field + generator.normal(0, 5, (2, *GRID.shape))).astype(np.float32)
        for t in valid
    }
    forecast = {
        (t, lead): (
            truth[valid_time(t, lead)] + generator.normal(0.5, 0.01 * lead, (2, *GRID.shape))
        ).astype(np.float32)
        for t in TIMES
        for lead in LEADS
    }
    normals = Normals(climatology, CHANNELS.names)
    reference = Reference("truth", FakeStates(truth), normals, FLAT)
    return climatology, truth, forecast, normals, reference


@pytest.fixture(scope="module")
def cases(setting) -> Cases:
    *_, forecast, normals, reference = setting
    return collect_cases(
        {"test": lambda t, lead: forecast[t, lead].reshape(2, -1)},
        TIMES,
        LEADS,
        ReferenceSet(normals, [reference], REGIONS),
        LOG,
    ).cases["test", "truth"]


@pytest.mark.parametrize("metric", list(scoring.METRICS))
@pytest.mark.parametrize("region", range(len(REGIONS)))
def test_scores_equal_their_definitions(setting, cases, metric, region):
    climatology, truth, forecast, *_ = setting
    frame = scoring.score_cases(
        cases, scoring.Resampling(20, 1, 0), experiment="e", system="s", reference="truth"
    )
    for lead in LEADS:
        for c, channel in enumerate(CHANNELS.names):
            f = np.stack([forecast[t, lead][c] for t in TIMES])
            r = np.stack([truth[valid_time(t, lead)][c] for t in TIMES])
            arguments = {
                "forecast": f,
                "reference": r,
                "climatology": climatology.field[c],
                "weights": WEIGHTS[region],
            }
            needed = {
                "rmse": ("forecast", "reference", "weights"),
                "bias": ("forecast", "reference", "weights"),
                "activity": ("forecast", "climatology", "weights"),
            }.get(metric, tuple(arguments))
            expected = getattr(metrics, metric)(**{name: arguments[name] for name in needed})
            row = frame[
                (frame["metric"] == metric)
                & (frame["lead_time"] == lead)
                & (frame["channel"] == channel)
                & (frame["region"] == REGIONS[region])
            ]
            assert row["value"].item() == pytest.approx(expected, rel=1e-5)
            assert row["n"].item() == len(TIMES)
            assert row["ci_low"].item() <= row["ci_high"].item()


def test_small_errors_of_large_fields_are_not_lost():
    # mean squares are taken from anomalies a million times larger than the error squared
    generator = np.random.default_rng(1)
    truth = generator.normal(0, 1000, (2, GRID.nlat * GRID.nlon)).astype(np.float32)
    forecast = truth + np.float32(0.5)
    f = area_means.forecast_means(forecast, np.zeros_like(truth), [truth], FLAT)
    collected = Cases.empty(TIMES[:1], [0], CHANNELS.names, REGIONS)
    collected.put(0, 0, (*f, *area_means.own_means(truth, FLAT)))
    expected = np.einsum("cx,rx->cr", (forecast.astype(float) - truth) ** 2, CELLS)
    np.testing.assert_allclose(collected.values["square"][0, 0], expected, rtol=1e-6)


def test_a_missing_field_or_reference_is_no_case(setting, caplog):
    _, truth, forecast, normals, _ = setting
    cut = {t: field for t, field in truth.items() if t < TIMES[-1]}
    reference = Reference("truth", FakeStates(cut), normals, FLAT)
    gathered = collect_cases(
        {
            "cut": lambda t, lead: (
                None if (t, lead) == (TIMES[1], 12) else forecast[t, lead].reshape(2, -1)
            )
        },
        TIMES,
        LEADS,
        ReferenceSet(normals, [reference], REGIONS),
        LOG,
    )
    collected = gathered.cases["cut", "truth"]
    with caplog.at_level(logging.INFO):
        check_counts([gathered.counts], asked(0.0), LOG)
    assert (
        "15 of 16 cases of cut have a field; missing: those valid at 2023-01-02T00" in caplog.text
    )
    assert "12 of 15 cases of cut with a field have the reference truth" in caplog.text
    present = np.isfinite(collected.values["square"])
    assert not present[-1].any()
    assert not present[1, 1].any()
    assert present[0].all()
    frame = scoring.score_cases(
        collected, scoring.Resampling(20, 1, 0), experiment="e", system="s", reference="truth"
    )
    assert set(frame.loc[frame["lead_time"] == 6, "n"]) == {7}


@pytest.mark.parametrize("reference", ["truth", "era5", "own"])
def test_too_few_cases_are_an_error_whatever_the_reference(setting, reference):
    _, truth, forecast, normals, _ = setting
    cut = FakeStates({time: field for time, field in truth.items() if time != TIMES[3]})
    # of the own analyses those after the end of the cycle are not asked for
    cut.slots = np.array(sorted(truth))[:-4]

    def counts(times):
        return collect_cases(
            {"cut": lambda t, lead: forecast[t, lead].reshape(2, -1)},
            times,
            LEADS,
            ReferenceSet(normals, [Reference(reference, cut, normals, FLAT)], REGIONS),
            LOG,
        ).counts

    # in one part or in several: what counts is the sum
    for parts in ([TIMES], [TIMES[:3], TIMES[3:]], [[time] for time in TIMES]):
        counted = [counts(times) for times in parts]
        with pytest.raises(IncompleteError, match=r"15 of 16 cases .* reference .*2023-01-02T12"):
            check_counts(counted, asked(0.95), LOG)
        check_counts(counted, asked(0.93), LOG)


def test_a_field_with_a_hole_is_an_error_and_no_case_less(setting):
    _, truth, forecast, normals, reference = setting
    holed = {key: field.copy() for key, field in forecast.items()}
    holed[TIMES[0], 6][0, 3, 3] = np.nan
    against = ReferenceSet(normals, [reference], REGIONS)

    def collect(fields, references):
        readers = {"forecasts": lambda t, lead: fields[t, lead].reshape(2, -1)}
        collect_cases(readers, TIMES, LEADS, references, LOG)

    with pytest.raises(IncompleteError, match=r"forecasts of 2023-01-01T.* \+ 6 h: 1 of 2 .*Z500"):
        collect(holed, against)
    spoilt = {time: field.copy() for time, field in truth.items()}
    spoilt[valid_time(TIMES[0], 6)][1] = np.nan
    other = Reference("era5", FakeStates(spoilt), normals, FLAT)
    with pytest.raises(IncompleteError, match=r"era5 of 2023-01-01T06.*T850"):
        collect(forecast, ReferenceSet(normals, [other], REGIONS))


def test_comparison_is_relative_paired_and_significant_where_it_should(cases):
    generator = np.random.default_rng(3)
    worse = Cases(
        cases.times,
        LEADS,
        cases.channels,
        REGIONS,
        {name: value * (4.0 if name == "square" else 1.0) for name, value in cases.values.items()},
    )
    frame = scoring.compare_cases(cases, worse, scoring.Resampling(100, 1, 0), **NAMES)
    rmse = frame[frame["metric"] == "rmse_vs_gfs"]
    np.testing.assert_allclose(rmse["value"], -0.5)
    np.testing.assert_allclose(
        rmse["ci_high"], -0.5
    )  # each case is exactly as much better: no doubt
    np.testing.assert_allclose(frame.loc[frame["metric"] == "acc_vs_gfs", "value"], 0.0)
    factor = np.exp(generator.normal(0, 0.5, cases.values["square"].shape))
    values = {**cases.values, "square": cases.values["square"] * factor}
    equal = Cases(cases.times, LEADS, cases.channels, REGIONS, values)
    frame = scoring.compare_cases(
        cases, equal, scoring.Resampling(100, 1, 0), **NAMES, metrics=("rmse",)
    )
    assert ((frame["ci_low"] < frame["value"]) & (frame["value"] < frame["ci_high"])).mean() > 0.9


def test_comparison_takes_what_both_have(cases):
    other = cases.select(TIMES[2:5], [12], ["T850"])
    frame = scoring.compare_cases(
        cases, other, scoring.Resampling(20, 1, 0), **NAMES, metrics=("rmse",)
    )
    assert set(frame["lead_time"]) == {12}
    assert set(frame["channel"]) == {"T850"}
    assert set(frame["n"]) == {3}
    np.testing.assert_allclose(frame["value"], 0.0)
    with pytest.raises(KeyError, match="no case of lead 18"):
        cases.select(TIMES, [18], ["T850"])
    other.regions = ["global"]
    with pytest.raises(ValueError, match="regions"):
        cases.common(other)


def test_one_case_has_no_interval(cases):
    frame = scoring.score_cases(
        cases.select(TIMES[:1], LEADS, ["Z500"]),
        scoring.Resampling(20, 1, 0),
        experiment="e",
        system="s",
        reference="truth",
        metrics=("rmse",),
        prefix="background_",
    )
    assert set(frame["metric"]) == {"background_rmse"}
    assert frame["ci_low"].isna().all()


def test_climatology_as_a_forecast(setting):
    climatology, truth, _, normals, reference = setting
    against = ReferenceSet(normals, [reference], REGIONS)
    collected = climatology_cases(TIMES, LEADS, against, reference)
    r = truth[valid_time(TIMES[2], 12)][1]
    expected = metrics.mse(forecast=climatology.field[1], reference=r, weights=WEIGHTS[1])
    assert collected.values["square"][2, 1, 1, 1] == pytest.approx(expected, rel=1e-5)
    assert np.isnan(collected.values["correlation"]).all()
    assert (collected.values["variance"] == 0).all()


@settings(max_examples=20)
@given(part=st.lists(st.integers(0, 3), min_size=len(TIMES), max_size=len(TIMES)))
def test_any_partition_of_the_start_times_is_joined_to_the_same_cases(cases, part):
    chosen = [np.flatnonzero(np.array(part) == number) for number in range(4)]
    parts = [cases.select(TIMES[rows], LEADS, CHANNELS.names) for rows in chosen if len(rows)]
    for order in (parts, parts[::-1]):
        joined = module.join_cases(order)
        assert joined.times.tolist() == cases.times.tolist()
        for name in module.QUANTITIES:
            np.testing.assert_array_equal(joined.values[name], cases.values[name])
            assert joined.values[name].dtype == cases.values[name].dtype


def test_parts_keep_the_precision_that_scores_are_made_with(tmp_path, cases):
    paths = [tmp_path / f"{i}.zarr" for i in range(2)]
    parts = [cases.select(times, LEADS, CHANNELS.names) for times in (TIMES[:3], TIMES[3:])]
    for path, part in zip(paths, parts, strict=True):
        module.write_part_of_cases(path, {("gfs", "truth"): part}, [])
    merged = module.MergedCases(paths)
    assert list(merged) == [("gfs", "truth")]
    for name in module.QUANTITIES:
        np.testing.assert_array_equal(merged["gfs", "truth"].values[name], cases.values[name])
    # what is merged is written once more, in single precision, and read one by one
    module.write_cases(tmp_path / "merged.zarr", merged)
    stored = module.StoredCases(tmp_path / "merged.zarr")["gfs", "truth"]
    assert {value.dtype for value in stored.values.values()} == {np.dtype(np.float32)}


def test_zarr_round_trip(tmp_path, cases):
    module.write_cases(tmp_path / "cases.zarr", {("gfs", "truth"): cases})
    collected = module.StoredCases(tmp_path / "cases.zarr")[("gfs", "truth")]
    assert (collected.leads, collected.channels, collected.regions) == (
        cases.leads,
        cases.channels,
        cases.regions,
    )
    np.testing.assert_array_equal(collected.times, cases.times)
    for name in module.QUANTITIES:
        np.testing.assert_allclose(collected.values[name], cases.values[name], rtol=1e-6)


def test_aligned_fills_absent_channels_with_nan():
    state = np.arange(4, dtype=np.float32).reshape(2, 1, 2)
    np.testing.assert_array_equal(
        align_channels(state, ["a", "b"], ["b", "c"]), [[2, 3], [np.nan, np.nan]]
    )


def test_recent_keeps_within_its_budget():
    made = []

    def make(key):
        made.append(key)
        return np.zeros(10)

    recent = RecentArrays(200)
    for key in (1, 2, 1, 3, 1, 2):  # two fit: 3 drives 2 out
        recent.get(key, lambda key=key: make(key))
    assert made == [1, 2, 3, 2]
    assert recent.used <= 200


def test_normals_name_a_channel_they_lack():
    with pytest.raises(ValueError, match="no channel T500"):
        Normals(FakeClimatology(), ["Z500", "T500"])
