"""The figures of scores: what their tables hold, and that drawing shows it."""

import numpy as np
import pandas as pd
import pytest

from fuxiflow.figures import (
    activity,
    analysis_error,
    cutoff,
    scorecard,
    scores,
    skill_vs_lead,
    style,
    surface_error,
    unrolling,
)
from fuxiflow.verification import score_table
from tests.support import figure_stores as data
from tests.support.figure_tables import all_tables, texts


def test_scores_reads_the_experiment_and_the_baselines(figure_stores):
    frame = scores.read_score_rows(
        figure_stores / "scores.parquet", ["full"], metric="rmse", reference="era5", channel="Z500"
    )
    assert set(frame["experiment"]) == {"full", "baseline"}
    assert set(frame["system"]) == {"fuxiflow", "gfs", "persistence", "climatology"}
    assert not isinstance(frame["channel"].dtype, pd.CategoricalDtype)


def test_scores_without_a_row_name_file_selection_and_remedy(figure_stores):
    with pytest.raises(
        ValueError, match=r"scores\.parquet: no score with metric = crps of full; run `snakemake"
    ):
        scores.read_score_rows(figure_stores / "scores.parquet", ["full"], metric="crps")


def test_levels_and_variables():
    frame = scores.with_levels(pd.DataFrame({"channel": ["Z500", "T2M", "R1000"]}))
    assert list(frame["variable"]) == ["Z", "T2M", "R"]
    assert list(frame["level"].fillna(-1)) == [500, -1, 1000]


def test_differences_are_significant_together():
    frame = pd.DataFrame({"p_value": [0.001, 0.04, 0.9, np.nan]})
    judged = scores.with_significance(frame, 0.05)
    assert list(judged["significant"]) == [True, False, False, False]  # 0.04 x 3 / 2 is 0.06
    assert list(scores.with_significance(frame, 0.06)["significant"]) == [True, True, False, False]
    assert scores.with_significance(frame.iloc[:0], 0.05).empty


def test_unrolling_shows_the_paired_difference_to_the_first(figure_stores):
    table = all_tables(figure_stores)["unrolling"]
    assert list(table["experiment"][::6]) == ["no_observations", "full"]
    first, last = (
        table[(table["experiment"] == name) & (table["channel"] == "T500")].iloc[0]
        for name in ("no_observations", "full")
    )
    assert (first["versus"], first["ci_low"], first["ci_high"]) == (0, 0, 0)
    assert last["versus"] == pytest.approx(-2 / 3)
    assert last["ci_high"] == pytest.approx(-2 / 3 + 0.05)
    assert first["value"] == pytest.approx(3 * last["value"])
    assert "T500: 1.5 K before it" in texts(unrolling.draw(table))


def test_cutoff_counts_hours_since_the_last_datum(figure_stores):
    table = all_tables(figure_stores)["cutoff"]
    rows = table[table["channel"] == "Z500"]
    assert list(rows["lead_time"]) == 2 * [0, 6, 24, 48, 72]
    first, last = rows.iloc[:5], rows.iloc[5:]
    assert list(first["hours_since_last_datum"]) == [-5, 1, 19, 43, 67]
    assert list(last["hours_since_last_datum"]) == [-3, 3, 21, 45, 69]
    assert list(first["versus"]) == 5 * [0]
    assert last["versus"].iloc[0] == pytest.approx(-2 / 3)
    # forecasts of the two were not compared
    assert last["versus"].iloc[1:].isna().all()
    drawn = cutoff.draw(table)
    assert {"data to +5 h", "data to +3 h"} <= set(texts(drawn).split("\n"))
    above, below = drawn.axes[0], drawn.axes[4]
    for ax, key in ((above, "lead_time"), (below, "hours_since_last_datum")):
        assert list(ax.lines[1].get_xdata()) == list(last[key])


