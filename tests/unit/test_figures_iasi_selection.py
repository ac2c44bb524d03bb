import numpy as np
import pytest

from fuxiflow.figures import iasi_selection
from fuxiflow.observations.channel_selection import select_channels
from fuxiflow.observations.jacobians import read_jacobians
from tests.support import figure_stores
from tests.support.figure_tables import selection_table, texts


@pytest.fixture
def jacobians(tmp_path):
    figure_stores.write_jacobians(tmp_path / "jacobians.parquet")
    return tmp_path / "jacobians.parquet"


def test_the_table_has_every_channel_and_the_steps_that_took_it(jacobians):
    selected = select_channels(read_jacobians(jacobians), 6, 4)
    table = selection_table(jacobians)
    channels = table[table["part"] == "channel"].set_index("channel")
    assert channels.index.tolist() == list(range(101, 113))
    assert channels.index[channels["used"].astype(bool)].tolist() == [101, 112]
    by_order = channels[channels["order"] > 0].sort_values("order")
    assert by_order.index.tolist() == selected["channel"].tolist()
    assert by_order["freedom"].tolist() == selected["freedom"].tolist()
    assert by_order["peak"].tolist() == selected["peak"].tolist()
    assert (channels["spaced"] > 0).sum() == 4


def test_jacobians_are_those_of_the_channels_of_both_steps(jacobians):
    table = selection_table(jacobians)
    profiles = table[table["part"] == "jacobian"]
    channels = table[table["part"] == "channel"].set_index("channel")
    spaced = channels.index[channels["spaced"] > 0]
    assert sorted(profiles["channel"].unique()) == sorted(spaced)
    assert len(profiles) == 4 * 2 * 12
    # the largest of a channel lies where the channel peaks
    largest = profiles.loc[profiles.groupby("channel")["sensitivity"].idxmax()]
    assert np.allclose(largest["pressure"], channels.loc[largest["channel"], "peak"])


def test_the_figure_counts_what_each_step_took(jacobians):
    figure = iasi_selection.draw(selection_table(jacobians))
    words = texts(figure)
    for label in ("all channels (12)", "by information (6)", "of these by peak (4)"):
        assert label in words
    assert "those of the source (2)" in words
    *_, freedom = figure.axes
    table = selection_table(jacobians)
    assert freedom.lines[0].get_ydata()[-1] == pytest.approx(table["freedom"].sum())


def test_a_source_without_any_of_the_channels_has_no_ticks(jacobians):
    figure = iasi_selection.draw(selection_table(jacobians, used=()))
    assert "those of the source" not in texts(figure)
