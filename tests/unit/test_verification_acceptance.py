"""Headline numbers from a synthetic score table."""

import numpy as np
import pandas as pd
import pytest

from fuxiflow.channels import channel_table
from fuxiflow.cli import main
from fuxiflow.storage import tables
from fuxiflow.verification import acceptance, score_table

CHANNELS = channel_table().analysed.names
LEADS = [6 * step for step in range(1, 41)]


def rows(
    metric, value, leads=(0,), experiment="full", reference="truth", spread=1.0, channels=CHANNELS
):
    value = np.broadcast_to(np.asarray(value, float), (len(leads), len(channels)))[..., None]
    return score_table.score_rows(
        experiment=experiment,
        system="fuxiflow",
        reference=reference,
        metric=metric,
        leads=list(leads),
        channels=channels,
        regions=["global"],
        value=value,
        n=np.full(value.shape, 60),
        ci_low=value - spread,
        ci_high=value + spread,
    )


def write(
    root,
    *,
    analysis=1.0,
    background=1.1,
    climatology=-0.6,
    denied=-0.8,
    skilful=84.0,
    persistence=-0.2,
    ratio=1.0,
    growth=0.0,
    noise=0.02,
    reference="truth",
):
    scores = root / "scores"
    (scores / "full").mkdir(parents=True)
    leads = np.array(LEADS, float)[:, None]
    parts = [
        rows("rmse", analysis, reference=reference),
        rows("background_rmse", background, reference=reference),
        rows("rmse_vs_climatology", climatology, reference=reference, spread=0.05),
        rows("rmse_vs_persistence", persistence, LEADS, reference=reference),
        rows("rmse_vs_climatology", leads / 100 - 0.73, LEADS, reference=reference),
        rows("skilful_lead", skilful, [240], reference=reference, spread=6.0),
        rows("activity_ratio", ratio, LEADS, reference=reference),
    ]
    if denied is not None:
        parts.append(rows("rmse_vs_no_observations", denied, reference=reference, spread=0.05))
    score_table.write_scores(scores / "scores.parquet", score_table.concatenate_scores(parts))
    times = pd.date_range("2023-01-01", "2023-02-09 18:00", freq="6h")
    series = 1 + growth * np.arange(len(times)) / len(times)
    series += noise * np.random.default_rng(0).normal(size=len(times))
    arrays = {"analysis": series, "climatology": np.linspace(1, 2, len(times))}
    cycle = pd.concat(
        [
            pd.DataFrame(
                {
                    "experiment": "full",
                    "time": times,
                    "array": array,
                    "reference": reference,
                    "channel": channel,
                    "rmse": values,
                    "bias": 0.0,
                }
            )
            for channel in acceptance.REDUCTIONS
            for array, values in arrays.items()
        ]
    )
    tables.write_parquet(scores / "full" / "cycle.parquet", cycle)
    return root


def by_name(root) -> dict:
    return {line.name: line for line in acceptance.headlines(root)}


def test_all_bars_met(tmp_path, capsys):
    write(tmp_path)
    assert main(["acceptance", str(tmp_path), "--check"]) == 0
    text = capsys.readouterr().out
    assert "MISSED" not in text
    assert "69 of 69 (100%)" in text
    assert "60 % [55, 65] (climatology; no_observations 80 %)" in text
    assert "worst -1% at 72 h" in text
    assert "84 h [78, 90]" in text
    assert text.count("(climatology +29 %)") == len(
        acceptance.REDUCTIONS
    )  # 0.5 over 20 days, on the mean of 1.75


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"analysis": np.where(np.arange(69) < 20, 2.0, 1.0)},
            "analysis better than its background, channels",
        ),
        ({"climatology": -0.42}, "analysis RMSE T850 below that without observations"),
        ({"denied": -0.5}, "analysis RMSE Z500 below that without observations"),
        (
            {"persistence": np.where(np.array(LEADS) == 96, 0.01, -0.5)[:, None]},
            "forecast RMSE Z500 against persistence, 12-96 h",
        ),
        ({"skilful": 71.0}, "skilful lead of Z500 (ACC >= 0.6)"),
        (
            {"ratio": np.where(np.array(LEADS) == 240, 0.29, 1.0)[:, None]},
            "activity ratio over 40 steps, all channels",
        ),
        ({"growth": 1.0}, "growth of analysis RMSE Z500, last 20 days"),
        ({"growth": -0.7}, "growth of analysis RMSE Z500, last 20 days"),
        ({"noise": 1.5}, "growth of analysis RMSE Z500, last 20 days"),
    ],
)
def test_each_bar_can_be_missed(tmp_path, change, line):
    lines = by_name(write(tmp_path, **change))
    assert lines[line].met is False
    assert "MISSED" in str(lines[line])


def test_persistence_counts_from_twelve_hours_on(tmp_path):
    early = np.where(np.array(LEADS) == 6, 0.3, -0.2)[:, None]
    assert (
        by_name(write(tmp_path, persistence=early))[
            "forecast RMSE MSL against persistence, 12-96 h"
        ].met
        is True
    )


