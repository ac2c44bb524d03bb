"""The common style: labels, units, letters and colours."""

import pytest

from fuxiflow import channels
from fuxiflow.figures import style


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Z500", "m² s⁻²"), ("T2M", "K"), ("U10", "m s⁻¹"), ("R850", "%"), ("TP", "mm")],
)
def test_units_are_written_out(name, expected):
    assert style.channel_unit(name) == expected


def test_every_channel_has_a_unit_without_carets():
    assert not [
        c.name
        for c in channels.channel_table()
        if "-2" in style.channel_unit(c.name) or "^" in style.channel_unit(c.name)
    ]


def test_letters_go_on_after_z():
    fig = style.new_figure(3, 3)
    axes = [fig.add_subplot(6, 5, i + 1) for i in range(28)]
    axes[0].set_title("Z500", loc="left")
    style.letter_panels(axes)
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles[0] == "(a) Z500"
    assert titles[25:28] == ["(z)", "(aa)", "(ab)"]


def test_colours_of_systems_differ_and_experiments_take_spare_ones():
    colours = [line.color for line in style.SYSTEMS.values()]
    assert len(set(colours)) == len(colours)
    assert style.experiment_line("full", "full") is style.SYSTEMS["fuxiflow"]
    assert style.experiment_line("no_observations", "full").label == "no observations"
    assert style.experiment_line("real_only", "full", 2).color not in colours[:2]


def test_names_of_references():
    assert style.reference_name("era5") == "ERA5"
    assert style.reference_name("something") == "something"
    assert style.short_name("gfs") == "GFS"


def test_missing_says_where_what_and_the_remedy():
    assert str(style.missing_rows("no rows", "a.parquet", "run it")) == "a.parquet: no rows; run it"


def test_axes_follow_curves_and_not_what_is_no_number():
    assert style.limits_of_curves([1.0, float("nan"), 6.0]) == (0.0, 7.0)
    assert style.limits_of_curves([5.0]) == (4.5, 5.5)
    assert style.limits_of_curves([0.0, 0.0]) == (-1.0, 1.0)
    assert style.limits_of_curves([float("inf")]) == (0.0, 1.0)


def test_a_legend_of_panels_has_each_label_once():
    figure = style.new_figure(2, 2)
    first, second = figure.subplots(2)
    first.plot([0, 1], label="a")
    second.plot([0, 1], label="b")
    second.plot([0, 1], label="a")
    assert list(style.collect_legend([first, second])) == ["a", "b"]