def test_analysis_error_has_a_line_for_each_analysis_and_the_background(figure_stores):
    scores = figure_stores / "scores.parquet"
    table = analysis_error.table(scores, ["full"], ["era5", "truth"], baselines=scores)
    assert set(table["line"]) == {"fuxiflow", "background", "gfs", "era5"}
    assert set(table.loc[table["line"] == "era5", "reference"]) == {"truth"}
    row = table[
        (table["line"] == "background")
        & (table["channel"] == "T500")
        & (table["reference"] == "era5")
    ].iloc[0]
    assert (row["value"], row["level"], row["unit"]) == (pytest.approx(0.66), 500, "K")
    assert "T2M" not in set(table["channel"])


def test_analysis_error_names_further_experiments_but_not_their_backgrounds(figure_stores):
    table = analysis_error.table(
        figure_stores / "scores.parquet", ["full", "no_observations"], ["era5"]
    )
    assert set(table["line"]) == {"fuxiflow", "background", "gfs", "no_observations"}
    assert set(table.loc[table["line"] == "background", "experiment"]) == {"full"}
    assert "no observations" in texts(analysis_error.draw(table))


def test_surface_error_has_rmse_and_bias_near_the_ground(figure_stores):
    scores = figure_stores / "scores.parquet"
    table = surface_error.table(scores, ["full", "no_observations"], "truth", baselines=scores)
    assert set(table["line"]) == {"fuxiflow", "gfs", "era5", "no_observations"}
    assert set(table["metric"]) == {"rmse", "bias"}
    gfs = table[(table["line"] == "gfs") & (table["metric"] == "rmse")]
    assert tuple(gfs["channel"]) == surface_error.SHOWN
    bias = table[(table["metric"] == "bias") & (table["channel"] == "T2M")].set_index("line")[
        "value"
    ]
    assert bias.to_dict() == pytest.approx(
        {"fuxiflow": -0.2, "no_observations": -0.6, "gfs": 0.1, "era5": 0.12}
    )
    shown = texts(surface_error.draw(table))
    assert all(
        text in shown
        for text in ("ERA5", "GFS analysis", "no observations", "bias (K)", "RMSE (m s⁻¹)")
    )


def test_skill_marks_what_differs_significantly_from_gfs(tmp_path):
    names = ["Z500"]
    frames = [
        data._rows(
            "full", "fuxiflow", "era5", metric, [6, 12, 18], names, np.full((3, 1), value), 0.1
        )
        for metric, value in (("rmse", 2.0), ("acc", 0.9))
    ]
    frames += [
        data._rows(
            "full",
            "fuxiflow",
            "era5",
            "rmse_vs_gfs",
            [6, 12, 18],
            names,
            [[-0.5], [0.05], [0.5]],
            0.1,
        ),
        data._rows(
            "full",
            "fuxiflow",
            "era5",
            "acc_vs_gfs",
            [6, 12, 18],
            names,
            [[-0.5], [0.05], [0.5]],
            0.1,
        ),
    ]
    score_table.write_scores(tmp_path / "s.parquet", score_table.concatenate_scores(frames))
    table = skill_vs_lead.table(tmp_path / "s.parquet", "full", "era5")
    marks = {metric: list(rows["significance"]) for metric, rows in table.groupby("metric")}
    assert marks == {"rmse": ["better", "", "worse"], "acc": ["worse", "", "better"]}
    text = texts(skill_vs_lead.draw(table))
    assert "significantly better than GFS" in text
    assert "RMSE against ERA5" in text


def test_skill_does_without_gfs(tmp_path):
    frame = data._rows("full", "fuxiflow", "era5", "rmse", [6, 12], ["Z500"], [[1.0], [2.0]], 0.1)
    score_table.write_scores(tmp_path / "s.parquet", frame)
    table = skill_vs_lead.table(tmp_path / "s.parquet", "full", "era5")
    assert list(table["significance"]) == ["", ""]
    skill_vs_lead.draw(table)


def test_skill_shows_forecasts_of_others(tmp_path):
    frames = [
        data._rows(experiment, system, "era5", "rmse", [6, 12], ["Z500"], [[1.0], [2.0]], 0.1)
        for experiment, system in (("full", "fuxiflow"), ("baseline", "hres"), ("baseline", "era5"))
    ]
    frame = score_table.concatenate_scores(frames)
    score_table.write_scores(tmp_path / "s.parquet", frame)
    table = skill_vs_lead.table(tmp_path / "s.parquet", "full", "era5")
    assert set(table["system"]) == {"fuxiflow", "hres"}
    assert "hres" in texts(skill_vs_lead.draw(table))


