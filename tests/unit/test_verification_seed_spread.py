"""The spread of scores over seeds, by hand."""

import numpy as np
import pandas as pd
import pytest

from fuxiflow.verification import score_table
from fuxiflow.verification.seed_spread import seed_spread


def rows(experiment, metric, value):
    """One score of Z500 at 24 h."""
    one = np.full((1, 1, 1), value)
    return score_table.score_rows(
        experiment=experiment,
        system="fuxiflow",
        reference="era5",
        metric=metric,
        leads=[24],
        channels=["Z500"],
        regions=["global"],
        value=one,
        n=np.full(one.shape, 3),
        ci_low=one,
        ci_high=one,
    )


def test_mean_and_deviation_over_seeds():
    scores = score_table.concatenate_scores(
        [
            rows("full", "rmse", 1.0),
            rows("full_seed2", "rmse", 2.0),
            rows("full_seed3", "rmse", 6.0),
            rows("full", "bias", 1.0),
            rows("full", "rmse_vs_atms", -0.2),
            rows("full_seed2", "rmse_vs_atms_seed2", -0.4),
            rows("atms", "rmse", 9.0),
        ]
    )
    trainings = {
        "full": ["full", "full_seed2", "full_seed3"],
        "atms": ["atms", "atms_seed2"],
    }
    spread = seed_spread(scores, trainings).set_index(["experiment", "metric"])
    # a score that one seed alone has is left out
    assert set(spread.index) == {("full", "rmse"), ("full", "rmse_vs_atms")}
    rmse = spread.loc[("full", "rmse")]
    assert (rmse.seeds, rmse["mean"], rmse.lowest, rmse.highest) == (3, 3.0, 1.0, 6.0)
    assert rmse["std"] == pytest.approx(np.sqrt(7.0))
    assert (rmse.channel, rmse.lead_time) == ("Z500", 24)
    paired = spread.loc[("full", "rmse_vs_atms")]
    assert (paired.seeds, paired["mean"]) == (2, pytest.approx(-0.3))


def test_without_scores_there_is_no_row():
    spread = seed_spread(score_table.concatenate_scores([]), {"full": ["full", "full_seed2"]})
    assert isinstance(spread, pd.DataFrame)
    assert spread.empty