def test_a_lead_that_is_absent_cannot_be_told(tmp_path):
    root = write(tmp_path)
    frame = score_table.read_scores(root / "scores" / "scores.parquet")
    gone = (frame["metric"] == "rmse_vs_persistence") & (frame["lead_time"] == 36)
    gone |= frame["metric"] == "skilful_lead"
    fewer = (frame["metric"] == "activity_ratio") & (frame["lead_time"] == 120)
    frame.loc[fewer, "n"] = 59  # one forecast was not finite
    score_table.write_scores(root / "scores" / "scores.parquet", frame[~gone])
    lines = by_name(root)
    assert lines["against persistence"].met is None
    assert "no rmse_vs_persistence of Z500 at 36 h" in lines["against persistence"].value
    assert lines["skilful lead"].met is None
    assert "incomplete" in lines["activity ratio over 40 steps, all channels"].value
    assert lines["activity ratio over 40 steps, all channels"].met is False


def test_without_a_free_forecast_climatology_is_what_needs_no_observations(tmp_path):
    lines = by_name(write(tmp_path, denied=None))
    line = lines["analysis RMSE Z500 below that without observations"]
    assert (line.value, line.met) == ("60 % [55, 65] (climatology)", True)


def test_who_puts_out_climatology_passes_no_bar_of_analyses(tmp_path):
    lines = by_name(write(tmp_path, climatology=0.0, denied=-0.66))
    missed = [line for name, line in lines.items() if "without observations" in name]
    assert len(missed) == len(acceptance.REDUCTIONS)
    assert not any(line.met for line in missed)


def test_a_run_without_a_truth_is_held_against_era5_its_own_analyses_and_observations(tmp_path):
    path = write(tmp_path, reference="era5") / "scores" / "scores.parquet"
    observed = ["atms/5", "atms/6", "land_stations/T2M"]
    parts = [
        score_table.read_scores(path),
        rows("rmse_vs_persistence", -0.3, LEADS, reference="own"),
        rows("skilful_lead", 60.0, [240], reference="own", spread=6.0),
    ]
    for array, value in (("background", [2.0, 2.0, 2.0]), ("analysis", [1.0, 2.5, 1.0])):
        metric = f"departure_{array}_std"
        parts.append(rows(metric, value, reference="observations", channels=observed))
    score_table.write_scores(path, score_table.concatenate_scores(parts))
    lines = acceptance.headlines(tmp_path)
    verdicts = {(line.reference, line.name): line.met for line in lines}
    assert {line.reference for line in lines} == {"era5", "own", "observations"}
    assert verdicts["era5", "skilful lead of Z500 (ACC >= 0.6)"] is True
    assert verdicts["own", "skilful lead of Z500 (ACC >= 0.6)"] is False
    assert verdicts["own", "forecast RMSE MSL against persistence, 12-96 h"] is True
    name = "analysis closer than its background, observed channels"
    assert verdicts["observations", name] is False
    assert None not in verdicts.values()


def test_no_score_is_not_computed_and_no_table_an_error(tmp_path, capsys):
    root = write(tmp_path / "a")
    path = root / "scores" / "scores.parquet"
    frame = score_table.read_scores(path)
    score_table.write_scores(path, frame[frame["metric"] != "rmse_vs_climatology"])
    assert main(["acceptance", str(root)]) == 0
    assert main(["acceptance", str(root), "--check"]) == 1
    assert "not computed" in capsys.readouterr().out
    assert main(["acceptance", str(tmp_path / "nothing")]) == 1
    assert "make it with" in capsys.readouterr().err


def test_joint_training_is_held_against_the_reanalysis(tmp_path):
    write(tmp_path)
    path = tmp_path / "scores" / "scores.parquet"
    names = np.array(CHANNELS)
    value = np.where(names == "T925", 0.004, -0.05)
    joint = score_table.score_rows(
        experiment="joint",
        system="fuxiflow",
        reference="truth",
        metric="rmse_vs_era5",
        leads=[0],
        channels=CHANNELS,
        regions=["global"],
        value=value[None, :, None],
        n=np.full((1, 69, 1), 120),
        ci_low=value[None, :, None] - 0.01,
        ci_high=value[None, :, None] + 0.01,
    )
    score_table.write_scores(
        path, score_table.concatenate_scores([score_table.read_scores(path), joint])
    )
    by_line = by_name(tmp_path)
    lines = {
        channel: by_line[f"analysis RMSE {channel} of joint against ERA5's"]
        for channel in acceptance.NEAR_GROUND
    }
    assert [line.met for line in lines.values()] == [True, False, True, True]
    assert lines["T2M"].value == "-5.0 % [-6.0, -4.0]"
    # alone, without the demonstration's experiments and their cycle
    score_table.write_scores(path, joint)
    (tmp_path / "scores" / "full" / "cycle.parquet").unlink()
    assert list(by_name(tmp_path).values()) == list(lines.values())