def test_skill_shows_only_forecast_systems(figure_stores):
    table = skill_vs_lead.table(figure_stores / "scores.parquet", "full", "truth")
    assert set(table["system"]) == {"fuxiflow", "gfs", "persistence", "climatology"}
    assert set(table["channel"]) == {name for row in skill_vs_lead.PANELS for name in row}


def test_scorecard_is_in_per_cent_of_69_channels(figure_stores):
    table = scorecard.table(figure_stores / "scores.parquet", "full", "gfs", "era5")
    assert len(table) == 69 * 4
    stored = scores.read_score_rows(
        figure_stores / "scores.parquet",
        ["full"],
        metric="rmse_vs_gfs",
        reference="era5",
        channel="T850",
        lead_time=48,
    )
    row = table[(table["channel"] == "T850") & (table["lead_time"] == 48)].iloc[0]
    assert row["difference"] == pytest.approx(100 * stored["value"].iloc[0])
    assert list(dict.fromkeys(table["channel"]))[:2] == ["Z50", "Z100"]


def test_scorecard_counts_in_its_title(figure_stores):
    table = scorecard.table(figure_stores / "scores.parquet", "full", "gfs", "era5").assign(
        difference=-1.0, significant=False
    )
    table.loc[0, ["difference", "significant"]] = 5.0, True
    text = texts(scorecard.draw(table))
    assert f"better than GFS in 100 % of {69 * 4} cells" in text
    assert "0 better, 1 worse" in text


def test_scorecard_names_the_system_it_compares_with(tmp_path):
    rows = data._rows(
        "full", "fuxiflow", "era5", "rmse_vs_hres", [6, 12], ["Z500"], [[-0.1], [-0.2]], 0.05
    )
    score_table.write_scores(tmp_path / "s.parquet", score_table.concatenate_scores([rows]))
    table = scorecard.table(tmp_path / "s.parquet", "full", "hres", "era5")
    assert list(table["other"]) == ["hres", "hres"]
    text = texts(scorecard.draw(table))
    assert "better than hres in 100 % of 2 cells" in text
    assert "GFS" not in text


def test_scorecard_leaves_leads_without_a_score_blank(figure_stores):
    # leads 6, 24, 48, 72
    table = scorecard.table(figure_stores / "scores.parquet", "full", "gfs", "era5")
    table = table[table["variable"].isin(["Z", "T"])]
    figure = scorecard.draw(table)
    shown = [
        ax
        for ax in figure.axes
        if ax.get_visible() and ax.collections and len(ax.get_yticks()) == 13
    ]
    assert len(shown) == 2
    values = shown[0].collections[0].get_array()
    assert values.shape == (13, 12)  # every 6 h, the largest step that meets all leads
    assert list(np.flatnonzero(~values.mask.all(axis=0))) == [0, 3, 7, 11]


def test_scorecard_of_the_correlation_calls_more_of_it_better(figure_stores):
    table = scorecard.table(figure_stores / "scores.parquet", "full", "gfs", "own", "acc")
    assert set(table["reference"]) == {"own"}
    stored = scores.read_score_rows(
        figure_stores / "scores.parquet",
        ["full"],
        metric="acc_vs_gfs",
        reference="own",
        channel="T850",
        lead_time=48,
    )
    row = table[(table["channel"] == "T850") & (table["lead_time"] == 48)].iloc[0]
    assert row["difference"] == pytest.approx(stored["value"].iloc[0])
    table = table.assign(difference=0.02, significant=False)
    table.loc[0, ["difference", "significant"]] = -0.01, True
    figure = scorecard.draw(table)
    text = texts(figure)
    assert f"ACC scorecard against own analyses: better than GFS in 100 % of {69 * 4} cells" in text
    assert "0 better, 1 worse" in text
    assert "ACC difference to GFS (1): blue, fuxiflow has the larger one" in text
    mesh = figure.axes[0].collections[0]
    assert mesh.cmap.name == "RdBu"
    assert mesh.norm.vmax == pytest.approx(0.02)


