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


def rows(metric, value, leads=(0,), experiment="full", system="fuxiflow"):
    value = np.broadcast_to(np.asarray(value, float), (len(leads), len(CHANNELS)))[..., None]
    return score_table.score_rows(
        experiment=experiment,
        system=system,
        reference="truth",
        metric=metric,
        leads=list(leads),
        channels=CHANNELS,
        regions=["global"],
        value=value,
        n=np.full(value.shape, 60),
        ci_low=value - 1,
        ci_high=value + 1,
    )


def write(
    root,
    *,
    analysis=1.0,
    background=1.1,
    denied=4.0,
    acc=None,
    persistence=-0.2,
    ratio=1.0,
    growth=0.0,
):
    scores = root / "scores"
    (scores / "full").mkdir(parents=True)
    leads = np.array(LEADS, float)[:, None]
    acc = 1 - leads / 200 if acc is None else acc
    parts = [
        rows("rmse", analysis),
        rows("background_rmse", background),
        rows("rmse_vs_persistence", persistence, LEADS),
        rows("rmse_vs_climatology", leads / 100 - 0.73, LEADS),
        rows("acc", np.maximum(acc, -1), LEADS),
        rows("activity_ratio", ratio, LEADS),
    ]
    if denied is not None:
        parts.append(rows("rmse", denied, experiment="no_observations"))
    score_table.write_scores(scores / "scores.parquet", score_table.concatenate_scores(parts))
    times = pd.date_range("2023-01-01", "2023-02-09 18:00", freq="6h")
    noise = 0.02 * np.random.default_rng(0).normal(size=len(times))
    series = 1 + growth * np.arange(len(times)) / len(times) + noise
    arrays = {"analysis": series, "climatology": np.linspace(1, 2, len(times))}
    cycle = pd.concat(
        [
            pd.DataFrame(
                {
                    "experiment": "full",
                    "time": times,
                    "array": array,
                    "reference": "truth",
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
    assert "75% (1 against 4)" in text
    assert "worst -1% at 72 h" in text
    assert "lowest 0.64; >= 0.6 to 78 h" in text
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
        ({"denied": 2.2}, "analysis RMSE Z500 below no_observations"),
        (
            {"persistence": np.where(np.array(LEADS) == 96, 0.01, -0.5)[:, None]},
            "forecast RMSE Z500 against persistence, 12-96 h",
        ),
        ({"acc": np.where(np.array(LEADS) == 24, 0.59, 0.9)[:, None]}, "ACC Z500 to 72 h"),
        (
            {"ratio": np.where(np.array(LEADS) == 240, 0.29, 1.0)[:, None]},
            "activity ratio over 40 steps, all channels",
        ),
        ({"growth": 0.5}, "growth of analysis RMSE Z500, last 20 days"),
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
    gone = (frame["metric"] == "acc") & (frame["lead_time"] == 36)
    fewer = (frame["metric"] == "activity_ratio") & (frame["lead_time"] == 120)
    frame.loc[fewer, "n"] = 59  # one forecast was not finite
    score_table.write_scores(root / "scores" / "scores.parquet", frame[~gone])
    lines = by_name(root)
    assert lines["correlation"].met is None
    assert "no acc of Z500 at 36 h" in lines["correlation"].value
    assert "incomplete" in lines["activity ratio over 40 steps, all channels"].value
    assert lines["activity ratio over 40 steps, all channels"].met is False


def test_no_denial_experiment_and_no_results(tmp_path, capsys):
    write(tmp_path / "a", denied=None)
    assert main(["acceptance", str(tmp_path / "a")]) == 0
    assert main(["acceptance", str(tmp_path / "a"), "--check"]) == 1
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
