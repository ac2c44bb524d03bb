import pandas as pd
import pytest

from fuxiflow.figures import background_filter
from fuxiflow.storage.tables import read_parquet
from tests.support import figure_stores
from tests.support.figure_tables import texts


@pytest.fixture
def response(tmp_path) -> pd.DataFrame:
    figure_stores.write_filter_response(tmp_path / "response.parquet", waves=5)
    return read_parquet(tmp_path / "response.parquet")


def test_the_table_has_the_channels_that_are_shown(response):
    table = background_filter.table(response)
    assert list(dict.fromkeys(table["channel"])) == ["Z500", "T850", "U500", "R500"]
    assert len(table) == 2 * 6 * 4


def test_lines_are_those_of_the_table(response):
    table = background_filter.table(response)
    figure = background_filter.draw(table)
    spectra, lost, left = figure.axes
    assert len(spectra.lines) == 8
    one = table[(table["channel"] == "Z500") & (table["sample"] == "independent")]
    assert list(lost.lines[1].get_ydata()) == list(one["anomaly_lost"])
    assert list(left.lines[1].get_ydata()) == list(one["error_left"])
    assert "independent samples" in texts(figure)