def test_skill_of_a_region_names_it(tmp_path):
    frames = [
        data._rows("full", "fuxiflow", "era5", "rmse", [6, 12], ["Z500"], [[value], [2.0]], 0.1)
        for value in (1.0, 3.0)
    ]
    frames[1] = frames[1].assign(region=pd.Categorical(["central_africa"] * 2))
    score_table.write_scores(tmp_path / "s.parquet", score_table.concatenate_scores(frames))
    table = skill_vs_lead.table(tmp_path / "s.parquet", "full", "era5", "central_africa")
    assert list(table["value"]) == [3.0, 2.0]
    assert "RMSE in central Africa against ERA5" in texts(skill_vs_lead.draw(table))


def test_activity_is_relative_to_the_reference(figure_stores):
    table = activity.table(figure_stores / "scores.parquet", "full", "truth")
    assert set(table["system"]) == {"fuxiflow", "gfs", "persistence"}
    row = table[(table["system"] == "gfs") & (table["channel"] == "T850")].iloc[-1]
    assert (row["relative_to"], row["ratio"]) == ("truth", pytest.approx(0.9))
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(0.88), pytest.approx(0.92))
    assert "activity relative to the truth" in texts(activity.draw(table))


def test_activity_is_relative_to_a_system(figure_stores):
    table = activity.table(figure_stores / "scores.parquet", "full", "truth", "gfs")
    wide = table.pivot(index=["channel", "lead_time"], columns="system", values="ratio")
    assert (wide["gfs"] == 1).all()
    np.testing.assert_allclose(wide["fuxiflow"], 0.8 / 0.9)
    assert table["ci_low"].isna().all()
    assert "activity relative to GFS" in texts(activity.draw(table))
    with pytest.raises(ValueError, match=r"scores\.parquet: no activity of hres against truth"):
        activity.table(figure_stores / "scores.parquet", "full", "truth", "hres")


@pytest.mark.parametrize(
    ("values", "limit"), [([1.0, -2.0], 10), ([15.0] * 20, 20), ([500.0] * 5, 100)]
)
def test_scorecard_colours_end_at_round_per_cents(values, limit):
    assert scorecard.METRICS["rmse"].limit(pd.Series(values)) == limit


def test_no_row_is_cut_at_the_limits_of_another():
    rows = [
        (reference, "analysis", "T", level, value, 0.9 * value, 1.1 * value, "K")
        for reference, largest in (("era5", 1.0), ("truth", 3.0))
        for level, value in ((500, 0.5), (1000, largest))
    ]
    table = pd.DataFrame(
        rows,
        columns=["reference", "line", "variable", "level", "value", "ci_low", "ci_high", "unit"],
    )
    figure = analysis_error.draw_profiles(table, {"analysis": style.Line("analysis", "C0", "-")})
    assert len(figure.axes) == 2
    for ax in figure.axes:
        low, high = ax.get_xlim()
        assert low == 0
        assert high >= 3.3


def test_one_wide_interval_does_not_flatten_the_curves(tmp_path):
    data.write_scores(tmp_path / "scores.parquet", leads=[6, 24, 48])
    table = skill_vs_lead.table(tmp_path / "scores.parquet", "full", "truth")
    largest = table[table["metric"] == "rmse"].groupby("channel")["value"].max()
    table.loc[table["lead_time"] == 24, "ci_high"] = 1e6
    panels = skill_vs_lead.draw(table).axes
    low, high = next(ax.get_ylim() for ax in panels if "Z500" in ax.get_title("left"))
    assert low == 0
    assert largest["Z500"] < high < 1.5 * largest["Z500"]
    activities = activity.table(tmp_path / "scores.parquet", "full", "truth")
    activities["ci_high"] = 100.0
    assert max(ax.get_ylim()[1] for ax in activity.draw(activities).axes) < 2
