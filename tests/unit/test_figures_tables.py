"""The tables that figures are drawn from, and that drawing shows what they hold."""

import importlib
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from fuxiflow import costs as run_costs
from fuxiflow.figures import (
    __main__ as redraw,
)
from fuxiflow.figures import (
    analysis_error,
    costs,
    coverage,
    cycling,
    error_maps,
    hybrid_training,
    increment_case,
    obs_loss_weights,
    scorecard_era5,
    scores,
    skill_vs_lead,
    style,
    system,
    unrolling,
)
from fuxiflow.grids import Grid
from fuxiflow.observations.sparse import SparseGrids
from fuxiflow.states.store import States
from fuxiflow.verification import table as score_table
from tests import costs_files
from tests import figures_data as data

GRID = Grid(8, 16)
SETTINGS = {
    "sources": {"noaa20_atms": {"long_name": "ATMS on NOAA-20", "channels": 22, "window": [-3, 5],
                                "kind": "sounders"}},
    "channels": 70,
    "grid": "8 × 16",
    "world": "embedded synthetic world",
    "training_days": "2022-01-01 – 2022-12-31",
    "forecaster": {"patch": 2, "width": 192, "blocks": 6, "heads": 4},
    "assimilator": {"width": 48, "scales": 3, "blocks": 2},
    "updates": {"forecaster": 700, "assimilator": 300, "joint": 60, "autoregressive": 40},
    "steps": 12,
    "cycles": 4,
    "max_lead_hours": 240,
    "init_hours": [0, 12],
    "references": ["era5", "truth"],
    "baselines": ["gfs", "persistence"],
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("stores")
    data.write_scores(root / "scores.parquet", leads=[6, 24, 48, 72])
    data.write_cycle(root / "full")
    data.write_cycle(root / "no_observations", "no_observations")
    data.write_maps(root / "maps.zarr", GRID, leads=(24, 54), names=("Z500", "MSL"))
    data.write_states_and_analyses(root, GRID)
    data.write_grids(root / "noaa20_atms.zarr", GRID)
    data.write_grids(root / "empty.zarr", GRID, empty=True)
    costs_files.write_run(root)
    return root


def texts(figure) -> str:
    """All texts of a figure."""
    figure.draw_without_rendering()
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def case_table(stores, references=("era5", "truth")):
    path = [stores / "analyses.zarr"]
    known = {name: States([stores / f"{name}.zarr"]) for name in references}
    return increment_case.table(States(path, "analysis"), States(path, "background"), known, data.CASE)


def cycle_table(stores, reference="truth"):
    paths = [stores / name / "cycle.parquet" for name in ("full", "no_observations")]
    return cycling.table(paths, stores / "full" / "observations.parquet", "full", reference, data.TEST_START.date())


def all_tables(stores):
    return {
        "system": system.table(SETTINGS),
        "coverage": coverage.table(
            {"noaa20_atms": SparseGrids([stores / "noaa20_atms.zarr"])}, {"noaa20_atms": (-3, 5)}, data.CASE
        ),
        "cycling": cycle_table(stores),
        "analysis_error": analysis_error.table(stores / "scores.parquet", ["full"], ["era5", "truth"]),
        "skill_vs_lead": skill_vs_lead.table(stores / "scores.parquet", "full", "truth"),
        "scorecard_era5": scorecard_era5.table(stores / "scores.parquet", "full"),
        "increment_case": case_table(stores),
        "hybrid_training": hybrid_training.table(
            stores / "scores.parquet", "no_observations", "full", ["era5", "truth"]
        ),
        "unrolling": unrolling.table(
            stores / "scores.parquet", {"no_observations": "before it", "full": "3 cycles"}, "truth"
        ),
        "obs_loss_weights": obs_loss_weights.table({"land_stations": ["T2M"], "radiosondes": ["T500"]}, 1.0),
        "error_maps": error_maps.table(stores / "maps.zarr", "truth"),
        "costs": costs.table(run_costs.jobs(stores, ["full", "denial"]), ["full", "denial"]),
    }


# scores


def test_scores_reads_the_experiment_and_the_baselines(stores):
    frame = scores.read(stores / "scores.parquet", ["full"], metric="rmse", reference="era5", channel="Z500")
    assert set(frame["experiment"]) == {"full", "baseline"}
    assert set(frame["system"]) == {"fuxiflow", "gfs", "persistence", "climatology"}
    assert not isinstance(frame["channel"].dtype, pd.CategoricalDtype)


def test_scores_without_a_row_name_file_selection_and_remedy(stores):
    with pytest.raises(ValueError, match=r"scores\.parquet: no score with metric = crps of full; run `snakemake"):
        scores.read(stores / "scores.parquet", ["full"], metric="crps")


def test_levels_and_variables():
    frame = scores.with_levels(pd.DataFrame({"channel": ["Z500", "T2M", "R1000"]}))
    assert list(frame["variable"]) == ["Z", "T2M", "R"]
    assert list(frame["level"].fillna(-1)) == [500, -1, 1000]


def test_significant_excludes_zero():
    frame = pd.DataFrame({"ci_low": [0.1, -0.1, -0.3, np.nan], "ci_high": [0.2, 0.1, -0.2, np.nan]})
    assert list(scores.significant(frame)) == [True, False, True, False]


# figures of scores


def test_unrolling_shows_the_paired_difference_to_the_first(stores):
    table = all_tables(stores)["unrolling"]
    assert list(table["experiment"][::6]) == ["no_observations", "full"]
    first, last = (table[(table["experiment"] == name) & (table["channel"] == "T500")].iloc[0]
                   for name in ("no_observations", "full"))  # fmt: skip
    assert (first["versus"], first["ci_low"], first["ci_high"]) == (0, 0, 0)
    assert last["versus"] == pytest.approx(-2 / 3)
    assert last["ci_high"] == pytest.approx(-2 / 3 + 0.05)
    assert first["value"] == pytest.approx(3 * last["value"])
    assert "T500: 1.5 K before it" in texts(unrolling.draw(table))


def test_analysis_error_has_a_line_for_each_analysis_and_the_background(stores):
    scores = stores / "scores.parquet"
    table = analysis_error.table(scores, ["full"], ["era5", "truth"], baselines=scores)
    assert set(table["line"]) == {"fuxiflow", "background", "gfs", "era5"}
    assert set(table.loc[table["line"] == "era5", "reference"]) == {"truth"}
    row = table[(table["line"] == "background") & (table["channel"] == "T500") & (table["reference"] == "era5")].iloc[0]
    assert (row["value"], row["level"], row["unit"]) == (pytest.approx(0.66), 500, "K")
    assert "T2M" not in set(table["channel"])


def test_analysis_error_names_further_experiments_but_not_their_backgrounds(stores):
    table = analysis_error.table(stores / "scores.parquet", ["full", "no_observations"], ["era5"])
    assert set(table["line"]) == {"fuxiflow", "background", "gfs", "no_observations"}
    assert set(table.loc[table["line"] == "background", "experiment"]) == {"full"}
    assert "no observations" in texts(analysis_error.draw(table))


def test_skill_marks_what_differs_significantly_from_gfs(tmp_path):
    names = ["Z500"]
    frames = [
        data._rows("full", "fuxiflow", "era5", metric, [6, 12, 18], names, np.full((3, 1), value), 0.1)
        for metric, value in (("rmse", 2.0), ("acc", 0.9))
    ]
    frames += [
        data._rows("full", "fuxiflow", "era5", "rmse_vs_gfs", [6, 12, 18], names, [[-0.5], [0.05], [0.5]], 0.1),
        data._rows("full", "fuxiflow", "era5", "acc_vs_gfs", [6, 12, 18], names, [[-0.5], [0.05], [0.5]], 0.1),
    ]
    score_table.write(tmp_path / "s.parquet", score_table.concatenate(frames))
    table = skill_vs_lead.table(tmp_path / "s.parquet", "full", "era5")
    marks = {metric: list(rows["significance"]) for metric, rows in table.groupby("metric")}
    assert marks == {"rmse": ["better", "", "worse"], "acc": ["worse", "", "better"]}
    text = texts(skill_vs_lead.draw(table))
    assert "significantly better than GFS" in text
    assert "RMSE against ERA5" in text


def test_skill_does_without_gfs(tmp_path):
    frame = data._rows("full", "fuxiflow", "era5", "rmse", [6, 12], ["Z500"], [[1.0], [2.0]], 0.1)
    score_table.write(tmp_path / "s.parquet", frame)
    table = skill_vs_lead.table(tmp_path / "s.parquet", "full", "era5")
    assert list(table["significance"]) == ["", ""]
    skill_vs_lead.draw(table)


def test_skill_shows_only_forecast_systems(stores):
    table = skill_vs_lead.table(stores / "scores.parquet", "full", "truth")
    assert set(table["system"]) == {"fuxiflow", "gfs", "persistence", "climatology"}
    assert set(table["channel"]) == {name for row in skill_vs_lead.PANELS for name in row}


def test_scorecard_is_in_per_cent_of_69_channels(stores):
    table = scorecard_era5.table(stores / "scores.parquet", "full")
    assert len(table) == 69 * 4
    stored = scores.read(
        stores / "scores.parquet", ["full"], metric="rmse_vs_gfs", reference="era5", channel="T850", lead_time=48
    )
    row = table[(table["channel"] == "T850") & (table["lead_time"] == 48)].iloc[0]
    assert row["difference"] == pytest.approx(100 * stored["value"].iloc[0])
    assert list(dict.fromkeys(table["channel"]))[:2] == ["Z50", "Z100"]


def test_scorecard_counts_in_its_title(stores):
    table = scorecard_era5.table(stores / "scores.parquet", "full").assign(difference=-1.0, significant=False)
    table.loc[0, ["difference", "significant"]] = 5.0, True
    text = texts(scorecard_era5.draw(table))
    assert f"better than GFS in 100 % of {69 * 4} cells" in text
    assert "0 better, 1 worse" in text


def test_scorecard_leaves_leads_without_a_score_blank(stores):
    table = scorecard_era5.table(stores / "scores.parquet", "full")  # leads 6, 24, 48, 72
    table = table[table["variable"].isin(["Z", "T"])]
    figure = scorecard_era5.draw(table)
    shown = [ax for ax in figure.axes if ax.get_visible() and ax.collections and len(ax.get_yticks()) == 13]
    assert len(shown) == 2
    values = shown[0].collections[0].get_array()
    assert values.shape == (13, 12)  # every 6 h, the largest step that meets all leads
    assert list(np.flatnonzero(~values.mask.all(axis=0))) == [0, 3, 7, 11]


@pytest.mark.parametrize(("values", "limit"), [([1.0, -2.0], 10), ([15.0] * 20, 20), ([500.0] * 5, 100)])
def test_scorecard_colours_end_at_round_per_cents(values, limit):
    assert scorecard_era5._limit(pd.Series(values)) == limit


# the cycle


def test_cycling_keeps_the_main_background_and_marks_spin_up_and_outage(stores):
    table = cycle_table(stores)
    kept = set(map(tuple, table[["experiment", "array"]].drop_duplicates().to_numpy()))
    assert kept == {("full", "analysis"), ("full", "background"), ("full", "climatology"),
                    ("no_observations", "analysis")}
    assert table.loc[table["spin_up"], "time"].max() == pd.Timestamp("2023-01-03T18:00")
    out = table[table["outage"]]["time"]
    assert (out.min(), out.max(), out.nunique()) == (pd.Timestamp("2023-01-10"), pd.Timestamp("2023-01-10T18:00"), 4)
    assert set(table["channel"]) == set(cycling.CHANNELS)


def test_cycling_draws_every_line_and_the_outage(stores):
    text = texts(cycling.draw(cycle_table(stores, "era5")))
    for label in ("full: analysis", "full: background", "no observations: analysis", "climatology", "spin-up",
                  "observation outage"):
        assert label in text
    assert "Z500 against ERA5" in text


def test_runs_of_marked_times():
    times = pd.Series(pd.date_range("2023-01-01", periods=6, freq="6h"))
    spans = cycling._spans(times, pd.Series([True, False, True, True, False, True]))
    hours = [((a - times[0]).total_seconds() / 3600, (b - times[0]).total_seconds() / 3600) for a, b in spans]
    assert hours == [(-3, 3), (9, 21), (27, 33)]


def test_an_outage_of_one_source_of_two_is_an_outage(tmp_path):
    times = pd.date_range("2023-01-01", periods=3, freq="6h")
    frame = pd.DataFrame(
        {"experiment": "full", "time": times.repeat(2), "source": ["a", "b"] * 3, "n": [9, 9, 9, 1, 9, 9]}
    )
    frame.to_parquet(tmp_path / "o.parquet")
    found = cycling.observations(tmp_path / "o.parquet")
    assert list(found["observations"]) == [18, 10, 18]
    assert list(found["outage"]) == [False, True, False]


def test_cycling_without_observations_of_its_own(stores):
    path = stores / "no_observations"
    table = cycling.table(
        [path / "cycle.parquet"], path / "observations.parquet", "no_observations", "era5", data.TEST_START.date()
    )
    assert not table["outage"].any()
    assert set(table["observations"]) == {0}
    cycling.draw(table)


def test_cycling_refuses_an_unknown_reference_or_experiment(stores):
    with pytest.raises(ValueError, match=r"cycle\.parquet: no error of Z500.* against own"):
        cycle_table(stores, "own")
    with pytest.raises(ValueError, match="no rows of the experiment 'other'"):
        cycling.table(
            [stores / "full" / "cycle.parquet"],
            stores / "full" / "observations.parquet",
            "other",
            "era5",
            data.TEST_START.date(),
        )


def test_cycling_names_the_file_that_lacks_a_column(tmp_path):
    pd.DataFrame({"time": [1]}).to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(ValueError, match=r"bad\.parquet: no column source, n; it has time"):
        cycling.observations(tmp_path / "bad.parquet")


# coverage


def test_coverage_has_a_row_for_each_filled_cell_and_hour(stores):
    grids = SparseGrids([stores / "noaa20_atms.zarr"])
    table = coverage.table({"noaa20_atms": grids}, {"noaa20_atms": (-3, 5)}, data.CASE)
    window = grids.window(data.CASE, -3, 5)
    assert len(table) == len(window)
    assert (table["hour"].min(), table["hour"].max()) == (-3, 4)
    cells = GRID.cell(table["lat"].to_numpy(), table["lon"].to_numpy())
    np.testing.assert_array_equal(np.sort(cells), np.sort(window.cell))


def test_coverage_counts_hours_and_keeps_the_last():
    rows = pd.DataFrame({"hour": [-3.0, 2.0, 1.0], "lat": [78.75, 78.75, -11.25], "lon": [0.0, 0.0, 22.5]})
    last, count = coverage._fields(rows, GRID)
    assert (last[0, 0], count[0, 0]) == (2.0, 2)
    assert (last[4, 1], count[4, 1]) == (1.0, 1)
    assert np.isnan(last).sum() == GRID.nlat * GRID.nlon - 2
    assert count.sum() == 3


def test_coverage_says_how_much_of_the_globe_is_filled():
    lat, lon = np.meshgrid(GRID.lat[:4], GRID.lon, indexing="ij")
    table = pd.DataFrame(
        {
            "source": "noaa20_atms",
            "analysis_time": pd.Timestamp(data.CASE),
            "window_start": -3,
            "window_end": 5,
            "nlat": 8,
            "nlon": 16,
            "hour": 0.0,
            "lat": lat.ravel(),
            "lon": lon.ravel(),
        }
    )
    assert "filled: 50 % of the globe" in texts(coverage.draw(table))


def test_coverage_of_an_empty_window_says_so(stores):
    grids = SparseGrids([stores / "empty.zarr"])
    table = coverage.table({"noaa20_atms": grids}, {"noaa20_atms": (-3, 5)}, data.CASE)
    assert len(table) == 1
    assert table["hour"].isna().all()
    text = texts(coverage.draw(table))
    assert "no observation in this window" in text
    assert "filled: 0 %" in text


# maps


def test_increment_and_what_was_needed(stores):
    table = case_table(stores)
    assert len(table) == 4 * GRID.nlat * GRID.nlon
    analysis, background, truth = (
        States([stores / f"{name}.zarr"], array).read(data.CASE)
        for name, array in (("analyses", "analysis"), ("analyses", "background"), ("truth", "state"))
    )
    index = States([stores / "truth.zarr"]).channels.index("U500")
    rows = table[table["channel"] == "U500"]
    np.testing.assert_allclose(rows["increment"], (analysis - background)[index].ravel(), rtol=1e-5)
    np.testing.assert_allclose(rows["needed_truth"], (truth - background)[index].ravel(), rtol=1e-5)


def test_increment_draws_only_the_references_there_are(stores):
    text = texts(increment_case.draw(case_table(stores, ("era5",))))
    assert "ERA5 − background (r = 0." in text
    assert "truth" not in text
    alone = texts(increment_case.draw(case_table(stores, ())))
    assert "T500: increment" in alone


def test_an_answer_goes_below_the_maps(stores, tmp_path):
    maps_of = case_table(stores)
    table = increment_case.with_response(maps_of, data.response())
    assert set(table["part"]) == {"increment", "response"}
    profile = table[(table["part"] == "response") & table["north"].isna()].set_index("level")
    assert profile.loc[400, "response"] == pytest.approx(2)  # of 1, 2 and 3 K
    assert profile.loc[400, "spread"] == pytest.approx((2 / 3) ** 0.5)
    assert profile.loc[400, "jacobian"] == pytest.approx(0.1 / (0.5 * np.log(500 / 300)))
    near = table[table["north"].notna()].set_index(["level", "north", "east"])["response"]
    assert near[400, 0, 1] == pytest.approx(0.5)
    assert near[400, 1, 0] == 0
    text = texts(increment_case.draw(table))
    for part in ("T500: increment", "+5 K in channel 7 of noaa20_atms in one observation", "mean of 3", "+0.80 K",
                 "T400 about the observed cell", "(m) T in the observed cell", "cells to the east (22.5°)"):
        assert part in text
    table.to_csv(tmp_path / "t.csv", index=False, float_format="%.7g")
    assert texts(increment_case.draw(style.read_csv(tmp_path / "t.csv"))) == text


def test_no_answer_of_networks_that_heed_nothing_is_drawn_flat(stores):
    found = data.response()
    found = replace(found, response=0 * found.response, around=0 * found.around, followed=0 * found.followed)
    assert "+0.00 K" in texts(increment_case.draw(increment_case.with_response(case_table(stores, ()), found)))


def test_nothing_perturbed_leaves_the_maps_alone(stores):
    table = case_table(stores)
    assert increment_case.with_response(table, data.response(0)) is table


def test_increment_of_an_unknown_time_names_the_store(stores):
    path = [stores / "analyses.zarr"]
    with pytest.raises(KeyError, match=r"1999.*analyses\.zarr"):
        increment_case.table(States(path, "analysis"), States(path, "background"), {}, datetime(1999, 1, 1))


def test_correlation_is_weighted_by_area():
    grid = Grid(2, 2)
    a = np.array([[1.0, -1.0], [1.0, -1.0]])
    assert increment_case.correlation(a, 3 * a + 5, grid) == pytest.approx(1.0)
    assert increment_case.correlation(a, -a, grid) == pytest.approx(-1.0)
    assert np.isnan(increment_case.correlation(a, np.ones((2, 2)), grid))
    grid = Grid(4, 2)  # rows weigh 1 - s, s, s, 1 - s with s = sin 45 degrees: 0.293, 0.707
    a = np.array([[1.0, -1.0]] * 4)
    b = a * np.array([[-1.0], [1.0], [1.0], [-1.0]])
    assert increment_case.correlation(a, b, grid) == pytest.approx(2 * np.sin(np.pi / 4) - 1)


def test_error_maps_hold_the_mean_error_of_the_reference(stores):
    table = error_maps.table(stores / "maps.zarr", "truth")
    assert len(table) == 2 * 2 * GRID.nlat * GRID.nlon
    assert set(table["n"]) == {5}
    assert set(table["unit"]) == {"m² s⁻²", "Pa"}
    text = texts(error_maps.draw(table))
    for part in ("Z500, day 1", "MSL, 54 h", "forecast − truth, of 5 forecasts", "MSL (Pa)"):
        assert part in text


def test_error_maps_refuse_an_unknown_reference(stores):
    with pytest.raises(ValueError, match=r"maps\.zarr: no error maps against 'own', known: era5, truth"):
        error_maps.table(stores / "maps.zarr", "own")


# the diagram


def test_system_shows_the_configuration():
    table = system.table(SETTINGS)
    boxes = table[table["part"] == "box"].set_index("id")
    assert {"nature", "noaa20_atms", "era5", "gfs", "assimilator", "forecaster", "forecasts"} <= set(boxes.index)
    text = texts(system.draw(table)).replace("\u00a0", " ").replace("\n", " ")
    for part in ("ATMS on NOAA-20", "[−3 h, +5 h)", "22 channels", "192", "to 10 days", "00 and 12 UTC", "700"):
        assert part in text


def test_system_of_the_archive_has_no_nature_run_and_without_gfs_no_gfs():
    table = system.table({**SETTINGS, "world": "archive", "baselines": ["persistence"]})
    assert not {"nature", "gfs"} & set(table["id"].dropna())
    system.draw(table)


def test_many_sources_share_boxes_by_kind():
    atms, ships = SETTINGS["sources"]["noaa20_atms"], {"long_name": "ships and buoys", "channels": 7, "kind": "in situ"}
    table = system.table({**SETTINGS, "sources": {"a": atms, "b": atms, "c": ships, "d": atms}})
    boxes = table[(table["part"] == "box") & (table["kind"] == "data")].set_index("title")["text"]
    assert list(boxes.index) == ["sounders", "in situ", "ERA5", "GFS"]
    assert boxes["sounders"] == "ATMS, ATMS, ATMS\n66 channels"
    assert "7 channels" in boxes["in situ"]


def test_arrows_join_boxes_that_exist_and_boxes_do_not_overlap():
    for count in range(5):
        source = SETTINGS["sources"]["noaa20_atms"]
        table = system.table({**SETTINGS, "sources": {f"s{i}": source for i in range(count)}})
        boxes, arrows = table[table["part"] == "box"], table[table["part"] == "arrow"]
        assert set(arrows["start"]) | set(arrows["end"]) <= set(boxes["id"])
        for _, column in boxes.groupby("column"):
            rows = np.sort(column["row"].astype(float))
            assert np.all(np.diff(rows) >= system.HEIGHT / (system.HEIGHT + system.GAP_Y)), count
        system.draw(table)


# drawing again from the table alone


@pytest.mark.parametrize("name", redraw.IDS)
def test_the_csv_alone_draws_the_same_labels(stores, tmp_path, name):
    table = all_tables(stores)[name]
    module = importlib.import_module(f"fuxiflow.figures.{name}")
    table.to_csv(tmp_path / "t.csv", index=False, float_format="%.7g", date_format="%Y-%m-%dT%H:%M:%S")
    assert texts(module.draw(table)) == texts(module.draw(style.read_csv(tmp_path / "t.csv")))


def test_command_line_redraws_from_a_csv(tmp_path):
    system.table(SETTINGS).to_csv(tmp_path / "t.csv", index=False)
    redraw.main(["system", str(tmp_path / "t.csv"), str(tmp_path / "again.png")])
    assert (tmp_path / "again.png").read_bytes().startswith(b"\x89PNG")


def test_system_says_one_block():
    table = system.table({**SETTINGS, "assimilator": {"width": 48, "scales": 1, "blocks": 1}})
    text = table.set_index("id").loc["assimilator", "text"].replace("\u00a0", " ")
    assert "1 block" in text
    assert "1 blocks" not in text
    assert "1 scales" not in text
