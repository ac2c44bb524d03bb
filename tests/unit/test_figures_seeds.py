"""Spread over seeds: which scores are drawn, and how far the band reaches."""

import pandas as pd
import pytest

from fuxiflow.figures import seeds
from fuxiflow.storage import tables
from tests.support import figure_stores as data


def test_bands_reach_from_the_lowest_to_the_highest_seed(tmp_path):
    data.write_seeds(tmp_path / "seeds.parquet")
    table = seeds.table(tmp_path / "seeds.parquet", "truth")
    assert set(table["experiment"]) == {"full"}
    assert set(table["seeds"]) == {2}
    pd.testing.assert_series_equal(
        table["highest"], 1.1 * table["lowest"], check_names=False, rtol=1e-5
    )
    figure = seeds.draw(table)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["full: 2 seeds"]
    assert "std ≤ 6.7 %" in figure.axes[0].get_title(loc="left")


def test_no_forecasts_of_several_seeds_are_an_error(tmp_path):
    data.write_seeds(tmp_path / "seeds.parquet")
    frame = tables.read_parquet(tmp_path / "seeds.parquet")
    tables.write_parquet(tmp_path / "none.parquet", frame[frame["lead_time"] == 0])
    with pytest.raises(ValueError, match="seeds_forecast"):
        seeds.table(tmp_path / "none.parquet", "truth")
