"""Departures from observations: which rows are drawn, and as what."""

import pytest

from fuxiflow.figures import obs_departures
from tests.support import figure_stores as data


@pytest.fixture
def drawn(tmp_path):
    data.write_observed(tmp_path / "observed.parquet", ("full", "hres", "era5", "climatology"))
    return obs_departures.table(tmp_path / "observed.parquet", ["land_stations"], "full")


def test_withheld_observations_are_drawn_where_there_are_any(drawn):
    samples = drawn.groupby("source")["sample"].unique().map(list).to_dict()
    assert samples == {
        "gnssro": ["assimilated"],
        "land_stations": ["assimilated"],
        "radiosondes": ["withheld"],
    }


def test_quantities_have_their_places(drawn):
    places = drawn.drop_duplicates("channel").set_index("channel")
    assert places.loc["T850", ["kind", "variable", "vertical"]].tolist() == ["soundings", "T", 850]
    row = places.loc["refractivity_10000"]
    assert (row["kind"], row["vertical"], row["unit"]) == ("occultations", 10.0, "%")
    # no state holds the humidity at 2 m, and radiances have no place in this figure
    assert set(drawn.loc[drawn["kind"] == "stations", "channel"]) == {"T2M", "PS"}


def test_panels_are_profiles_at_three_leads_and_stations(drawn):
    assert obs_departures.drawn_leads(drawn) == [0, 24, 120]
    figure = obs_departures.draw(drawn)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert sum("refractivity" in title for title in titles) == 3
    assert sum("temperature" in title for title in titles) == 3
    assert sum("T2M" in title for title in titles) == 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["fuxiflow", "climatology", "ERA5", "hres"]
    lines = figure.axes[0].lines
    assert sorted(lines[0].get_xdata()) == [1.0] * 3  # of the analyses, by the store's formula


def test_nothing_to_draw_is_an_error(tmp_path):
    data.write_observed(tmp_path / "observed.parquet", ())
    with pytest.raises(ValueError, match="observe such a source"):
        obs_departures.table(tmp_path / "observed.parquet", ["land_stations"], "full")


def test_every_system_has_a_colour_of_its_own_and_is_in_the_legend(tmp_path):
    systems = ("full", "atms", "no_observations", "gfs", "era5", "persistence", "climatology")
    data.write_observed(tmp_path / "observed.parquet", systems)
    table = obs_departures.table(tmp_path / "observed.parquet", ["land_stations"], "full")
    # there is no persistence of an analysis, so the first row of panels is without it
    table = table[(table["system"] != "persistence") | (table["lead_time"] > 0)]
    (legend,) = obs_departures.draw(table).legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert sorted(labels) == sorted(
        ["fuxiflow", "atms", "no observations", "GFS", "ERA5", "persistence", "climatology"]
    )
    assert len({line.get_color() for line in legend.get_lines()}) == len(systems)
